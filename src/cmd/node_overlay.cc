#include "cmd/node_overlay.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "client/client.h"
#include "client/informer_factory.h"
#include "cmd/cluster_options.h"
#include "linux/file.h"
#include "linux/route.h"
#include "overlay/files.h"
#include "overlay/kube_leases.h"
#include "overlay/overlay.h"

namespace trireme::cmd {
namespace {

using overlay::NetworkConfig;

constexpr std::string_view kNone = "none";

/// The overlay's configuration stands beside what it writes: for whoever looks, and for `reset`.
std::string config_file(const ClusterOptions& options) { return options.network_folder() + "/net-conf.json"; }
std::string subnet_file(const ClusterOptions& options) { return options.network_folder() + "/subnet.env"; }

std::string cni_file(const ClusterOptions& options) { return options.network_folder() + "/conf/10-trireme.conflist"; }

/// Clusters in other than the default folder keep to rules of their own.
std::string own_name(std::string_view usual, const ClusterOptions& options) {
  std::string name(usual);
  if (options.data_dir != ClusterOptions().data_dir) name += "-" + bridge_name(options.network_folder());
  return name;
}
std::string rules_table(const ClusterOptions& options) { return own_name(overlay::kMasqueradeTable, options); }
std::string forward_chain(const ClusterOptions& options) { return own_name(overlay::kForwardChain, options); }

Result<NetworkConfig> network_config(const ClusterOptions& options) {
  if (options.network.starts_with('{')) return overlay::parse_network_config(options.network);
  if (options.network.ends_with(".json")) {
    TRY_ASSIGN(const std::string json, linux::read_file(options.network));
    auto config = overlay::parse_network_config(json);
    return config.ok() ? config : config.status().with_context(options.network);
  }
  NetworkConfig config;
  config.enable_ipv4 = false;
  for (const std::string_view range : split_list(options.cluster_cidr)) {
    const auto network = IpPrefix::parse(range);
    if (!network) return Status::bad_request(fmt::format("\"{}\" is no network such as 10.244.0.0/16", range));
    const bool ipv6 = network->address.is_ipv6();
    (ipv6 ? config.enable_ipv6 : config.enable_ipv4) = true;
    (ipv6 ? config.ipv6_network : config.network) = network->masked();
  }
  if (options.network == "host-gw") {
    config.backend = overlay::Backend::kHostGw;
  } else if (!options.network.empty() && options.network != "vxlan") {
    return Status::bad_request(fmt::format(
        "flag --network: \"{}\" is neither vxlan, host-gw, none nor the path of a net-conf.json", options.network));
  }
  return config;
}

/// What an earlier start with an overlay has left would stand beside the other plugin's network.
Status forget_overlay(const ClusterOptions& options) {
  if (!linux::exists(config_file(options))) return {};
  TRY(remove_node_overlay(options));
  for (const std::string_view range : split_list(options.cluster_cidr)) {
    TRY(linux::remove_unreachable_route(std::string(range)));
  }
  for (const std::string& file : {cni_file(options), subnet_file(options), config_file(options)}) {
    TRY(linux::remove_tree(file));
  }
  return {};
}

}  // namespace

NodeNetworkOptions node_network_options(const ClusterOptions& options) {
  NodeNetworkOptions out;
  out.folder = options.network_folder();
  // Another network plugin knows itself what to do with the addresses of pods.
  if (options.network != kNone) {
    for (const std::string_view range : split_list(options.cluster_cidr)) out.networks.emplace_back(range);
  }
  for (const std::string_view range : split_list(options.service_cidr)) out.networks.emplace_back(range);
  return out;
}

Result<std::string> network_fact(const ClusterOptions& options) {
  if (options.network == kNone) return options.network;
  TRY_ASSIGN(const NetworkConfig config, network_config(options));
  return overlay::network_config_json(config);
}

Result<std::unique_ptr<overlay::Overlay>> start_node_overlay(const ClusterOptions& options,
                                                             std::shared_ptr<client::RawClient> client,
                                                             client::InformerFactory& informers,
                                                             std::shared_ptr<Clock> clock) {
  if (options.network == kNone) {
    TRY(forget_overlay(options));
    return std::unique_ptr<overlay::Overlay>();
  }
  overlay::KubeLeaseOptions leases;
  leases.node_name = options.node_name;
  TRY_ASSIGN(leases.config, network_config(options));
  TRY_ASSIGN(leases.annotations, overlay::AnnotationNames::make());
  TRY(linux::make_dirs(options.network_folder()));
  TRY(linux::replace_file(config_file(options), overlay::network_config_json(leases.config) + "\n", 0644));

  overlay::OverlayOptions overlay;
  overlay.interface.iface = options.node_addresses();
  overlay.ip_masq = true;
  overlay.masquerade_table = rules_table(options);
  overlay.forward_rules = options.iptables_forward_rules;
  overlay.forward_chain = forward_chain(options);
  overlay.subnet_file = subnet_file(options);
  overlay.cni_file = cni_file(options);
  overlay.cni_bridge = bridge_name(options.network_folder());
  overlay.cni_address_folder = options.network_folder() + "/leases";
  // A machine alone needs no tunnel, and two clusters on one machine would want the same one.
  overlay.device_always = false;
  overlay::OverlayDeps deps;
  deps.leases = overlay::kube_leases(std::move(leases), std::move(client), informers, clock);
  deps.clock = std::move(clock);
  return overlay::Overlay::start(std::move(overlay), std::move(deps));
}

Status remove_node_overlay(const ClusterOptions& options) {
  const auto json = linux::read_file(config_file(options));
  if (!json.ok()) return json.status().is(Reason::kNotFound) ? Status() : json.status();
  TRY_ASSIGN(const NetworkConfig config, overlay::parse_network_config(*json));
  overlay::Lease own;
  if (const auto env = linux::read_file(subnet_file(options)); env.ok()) {
    own = overlay::previous_subnets(*env, config);
  }
  return overlay::remove_overlay(config, own, rules_table(options), forward_chain(options));
}

}  // namespace trireme::cmd
