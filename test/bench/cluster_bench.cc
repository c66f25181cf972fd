// Starts `trireme up` as a user would and prints what it costs: time to ready, memory, reads, writes, idling, and with
// --node the time from a pod's creation to Running against the same work done by raw CRI calls.
//
//   cluster_bench TRIREME DIR [--node] [-- more arguments for trireme]
//
// All load goes to loopback and is bounded in count.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "client/kubeconfig.h"
#include "kubelet/cri/runtime.h"
#include "linux/file.h"
#include "linux/process.h"

namespace trireme::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPods = 3000;
constexpr int kGets = 20000;
constexpr int kLists = 60;
constexpr auto kIdle = std::chrono::seconds(30);
constexpr int kPodStarts = 10;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

[[noreturn]] void fail(const std::string& message) {
  fmt::print(stderr, "cluster_bench: {}\n", message);
  std::exit(1);
}

/// A process's figures as the kernel keeps them.
struct Usage {
  double cpu_seconds = 0;
  long resident_kib = 0;
  long write_bytes = 0;
};

Usage usage_of(pid_t pid) {
  Usage usage;
  std::string stat = linux::read_file(fmt::format("/proc/{}/stat", pid)).value_or("");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string field;
  for (int i = 3; fields >> field; ++i) {
    if (i == 14 || i == 15) usage.cpu_seconds += std::stod(field) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  std::istringstream status(linux::read_file(fmt::format("/proc/{}/status", pid)).value_or(""));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) usage.resident_kib = std::stol(line.substr(6));
  }
  std::istringstream io(linux::read_file(fmt::format("/proc/{}/io", pid)).value_or(""));
  for (std::string line; std::getline(io, line);) {
    if (line.starts_with("write_bytes:")) usage.write_bytes = std::stol(line.substr(12));
  }
  return usage;
}

struct Running {
  linux::ChildProcess process;
  std::shared_ptr<net::Transport> transport;
  double ready_ms;
};

/// Starts it and waits for /readyz as a client sees it, and with a node for the node (the ready file).
Running start(const std::vector<std::string>& arguments, const std::string& dir) {
  std::string ready_file = dir + ".ready";
  ::unlink(ready_file.c_str());
  std::vector<std::string> words = arguments;
  words.insert(words.end(), {"--ready-file", ready_file});
  auto begun = Clock::now();
  auto child = linux::ChildProcess::spawn({words, {}, dir + ".log", true});
  if (!child.ok()) fail(child.status().message());
  while (!linux::exists(ready_file)) {
    if (!child->running() || milliseconds_since(begun) > 60'000) fail("trireme did not start; see " + dir + ".log");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  auto kubeconfig = client::load_kubeconfig({dir + "/admin.kubeconfig"});
  if (!kubeconfig.ok()) fail(kubeconfig.status().message());
  auto config = client::client_config(*kubeconfig);
  if (!config.ok()) fail(config.status().message());
  config->transport.max_idle_connections = 32;
  auto transport = client::connect(std::move(*config));
  if (!transport.ok()) fail(transport.status().message());
  net::Request request;
  request.target = "/readyz";
  auto answer = (*transport)->round_trip(request);
  if (!answer.ok() || answer->status != 200) fail("not ready after its own word");
  return {std::move(*child), std::move(*transport), milliseconds_since(begun)};
}

std::string pod_json(const std::string& name) {
  // About 1.3 KB, as upstream's load tests shape theirs.
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","labels":{{"app":"bench","tier":"backend","release":"stable"}},)"
      R"("annotations":{{"note":"{}"}}}},"spec":{{"schedulerName":"nobody","containers":[{{"name":"main","image":"registry.example/team/app:1.0",)"
      R"("ports":[{{"containerPort":8080}}],"env":[{{"name":"A","value":"1"}},{{"name":"B","value":"2"}}],)"
      R"("resources":{{"requests":{{"cpu":"10m","memory":"16Mi"}},"limits":{{"cpu":"100m","memory":"64Mi"}}}}}}]}}}})",
      name, std::string(300, 'x'));
}

/// Runs `total` calls on `clients` threads and prints rate, latency and the server's CPU per call.
void measure(std::string_view what, pid_t pid, int clients, int total, const std::function<net::Request(int)>& request,
             net::Transport& transport, int expected) {
  std::atomic<int> next = 0;
  std::vector<std::vector<double>> latencies(static_cast<size_t>(clients));
  std::atomic<int> failures = 0;
  Usage before = usage_of(pid);
  auto begun = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < clients; ++i) {
      threads.emplace_back([&, i] {
        for (int number; (number = next++) < total;) {
          auto call = Clock::now();
          auto response = transport.round_trip(request(number));
          if (!response.ok() || response->status != expected) ++failures;
          latencies[static_cast<size_t>(i)].push_back(milliseconds_since(call));
        }
      });
    }
  }
  double seconds = milliseconds_since(begun) / 1000;
  Usage after = usage_of(pid);
  std::vector<double> all;
  for (auto& each : latencies) all.insert(all.end(), each.begin(), each.end());
  std::sort(all.begin(), all.end());
  fmt::print("{:<34} {:>9.0f}/s   p50 {:>7.2f} ms   p99 {:>7.2f} ms   server CPU {:>8.3f} ms each   {} failed\n", what,
             total / seconds, all[all.size() / 2], all[all.size() * 99 / 100],
             (after.cpu_seconds - before.cpu_seconds) * 1000 / total, failures.load());
  std::fflush(stdout);
}

