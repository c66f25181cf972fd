#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/applier.h"

namespace trireme::policy {

/// The node's own nftables table, of family inet.
inline constexpr const char* kTableName = "trireme-policy";

/// Rules in the kernel, in the network namespace of the thread that calls `open`.
/// Packets are seen where they are forwarded, after service addresses were translated; what the machine itself sends
/// and receives (probes, and pods that call their own node) never comes here. Packets between pods of one bridge come
/// here only with linux::enable_bridge_filter.
class KernelTable : public Applier {
 public:
  /// `on_lost` is called, on a thread of the table's own, when somebody else has removed the table or something of it.
  static Result<std::unique_ptr<KernelTable>> open(std::function<void()> on_lost);
};

/// What a policy has done since its rules were made.
struct PolicyCount {
  std::string ns;
  std::string name;
  Direction direction = Direction::kIngress;
  uint64_t allowed = 0;  ///< New connections (packets, where there are none).
  uint64_t denied = 0;   ///< Packets that it was the policy of, and that no policy allowed.
};
/// Of all policies in the kernel, by namespace and name; none while no policy is in force.
Result<std::vector<PolicyCount>> policy_counts();

/// What `trireme reset` does: removes the table, if it is there.
Status remove_kernel_table();

}  // namespace trireme::policy
