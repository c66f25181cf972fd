// The service proxy: in a node's process, and as a component of its own.
#include "cmd/node_proxy.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/flags.h"
#include "base/log.h"
#include "client/informer_factory.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/component.h"
#include "cmd/configz.h"
#include "kubelet/node/machine.h"
#include "linux/file.h"
#include "linux/file_change.h"
#include "proxy/announcer.h"
#include "proxy/config.h"
#include "proxy/proxy.h"

namespace trireme::cmd {
namespace {

/// Drops of services and slices what the proxy does not read.
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
  std::string config_file;
  proxy::Configuration config;
  bool cleanup = false;
  bool init_only = false;
  bool help = false;
};

FlagSet proxy_flags(ProxyFlags& given) {
  proxy::Configuration& config = given.config;
  proxy::ConntrackSettings& conntrack = config.conntrack;
  FlagSet flags("proxy --kubeconfig FILE [flags]");
  flags.add("config", &given.config_file, "a KubeProxyConfiguration; flags count for more");
  flags.add("kubeconfig", &config.kubeconfig, "how to reach the API server, and as whom");
  flags.add("hostname-override", &config.hostname_override, "name of this node (default: the host's name)");
  flags.add("cluster-cidr", &config.cluster_cidr,
            "addresses of pods: what comes from elsewhere to a cluster address is masqueraded");
  flags.add("detect-local-mode", &config.detect_local_mode,
            "how pods are told from others: ClusterCIDR (default), NodeCIDR, BridgeInterface or InterfaceNamePrefix");
  flags.add("pod-bridge-interface", &config.bridge_interface, "with BridgeInterface: the bridge of the pods");
  flags.add("pod-interface-name-prefix", &config.interface_name_prefix,
            "with InterfaceNamePrefix: what the names of the pods' interfaces begin with");
  flags.add("service-cluster-ip-range", &config.service_cidr,
            "addresses of services: those that no service has are dropped, and this machine gets a route to them");
  flags.add("nodeport-addresses", &config.nodeport_addresses,
            "networks on whose addresses node ports are served, or \"primary\" (default: all addresses)");
  flags.add("masquerade-all", &config.masquerade_all, "masquerade everything that goes to a cluster address");
  flags.add("healthz-bind-address", &config.healthz_bind_address, "address and port of /healthz; empty: off");
  flags.add("metrics-bind-address", &config.metrics_bind_address,
            "address and port of /metrics, /configz and /proxyMode; empty: off");
  flags.add("bind-address-hard-fail", &config.bind_address_hard_fail, "end when one of these ports cannot be opened");
  flags.add("nftables-min-sync-period", &config.min_sync_period, "the rules are changed at most this often");
  flags.add("iptables-min-sync-period", &config.min_sync_period, "the same");
  flags.add("nftables-sync-period", &config.sync_period, "a change that waits twice as long makes this unhealthy");
  flags.add("iptables-sync-period", &config.sync_period, "the same");
  flags.add("conntrack-max-per-core", &conntrack.max_per_core,
            "connections that the kernel remembers for each core; 0: as many as now");
  flags.add("conntrack-min", &conntrack.min, "connections that it remembers at least");
  flags.add("conntrack-tcp-timeout-established", &conntrack.tcp_established_timeout,
            "after which a silent TCP connection is forgotten; 0: as now");
  flags.add("conntrack-tcp-timeout-close-wait", &conntrack.tcp_close_wait_timeout,
            "after which one is forgotten that one end has closed; 0: as now");
  flags.add("conntrack-tcp-be-liberal", &conntrack.tcp_be_liberal, "take packets outside the window for valid ones");
  flags.add("conntrack-udp-timeout", &conntrack.udp_timeout, "after which a UDP flow without an answer is forgotten");
  flags.add("conntrack-udp-timeout-stream", &conntrack.udp_stream_timeout, "after which one with answers is forgotten");
  flags.add("oom-score-adj", &config.oom_score_adj, "how likely the kernel ends this process when memory is short");
  flags.add("init-only", &given.init_only,
            "do what needs full rights, which is the kernel's connection tracking, and exit");
  flags.add("cleanup", &given.cleanup, "remove all rules and exit");
  flags.add("v", &config.verbosity, "verbosity of the log; 2 and more show debugging lines");
  flags.add("help", &given.help, "print this text");
  for (const char* ignored :
       {"proxy-mode", "logtostderr", "bind-address", "iptables-masquerade-bit", "nftables-masquerade-bit", "profiling",
        "config-sync-period", "kube-api-qps", "kube-api-burst", "kube-api-content-type"}) {
    flags.add_ignored(ignored);
  }
  return flags;
}

/// Twice: the first reading finds the file, whose settings are then the flags' defaults.
Result<ProxyFlags> read_proxy_flags(const std::vector<std::string>& words) {
  ProxyFlags given;
  FlagSet flags = proxy_flags(given);
  TRY_ASSIGN(const auto arguments, flags.parse(words));
  if (given.help) {
    fmt::print("{}", flags.help());
    return given;
  }
  if (!arguments.empty()) return Status::bad_request("unexpected argument \"" + arguments.front() + "\"");
  if (given.config_file.empty()) return given;
  TRY_ASSIGN(const std::string text, linux::read_file(given.config_file));
  auto config = proxy::parse_configuration(text);
  if (!config.ok()) return config.status().with_context(given.config_file);
  ProxyFlags again;
  again.config = std::move(*config);
  again.config_file = given.config_file;
  TRY(proxy_flags(again).parse(words).status());
  return again;
}

void tell_differences(const proxy::Configuration& config) {
  for (const std::string& field : config.without_effect) {
    log::warning("A field of the configuration has no effect here", {{"field", field}});
  }
  if (config.mode == "iptables" || config.mode == "ipvs") {
    log::warning("The rules are nftables', whatever mode is asked for", {{"mode", config.mode}});
  }
}

Status prepare_kernel(const proxy::Configuration& config) {
  return proxy::set_conntrack(config.conntrack, static_cast<int>(std::thread::hardware_concurrency()));
}

/// What a proxy in a process of its own consists of, in the order of its making.
struct RunningProxy {
  std::atomic<bool> outdated = false;  ///< Its configuration file has changed.
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<proxy::Proxy> proxy;
  std::unique_ptr<proxy::Announcer> announcer;
  std::unique_ptr<linux::FileChange> config_file;
};

Status start_proxy(const ProxyFlags& flags, RunningProxy& running) {
  const proxy::Configuration& config = flags.config;
  TRY_ASSIGN(proxy::ProxyOptions options, proxy::options_of(config));
  tell_differences(config);
  Status status = prepare_kernel(config);
  if (!status.ok()) log::warning("The kernel's connection tracking could not be set", {{"error", status}});
  status = linux::write_existing("/proc/self/oom_score_adj", fmt::format("{}\n", config.oom_score_adj));
  if (!status.ok()) log::debug("The oom_score_adj could not be set", {{"error", status}});
  if (options.node_name.empty()) options.node_name = kubelet::read_machine_info().host_name;
  options.configz = proxy_configz(config);

  TRY_ASSIGN(auto raw, connect_by_kubeconfig(config.kubeconfig, "kube-proxy"));
  auto clock = real_clock();
  running.informers = std::make_unique<client::InformerFactory>(raw, clock);
  drop_unread(*running.informers);
  auto events = std::make_shared<client::EventBroadcaster>(client::Client(raw), clock);
  const std::string node = options.node_name;
  TRY_ASSIGN(running.proxy, proxy::Proxy::start(std::move(options), {*running.informers, clock, nullptr, events}));
  TRY_ASSIGN(running.announcer, proxy::Announcer::start(node, {*running.informers, clock, events}));
  if (flags.config_file.empty()) return {};
  // Whoever runs this process starts it anew, as with upstream's.
  TRY_ASSIGN(running.config_file, linux::FileChange::start(flags.config_file, [&outdated = running.outdated] {
               outdated = true;
               ::kill(::getpid(), SIGTERM);
             }));
  return {};
}

}  // namespace