net::Request request(std::string method, std::string target, std::string body = {}) {
  net::Request result;
  result.method = std::move(method);
  result.target = std::move(target);
  if (!body.empty()) result.headers.set("Content-Type", "application/json");
  result.body = std::move(body);
  return result;
}

void measure_idle(pid_t pid) {
  Usage before = usage_of(pid);
  std::this_thread::sleep_for(kIdle);
  Usage after = usage_of(pid);
  double seconds = std::chrono::duration<double>(kIdle).count();
  fmt::print("idle for {:.0f} s: {:.2f} % of a core, {} bytes written to disk, {:.1f} MB resident\n", seconds,
             (after.cpu_seconds - before.cpu_seconds) / seconds * 100, after.write_bytes - before.write_bytes,
             static_cast<double>(after.resident_kib) / 1024);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One pod from the POST until its status says Running, as a client that polls sees it.
double pod_start_ms(net::Transport& transport, const std::string& name) {
  std::string body = fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}"}},"spec":{{"terminationGracePeriodSeconds":0,"containers":[)"
      R"({{"name":"main","image":"busybox","imagePullPolicy":"IfNotPresent","command":["sleep","10000"]}}]}}}})",
      name);
  auto begun = Clock::now();
  auto created = transport.round_trip(request("POST", "/api/v1/namespaces/default/pods", body));
  if (!created.ok() || created->status != 201) fail("creating a pod failed");
  while (milliseconds_since(begun) < 60'000) {
    auto pod = transport.round_trip(request("GET", "/api/v1/namespaces/default/pods/" + name));
    if (pod.ok() && pod->body.find(R"("phase":"Running")") != std::string::npos) return milliseconds_since(begun);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  fail("the pod did not start");
}

/// The same work by CRI alone: sandbox with its network, container, start.
double cri_start_ms(kubelet::cri::Runtime& runtime, const std::string& dir, int number) {
  namespace cri = kubelet::cri;
  cri::SandboxConfig sandbox;
  sandbox.metadata.name = fmt::format("raw-{}", number);
  sandbox.metadata.uid = fmt::format("raw-uid-{}", number);
  sandbox.metadata.ns = "default";
  sandbox.log_directory = dir + "/rawlogs";
  cri::ContainerConfig container;
  container.name = "main";
  container.image = "docker.io/library/busybox:latest";
  container.command = {"sleep", "10000"};
  container.log_path = fmt::format("raw-{}.log", number);
  auto begun = Clock::now();
  auto sandbox_id = runtime.run_sandbox(sandbox);
  if (!sandbox_id.ok()) fail(sandbox_id.status().message());
  auto container_id = runtime.create_container(*sandbox_id, container, sandbox);
  if (!container_id.ok()) fail(container_id.status().message());
  Status started = runtime.start_container(*container_id);
  if (!started.ok()) fail(started.message());
  double taken = milliseconds_since(begun);
  (void)runtime.stop_sandbox(*sandbox_id);
  (void)runtime.remove_sandbox(*sandbox_id);
  return taken;
}

