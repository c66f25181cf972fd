#include "overlay/kube_leases.h"

#include <fmt/format.h>

#include <utility>

#include "api/codec.h"
#include "api/value.h"
#include "base/log.h"

namespace trireme::overlay {
namespace {

using api::corev1::Node;

constexpr std::string_view kCondition = "NetworkUnavailable";

const api::corev1::NodeCondition* network_condition(const Node& node) {
  for (const auto& condition : node.status.conditions) {
    if (condition.type == kCondition) return &condition;
  }
  return nullptr;
}

class KubeLeases final : public LeaseSource {
 public:
  KubeLeases(KubeLeaseOptions options, std::shared_ptr<client::RawClient> raw, client::InformerFactory& informers,
             std::shared_ptr<Clock> clock)
      : options_(std::move(options)),
        client_(std::move(raw)),
        informers_(informers),
        clock_(std::move(clock)),
        nodes_(informers_.informer<Node>()) {}

  Status start(std::function<void()> changed) override {
    // Handlers live as long as the informer, which may be longer than this.
    hook_->changed = std::move(changed);
    nodes_.add_handler([this_hook = hook_, names = options_.annotations, own = options_.node_name](const auto& before,
                                                                                                   const auto& after) {
      if (before && after && !differs(*before, *after, names, own)) return;
      const std::lock_guard lock(this_hook->mutex);
      if (this_hook->changed) this_hook->changed();
    });
    informers_.start();
    return {};
  }

  void stop() override {
    const std::lock_guard lock(hook_->mutex);
    hook_->changed = nullptr;
  }

  Result<NetworkConfig> config() override { return options_.config; }

  std::optional<Lease> announced(const Lease&) override {
    const auto node = nodes_.get("", options_.node_name);
    if (!node) return std::nullopt;
    auto lease = lease_of(*node, options_.config, options_.annotations);
    return lease.ok() ? *lease : std::nullopt;
  }

  Result<std::optional<Lease>> acquire(const NetworkConfig& config, const Lease& mine) override {
    const auto node = nodes_.get("", options_.node_name);
    if (!node) return std::optional<Lease>();
    const NodeSubnets subnets = subnets_of(*node);
    Lease lease = mine;
    lease.name = options_.node_name;
    const auto take = [&](bool enabled, const IpPrefix& network, const IpPrefix& subnet, IpPrefix& out) -> Status {
      if (!enabled || subnet.empty()) return {};
      if (!network.contains(subnet)) {
        return Status::bad_request(fmt::format("node {} has the pod addresses {}, which are outside of the network {}",
                                               options_.node_name, subnet.to_string(), network.to_string()));
      }
      out = subnet;
      return {};
    };
    TRY(take(config.enable_ipv4, config.network, subnets.ipv4, lease.subnet));
    TRY(take(config.enable_ipv6, config.ipv6_network, subnets.ipv6, lease.ipv6_subnet));
    const bool complete =
        (!config.enable_ipv4 || !lease.subnet.empty()) && (!config.enable_ipv6 || !lease.ipv6_subnet.empty());
    if (!complete) return std::optional<Lease>();
    TRY(announce(*node, config, lease));
    lease.backend_type = to_string(config.backend);
    lease.vni = config.vni;
    return std::optional<Lease>(std::move(lease));
  }

  std::vector<Lease> others(const NetworkConfig& config) override {
    std::vector<Lease> out;
    std::set<std::string> unreadable;
    for (const auto& node : nodes_.list()) {
      if (node->metadata.name == options_.node_name) continue;
      auto lease = lease_of(*node, config, options_.annotations);
      if (lease.ok()) {
        if (*lease) out.push_back(std::move(**lease));
        continue;
      }
      const std::string text = lease.status().to_string();
      if (!unreadable_.contains(text)) {
        log::warning("What a node's overlay has announced cannot be read",
                     {{"node", node->metadata.name}, {"error", lease.status()}});
      }
      unreadable.insert(text);
    }
    unreadable_ = std::move(unreadable);
    return out;
  }

  Status complete() override {
    if (!options_.set_node_network_unavailable) return {};
    const auto node = nodes_.get("", options_.node_name);
    if (!node) return {};
    const auto* present = network_condition(*node);
    if (present != nullptr && present->status == "False") return {};
    api::corev1::NodeStatus status;
    auto& condition = status.conditions.emplace_back();
    condition.type = kCondition;
    condition.status = "False";
    condition.reason = "FlannelIsUp";
    condition.message = "Flannel is running on this node";
    condition.last_heartbeat_time = api::Time(clock_->now());
    condition.last_transition_time = api::Time(clock_->now());
    api::Value patch = api::Value::object();
    TRY_ASSIGN(const api::Value whole, api::parse_value(api::encode_json(status)));
    patch["status"]["conditions"] = *whole.find("conditions");
    return client_
        .patch<Node>("", options_.node_name, client::PatchType::kStrategicMerge, api::to_json(patch), "status")
        .status();
  }

 private:
  struct Hook {
    std::mutex mutex;
    std::function<void()> changed;
  };

  /// Heartbeats change nothing here.
  static bool differs(const Node& before, const Node& after, const AnnotationNames& names, const std::string& own) {
    if (before.spec.pod_cidr != after.spec.pod_cidr || before.spec.pod_cidrs != after.spec.pod_cidrs) return true;
    for (const std::string* name :
         {&names.kube_managed, &names.backend_data, &names.backend_v6_data, &names.backend_type, &names.public_ip,
          &names.public_ipv6, &names.public_ip_overwrite, &names.public_ipv6_overwrite}) {
      if (before.metadata.annotations.get(*name) != after.metadata.annotations.get(*name)) return true;
    }
    if (after.metadata.name != own) return false;
    const auto* old_condition = network_condition(before);
    const auto* condition = network_condition(after);
    return (old_condition == nullptr) != (condition == nullptr) ||
           (condition != nullptr && condition->status != old_condition->status);
  }

  Status announce(const Node& node, const NetworkConfig& config, Lease& lease) {
    api::Value changed = api::Value::object();
    for (const auto& [name, value] : annotations_of(lease, config, options_.annotations, node)) {
      if (node.metadata.annotations.get(name) != value) changed[name] = value;
    }
    if (changed.as_object().empty()) return {};
    api::Value patch = api::Value::object();
    patch["metadata"]["annotations"] = std::move(changed);
    // As flannel does it, whose rights end here: a node's status and its annotations.
    return client_.patch<Node>("", options_.node_name, client::PatchType::kMerge, api::to_json(patch), "status")
        .status();
  }

  const KubeLeaseOptions options_;
  client::Client client_;
  client::InformerFactory& informers_;
  const std::shared_ptr<Clock> clock_;
  client::Informer<Node>& nodes_;
  const std::shared_ptr<Hook> hook_ = std::make_shared<Hook>();
  std::set<std::string> unreadable_;  ///< Complaints that were logged.
};

}  // namespace

std::unique_ptr<LeaseSource> kube_leases(KubeLeaseOptions options, std::shared_ptr<client::RawClient> client,
                                         client::InformerFactory& informers, std::shared_ptr<Clock> clock) {
  return std::make_unique<KubeLeases>(std::move(options), std::move(client), informers, std::move(clock));
}

}  // namespace trireme::overlay
