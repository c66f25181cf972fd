#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "api/types/coordinationv1.h"
#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"
#include "client/informer_factory.h"
#include "simulator/random.h"

namespace trireme::simulator {

struct HollowNodesOptions {
  int count = 50;
  int zones = 3;
  int64_t milli_cpu = 32'000;
  int64_t memory_bytes = int64_t{128} << 30;
  int64_t pods = 110;
  Duration lease_period = std::chrono::seconds(10);
  Duration join_within = std::chrono::seconds(5);  ///< All nodes have registered after this time.
  Duration start_min = std::chrono::milliseconds(500), start_max = std::chrono::seconds(5);
  Duration stop_min = std::chrono::milliseconds(100), stop_max = std::chrono::seconds(2);
  Duration work_min = std::chrono::seconds(5), work_max = std::chrono::seconds(60);  ///< Of pods that end.
};

/// On pods that do not restart: of a hundred so many fail instead of succeeding.
inline constexpr std::string_view kFailPercentAnnotation = "simulator.trireme.io/fail-percent";

/// All kubelets of a cluster in one object, without containers: registers the nodes, renews their leases, brings bound
/// pods to Running and Ready after a start-up time, lets pods that do not restart succeed or fail, and removes deleted
/// ones after a part of their grace period. One watch of pods and one of nodes serve them all. Nodes can crash, lose
/// their network and come back. Used by one thread.
class HollowNodes {
 public:
  HollowNodes(client::Client client, client::InformerFactory& informers, std::shared_ptr<Clock> clock, Random random,
              HollowNodesOptions options);

  /// Monotonic time of the next thing to do; kNever when there is none.
  Duration due() const;
  void step();

  enum class State {
    kUp,
    kCut,      ///< Runs on, but neither hears nor says anything.
    kCrashed,  ///< Everything on it is gone until it boots again.
  };
  size_t count() const { return nodes_.size(); }
  State state(size_t node) const { return nodes_[node].state; }
  const std::string& name(size_t node) const { return nodes_[node].name; }
  int zones() const { return options_.zones; }
  int zone(size_t node) const { return static_cast<int>(node) % options_.zones; }
  static std::string zone_name(int zone);
  /// False for names of no hollow node.
  bool is_up(const std::string& name) const;

  void cut(size_t node);
  void crash(size_t node);
  /// From either: a cut node goes on, a crashed one boots and starts its pods anew.
  void restore(size_t node);

  /// Pods of a StatefulSet that ran twice at a time, as text.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Pod = api::corev1::Pod;
  enum class Kind { kRegister, kRenew, kReport, kStart, kFinish, kStop };
  struct Action {
    Duration due;
    uint64_t number;  ///< Orders what is due at the same time.
    Kind kind;
    uint32_t node;
    uint32_t boot;  ///< Of the node when it was planned: a crash forgets its plans.
    std::string uid;
    bool operator>(const Action& other) const { return std::tie(due, number) > std::tie(other.due, other.number); }
  };
  enum class Phase { kStarting, kRunning, kDone, kStopping };
  struct Running {
    std::string ns, name;
    Phase phase = Phase::kStarting;
    uint32_t address = 0;
    bool told = false;    ///< The API knows of the phase.
    bool failed = false;  ///< How it is done.
    bool sticky = false;  ///< A StatefulSet's: must not run twice.
  };
  struct Node {
    std::string name;
    State state = State::kUp;
    uint32_t boot = 1;
    bool reporting = false;  ///< A report is planned.
    uint32_t addresses = 0;
    api::coordinationv1::Lease lease;
    std::map<std::string, Running> pods;  ///< By UID.
  };

  void plan(Kind kind, size_t node, Duration delay, std::string uid = {});
  void on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after);
  void on_node(const std::shared_ptr<const api::corev1::Node>& after);
  void consider(size_t node, const Pod& pod);
  void forget(size_t node, const std::string& uid);

  void register_node(size_t index);
  void renew(size_t index);
  void report(size_t index);
  void start(size_t index, const std::string& uid, Running& running);
  bool fails(const Pod* pod);
  void finish(size_t index, const std::string& uid, Running& running);
  void stop(size_t index, const std::string& uid, Running& running);
  bool write_status(size_t index, const std::string& uid, Running& running, Kind again,
                    const std::function<void(Pod&)>& change);
  void fill_status(api::corev1::Node& node, size_t index) const;

  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  Random random_;
  const HollowNodesOptions options_;
  client::Informer<Pod>& pods_;
  client::Informer<api::corev1::Node>& known_nodes_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string, size_t> by_name_;
  std::priority_queue<Action, std::vector<Action>, std::greater<>> plans_;
  uint64_t numbers_ = 0;
  std::map<std::string, std::pair<std::string, size_t>> sticky_;  ///< Name to UID and node of what runs.
  std::vector<std::string> violations_;
};

}  // namespace trireme::simulator