void measure_pod_starts(net::Transport& transport, const std::string& dir) {
  auto runtime = kubelet::cri::grpc_runtime("unix://" + dir + "/containerd/containerd.sock");
  (void)linux::make_dirs(dir + "/rawlogs");
  pod_start_ms(transport, "warm-up");  // pulls the images
  std::vector<double> pods;
  std::vector<double> raw;
  for (int i = 0; i < kPodStarts; ++i) {
    std::string name = fmt::format("bench-{}", i);
    pods.push_back(pod_start_ms(transport, name));
    (void)transport.round_trip(request("DELETE", "/api/v1/namespaces/default/pods/" + name));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    raw.push_back(cri_start_ms(*runtime, dir, i));
  }
  fmt::print("pod create to Running: median {:.0f} ms; by raw CRI calls {:.0f} ms; above them {:.0f} ms\n",
             median(pods), median(raw), median(pods) - median(raw));
}

int run(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: cluster_bench TRIREME DIR [--node] [-- arguments for trireme]\n");
    return 2;
  }
  bool node = argc > 3 && std::string_view(argv[3]) == "--node";
  std::string dir = argv[2];
  std::vector<std::string> words = {argv[1], "up", "--data-dir", dir, "--https-port=0", "--bind-address=127.0.0.1"};
  for (int i = 3; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word != "--node" && word != "--") words.emplace_back(word);
  }
  if (node) {
    words.insert(words.end(), {"--node-ip=127.0.0.1", "--kubelet-port=0", "--stop-pods"});
  } else {
    words.emplace_back("--no-node");
  }

  // The first start makes certificates and roles; the second is what a user sees every day.
  Running first = start(words, dir);
  fmt::print("first start to {}: {:.0f} ms\n", node ? "node Ready" : "/readyz", first.ready_ms);
  first.process.terminate(std::chrono::seconds(30));
  Running cluster = start(words, dir);
  pid_t pid = cluster.process.pid();
  fmt::print("warm start to {}: {:.0f} ms\n", node ? "node Ready" : "/readyz", cluster.ready_ms);
  measure_idle(pid);

  std::string pods = "/api/v1/namespaces/default/pods";
  net::Transport& transport = *cluster.transport;
  measure(
      "create pods, 8 clients", pid, 8, kPods,
      [&](int i) { return request("POST", pods, pod_json(fmt::format("load-{}", i))); }, transport, 201);
  measure(
      "get a pod, 16 clients", pid, 16, kGets,
      [&](int i) { return request("GET", fmt::format("{}/load-{}", pods, i % kPods)); }, transport, 200);
  measure(
      "list the pods (rv=0), 4 clients", pid, 4, kLists,
      [&](int) { return request("GET", pods + "?resourceVersion=0"); }, transport, 200);
  measure(
      "list the pods, 4 clients", pid, 4, kLists, [&](int) { return request("GET", pods); }, transport, 200);
  fmt::print("resident with {} pods: {:.1f} MB\n", kPods, static_cast<double>(usage_of(pid).resident_kib) / 1024);
  (void)transport.round_trip(request("DELETE", pods + "?gracePeriodSeconds=0"));

  if (node) measure_pod_starts(transport, dir);
  cluster.process.terminate(std::chrono::seconds(60));
  return 0;
}

}  // namespace
}  // namespace trireme::bench

int main(int argc, char** argv) { return trireme::bench::run(argc, argv); }
