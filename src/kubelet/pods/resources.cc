#include "kubelet/pods/resources.h"

#include <algorithm>
#include <optional>

namespace trireme::kubelet {
namespace {

using api::corev1::Container;
using api::corev1::Pod;
using ResourceList = api::Map<Quantity>;

constexpr int64_t kQuotaPeriod = 100'000;
constexpr int64_t kMinQuota = 1'000;
constexpr int32_t kNodeCriticalPriority = 2'000'001'000;

std::optional<int64_t> amount(const ResourceList& list, const std::string& name) {
  auto entry = list.find(name);
  if (entry == list.end()) return std::nullopt;
  return name == "cpu" ? entry->second.milli_value() : entry->second.value();
}

int64_t request_of(const Container& container, const std::string& name) {
  if (auto request = amount(container.resources.requests, name)) return *request;
  return amount(container.resources.limits, name).value_or(0);
}

int64_t limit_of(const Container& container, const std::string& name) {
  return amount(container.resources.limits, name).value_or(0);
}

bool is_sidecar(const Container& container) {
  return container.restart_policy && *container.restart_policy == "Always";
}

/// Combines the containers' figures as they run: init steps one after another, sidecars beside all that follow.
template <typename Figure>
int64_t combined(const Pod& pod, Figure figure) {
  int64_t running = 0;
  for (const Container& container : pod.spec.containers) running += figure(container);
  int64_t sidecars = 0;
  int64_t init_peak = 0;
  for (const Container& container : pod.spec.init_containers) {
    int64_t own = figure(container);
    if (is_sidecar(container)) {
      sidecars += own;
      init_peak = std::max(init_peak, sidecars);
    } else {
      init_peak = std::max(init_peak, sidecars + own);
    }
  }
  return std::max(running + sidecars, init_peak);
}

int64_t overhead(const Pod& pod, const std::string& name) { return amount(pod.spec.overhead, name).value_or(0); }

/// Whether every container that runs to the end has a limit.
bool all_limited(const Pod& pod, const std::string& name) {
  auto limited = [&](const Container& container) { return limit_of(container, name) > 0; };
  return std::all_of(pod.spec.containers.begin(), pod.spec.containers.end(), limited) &&
         std::all_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(), limited);
}

}  // namespace

QosClass qos_class(const Pod& pod) {
  bool any = false;
  bool guaranteed = true;
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const Container& container : *list) {
      for (const char* name : {"cpu", "memory"}) {
        int64_t request = amount(container.resources.requests, name).value_or(0);
        int64_t limit = limit_of(container, name);
        if (request > 0 || limit > 0) any = true;
        if (limit <= 0 || (request > 0 && request != limit)) guaranteed = false;
      }
    }
  }
  if (!any) return QosClass::kBestEffort;
  return guaranteed ? QosClass::kGuaranteed : QosClass::kBurstable;
}

std::string_view to_string(QosClass qos) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return "Guaranteed";
    case QosClass::kBurstable:
      return "Burstable";
    case QosClass::kBestEffort:
      break;
  }
  return "BestEffort";
}

uint64_t milli_cpu_to_shares(int64_t milli_cpu) {
  if (milli_cpu <= 0) return 2;
  return static_cast<uint64_t>(std::clamp<int64_t>(milli_cpu * 1024 / 1000, 2, 262'144));
}

int64_t milli_cpu_to_quota(int64_t milli_cpu) {
  if (milli_cpu <= 0) return 0;
  return std::max(milli_cpu * kQuotaPeriod / 1000, kMinQuota);
}

int64_t oom_score_adjust(const Pod& pod, const Container& container, uint64_t capacity_bytes) {
  if (pod.spec.priority && *pod.spec.priority >= kNodeCriticalPriority) return -997;
  switch (qos_class(pod)) {
    case QosClass::kGuaranteed:
      return -997;
    case QosClass::kBestEffort:
      return 1000;
    case QosClass::kBurstable:
      break;
  }
  int64_t request = request_of(container, "memory");
  int64_t capacity = std::max<int64_t>(static_cast<int64_t>(capacity_bytes), 1);
  auto score = static_cast<int64_t>(1000 - static_cast<double>(request) * 1000.0 / static_cast<double>(capacity));
  // Burstable stays killable after guaranteed and before best-effort.
  return std::clamp<int64_t>(score, 3, 999);
}

cri::Resources container_resources(const Pod& pod, const Container& container, uint64_t capacity_bytes,
                                   bool cgroup_v2) {
  cri::Resources result;
  result.cpu_shares = static_cast<int64_t>(milli_cpu_to_shares(request_of(container, "cpu")));
  if (int64_t quota = milli_cpu_to_quota(limit_of(container, "cpu")); quota > 0) {
    result.cpu_quota = quota;
    result.cpu_period = kQuotaPeriod;
  }
  result.memory_limit_bytes = limit_of(container, "memory");
  result.oom_score_adj = oom_score_adjust(pod, container, capacity_bytes);
  for (const auto& [name, quantity] : container.resources.limits) {
    constexpr std::string_view kPrefix = "hugepages-";
    if (!std::string_view(name).starts_with(kPrefix)) continue;
    auto size = Quantity::parse(name.substr(kPrefix.size()));
    if (!size.ok()) continue;
    int64_t kib = size->value() / 1024;
    std::string page = kib >= 1048576 ? std::to_string(kib / 1048576) + "GB"
                       : kib >= 1024  ? std::to_string(kib / 1024) + "MB"
                                      : std::to_string(kib) + "KB";
    result.hugepage_limits[page] = static_cast<uint64_t>(quantity.value());
  }
  // On v2 an OOM ends the whole container, not one process of it (upstream's singleProcessOOMKill=false).
  if (cgroup_v2 && result.memory_limit_bytes > 0) result.unified["memory.oom.group"] = "1";
  return result;
}

std::string qos_cgroup(std::string_view cgroup_root, QosClass qos) {
  std::string path = std::string(cgroup_root == "/" ? "" : cgroup_root) + "/kubepods";
  if (qos == QosClass::kBurstable) path += "/burstable";
  if (qos == QosClass::kBestEffort) path += "/besteffort";
  return path;
}

std::string pod_cgroup(std::string_view cgroup_root, const Pod& pod) {
  return qos_cgroup(cgroup_root, qos_class(pod)) + "/pod" + pod.metadata.uid;
}

int64_t pod_request(const Pod& pod, const std::string& resource) {
  return combined(pod, [&](const Container& container) { return request_of(container, resource); }) +
         overhead(pod, resource);
}

linux::CgroupLimits pod_limits(const Pod& pod) {
  linux::CgroupLimits limits;
  limits.cpu_shares = qos_class(pod) == QosClass::kBestEffort ? 2 : milli_cpu_to_shares(pod_request(pod, "cpu"));
  if (all_limited(pod, "cpu")) {
    limits.cpu_quota_us =
        milli_cpu_to_quota(combined(pod, [](const Container& c) { return limit_of(c, "cpu"); }) + overhead(pod, "cpu"));
  }
  if (all_limited(pod, "memory")) {
    limits.memory_bytes =
        combined(pod, [](const Container& c) { return limit_of(c, "memory"); }) + overhead(pod, "memory");
  }
  return limits;
}

}  // namespace trireme::kubelet
