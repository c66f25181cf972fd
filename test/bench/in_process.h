#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apiserver/admission/plugins.h"
#include "apiserver/api_server.h"
#include "apiserver/authn/x509.h"
#include "apiserver/authz/bootstrap_policy.h"
#include "apiserver/authz/rbac.h"
#include "client/informer_factory.h"
#include "controllers/all.h"
#include "controllers/runtime/manager.h"
#include "net/transport.h"
#include "scheduler/scheduler.h"
#include "store/sqlite_store.h"

/// What benchmarks share that run the control plane in their own process: the API server with authentication, RBAC and
/// admission over a durable SQLite store, controllers and the scheduler, wired as `trireme up` wires them.
namespace trireme::bench {

[[noreturn]] inline void fail(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);
}

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Resident bytes now, after what is free has gone back to the system.
inline size_t resident_bytes() {
  malloc_trim(0);
  size_t total = 0;
  size_t resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

/// Bytes that the program has allocated and not freed.
inline size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class InProcessCluster {
 public:
  explicit InProcessCluster(std::string dir) : dir_(std::move(dir)) {
    mallopt(M_ARENA_MAX, 2);  // as the executable does
    std::filesystem::remove_all(dir_);
    auto store = store::sqlite_store({.path = dir_ + "/state.db", .clock = clock_});
    if (!store.ok()) fail(store.status().message());
    store_ = std::move(*store);
    caches_ = std::make_shared<apiserver::Caches>(apiserver::CachesOptions{.store = store_, .clock = clock_});
    apiserver::Options options;
    options.store = store_;
    options.clock = clock_;
    options.caches = caches_;
    options.authenticator = std::make_shared<apiserver::authn::X509Authenticator>();
    options.authorizer = apiserver::authz::union_of(
        {apiserver::authz::masters_authorizer(), std::make_shared<apiserver::authz::RbacAuthorizer>(caches_)});
    options.admission = apiserver::admission::default_chain(caches_, options.authorizer);
    auto server = apiserver::ApiServer::create(std::move(options));
    if (!server.ok()) fail(server.status().message());
    server_ = std::move(*server);
    if (Status status = apiserver::authz::reconcile_bootstrap_policy(*server_, {}); !status.ok()) {
      fail(status.message());
    }
  }
  ~InProcessCluster() {
    if (scheduler_) scheduler_->stop();
    if (manager_) manager_->stop();
    server_->begin_shutdown();
    caches_->stop();
    scheduler_.reset();
    manager_.reset();
    server_.reset();
    caches_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::shared_ptr<client::RawClient> client(std::string name, std::vector<std::string> groups = {}) {
    net::Peer peer;
    peer.certificate = net::CertificateSubject{name, std::move(groups)};
    return std::make_shared<client::RawClient>(
        std::shared_ptr<net::Transport>(net::in_process_transport(*server_, std::move(peer))), std::move(name));
  }
  std::shared_ptr<client::RawClient> admin() { return client("admin", {"system:masters"}); }

  void start_controllers(const std::string& selection) {
    auto selected = controllers::select_controllers(controllers::all_controllers(), selection);
    if (!selected.ok()) fail(selected.status().message());
    auto raw = client("system:kube-controller-manager");
    manager_ = std::make_unique<controllers::Manager>(
        controllers::ControllerContext{client::Client(raw),
                                       std::make_shared<client::InformerFactory>(raw, clock_),
                                       std::make_shared<client::EventBroadcaster>(client::Client(raw), clock_),
                                       clock_,
                                       {}});
    for (const auto* descriptor : *selected) manager_->add(*descriptor);
    if (Status status = manager_->start(); !status.ok()) fail(status.message());
  }
  void start_scheduler() {
    auto raw = client("system:kube-scheduler");
    scheduler_ = scheduler::Scheduler::create({client::Client(raw),
                                               std::make_shared<client::InformerFactory>(raw, clock_),
                                               std::make_shared<client::EventBroadcaster>(client::Client(raw), clock_),
                                               clock_,
                                               {}});
    if (Status status = scheduler_->start(); !status.ok()) fail(status.message());
  }

 private:
  const std::string dir_;
  std::shared_ptr<Clock> clock_ = real_clock();
  std::shared_ptr<store::Store> store_;
  std::shared_ptr<apiserver::Caches> caches_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::unique_ptr<controllers::Manager> manager_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

/// Calls `each` with 0 … `total` - 1 on several threads.
inline void in_parallel(int total, const std::function<void(int)>& each, int threads = 16) {
  std::atomic<int> next = 0;
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      for (int number; (number = next++) < total;) each(number);
    });
  }
}

}  // namespace trireme::bench
