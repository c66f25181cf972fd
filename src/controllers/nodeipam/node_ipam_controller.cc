#include "controllers/nodeipam/node_ipam_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/value.h"
#include "base/log.h"

namespace trireme::controllers {

using api::corev1::Node;

namespace {

std::vector<CidrPool> make_pools(const ControllerOptions& options) {
  std::vector<CidrPool> pools;
  for (const std::string& cidr : options.cluster_cidrs) {
    const bool ipv6 = cidr.find(':') != std::string::npos;
    auto pool = CidrPool::create(cidr, ipv6 ? options.node_cidr_mask_size_ipv6 : options.node_cidr_mask_size_ipv4);
    if (pool.ok()) {
      pools.push_back(std::move(*pool));
    } else {
      log::error("Nodes get no pod addresses of a range", {{"cluster-cidr", cidr}, {"error", pool.status()}});
    }
  }
  return pools;
}

}  // namespace

NodeIpamController::NodeIpamController(const ControllerContext& context)
    : Controller(context, "node-ipam-controller"),
      nodes_(context.informers->informer<Node>()),
      events_(context.events->recorder("cidrAllocator")),
      allocations_("node_ipam_controller_cidrset_cidrs_allocations_total",
                   "Counter measuring total number of CIDR allocations.", {"clusterCIDR"}),
      releases_("node_ipam_controller_cidrset_cidrs_releases_total", "Counter measuring total number of CIDR releases.",
                {"clusterCIDR"}) {
  if (!context.options.allocate_node_cidrs) return;
  pools_ = make_pools(context.options);
  nodes_.add_handler([this](const auto& before, const auto& after) {
    if (!after) {
      forget(before->metadata.name);
      return;
    }
    if (before && before->metadata.uid != after->metadata.uid) forget(before->metadata.name);
    // Heartbeats change the status only.
    if (before && before->spec.pod_cidrs == after->spec.pod_cidrs && !after->spec.pod_cidrs.empty()) return;
    note(*after);
    if (after->spec.pod_cidrs.empty()) enqueue(after->metadata.name);
  });
}

void NodeIpamController::note(const Node& node) {
  if (node.spec.pod_cidrs.empty()) return;
  const std::lock_guard lock(mutex_);
  held_[node.metadata.name] = node.spec.pod_cidrs;
  for (const std::string& range : node.spec.pod_cidrs) {
    bool inside = false;
    for (CidrPool& pool : pools_) inside = pool.occupy(range) || inside;
    if (!inside) {
      log::warning("A node's pod addresses lie outside of the cluster's range",
                   {{"node", node.metadata.name}, {"podCIDR", range}});
    }
  }
}

void NodeIpamController::forget(const std::string& name) {
  std::vector<std::string> ranges;
  {
    const std::lock_guard lock(mutex_);
    const auto held = held_.find(name);
    if (held == held_.end()) return;
    ranges = std::move(held->second);
    held_.erase(held);
  }
  release(ranges);
  // One that found none may now be served.
  for (const auto& node : nodes_.list()) {
    if (node->spec.pod_cidrs.empty()) enqueue(node->metadata.name);
  }
}

void NodeIpamController::release(const std::vector<std::string>& ranges) {
  const std::lock_guard lock(mutex_);
  for (const std::string& range : ranges) {
    for (CidrPool& pool : pools_) {
      const size_t before = pool.taken();
      pool.release(range);
      if (pool.taken() < before) releases_.add({pool.range()}, before - pool.taken());
    }
  }
}

std::vector<std::string> NodeIpamController::allocate() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ranges;
  for (CidrPool& pool : pools_) {
    auto range = pool.allocate();
    if (!range) {
      for (size_t i = 0; i < ranges.size(); ++i) pools_[i].release(ranges[i]);
      return {};
    }
    allocations_.add({pool.range()});
    ranges.push_back(std::move(*range));
  }
  return ranges;
}

void NodeIpamController::print_metrics(std::string& out) const {
  allocations_.print(out);
  releases_.print(out);
  const std::lock_guard lock(mutex_);
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    metrics::print_head(out, name, "gauge", help);
    for (const CidrPool& pool : pools_) {
      out += fmt::format("{}{} {}\n", name, metrics::label_text({"clusterCIDR"}, {pool.range()}), value(pool));
    }
  };
  gauge("node_ipam_controller_cirdset_max_cidrs", "Maximum number of CIDRs that can be allocated.",
        [](const CidrPool& pool) { return pool.size(); });
  gauge("node_ipam_controller_cidrset_usage_cidrs", "Gauge measuring percentage of allocated CIDRs.",
        [](const CidrPool& pool) { return static_cast<double>(pool.taken()) / static_cast<double>(pool.size()); });
}

Result<Outcome> NodeIpamController::reconcile(const std::string& key) {
  if (pools_.empty()) return Outcome::done();
  const auto node = nodes_.get(key);
  if (!node || node->metadata.deletion_timestamp || !node->spec.pod_cidrs.empty()) return Outcome::done();
  {
    // Given already; the cache does not show it yet.
    const std::lock_guard lock(mutex_);
    if (held_.contains(key)) return Outcome::done();
  }
  const std::vector<std::string> ranges = allocate();
  if (ranges.empty()) {
    events_.normal(*node, "CIDRNotAvailable", "Node " + key + " status is now: CIDRNotAvailable");
    return Status::internal("no free range of pod addresses for node " + key);
  }
  api::Value patch = api::Value::object();
  patch["metadata"]["uid"] = node->metadata.uid;  // not another node of this name
  patch["spec"]["podCIDR"] = ranges.front();
  patch["spec"]["podCIDRs"] = api::Value::array();
  for (const std::string& range : ranges) patch["spec"]["podCIDRs"].push_back(range);
  const auto patched = client().patch<Node>({}, key, client::PatchType::kMerge, api::to_json(patch));
  if (patched.ok()) {
    note(*patched);
    return Outcome::done();
  }
  // An answer may get lost after the write: what the server shows decides who has the ranges.
  const Status& status = patched.status();
  const auto now = client().get<Node>({}, key);
  if (now.ok() && !now->spec.pod_cidrs.empty()) {
    note(*now);
    std::vector<std::string> unused;
    for (const std::string& range : ranges) {
      if (std::ranges::find(now->spec.pod_cidrs, range) == now->spec.pod_cidrs.end()) unused.push_back(range);
    }
    release(unused);
    return Outcome::done();
  }
  release(ranges);
  if (status.is(Reason::kNotFound)) return Outcome::done();
  return status;
}

}  // namespace trireme::controllers
