// Figures of scheduling from end to end: the API server on the durable store and the scheduler in this process, over
// the in-process transport; the time from the first pod to the last binding.
//
//   scheduling_bench DIR [NODES] [PODS] [front|running]
//
// front (the default): the pods are there before the scheduler starts. running: they are created while it runs. DIR
// gets the database and is emptied of it at the end.
#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "apiserver/api_server.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"
#include "scheduler/scheduler.h"
#include "store/sqlite_store.h"

namespace {

using namespace trireme;
using api::corev1::Node;
using api::corev1::Pod;
using SteadyClock = std::chrono::steady_clock;

constexpr int kZones = 10;
constexpr int kWriters = 32;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <typename T>
T must(Result<T> result) {
  if (result.ok()) return std::move(*result);
  fmt::print(stderr, "scheduling_bench: {}\n", result.status().to_string());
  std::exit(1);
}

Node make_node(int number) {
  Node node;
  node.metadata.name = fmt::format("node-{}", number);
  node.metadata.labels.emplace("kubernetes.io/hostname", node.metadata.name);
  node.metadata.labels.emplace("topology.kubernetes.io/zone", fmt::format("zone-{}", number % kZones));
  node.status.allocatable.emplace("cpu", Quantity::of(32));
  node.status.allocatable.emplace("memory", Quantity::of(64LL << 30));
  node.status.allocatable.emplace("pods", Quantity::of(110));
  node.status.capacity = node.status.allocatable;
  return node;
}

Pod make_pod(int number) {
  Pod pod;
  pod.metadata.name = fmt::format("pod-{}", number);
  pod.metadata.namespace_ = "default";
  pod.metadata.labels.emplace("app", "web");
  auto& container = pod.spec.containers.emplace_back();
  container.name = "c";
  container.image = "registry.invalid/app:1";
  container.resources.requests.emplace("cpu", Quantity::of_milli(100));
  container.resources.requests.emplace("memory", Quantity::of(128LL << 20));
  return pod;
}

/// `each(i)` for all i below `count`, on many threads: writes wait for the disk together.
template <typename F>
void in_parallel(int count, const F& each) {
  std::atomic<int> next = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&] {
      for (int number = next++; number < count; number = next++) each(number);
    });
  }
}

class Bench {
 public:
  explicit Bench(const std::string& directory) {
    store_ = must(store::sqlite_store({.path = directory + "/scheduling_bench.db", .clock = real_clock()}));
    apiserver::Options options;
    options.store = store_;
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    server_ = must(apiserver::ApiServer::create(std::move(options)));
  }
  ~Bench() {
    if (scheduler_) scheduler_->stop();
    watched_.reset();
    server_->begin_shutdown();
  }

  std::shared_ptr<client::RawClient> raw(std::string agent) {
    return std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               std::move(agent));
  }

  void create_nodes(int count) {
    client::Client client(raw("bench"));
    in_parallel(count, [&](int i) {
      Node made = must(client.create(make_node(i)));
      made.status = make_node(i).status;
      must(client.update_status(made));
    });
  }

  void create_pods(int count) {
    client::Client client(raw("bench"));
    in_parallel(count, [&](int i) { must(client.create(make_pod(i))); });
  }

  void watch() {
    watched_ = std::make_unique<client::InformerFactory>(raw("bench"), real_clock());
    watched_->informer<Pod>().add_handler([this](const auto& before, const auto& after) {
      const bool was = before && !before->spec.node_name.empty();
      if (was || !after || after->spec.node_name.empty()) return;
      {
        const std::lock_guard lock(mutex_);
        ++bound_;
      }
      changed_.notify_all();
    });
    watched_->start();
    watched_->wait_synced();
  }

  void start_scheduler() {
    auto own = raw("kube-scheduler");
    events_ = std::make_shared<client::EventBroadcaster>(client::Client(own), real_clock());
    scheduler_ =
        scheduler::Scheduler::create({client::Client(own), std::make_shared<client::InformerFactory>(own, real_clock()),
                                      events_, real_clock(), scheduler::SchedulerOptions()});
    const Status started = scheduler_->start();
    if (!started.ok()) must(Result<int>(started));
  }

  void wait_bound(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return bound_ >= count; });
  }

  /// Waits until the events are out; how many there are.
  size_t events() {
    events_->flush();
    client::Client client(raw("bench"));
    return must(client.list<api::corev1::Event, api::corev1::EventList>("default")).items.size();
  }

 private:
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::unique_ptr<client::InformerFactory> watched_;
  std::shared_ptr<client::EventBroadcaster> events_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int bound_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: scheduling_bench DIR [NODES] [PODS] [front|running]\n");
    return 1;
  }
  const std::string directory = argv[1];
  const int nodes = argc > 2 ? std::atoi(argv[2]) : 5000;
  const int pods = argc > 3 ? std::atoi(argv[3]) : 10000;
  const bool front = argc <= 4 || std::string(argv[4]) == "front";
  {
    Bench bench(directory);
    auto start = SteadyClock::now();
    bench.create_nodes(nodes);
    fmt::print("{} nodes created and ready in {:.1f} s\n", nodes, seconds_since(start));
    if (front) {
      start = SteadyClock::now();
      bench.create_pods(pods);
      fmt::print("{} pods created in {:.1f} s\n", pods, seconds_since(start));
    }
    bench.watch();
    if (!front) bench.start_scheduler();
    const double cpu_before = cpu_seconds();
    start = SteadyClock::now();
    if (front) {
      bench.start_scheduler();
    } else {
      bench.create_pods(pods);
      fmt::print("{} pods created in {:.1f} s\n", pods, seconds_since(start));
    }
    bench.wait_bound(pods);
    const double elapsed = seconds_since(start);
    const double cpu = cpu_seconds() - cpu_before;
    fmt::print("all bound after {:.2f} s: {:.0f} pods/s, {:.0f} us of CPU a pod\n", elapsed, pods / elapsed,
               cpu / pods * 1e6);
    const size_t events = bench.events();
    fmt::print("{} events written, the last after {:.2f} s\n", events, seconds_since(start));
  }
  for (const char* ending : {"", "-wal", "-shm", ".lock"}) {
    std::filesystem::remove(directory + "/scheduling_bench.db" + ending);
  }
}
