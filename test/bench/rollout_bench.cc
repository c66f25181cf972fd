// How long a Deployment takes until all its pods are created, with the real controllers on the in-process API server
// over the embedded store on disk (every acknowledged write is synced), and what it costs.
// `rollout_bench [REPLICAS] [DIR]` (default: 1,000 replicas, a folder under /tmp that is removed afterwards).

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "apiserver/api_server.h"
#include "client/informer_factory.h"
#include "controllers/all.h"
#include "net/transport.h"
#include "store/sqlite_store.h"

namespace {

using namespace trireme;
using api::appsv1::Deployment;
using api::corev1::Pod;
using SteadyClock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& message) {
  fmt::print(stderr, "rollout_bench: {}\n", message);
  std::exit(1);
}

Deployment deployment(int32_t replicas) {
  Deployment out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "web";
  out.spec.replicas = replicas;
  out.spec.selector.emplace().match_labels.insert_or_assign("app", "web");
  out.spec.template_.metadata.labels.insert_or_assign("app", "web");
  auto& container = out.spec.template_.spec.containers.emplace_back();
  container.name = "main";
  container.image = "registry.example/team/app:1.0";
  container.resources.requests.insert_or_assign("cpu", Quantity::of(1));
  return out;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void run(int32_t replicas, const std::string& folder) {
  auto store = store::sqlite_store({.path = folder + "/state.db", .clock = real_clock()});
  if (!store.ok()) fail(store.status().to_string());
  apiserver::Options options;
  options.store = std::move(*store);
  options.clock = real_clock();
  auto server = apiserver::ApiServer::create(std::move(options));
  if (!server.ok()) fail(server.status().to_string());
  const auto raw = std::make_shared<client::RawClient>(
      std::shared_ptr<net::Transport>(net::in_process_transport(**server, {})), "kube-controller-manager");
  client::Client client(raw);
  controllers::ControllerContext context{client,
                                         std::make_shared<client::InformerFactory>(raw, real_clock()),
                                         std::make_shared<client::EventBroadcaster>(client, real_clock()),
                                         real_clock(),
                                         {}};
  std::mutex mutex;
  std::condition_variable changed;
  auto& deployments = context.informers->informer<Deployment>();
  auto& pods = context.informers->informer<Pod>();
  size_t created = 0;
  deployments.add_handler([&](const auto&, const auto&) {
    { const std::lock_guard lock(mutex); }
    changed.notify_all();
  });
  pods.add_handler([&](const auto& before, const auto&) {
    {
      const std::lock_guard lock(mutex);
      if (!before) ++created;
    }
    changed.notify_all();
  });
  controllers::Manager manager(context);
  for (const auto& each : controllers::all_controllers()) {
    if (each.alias == "deployment" || each.alias == "replicaset" || each.alias == "garbagecollector") manager.add(each);
  }
  if (!manager.start().ok()) fail("the controllers did not start");

  const double cpu = cpu_seconds();
  const auto begun = SteadyClock::now();
  const auto passed = [&] { return std::chrono::duration<double>(SteadyClock::now() - begun).count(); };
  if (const auto made = client.create(deployment(replicas)); !made.ok()) fail(made.status().to_string());
  const auto until = [&](const char* what, const std::function<bool()>& holds) {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, std::chrono::minutes(10), holds)) fail(std::string("gave up: ") + what);
    lock.unlock();
    fmt::print("{:<44} {:8.3f} s wall {:8.3f} s CPU\n", what, passed(), cpu_seconds() - cpu);
  };
  until("all pods created", [&] { return created >= static_cast<size_t>(replicas); });
  until("the Deployment's status tells it", [&] {
    const auto now = deployments.get("default", "web");
    return now && now->status.replicas == replicas;
  });
  fmt::print("{:<44} {:8.0f} pods/s\n", "rate", replicas / passed());
  manager.stop();
  (*server)->begin_shutdown();
}

}  // namespace

int main(int argc, char** argv) {
  const int32_t replicas = argc > 1 ? std::atoi(argv[1]) : 1000;
  std::string folder = "/tmp/rollout_bench.XXXXXX";
  if (argc > 2) {
    folder = argv[2];
    std::filesystem::create_directories(folder);
  } else if (!mkdtemp(folder.data())) {
    fail("cannot make a folder under /tmp");
  }
  fmt::print("Deployment of {} replicas, embedded store on disk\n", replicas);
  run(replicas, folder);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("peak resident memory {:.1f} MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
  if (argc <= 2) std::filesystem::remove_all(folder);
}
