// The service proxy: in a node's process, and as a component of its own.
#include "cmd/node_proxy.h"

#include <fmt/format.h>

#include "base/flags.h"
#include "base/text.h"
#include "client/informer_factory.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/component.h"
#include "kubelet/node/machine.h"
#include "proxy/proxy.h"

namespace trireme::cmd {
namespace {

std::vector<std::string> parts_of(const std::string& list) {
  const auto parts = split_list(list);
  return {parts.begin(), parts.end()};
}

/// What drops of services and slices the proxy does not read.
void drop_unread(client::InformerFactory& informers) {
  informers.informer<api::corev1::Service>({}, [](api::corev1::Service& service) { service.spec.selector = {}; });
  informers.informer<api::discoveryv1::EndpointSlice>({}, [](api::discoveryv1::EndpointSlice& slice) {
    for (auto& endpoint : slice.endpoints) {
      endpoint.target_ref.reset();
      endpoint.hostname.reset();
      endpoint.zone.reset();
    }
    slice.metadata.owner_references.clear();
  });
}

struct ProxyFlags {
  CommonOptions common;
  std::string cluster_cidr;
  std::string service_cidr;
  std::vector<std::string> nodeport_addresses;
  bool cleanup = false;
  proxy::ProxyOptions options;
};

/// What a proxy in a process of its own consists of, in the order of its making.
struct RunningProxy {
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<proxy::Proxy> proxy;
};

Status start_proxy(ProxyFlags& flags, RunningProxy& running) {
  proxy::ProxyOptions& options = flags.options;
  TRY_ASSIGN(options.rules.cluster_cidrs, proxy::parse_prefixes(parts_of(flags.cluster_cidr), "cluster-cidr"));
  TRY_ASSIGN(options.rules.service_cidrs,
             proxy::parse_prefixes(parts_of(flags.service_cidr), "service-cluster-ip-range"));
  TRY(proxy::parse_nodeport_addresses(flags.nodeport_addresses, options.rules));
  if (options.node_name.empty()) options.node_name = kubelet::read_machine_info().host_name;

  TRY_ASSIGN(auto raw, connect_by_kubeconfig(flags.common.kubeconfig, "kube-proxy"));
  auto clock = real_clock();
  running.informers = std::make_unique<client::InformerFactory>(raw, clock);
  drop_unread(*running.informers);
  auto events = std::make_shared<client::EventBroadcaster>(client::Client(raw), clock);
  TRY_ASSIGN(running.proxy, proxy::Proxy::start(std::move(options), {*running.informers, clock, nullptr, events}));
  return {};
}

}  // namespace

Result<std::unique_ptr<proxy::Proxy>> start_node_proxy(const ClusterOptions& options,
                                                       client::InformerFactory& informers,
                                                       const std::shared_ptr<Clock>& clock) {
  proxy::ProxyOptions proxy;
  proxy.node_name = options.node_name;
  proxy.healthz_bind_address = options.proxy_healthz_bind_address;
  TRY_ASSIGN(proxy.rules.cluster_cidrs, proxy::parse_prefixes(parts_of(options.cluster_cidr), "cluster-cidr"));
  TRY_ASSIGN(proxy.rules.service_cidrs,
             proxy::parse_prefixes(parts_of(options.service_cidr), "service-cluster-ip-range"));
  TRY(proxy::parse_nodeport_addresses(options.nodeport_addresses, proxy.rules));
  return proxy::Proxy::start(std::move(proxy), {informers, clock, nullptr, nullptr});
}

int proxy_command(const std::vector<std::string>& words) {
  ProxyFlags given;
  proxy::ProxyOptions& options = given.options;
  options.metrics_bind_address = "127.0.0.1:10249";
  FlagSet flags = common_flags("proxy --kubeconfig FILE [flags]", given.common);
  flags.add("hostname-override", &options.node_name, "name of this node (default: the host's name)");
  flags.add("cluster-cidr", &given.cluster_cidr,
            "addresses of pods: what comes from elsewhere to a cluster address is masqueraded");
  flags.add("service-cluster-ip-range", &given.service_cidr,
            "addresses of services: those that no service has are dropped, and this machine gets a route to them");
  flags.add("nodeport-addresses", &given.nodeport_addresses,
            "networks on whose addresses node ports are served, or \"primary\" (default: all addresses)");
  flags.add("masquerade-all", &options.rules.masquerade_all, "masquerade everything that goes to a cluster address");
  flags.add("healthz-bind-address", &options.healthz_bind_address, "address and port of /healthz; empty: off");
  flags.add("metrics-bind-address", &options.metrics_bind_address, "address and port of /metrics; empty: off");
  flags.add("nftables-min-sync-period", &options.min_sync_period, "the rules are changed at most this often");
  flags.add("iptables-min-sync-period", &options.min_sync_period, "the same");
  flags.add("nftables-sync-period", &options.sync_period, "a change that waits twice as long makes this unhealthy");
  flags.add("iptables-sync-period", &options.sync_period, "the same");
  flags.add("cleanup", &given.cleanup, "remove all rules and exit");
  for (const char* ignored : {"proxy-mode", "bind-address", "iptables-masquerade-bit", "nftables-masquerade-bit",
                              "conntrack-max-per-core", "conntrack-min", "profiling", "config-sync-period",
                              "kube-api-qps", "kube-api-burst", "kube-api-content-type"}) {
    flags.add_ignored(ignored);
  }
  int code = 0;
  if (!parse(flags, words, given.common, "proxy", code)) return code;
  RunningProxy running;
  const Status status = given.cleanup ? proxy::remove_proxy_rules()
                                      : run_until_signal([&](std::stop_token) { return start_proxy(given, running); });
  return status.ok() ? 0 : fail("proxy", status);
}

}  // namespace trireme::cmd
