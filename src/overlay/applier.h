#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "linux/netlink_client.h"
#include "overlay/plan.h"

namespace trireme::overlay {

/// Brings the kernel to a plan, changing only what differs.
class Applier {
 public:
  explicit Applier(linux::Netlink& netlink) : netlink_(netlink) {}

  /// Everything that can be done is done, also when a part fails; the first failure is returned.
  Status apply(const Plan& plan, const PlanInput& input);

  /// The devices' interface indexes after the last `apply`.
  const std::vector<int>& device_links() const { return device_links_; }
  /// Changes made by the last `apply`.
  int changes() const { return changes_; }

 private:
  Result<int> ensure_device(const PlannedDevice& device);
  Result<KernelState> read_state() const;
  void note(const Status& status);

  linux::Netlink& netlink_;
  std::vector<int> device_links_;
  int changes_ = 0;
  Status first_failure_;
};

}  // namespace trireme::overlay
