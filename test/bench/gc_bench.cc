// The garbage collector: one owner with many dependents is deleted in the background, in the foreground or orphaning
// them. `gc_bench [DEPENDENTS] [Background|Foreground|Orphan] [DIR]` (default: 100,000 in the background). The store is
// durable.

#include <condition_variable>
#include <mutex>

#include "api/types/corev1.h"
#include "in_process.h"

namespace trireme::bench {
namespace {

using api::corev1::ConfigMap;

int run(int argc, char** argv) {
  const int dependents = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const std::string policy = argc > 2 ? argv[2] : "Background";
  InProcessCluster cluster(argc > 3 ? argv[3] : fmt::format("/tmp/gc_bench.{}", getpid()));
  client::Client admin(cluster.admin());
  ConfigMap owner;
  owner.metadata.namespace_ = "default";
  owner.metadata.name = "owner";
  auto made_owner = admin.create(owner);
  if (!made_owner.ok()) fail(made_owner.status().message());
  ConfigMap dependent = owner;
  auto& reference = dependent.metadata.owner_references.emplace_back();
  reference.api_version = "v1";
  reference.kind = "ConfigMap";
  reference.name = "owner";
  reference.uid = made_owner->metadata.uid;
  reference.block_owner_deletion = true;

  cluster.start_controllers("garbagecollector");
  const size_t resident_before = resident_bytes();
  auto begin = std::chrono::steady_clock::now();
  double cpu = cpu_seconds();
  in_parallel(dependents, [&](int i) {
    ConfigMap each = dependent;
    each.metadata.name = fmt::format("dependent-{}", i);
    if (auto made = admin.create(each); !made.ok()) fail(made.status().message());
  });
  fmt::print("{} dependents created in {:.1f} s, {:.1f} s of CPU\n", dependents, seconds_since(begin),
             cpu_seconds() - cpu);

  // Another informer tells when all have gone, or have lost their owner.
  std::mutex mutex;
  std::condition_variable changed;
  int left = 0;
  bool owner_left = true;
  client::InformerFactory factory(cluster.admin(), real_clock());
  factory.informer<ConfigMap>().add_handler([&](const auto& before, const auto& after) {
    const std::lock_guard lock(mutex);
    const auto counts = [](const auto& object) { return object && !object->metadata.owner_references.empty() ? 1 : 0; };
    left += counts(after) - counts(before);
    if (!after && before->metadata.name == "owner") owner_left = false;
    changed.notify_all();
  });
  factory.start();
  factory.wait_synced();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const size_t resident = resident_bytes();
  fmt::print("resident: {:.1f} MB without dependents, {:.1f} MB with: {:.0f} bytes each\n",
             static_cast<double>(resident_before) / 1e6, static_cast<double>(resident) / 1e6,
             (static_cast<double>(resident) - static_cast<double>(resident_before)) / dependents);
  begin = std::chrono::steady_clock::now();
  cpu = cpu_seconds();
  client::DeleteOptions options;
  options.propagation_policy = policy;
  if (Status status = admin.remove<ConfigMap>("default", "owner", options); !status.ok()) fail(status.message());
  {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, std::chrono::minutes(10), [&] { return left == 0 && !owner_left; })) {
      fail(fmt::format("{} dependents are left, the owner {}", left, owner_left ? "too" : "is not"));
    }
  }
  const double seconds = seconds_since(begin);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("{}: {} dependents in {:.2f} s: {:.0f} objects/s, {:.0f} us of CPU each, peak resident {:.1f} MB\n",
             policy, dependents, seconds, dependents / seconds, (cpu_seconds() - cpu) * 1e6 / dependents,
             static_cast<double>(usage.ru_maxrss) / 1024);
  std::fflush(stdout);
  factory.stop();
  return 0;
}

}  // namespace
}  // namespace trireme::bench

int main(int argc, char** argv) { return trireme::bench::run(argc, argv); }
