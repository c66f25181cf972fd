#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Control groups, v1 and v2 alike, by direct use of the file system (the "cgroupfs driver").
namespace trireme::linux {

/// Values absent are left as they are. Units are cgroup v1's, as in the OCI and CRI messages.
struct CgroupLimits {
  std::optional<uint64_t> cpu_shares;
  std::optional<int64_t> cpu_quota_us;  ///< Per `cpu_period_us`; -1: no limit.
  uint64_t cpu_period_us = 100'000;
  std::optional<int64_t> memory_bytes;  ///< -1: no limit.
  std::optional<int64_t> pids;          ///< -1: no limit.
};

struct CgroupUsage {
  uint64_t cpu_nanoseconds = 0;  ///< Cumulative.
  uint64_t memory_usage_bytes = 0;
  uint64_t memory_working_set_bytes = 0;  ///< Usage without inactive page cache.
  uint64_t memory_rss_bytes = 0;
  uint64_t page_faults = 0;
  uint64_t major_page_faults = 0;
  uint64_t processes = 0;
};

/// v2's cpu.weight for v1's cpu.shares (KEP-2254's formula).
uint64_t cpu_weight_from_shares(uint64_t shares);

/// The hierarchies of one host. Paths are absolute within each hierarchy: "/kubepods/burstable/pod1". Immutable after
/// `detect`, so thread-safe.
class Cgroups {
 public:
  /// Finds v2 when it alone is mounted with controllers at `root`, otherwise every v1 controller below it.
  static Result<Cgroups> detect(const std::string& root = "/sys/fs/cgroup");

  bool v2() const { return !unified_.empty(); }

  /// Creates the group and its missing parents, in every hierarchy, and delegates the controllers to it.
  Status create(std::string_view path) const;
  bool exists(std::string_view path) const;
  Status apply(std::string_view path, const CgroupLimits& limits) const;
  /// Removes the group and the groups below it. Fails while processes are in them; OK when absent.
  Status remove(std::string_view path) const;
  std::vector<std::string> children(std::string_view path) const;
  /// Processes in the group and the groups below it.
  std::vector<pid_t> processes(std::string_view path) const;
  Result<CgroupUsage> usage(std::string_view path) const;

 private:
  std::string file(std::string_view controller, std::string_view path, std::string_view name) const;
  std::vector<std::string> roots() const;

  std::string unified_;                        // v2's mount point, or empty
  std::string hybrid_;                         // v2 mounted beside v1, where the runtime makes empty groups, or empty
  std::map<std::string, std::string> mounts_;  // v1: controller to its mount point
};

}  // namespace trireme::linux
