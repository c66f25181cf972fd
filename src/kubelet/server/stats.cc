#include "kubelet/server/stats.h"

#include <fmt/format.h>

#include "kubelet/node/machine.h"
#include "kubelet/pods/labels.h"
#include "kubelet/pods/resources.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using api::Value;

Value number(uint64_t value) { return Value(static_cast<int64_t>(value)); }

std::string label(const cri::StringMap& labels, std::string_view name) {
  auto entry = labels.find(std::string(name));
  return entry == labels.end() ? std::string() : entry->second;
}

Value filesystem_value(const FilesystemSpace& space, const std::string& time) {
  Value value;
  value["time"] = time;
  value["availableBytes"] = number(space.available_bytes);
  value["capacityBytes"] = number(space.capacity_bytes);
  value["usedBytes"] = number(space.capacity_bytes - std::min(space.available_bytes, space.capacity_bytes));
  value["inodesFree"] = number(space.inodes_free);
  value["inodes"] = number(space.inodes);
  value["inodesUsed"] = number(space.inodes - std::min(space.inodes_free, space.inodes));
  return value;
}

Value memory_value(const linux::CgroupUsage& usage, const std::string& time) {
  Value value;
  value["time"] = time;
  value["usageBytes"] = number(usage.memory_usage_bytes);
  value["workingSetBytes"] = number(usage.memory_working_set_bytes);
  value["rssBytes"] = number(usage.memory_rss_bytes);
  value["pageFaults"] = number(usage.page_faults);
  value["majorPageFaults"] = number(usage.major_page_faults);
  return value;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

Result<StatsProvider::Look> StatsProvider::look() {
  Look out;
  TRY_ASSIGN(out.containers, node_.runtime->container_stats({}));
  out.pods = pods_.pods();
  auto measured = [&](const std::string& key, uint64_t cpu_nanoseconds, Duration at) {
    if (!meters_.look(key, cpu_nanoseconds, at, node_.clock->monotonic())) out.all_rates = false;
  };
  for (const cri::ContainerStats& stats : out.containers) {
    measured(stats.id, stats.cpu_usage_nanoseconds, Duration(stats.timestamp));
  }
  if (node_.cgroups) {
    const auto now = [&] { return node_.clock->monotonic(); };
    if (auto usage = node_.cgroups->usage("/"); usage.ok()) {
      measured("/", usage->cpu_nanoseconds, now());
      out.node = *usage;
    }
    for (const api::corev1::Pod& pod : out.pods) {
      auto usage = node_.cgroups->usage(pod_cgroup(node_.options.cgroup_root, pod));
      if (!usage.ok()) continue;
      measured(pod.metadata.uid, usage->cpu_nanoseconds, now());
      out.pod_groups.emplace(pod.metadata.uid, *usage);
    }
  }
  meters_.forget_unseen(node_.clock->monotonic());
  return out;
}

Value StatsProvider::cpu_value(const std::string& key, uint64_t cpu_nanoseconds, const std::string& time) const {
  Value value;
  value["time"] = time;
  value["usageCoreNanoSeconds"] = number(cpu_nanoseconds);
  if (const auto rate = meters_.rate(key)) {
    value["usageNanoCores"] = number(rate->nano_cores);
    value["usageWindow"] = api::GoDuration(rate->window).to_string();
  }
  return value;
}

Value StatsProvider::container_value(const cri::ContainerStats& stats) const {
  Value container;
  container["name"] = stats.name;
  const std::string time = api::Time(wall_time(stats.timestamp)).to_string();
  container["cpu"] = cpu_value(stats.id, stats.cpu_usage_nanoseconds, time);
  container["memory"]["time"] = time;
  container["memory"]["workingSetBytes"] = number(stats.memory_working_set_bytes);
  container["memory"]["usageBytes"] = number(stats.memory_usage_bytes);
  container["memory"]["rssBytes"] = number(stats.memory_rss_bytes);
  container["rootfs"]["time"] = time;
  container["rootfs"]["usedBytes"] = number(stats.writable_layer_bytes);
  container["rootfs"]["inodesUsed"] = number(stats.writable_layer_inodes);
  return container;
}

void StatsProvider::add_file_systems(const api::corev1::Pod& pod, Value& entry) const {
  const std::string logs =
      pod_log_directory(node_.options.pod_logs_dir, pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid);
  for (Value& container : entry["containers"].as_array()) {
    const linux::TreeUsage usage = linux::tree_usage(logs + "/" + container["name"].as_string());
    container["logs"]["time"] = container["rootfs"]["time"];
    container["logs"]["usedBytes"] = number(usage.bytes);
    container["logs"]["inodesUsed"] = number(usage.inodes);
  }
  const linux::TreeUsage disk = linux::tree_usage(node_.volumes.pod_dir(pod.metadata.uid));
  entry["ephemeral-storage"]["time"] = api::Time(node_.clock->now()).to_string();
  entry["ephemeral-storage"]["usedBytes"] = number(disk.bytes);
  entry["ephemeral-storage"]["inodesUsed"] = number(disk.inodes);
}

void StatsProvider::add_node_file_systems(const std::string& time, Value& node) const {
  node["fs"] = filesystem_value(filesystem_space(node_.options.root_dir), time);
  auto filesystems = node_.runtime->image_filesystems();
  if (!filesystems.ok() || filesystems->empty()) return;
  Value image = filesystem_value(filesystem_space(filesystems->front().mountpoint), time);
  image["usedBytes"] = number(filesystems->front().used_bytes);
  image["inodesUsed"] = number(filesystems->front().inodes_used);
  node["runtime"]["imageFs"] = std::move(image);
}

Result<std::string> StatsProvider::summary(bool only_cpu_and_memory, std::stop_token stop) {
  const std::lock_guard turn(turn_);
  TRY_ASSIGN(Look now, look());
  if (!now.all_rates && node_.clock->sleep_for(CpuMeters::kShortest, stop)) {
    TRY_ASSIGN(now, look());
  }
  const std::string time = api::Time(node_.clock->now()).to_string();
  Value summary;
  Value& node = summary["node"];
  node["nodeName"] = node_.options.node_name;
  node["startTime"] = api::Time(started_).to_string();
  if (now.node) {
    node["cpu"] = cpu_value("/", now.node->cpu_nanoseconds, time);
    node["memory"] = memory_value(*now.node, time);
    node["memory"]["availableBytes"] = number(available_memory());
  }
  if (!only_cpu_and_memory) add_node_file_systems(time, node);
  std::map<std::string, std::vector<const cri::ContainerStats*>> by_pod;
  for (const cri::ContainerStats& stats : now.containers) {
    by_pod[label(stats.labels, labels::kPodUid)].push_back(&stats);
  }
  Value pod_list = Value::array();
  for (const api::corev1::Pod& pod : now.pods) {
    Value entry;
    entry["podRef"]["name"] = pod.metadata.name;
    entry["podRef"]["namespace"] = pod.metadata.namespace_;
    entry["podRef"]["uid"] = pod.metadata.uid;
    if (pod.status.start_time) entry["startTime"] = pod.status.start_time->to_string();
    Value container_list = Value::array();
    for (const cri::ContainerStats* stats : by_pod[pod.metadata.uid]) container_list.push_back(container_value(*stats));
    entry["containers"] = std::move(container_list);
    if (const auto group = now.pod_groups.find(pod.metadata.uid); group != now.pod_groups.end()) {
      entry["cpu"] = cpu_value(pod.metadata.uid, group->second.cpu_nanoseconds, time);
      entry["memory"] = memory_value(group->second, time);
      entry["process_stats"]["process_count"] = number(group->second.processes);
    }
    if (!only_cpu_and_memory) add_file_systems(pod, entry);
    pod_list.push_back(std::move(entry));
  }
  summary["pods"] = std::move(pod_list);
  return api::to_json(summary);
}

Result<std::string> StatsProvider::resource_metrics() {
  TRY_ASSIGN(auto containers, node_.runtime->container_stats({}));
  int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(node_.clock->now().time_since_epoch()).count();
  std::string cpu, memory, pod_cpu, pod_memory, node_cpu, node_memory;
  for (const cri::ContainerStats& stats : containers) {
    std::string labels = fmt::format("{{container=\"{}\",namespace=\"{}\",pod=\"{}\"}}", escaped(stats.name),
                                     escaped(label(stats.labels, labels::kPodNamespace)),
                                     escaped(label(stats.labels, labels::kPodName)));
    int64_t at = stats.timestamp / 1'000'000;
    cpu += fmt::format("container_cpu_usage_seconds_total{} {} {}\n", labels,
                       static_cast<double>(stats.cpu_usage_nanoseconds) / 1e9, at);
    memory += fmt::format("container_memory_working_set_bytes{} {} {}\n", labels, stats.memory_working_set_bytes, at);
  }
  if (node_.cgroups) {
    for (const api::corev1::Pod& pod : pods_.pods()) {
      auto usage = node_.cgroups->usage(pod_cgroup(node_.options.cgroup_root, pod));
      if (!usage.ok()) continue;
      std::string labels =
          fmt::format("{{namespace=\"{}\",pod=\"{}\"}}", escaped(pod.metadata.namespace_), escaped(pod.metadata.name));
      pod_cpu += fmt::format("pod_cpu_usage_seconds_total{} {} {}\n", labels,
                             static_cast<double>(usage->cpu_nanoseconds) / 1e9, now);
      pod_memory += fmt::format("pod_memory_working_set_bytes{} {} {}\n", labels, usage->memory_working_set_bytes, now);
    }
    if (auto usage = node_.cgroups->usage("/"); usage.ok()) {
      node_cpu =
          fmt::format("node_cpu_usage_seconds_total {} {}\n", static_cast<double>(usage->cpu_nanoseconds) / 1e9, now);
      node_memory = fmt::format("node_memory_working_set_bytes {} {}\n", usage->memory_working_set_bytes, now);
    }
  }
  std::string out;
  auto family = [&](std::string_view name, std::string_view type, std::string_view help, const std::string& lines) {
    if (!lines.empty()) out += fmt::format("# HELP {} [STABLE] {}\n# TYPE {} {}\n{}", name, help, name, type, lines);
  };
  family("container_cpu_usage_seconds_total", "counter",
         "Cumulative cpu time consumed by the container in core-seconds", cpu);
  family("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes", memory);
  family("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds",
         node_cpu);
  family("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", node_memory);
  family("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds", pod_cpu);
  family("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes", pod_memory);
  family("resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise",
         "resource_scrape_error 0\n");
  return out;
}

}  // namespace trireme::kubelet
