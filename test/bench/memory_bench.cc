// Memory per pod in the whole control plane: the API server, every controller and the scheduler in this process, and
// pods of about 1.3 KB that nobody runs. `memory_bench [PODS] [DIR] [--layers]` (default: 30,000; a folder below /tmp).
// With --layers the components start after the pods have been created, to tell what each adds.

#include "api/compact.h"
#include "api/types/corev1.h"
#include "in_process.h"

namespace trireme::bench {
namespace {

using api::corev1::Node;
using api::corev1::Pod;

constexpr int kPodsPerNode = 100;

/// As upstream's load tests shape theirs, already on a node and running, as most pods of a cluster are.
Pod make_pod(int number) {
  Pod pod;
  pod.metadata.namespace_ = "default";
  pod.metadata.name = fmt::format("load-{}", number);
  pod.metadata.labels.emplace("app", "bench");
  pod.metadata.labels.emplace("tier", "backend");
  pod.metadata.labels.emplace("release", "stable");
  pod.metadata.annotations.emplace("note", std::string(300, 'x'));
  pod.spec.node_name = fmt::format("node-{}", number / kPodsPerNode);
  auto& container = pod.spec.containers.emplace_back();
  container.name = "main";
  container.image = "registry.example/team/app:1.0";
  container.ports.emplace_back().container_port = 8080;
  for (const char* name : {"A", "B"}) {
    auto& variable = container.env.emplace_back();
    variable.name = name;
    variable.value = "1";
  }
  container.resources.requests.emplace("cpu", Quantity::of_milli(10));
  container.resources.requests.emplace("memory", Quantity::of(16 << 20, Quantity::Format::kBinarySi));
  container.resources.limits.emplace("cpu", Quantity::of_milli(100));
  container.resources.limits.emplace("memory", Quantity::of(64 << 20, Quantity::Format::kBinarySi));
  return pod;
}

int run(int argc, char** argv) {
  const int pods = argc > 1 ? std::atoi(argv[1]) : 30'000;
  InProcessCluster cluster(argc > 2 ? argv[2] : fmt::format("/tmp/memory_bench.{}", getpid()));
  client::Client admin(cluster.admin());
  api::corev1::ServiceAccount account;
  account.metadata.namespace_ = "default";
  account.metadata.name = "default";
  if (auto made = admin.create(account); !made.ok()) fail(made.status().message());
  // Nodes that report for as long as the benchmark may take, so that no controller takes their pods away.
  for (int i = 0; i < pods / kPodsPerNode + 1; ++i) {
    Node node;
    node.metadata.name = fmt::format("node-{}", i);
    node.status.allocatable.emplace("cpu", Quantity::of(32));
    node.status.allocatable.emplace("memory", Quantity::of(64LL << 30));
    node.status.allocatable.emplace("pods", Quantity::of(110));
    node.status.capacity = node.status.allocatable;
    auto& ready = node.status.conditions.emplace_back();
    ready.type = "Ready";
    ready.status = "True";
    ready.last_heartbeat_time = api::Time(std::chrono::system_clock::now() + std::chrono::hours(1));
    ready.last_transition_time = ready.last_heartbeat_time;
    if (auto made = admin.create(node); !made.ok()) fail(made.status().message());
  }
  const bool live = argc < 4 || std::string_view(argv[3]) != "--layers";
  const auto start_components = [&] {
    cluster.start_controllers("*,-node-lifecycle-controller");
    if (!live) fmt::print("allocated with the controllers: {}\n", allocated_bytes());
    cluster.start_scheduler();
  };
  if (live) start_components();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const size_t resident_before = resident_bytes();
  const size_t allocated_before = allocated_bytes();
  const double cpu_before = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  in_parallel(pods, [&](int i) {
    Pod pod = make_pod(i);
    if (auto made = admin.create(pod); !made.ok()) fail(made.status().message());
  });
  fmt::print("created {} pods in {:.1f} s, {:.1f} s of CPU\n", pods, seconds_since(begin), cpu_seconds() - cpu_before);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  if (!live) {
    fmt::print("allocated in the server alone: {}, before the pods {}\n", allocated_bytes(), allocated_before);
    start_components();
    std::this_thread::sleep_for(std::chrono::seconds(5));
    fmt::print("allocated with the scheduler: {}\n", allocated_bytes());
  }

  auto stored = admin.get<Pod>("default", "load-1");
  if (!stored.ok()) fail(stored.status().message());
  const size_t json = api::encode_json(*stored).size();
  const size_t proto = api::encode_proto(*stored).size();
  const auto per_pod = [&](size_t now, size_t before) {
    return (static_cast<double>(now) - static_cast<double>(before)) / pods;
  };
  const size_t resident = resident_bytes();
  const size_t allocated = allocated_bytes();
  fmt::print("a pod's encoded size: {} bytes as JSON, {} as protobuf\n", json, proto);
  fmt::print("resident: {:.1f} MB without pods, {:.1f} MB with; {:.0f} bytes a pod\n",
             static_cast<double>(resident_before) / 1e6, static_cast<double>(resident) / 1e6,
             per_pod(resident, resident_before));
  fmt::print("allocated: {:.0f} bytes a pod\n", per_pod(allocated, allocated_before));
  fmt::print("beyond the encoded size (JSON): {:.0f} bytes a pod\n",
             per_pod(resident, resident_before) - static_cast<double>(json));

  const auto list = [&](std::string_view what, const std::function<void()>& read) {
    read();
    read();
    fmt::print("after {}: {:.0f} bytes a pod, {:.0f} allocated\n", what, per_pod(resident_bytes(), resident_before),
               per_pod(allocated_bytes(), allocated_before));
  };
  list("two lists as JSON", [&] { (void)admin.raw().get_path("/api/v1/pods?resourceVersion=0"); });

  // Where it goes: what one copy of a pod takes, as decoded and as copied tightly.
  const int copies = std::min(pods, 2000);
  const std::string bytes = api::encode_proto(*stored);
  std::vector<Pod> decoded(static_cast<size_t>(copies));
  size_t begin_bytes = allocated_bytes();
  for (Pod& each : decoded) each = std::move(*api::decode_proto<Pod>(bytes));
  const size_t decoded_heap = (allocated_bytes() - begin_bytes) / decoded.size();
  begin_bytes = allocated_bytes();
  std::vector<Pod> copied = decoded;
  const size_t copied_all = (allocated_bytes() - begin_bytes) / decoded.size();
  begin_bytes = allocated_bytes();
  std::vector<std::unique_ptr<api::CompactObject>> kept;
  kept.reserve(decoded.size());
  for (const Pod& each : decoded) kept.push_back(std::make_unique<api::CompactObject>(api::Object::of(each)));
  const size_t compact = (allocated_bytes() - begin_bytes) / decoded.size();
  fmt::print("one pod in memory: {} bytes of struct and {} behind it as decoded, {} behind it as copied, {} as kept\n",
             sizeof(Pod), decoded_heap, copied_all - sizeof(Pod), compact);
  std::fflush(stdout);
  return 0;
}

}  // namespace
}  // namespace trireme::bench

int main(int argc, char** argv) { return trireme::bench::run(argc, argv); }
