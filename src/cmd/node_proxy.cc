// The service proxy: in a node's process, and as a component of its own.
#include "cmd/node_proxy.h"

#include <fmt/format.h>

#include <csignal>

#include "base/flags.h"
#include "base/log.h"
#include "base/text.h"
#include "client/informer_factory.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/stop_signals.h"
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
  std::string kubeconfig;
  std::string cluster_cidr;
  std::string service_cidr;
  std::vector<std::string> nodeport_addresses;
  bool cleanup = false;
  bool help = false;
  int verbosity = 0;
  proxy::ProxyOptions options;
};

Status run_proxy(ProxyFlags flags) {
  sigset_t signals = block_stop_signals();
  if (flags.cleanup) return proxy::remove_proxy_rules();
  proxy::ProxyOptions& options = flags.options;
  TRY_ASSIGN(options.rules.cluster_cidrs, proxy::parse_prefixes(parts_of(flags.cluster_cidr), "cluster-cidr"));
  TRY_ASSIGN(options.rules.service_cidrs,
             proxy::parse_prefixes(parts_of(flags.service_cidr), "service-cluster-ip-range"));
  TRY(proxy::parse_nodeport_addresses(flags.nodeport_addresses, options.rules));
  if (options.node_name.empty()) options.node_name = kubelet::read_machine_info().host_name;

  TRY_ASSIGN(auto raw, connect_by_kubeconfig(flags.kubeconfig, "kube-proxy"));
  auto clock = real_clock();
  client::InformerFactory informers(raw, clock);
  drop_unread(informers);
  auto events = std::make_shared<client::EventBroadcaster>(client::Client(raw), clock);
  TRY_ASSIGN(auto running, proxy::Proxy::start(std::move(options), {informers, clock, nullptr, events}));
  int signal = 0;
  sigwait(&signals, &signal);
  running.reset();
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
  FlagSet flags("proxy --kubeconfig FILE [flags]");
  flags.add("kubeconfig", &given.kubeconfig, "how to reach the API server, and as whom");
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
  flags.add("v", &given.verbosity, "verbosity of the log; 2 and more show debugging lines");
  flags.add("help", &given.help, "print this text");
  for (const char* ignored : {"proxy-mode", "logtostderr", "bind-address", "iptables-masquerade-bit",
                              "nftables-masquerade-bit", "conntrack-max-per-core", "conntrack-min", "profiling",
                              "config-sync-period", "kube-api-qps", "kube-api-burst", "kube-api-content-type"}) {
    flags.add_ignored(ignored);
  }
  auto arguments = flags.parse(words);
  if (arguments.ok() && given.help) {
    fmt::print("{}", flags.help());
    return 0;
  }
  Status status = arguments.status();
  if (status.ok() && !arguments->empty()) {
    status = Status::bad_request("unexpected argument \"" + arguments->front() + "\"");
  }
  if (given.verbosity >= 2) log::set_level(log::Level::kDebug);
  if (status.ok()) status = run_proxy(std::move(given));
  if (status.ok()) return 0;
  fmt::print(stderr, "proxy: {}\n", status.message());
  return 1;
}

}  // namespace trireme::cmd
