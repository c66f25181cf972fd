#include "kubelet/server/stats.h"

#include <fmt/format.h>

#include "kubelet/node/machine.h"
#include "kubelet/pods/labels.h"
#include "kubelet/pods/resources.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using api::Value;

constexpr Duration kMinimumRateInterval = std::chrono::milliseconds(500);

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

Value StatsProvider::cpu_value(const std::string& key, uint64_t cpu_nanoseconds, const std::string& time) {
  Value value;
  value["time"] = time;
  value["usageCoreNanoSeconds"] = number(cpu_nanoseconds);
  Duration now = node_.clock->monotonic();
  std::lock_guard lock(mutex_);
  auto [sample, added] = samples_.try_emplace(key, Sample{cpu_nanoseconds, now});
  Duration interval = now - sample->second.at;
  if (!added && interval >= kMinimumRateInterval && cpu_nanoseconds >= sample->second.cpu_nanoseconds) {
    double used = static_cast<double>(cpu_nanoseconds - sample->second.cpu_nanoseconds);
    value["usageNanoCores"] = number(static_cast<uint64_t>(used * 1e9 / static_cast<double>(interval.count())));
    sample->second = {cpu_nanoseconds, now};
  }
  return value;
}

Result<std::string> StatsProvider::summary() {
  TRY_ASSIGN(auto containers, node_.runtime->container_stats({}));
  std::string time = api::Time(node_.clock->now()).to_string();
  std::map<std::string, std::vector<const cri::ContainerStats*>> by_pod;
  for (const cri::ContainerStats& stats : containers) by_pod[label(stats.labels, labels::kPodUid)].push_back(&stats);

  Value summary;
  Value& node = summary["node"];
  node["nodeName"] = node_.options.node_name;
  node["startTime"] = api::Time(started_).to_string();
  if (node_.cgroups) {
    if (auto usage = node_.cgroups->usage("/"); usage.ok()) {
      node["cpu"] = cpu_value("/", usage->cpu_nanoseconds, time);
      node["memory"] = memory_value(*usage, time);
      node["memory"]["availableBytes"] = number(available_memory());
    }
  }
  node["fs"] = filesystem_value(filesystem_space(node_.options.root_dir), time);
  if (auto filesystems = node_.runtime->image_filesystems(); filesystems.ok() && !filesystems->empty()) {
    Value image = filesystem_value(filesystem_space(filesystems->front().mountpoint), time);
    image["usedBytes"] = number(filesystems->front().used_bytes);
    image["inodesUsed"] = number(filesystems->front().inodes_used);
    node["runtime"]["imageFs"] = std::move(image);
  }
  Value pod_list = Value::array();
  for (const api::corev1::Pod& pod : pods_.pods()) {
    Value entry;
    entry["podRef"]["name"] = pod.metadata.name;
    entry["podRef"]["namespace"] = pod.metadata.namespace_;
    entry["podRef"]["uid"] = pod.metadata.uid;
    if (pod.status.start_time) entry["startTime"] = pod.status.start_time->to_string();
    Value container_list = Value::array();
    for (const cri::ContainerStats* stats : by_pod[pod.metadata.uid]) {
      Value container;
      container["name"] = stats->name;
      const std::string container_time = api::Time(wall_time(stats->timestamp)).to_string();
      container["cpu"] = cpu_value(stats->id, stats->cpu_usage_nanoseconds, container_time);
      container["memory"]["time"] = container_time;
      container["memory"]["workingSetBytes"] = number(stats->memory_working_set_bytes);
      container["memory"]["usageBytes"] = number(stats->memory_usage_bytes);
      container["memory"]["rssBytes"] = number(stats->memory_rss_bytes);
      container["rootfs"]["time"] = container_time;
      container["rootfs"]["usedBytes"] = number(stats->writable_layer_bytes);
      container["rootfs"]["inodesUsed"] = number(stats->writable_layer_inodes);
      std::string logs =
          pod_log_directory(node_.options.pod_logs_dir, pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid);
      linux::TreeUsage log_usage = linux::tree_usage(logs + "/" + stats->name);
      container["logs"]["time"] = container_time;
      container["logs"]["usedBytes"] = number(log_usage.bytes);
      container["logs"]["inodesUsed"] = number(log_usage.inodes);
      container_list.push_back(std::move(container));
    }
    entry["containers"] = std::move(container_list);
    if (node_.cgroups) {
      if (auto usage = node_.cgroups->usage(pod_cgroup(node_.options.cgroup_root, pod)); usage.ok()) {
        entry["cpu"] = cpu_value(pod.metadata.uid, usage->cpu_nanoseconds, time);
        entry["memory"] = memory_value(*usage, time);
        entry["process_stats"]["process_count"] = number(usage->processes);
      }
    }
    linux::TreeUsage disk = linux::tree_usage(node_.volumes.pod_dir(pod.metadata.uid));
    entry["ephemeral-storage"]["time"] = time;
    entry["ephemeral-storage"]["usedBytes"] = number(disk.bytes);
    entry["ephemeral-storage"]["inodesUsed"] = number(disk.inodes);
    pod_list.push_back(std::move(entry));
  }
  summary["pods"] = std::move(pod_list);
  {
    // Samples of what is gone would pile up.
    std::lock_guard lock(mutex_);
    Duration now = node_.clock->monotonic();
    std::erase_if(samples_, [&](const auto& sample) { return now - sample.second.at > std::chrono::minutes(10); });
  }
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
