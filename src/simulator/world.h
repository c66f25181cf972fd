#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "apiserver/api_server.h"
#include "base/virtual_clock.h"
#include "client/client.h"
#include "controllers/runtime/manager.h"
#include "scheduler/scheduler.h"
#include "simulator/hollow_nodes.h"
#include "simulator/invariants.h"
#include "simulator/loop.h"
#include "simulator/mortal_transport.h"
#include "simulator/observer.h"
#include "simulator/random.h"
#include "simulator/trace.h"
#include "store/store.h"

namespace trireme::simulator {

struct WorldOptions {
  uint64_t seed = 1;
  HollowNodesOptions nodes;
  std::FILE* trace_file = nullptr;  ///< See Trace.
  std::string follow;               ///< See follow(); empty: nothing.
  std::string controllers = "*";    ///< Those that run, as in --controllers.
  bool progress = false;            ///< A line on stderr now and then.
};

/// A cluster on one thread and a virtual clock: the API server on a memory store, every controller, the scheduler, and
/// hollow nodes. What happens, and in which order, follows from the seed alone. Used by one thread.
class World {
 public:
  static Result<std::unique_ptr<World>> create(const WorldOptions& options);
  ~World();

  /// See Loop::run. `limit` is monotonic virtual time.
  Loop::End run(Duration limit, const std::function<bool()>& done);
  Duration now() const { return clock_->monotonic(); }
  WallTime wall() const { return clock_->now(); }

  /// What a user, an operator or a fault does, `delay` from now: an actor like the others.
  void after(Duration delay, std::function<void()> act);
  /// Acts that have not been done.
  size_t planned() const { return plans_.size(); }

  enum class Component { kControllers, kScheduler };
  /// A component dies after so many more writes, without hearing of the last one, and is started anew, with nothing but
  /// what the server knows, after `downtime` from now.
  void kill(Component component, size_t writes, Duration downtime);

  client::Client& client() { return *client_; }
  HollowNodes& nodes() { return *nodes_; }
  Observer& observer() { return *observer_; }
  Invariants& invariants() { return *invariants_; }
  /// For the scenario's own informers; started when the world runs next.
  client::InformerFactory& informers() { return *outside_; }
  Random random(std::string_view purpose) const { return random_.fork(purpose); }

  uint64_t writes() const { return trace_->writes(); }
  uint64_t steps() const { return loop_.steps(); }
  /// Of all writes and all choices: equal for equal runs.
  uint64_t hash() const;

  /// Records what must not be; the run goes on.
  void fail(std::string what);
  /// Everything found so far, by anyone.
  std::vector<std::string> violations() const;

 private:
  struct Plan {
    Duration due;
    uint64_t number;
    std::function<void()> act;
    bool operator>(const Plan& other) const { return std::tie(due, number) > std::tie(other.due, other.number); }
  };
  /// What a component works with, as long as it lives.
  struct Process {
    std::shared_ptr<MortalTransport> transport;
    std::shared_ptr<client::RawClient> raw;
    std::shared_ptr<client::InformerFactory> informers;
    std::shared_ptr<client::EventBroadcaster> events;
    int lives = 0;
  };
  explicit World(const WorldOptions& options);
  Status build();
  Status start_controllers();
  Status start_scheduler();
  std::shared_ptr<net::Transport> connect();
  std::shared_ptr<client::InformerFactory> stepped_informers(std::shared_ptr<client::RawClient> raw,
                                                             std::string_view purpose) const;
  void begin(Process& process, std::string agent);
  void add_actors(Process& process, const std::string& name);
  void add_informers(std::string name, std::function<client::InformerFactory*()> factory);
  void compact();
  void show_progress();

  const WorldOptions options_;
  const Random random_;
  const std::shared_ptr<VirtualClock> clock_;
  Loop loop_;
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<Trace> trace_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::unique_ptr<client::Client> client_;
  std::shared_ptr<client::InformerFactory> outside_;  ///< Of nodes, observer and scenario.
  std::unique_ptr<Observer> observer_;
  std::unique_ptr<Invariants> invariants_;
  std::unique_ptr<HollowNodes> nodes_;
  Process controller_process_, scheduler_process_;
  std::unique_ptr<controllers::Manager> controllers_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::priority_queue<Plan, std::vector<Plan>, std::greater<>> plans_;
  uint64_t numbers_ = 0;
  std::vector<std::string> failures_;
  store::Revision compactable_ = 0;
  Duration next_compaction_{};
  Duration shown_{};  ///< Real time of the last progress line.
};

}  // namespace trireme::simulator
