#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "kubelet/cri/types.h"
#include "kubelet/node/machine.h"
#include "kubelet/options.h"

/// The Node object as this node describes itself. Pure functions.
namespace trireme::kubelet {

struct NodeFacts {
  const KubeletOptions& options;
  const MachineInfo& machine;
  std::string node_name;
  std::vector<std::string> addresses;
  uint16_t server_port = 10250;
  cri::VersionInfo runtime;
  bool runtime_reachable = false;
  std::vector<cri::RuntimeCondition> runtime_conditions;
  std::vector<cri::Image> images;
  FilesystemSpace node_filesystem;
  uint64_t available_memory = 0;
  WallTime now;
  /// Capacities that somebody else has given the node: extended resources.
  /// https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
  api::Map<Quantity> extended = {};
};

/// The whole object to register with.
api::corev1::Node make_node(const NodeFacts& facts);
/// `before` gives the conditions' transition times.
api::corev1::NodeStatus make_node_status(const NodeFacts& facts, const api::corev1::NodeStatus& before);
/// Whether the runtime can make pods' networks; the failure's message is the part of Ready's that tells why.
Status network_state(const std::vector<cri::RuntimeCondition>& conditions);
api::Map<Quantity> node_capacity(const NodeFacts& facts);
api::Map<Quantity> node_allocatable(const NodeFacts& facts);
/// The labels that every node carries, and the administrator's.
std::map<std::string, std::string> node_labels(const NodeFacts& facts);
/// The annotations that every node carries.
std::map<std::string, std::string> node_annotations(const NodeFacts& facts);
/// Whether two statuses differ in more than heartbeat times.
bool node_status_changed(const api::corev1::NodeStatus& a, const api::corev1::NodeStatus& b);

}  // namespace trireme::kubelet
