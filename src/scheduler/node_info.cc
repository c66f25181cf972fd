#include "scheduler/node_info.h"

#include <algorithm>

namespace trireme::scheduler {

using api::corev1::Node;
using api::corev1::Taint;

namespace {

bool erase_uid(std::vector<PodInfoPointer>& pods, std::string_view uid) {
  const auto found = std::ranges::find_if(pods, [&](const PodInfoPointer& each) { return each->uid() == uid; });
  if (found == pods.end()) return false;
  if (std::next(found) != pods.end()) *found = std::move(pods.back());
  pods.pop_back();
  return true;
}

}  // namespace

void NodeInfo::set_node(NodePointer new_node) {
  node = std::move(new_node);
  name = node->metadata.name;
  allocatable = resources_of(node->status.allocatable);
  unschedulable = node->spec.unschedulable;
  hard_taints.clear();
  soft_taints.clear();
  for (const Taint& taint : node->spec.taints) {
    (taint.effect == api::corev1::kTaintEffectPreferNoSchedule ? soft_taints : hard_taints).push_back(taint);
  }
  image_bytes.clear();
  for (const auto& image : node->status.images) {
    for (const std::string& image_name : image.names) image_bytes[image_name] = image.size_bytes;
  }
}

void NodeInfo::add_pod(const PodInfoPointer& pod) {
  lowest_priority = std::min(lowest_priority, pod->priority);
  requested.add(pod->requests);
  non_zero_milli_cpu += pod->non_zero_milli_cpu;
  non_zero_memory += pod->non_zero_memory;
  pods.push_back(pod);
  if (pod->has_affinity()) pods_with_affinity.push_back(pod);
  if (!pod->required_anti_affinity().empty()) pods_with_required_anti_affinity.push_back(pod);
  used_ports.insert(used_ports.end(), pod->host_ports.begin(), pod->host_ports.end());
}

bool NodeInfo::remove_pod(std::string_view uid) {
  const auto found = std::ranges::find_if(pods, [&](const PodInfoPointer& each) { return each->uid() == uid; });
  if (found == pods.end()) return false;
  const PodInfoPointer pod = *found;
  requested.subtract(pod->requests);
  non_zero_milli_cpu -= pod->non_zero_milli_cpu;
  non_zero_memory -= pod->non_zero_memory;
  erase_uid(pods, uid);
  if (pod->priority == lowest_priority) {
    lowest_priority = std::numeric_limits<int32_t>::max();
    for (const PodInfoPointer& each : pods) lowest_priority = std::min(lowest_priority, each->priority);
  }
  if (pod->has_affinity()) erase_uid(pods_with_affinity, uid);
  if (!pod->required_anti_affinity().empty()) erase_uid(pods_with_required_anti_affinity, uid);
  for (const HostPort& port : pod->host_ports) {
    const auto used = std::ranges::find(used_ports, port);
    if (used != used_ports.end()) used_ports.erase(used);
  }
  return true;
}

const std::string* NodeInfo::label(std::string_view key) const {
  const auto found = labels().find(key);
  return found == labels().end() ? nullptr : &found->second;
}

std::string zone_of(const Node& node) {
  const Labels& labels = node.metadata.labels;
  const auto region = labels.find(api::corev1::kLabelTopologyRegion);
  const auto zone = labels.find(api::corev1::kLabelTopologyZone);
  if (region == labels.end() && zone == labels.end()) return {};
  return (region == labels.end() ? std::string() : region->second) + '\n' +
         (zone == labels.end() ? std::string() : zone->second);
}

}  // namespace trireme::scheduler
