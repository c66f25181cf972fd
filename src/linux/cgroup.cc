#include "linux/cgroup.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <sstream>

#include "linux/file.h"

namespace trireme::linux {
namespace {

constexpr std::string_view kDelegated[] = {"cpuset", "cpu", "io", "memory", "pids", "hugetlb"};

std::string join(const std::string& root, std::string_view path) {
  std::string result = root;
  if (!path.starts_with('/')) result += '/';
  result += path;
  while (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

uint64_t parse_number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

uint64_t read_number(const std::string& path) {
  Result<std::string> text = read_file(path);
  return text.ok() ? parse_number(*text) : 0;
}

/// The value of `key` in a file of "key value" lines.
uint64_t stat_value(std::string_view text, std::string_view key) {
  for (size_t start = 0; start < text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return parse_number(line.substr(key.size() + 1));
    }
    start = end + 1;
  }
  return 0;
}

/// v1 refuses processes in a cpuset without CPUs and memory nodes; a new group inherits neither by itself.
Status inherit_cpuset(const std::string& group) {
  std::string parent = group.substr(0, group.find_last_of('/'));
  for (const char* name : {"/cpuset.cpus", "/cpuset.mems"}) {
    TRY_ASSIGN(std::string own, read_file(group + name));
    if (!trimmed(own).empty()) continue;
    TRY_ASSIGN(std::string inherited, read_file(parent + name));
    TRY(write_existing(group + name, trimmed(inherited)));
  }
  return {};
}

Status remove_groups(const std::string& directory) {
  for (const std::string& name : list_dir(directory)) {
    if (is_directory(directory + "/" + name)) TRY(remove_groups(directory + "/" + name));
  }
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return errno_status("remove cgroup", directory, errno);
  return {};
}

std::string limit_text(int64_t value) { return value < 0 ? "max" : fmt::to_string(value); }

}  // namespace

uint64_t cpu_weight_from_shares(uint64_t shares) {
  shares = std::clamp<uint64_t>(shares, 2, 262'144);
  return 1 + ((shares - 2) * 9'999) / 262'142;
}

Result<Cgroups> Cgroups::detect(const std::string& root) {
  Cgroups groups;
  if (linux::exists(root + "/cgroup.controllers")) {
    groups.unified_ = root;
    return groups;
  }
  for (const std::string& name : list_dir(root)) {
    std::string directory = root + "/" + name;
    // Debian mounts cpu and cpuacct together and links both names to the one mount.
    if (name.find(',') != std::string::npos || !linux::exists(directory + "/cgroup.procs")) continue;
    if (linux::exists(directory + "/cgroup.controllers")) {
      groups.hybrid_ = directory;
      continue;
    }
    groups.mounts_[name] = directory;
  }
  if (!groups.mounts_.contains("cpu") || !groups.mounts_.contains("memory")) {
    return Status::not_found("no usable cgroup hierarchy at " + root);
  }
  return groups;
}

std::vector<std::string> Cgroups::roots() const {
  if (v2()) return {unified_};
  std::set<std::string> unique;
  for (const auto& [controller, mount] : mounts_) {
    if (controller != "systemd") unique.insert(mount);
  }
  return {unique.begin(), unique.end()};
}

std::string Cgroups::file(std::string_view controller, std::string_view path, std::string_view name) const {
  if (v2()) return fmt::format("{}/{}", join(unified_, path), name);
  auto mount = mounts_.find(std::string(controller));
  return mount == mounts_.end() ? std::string() : fmt::format("{}/{}", join(mount->second, path), name);
}

Status Cgroups::create(std::string_view path) const {
  for (const std::string& root : roots()) {
    std::string built = root;
    bool cpuset = linux::exists(root + "/cpuset.cpus");
    for (size_t start = 0; start < path.size();) {
      size_t slash = std::min(path.find('/', start), path.size());
      std::string_view part = path.substr(start, slash - start);
      start = slash + 1;
      if (part.empty()) continue;
      if (v2()) {
        // One by one: a controller that is missing on this host must not keep the others from being delegated.
        for (std::string_view controller : kDelegated) {
          (void)write_existing(built + "/cgroup.subtree_control", fmt::format("+{}", controller));
        }
      }
      built += fmt::format("/{}", part);
      if (::mkdir(built.c_str(), 0755) != 0 && errno != EEXIST) return errno_status("create cgroup", built, errno);
      if (!v2() && cpuset) TRY(inherit_cpuset(built));
    }
    if (v2()) {
      for (std::string_view controller : kDelegated) {
        (void)write_existing(built + "/cgroup.subtree_control", fmt::format("+{}", controller));
      }
    }
  }
  return {};
}

bool Cgroups::exists(std::string_view path) const {
  for (const std::string& root : roots()) {
    if (!is_directory(join(root, path))) return false;
  }
  return true;
}

Status Cgroups::apply(std::string_view path, const CgroupLimits& limits) const {
  if (v2()) {
    if (limits.cpu_shares) {
      TRY(write_existing(file("", path, "cpu.weight"), fmt::to_string(cpu_weight_from_shares(*limits.cpu_shares))));
    }
    if (limits.cpu_quota_us) {
      TRY(write_existing(file("", path, "cpu.max"),
                         fmt::format("{} {}", limit_text(*limits.cpu_quota_us), limits.cpu_period_us)));
    }
    if (limits.memory_bytes) TRY(write_existing(file("", path, "memory.max"), limit_text(*limits.memory_bytes)));
    if (limits.pids) TRY(write_existing(file("", path, "pids.max"), limit_text(*limits.pids)));
    return {};
  }
  if (limits.cpu_shares) {
    TRY(write_existing(file("cpu", path, "cpu.shares"), fmt::to_string(std::max<uint64_t>(*limits.cpu_shares, 2))));
  }
  if (limits.cpu_quota_us && linux::exists(file("cpu", path, "cpu.cfs_quota_us"))) {
    TRY(write_existing(file("cpu", path, "cpu.cfs_period_us"), fmt::to_string(limits.cpu_period_us)));
    TRY(write_existing(file("cpu", path, "cpu.cfs_quota_us"), fmt::to_string(*limits.cpu_quota_us)));
  }
  if (limits.memory_bytes) {
    TRY(write_existing(file("memory", path, "memory.limit_in_bytes"), fmt::to_string(*limits.memory_bytes)));
  }
  if (limits.pids && mounts_.contains("pids")) {
    TRY(write_existing(file("pids", path, "pids.max"), limit_text(*limits.pids)));
  }
  return {};
}

Status Cgroups::remove(std::string_view path) const {
  Status failure;
  std::vector<std::string> all = roots();
  if (!v2() && mounts_.contains("systemd")) all.push_back(mounts_.at("systemd"));
  if (!hybrid_.empty()) all.push_back(hybrid_);
  for (const std::string& root : all) {
    std::string directory = join(root, path);
    if (!is_directory(directory)) continue;
    if (Status status = remove_groups(directory); !status.ok() && failure.ok()) failure = status;
  }
  return failure;
}

std::vector<std::string> Cgroups::children(std::string_view path) const {
  std::string directory = join(v2() ? unified_ : mounts_.at("memory"), path);
  std::vector<std::string> result;
  for (std::string& name : list_dir(directory)) {
    if (is_directory(directory + "/" + name)) result.push_back(std::move(name));
  }
  return result;
}

std::vector<pid_t> Cgroups::processes(std::string_view path) const {
  std::vector<pid_t> result;
  if (auto text = read_file(file("memory", path, "cgroup.procs")); text.ok()) {
    std::istringstream lines(*text);
    for (pid_t pid = 0; lines >> pid;) result.push_back(pid);
  }
  for (const std::string& child : children(path)) {
    std::vector<pid_t> below = processes(fmt::format("{}/{}", path, child));
    result.insert(result.end(), below.begin(), below.end());
  }
  return result;
}

Result<CgroupUsage> Cgroups::usage(std::string_view path) const {
  CgroupUsage usage;
  TRY_ASSIGN(std::string memory, read_file(file("memory", path, "memory.stat")));
  if (v2()) {
    TRY_ASSIGN(std::string cpu, read_file(file("", path, "cpu.stat")));
    usage.cpu_nanoseconds = stat_value(cpu, "usage_usec") * 1000;
    usage.memory_usage_bytes = read_number(file("", path, "memory.current"));
    usage.memory_rss_bytes = stat_value(memory, "anon");
  } else {
    usage.cpu_nanoseconds = read_number(file("cpuacct", path, "cpuacct.usage"));
    usage.memory_usage_bytes = read_number(file("memory", path, "memory.usage_in_bytes"));
    usage.memory_rss_bytes = stat_value(memory, "total_rss");
  }
  uint64_t inactive = stat_value(memory, v2() ? "inactive_file" : "total_inactive_file");
  usage.memory_working_set_bytes = usage.memory_usage_bytes - std::min(inactive, usage.memory_usage_bytes);
  usage.page_faults = stat_value(memory, v2() ? "pgfault" : "total_pgfault");
  usage.major_page_faults = stat_value(memory, v2() ? "pgmajfault" : "total_pgmajfault");
  usage.processes = read_number(file("pids", path, "pids.current"));
  // v2's root group has no memory.current; there the sum of anonymous and file pages stands for it.
  if (v2() && usage.memory_usage_bytes == 0) {
    usage.memory_usage_bytes = stat_value(memory, "anon") + stat_value(memory, "file");
    usage.memory_working_set_bytes = usage.memory_usage_bytes - std::min(inactive, usage.memory_usage_bytes);
  }
  return usage;
}

}  // namespace trireme::linux