Result<std::unique_ptr<proxy::Proxy>> start_node_proxy(const ClusterOptions& options,
                                                       client::InformerFactory& informers,
                                                       const std::shared_ptr<Clock>& clock) {
  proxy::Configuration config;
  config.hostname_override = options.node_name;
  config.healthz_bind_address = options.proxy_healthz_bind_address;
  config.metrics_bind_address = options.proxy_metrics_bind_address;
  config.cluster_cidr = options.cluster_cidr;
  config.service_cidr = options.service_cidr;
  config.nodeport_addresses = options.nodeport_addresses;
  TRY_ASSIGN(proxy::ProxyOptions proxy, proxy::options_of(config));
  proxy.configz = proxy_configz(config);
  return proxy::Proxy::start(std::move(proxy), {informers, clock, nullptr, nullptr});
}

int proxy_command(const std::vector<std::string>& words) {
  const auto given = read_proxy_flags(words);
  if (!given.ok()) return fail("proxy", given.status());
  if (given->help) return 0;
  if (given->config.verbosity >= 2) log::set_level(log::Level::kDebug);
  RunningProxy running;
  Status status = given->cleanup     ? proxy::remove_proxy_rules()
                  : given->init_only ? prepare_kernel(given->config)
                                     : run_until_signal([&](std::stop_token) { return start_proxy(*given, running); });
  if (running.outdated) status = Status::bad_request("content of the proxy server's configuration file was updated");
  return status.ok() ? 0 : fail("proxy", status);
}

}  // namespace trireme::cmd
