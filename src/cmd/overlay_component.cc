// flanneld's work as a process of its own, with flanneld's flags.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/flags.h"
#include "base/version.h"
#include "client/informer_factory.h"
#include "client/kubeconfig.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/component.h"
#include "cmd/component_server.h"
#include "linux/file.h"
#include "overlay/etcd_leases.h"
#include "overlay/kube_leases.h"
#include "overlay/overlay.h"

extern char** environ;

namespace trireme::cmd {
namespace {

struct FlanneldOptions {
  CommonOptions common;
  overlay::OverlayOptions overlay;
  overlay::EtcdOptions etcd;
  std::string etcd_prefix = "/coreos.com/network";
  int renew_margin_minutes = 60;
  bool kube_subnet_mgr = false;
  std::string kube_api_url;
  std::string annotation_prefix = "flannel.alpha.coreos.com";
  std::string net_config_path = "/etc/kube-flannel/net-conf.json";
  bool set_node_network_unavailable = true;
  std::string healthz_ip = "0.0.0.0";
  int healthz_port = 0;
  bool version = false;
};

FlagSet flanneld_flags(FlanneldOptions& options) {
  FlagSet flags = common_flags("overlay [--kube-subnet-mgr --kubeconfig-file FILE] [flags]", options.common);
  options.overlay.subnet_file = "/run/flannel/subnet.env";
  flags.add("kube-subnet-mgr", &options.kube_subnet_mgr,
            "take the node's subnets from its Node object, instead of leasing them from etcd");
  flags.add("kubeconfig-file", &options.common.kubeconfig, "the same as --kubeconfig, by flannel's name");
  flags.add("kube-api-url", &options.kube_api_url, "URL of the API server, in place of the kubeconfig's");
  flags.add("kube-annotation-prefix", &options.annotation_prefix, "beginning of the annotations' names");
  flags.add("net-config-path", &options.net_config_path, "the network's configuration, with --kube-subnet-mgr");
  flags.add("set-node-network-unavailable", &options.set_node_network_unavailable,
            "report the node's condition NetworkUnavailable as False");
  flags.add("etcd-endpoints", &options.etcd.endpoints, "URLs of etcd's members");
  flags.add("etcd-prefix", &options.etcd_prefix, "what the keys in etcd begin with");
  flags.add("etcd-cafile", &options.etcd.ca_file, "authority of etcd's certificates");
  flags.add("etcd-certfile", &options.etcd.certificate_file, "client certificate for etcd");
  flags.add("etcd-keyfile", &options.etcd.key_file, "its key");
  flags.add("etcd-username", &options.etcd.username, "name of a user of etcd's");
  flags.add("etcd-password", &options.etcd.password, "its password");
  flags.add("subnet-lease-renew-margin", &options.renew_margin_minutes,
            "minutes before a lease's end at which it is renewed, 1 to 1439");
  flags.add("iface", &options.overlay.interface.iface,
            "name or address of the interface between nodes; the first found of several");
  flags.add("iface-regex", &options.overlay.interface.iface_regex,
            "pattern of the interface's name or address, tried after --iface");
  flags.add("iface-can-reach", &options.overlay.interface.iface_can_reach,
            "take the interface of the route to this address");
  flags.add("public-ip", &options.overlay.public_ip, "address that other nodes send to");
  flags.add("public-ipv6", &options.overlay.public_ipv6, "IPv6 address that other nodes send to");
  flags.add("ip-masq", &options.overlay.ip_masq, "give traffic that leaves the network the node's address");
  flags.add("iptables-forward-rules", &options.overlay.forward_rules,
            "let packets of the network pass iptables' chain FORWARD, also where another program makes it drop");
  flags.add("subnet-file", &options.overlay.subnet_file, "file that tells the node's subnet and MTU");
  flags.add("healthz-ip", &options.healthz_ip, "address of plain /healthz");
  flags.add("healthz-port", &options.healthz_port, "its port; 0: none");
  flags.add("version", &options.version, "print the version");
  // Rules are watched, not written again and again.
  for (const char* ignored : {"iptables-resync", "ip-masq-fully-random-disable", "alsologtostderr", "log_dir"}) {
    flags.add_ignored(ignored);
  }
  return flags;
}

/// FLANNELD_IP_MASQ=true counts as --ip-masq=true, before the command line.
std::vector<std::string> with_environment(const std::vector<std::string>& words) {
  constexpr std::string_view kPrefix = "FLANNELD_";
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos || equals + 1 == text.size()) continue;
    std::string flag = "--";
    for (const char c : text.substr(kPrefix.size(), equals - kPrefix.size())) {
      flag += c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    out.push_back(flag + std::string(text.substr(equals)));
  }
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

Result<std::shared_ptr<client::RawClient>> connect(const FlanneldOptions& options) {
  client::ClientConfig config;
  if (!options.common.kubeconfig.empty() || options.kube_api_url.empty()) {
    TRY_ASSIGN(config, given_client_config(options.common.kubeconfig));
  }
  if (!options.kube_api_url.empty()) config.transport.base_url = options.kube_api_url;
  TRY_ASSIGN(auto transport, client::connect(std::move(config)));
  return std::make_shared<client::RawClient>(std::move(transport), "flanneld");
}

/// flanneld in a pod is told by NODE_NAME; elsewhere nodes bear their machine's name.
std::string own_node_name() {
  if (const char* name = std::getenv("NODE_NAME"); name != nullptr && *name != '\0') return name;
  ClusterOptions defaults;
  defaults.node_ip = "127.0.0.1";
  return complete(defaults).ok() ? defaults.node_name : "";
}

/// In the order of its making.
struct RunningOverlay {
  std::unique_ptr<HealthPort> health;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<overlay::Overlay> overlay;
};

Status start(FlanneldOptions& options, RunningOverlay& running) {
  if (options.renew_margin_minutes < 1 || options.renew_margin_minutes > 1439) {
    return Status::bad_request("flag --subnet-lease-renew-margin: a number of minutes from 1 to 1439");
  }
  if (options.healthz_port < 0 || options.healthz_port > 65535) {
    return Status::bad_request(fmt::format("flag --healthz-port: {} is no port", options.healthz_port));
  }
  if (options.healthz_port != 0) {
    TRY_ASSIGN(running.health, HealthPort::start(options.healthz_ip, static_cast<uint16_t>(options.healthz_port)));
  }
  auto clock = real_clock();
  overlay::OverlayDeps deps;
  deps.clock = clock;
  if (options.kube_subnet_mgr) {
    overlay::KubeLeaseOptions leases;
    leases.node_name = own_node_name();
    TRY_ASSIGN(const std::string json, linux::read_file(options.net_config_path));
    auto config = overlay::parse_network_config(json);
    if (!config.ok()) return config.status().with_context(options.net_config_path);
    leases.config = std::move(*config);
    TRY_ASSIGN(leases.annotations, overlay::AnnotationNames::make(options.annotation_prefix));
    leases.set_node_network_unavailable = options.set_node_network_unavailable;
    TRY_ASSIGN(auto raw, connect(options));
    running.informers = std::make_unique<client::InformerFactory>(raw, clock);
    deps.leases = overlay::kube_leases(std::move(leases), std::move(raw), *running.informers, clock);
  } else {
    overlay::EtcdLeaseOptions leases;
    leases.etcd = options.etcd;
    leases.prefix = options.etcd_prefix;
    leases.renew_margin = std::chrono::minutes(options.renew_margin_minutes);
    leases.subnet_file = options.overlay.subnet_file;
    TRY_ASSIGN(deps.leases, overlay::etcd_leases(std::move(leases), clock));
  }
  TRY_ASSIGN(running.overlay, overlay::Overlay::start(std::move(options.overlay), std::move(deps)));
  return {};
}

}  // namespace

int overlay(const std::vector<std::string>& words) {
  FlanneldOptions options;
  FlagSet flags = flanneld_flags(options);
  int code = 0;
  if (!parse(flags, with_environment(words), options.common, "overlay", code)) return code;
  if (options.version) {
    fmt::print("trireme {}\n", kVersion);
    return 0;
  }
  RunningOverlay running;
  const Status status = run_until_signal([&](std::stop_token) { return start(options, running); });
  return status.ok() ? 0 : fail("overlay", status);
}

}  // namespace trireme::cmd
