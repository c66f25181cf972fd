#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/node/node_status.h"

namespace trireme::kubelet {

/// Registers the node, renews its lease and reports its status: at once when something changes, else every five
/// minutes. One thread. Source: https://kubernetes.io/docs/reference/node/node-status/ and KEP-589 (leases).
class NodeAgent {
 public:
  NodeAgent(const KubeletOptions& options, std::string node_name, MachineInfo machine,
            std::vector<std::string> addresses, client::Client client, std::shared_ptr<cri::Runtime> runtime,
            std::shared_ptr<Clock> clock, client::EventRecorder* events);
  ~NodeAgent() { stop(); }

  void start(uint16_t server_port);
  void stop();
  /// Images have changed: list them again with the next status.
  void images_changed() { images_stale_ = true; }
  /// What the API server has of this node. When the cluster has given it up (only controllers write Unknown), the
  /// status is reported at once: it may have come back without noticing that it was away. Capacities that others have
  /// written become allocatable. Thread-safe.
  void observe(const api::corev1::Node& node);
  /// Whether the runtime can make pods' networks; the failure's message is upstream's. Well before it is known.
  /// Thread-safe.
  Status network() const;
  /// The status tells the new addresses at once.
  void set_addresses(std::vector<std::string> addresses);

 private:
  void run(std::stop_token stop);
  NodeFacts gather();
  Status register_node(const NodeFacts& facts);
  Status report(const NodeFacts& facts, bool force);
  Status renew_lease();
  void announce(const api::corev1::NodeStatus& before, const api::corev1::NodeStatus& after);

  const KubeletOptions& options_;
  const std::string name_;
  const MachineInfo machine_;
  client::Client client_;
  const std::shared_ptr<cri::Runtime> runtime_;
  const std::shared_ptr<Clock> clock_;
  client::EventRecorder* const events_;
  uint16_t port_ = 0;

  mutable std::mutex mutex_;
  std::vector<std::string> addresses_;
  Status network_;
  std::stop_source nap_;             ///< Ends the wait before the next look.
  bool overdue_ = false;             ///< Report although nothing has changed here: the API has something else.
  api::Map<Quantity> extended_;      ///< Capacities that are not this node's own.
  std::set<std::string> unfounded_;  ///< Allocatable, and no capacity any more.

  // The thread's own:
  bool registered_ = false;
  std::string uid_;
  api::corev1::NodeStatus reported_;
  Duration reported_at_{};
  Duration images_at_{};
  cri::VersionInfo version_;
  std::vector<cri::Image> images_;
  std::atomic<bool> images_stale_ = true;
  std::jthread thread_;
};

}  // namespace trireme::kubelet
