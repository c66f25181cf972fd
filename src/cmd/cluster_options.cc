#include "cmd/cluster_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/ip_address.h"
#include "base/text.h"
#include "cmd/node_network.h"
#include "controllers/servicelb/balancer_addresses.h"
#include "linux/own_addresses.h"

namespace trireme::cmd {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  std::string result = name.data();
  for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  return result.empty() ? "node" : result;
}

Status check_port(std::string_view flag, int port) {
  if (port >= 0 && port <= 65535) return {};
  return Status::bad_request(fmt::format("flag --{}: {} is no port number", flag, port));
}

Status check_addresses(const std::vector<std::string>& addresses) {
  int families[2] = {0, 0};
  for (const std::string& text : addresses) {
    const auto address = IpAddress::parse(text);
    if (!address) return Status::bad_request(fmt::format("flag --node-ip: \"{}\" is no address", text));
    if (++families[address->is_ipv6() ? 1 : 0] > 1) {
      return Status::bad_request("flag --node-ip: one address of each family at most");
    }
  }
  return addresses.empty() ? Status::bad_request("flag --node-ip: no address") : Status();
}

/// A range that is smaller than a node's size is one node's whole range, as a /28 or the like is chosen for.
Status check_pod_ranges(ClusterOptions& options) {
  int families[2] = {0, 0};
  for (const std::string_view text : split_list(options.cluster_cidr)) {
    const auto range = IpPrefix::parse(text);
    if (!range || range->masked() != *range || range->length < 8 || range->length > range->address.bits() - 2) {
      return Status::bad_request(fmt::format("\"{}\" is no network such as 10.244.0.0/16", text));
    }
    const bool ipv6 = range->address.is_ipv6();
    if (++families[ipv6 ? 1 : 0] > 1) {
      return Status::bad_request("flag --cluster-cidr: one range of each family at most");
    }
    int& mask = ipv6 ? options.node_cidr_mask_size_ipv6 : options.node_cidr_mask_size;
    mask = std::max<int>(mask, range->length);
    if (mask > range->address.bits() - 2) {
      return Status::bad_request(fmt::format("a node's range of pod addresses cannot be as small as /{}", mask));
    }
  }
  return {};
}

}  // namespace

FlagSet node_flags(std::string usage, ClusterOptions& options) {
  FlagSet flags(std::move(usage));
  flags.add("data-dir", &options.data_dir, "folder of all state: certificates, store, containers, admin.kubeconfig");
  flags.add("node-name", &options.node_name, "name of this node (default: the host's name)");
  flags.add("node-ip", &options.node_ip,
            "address of this node, or an IPv4 and an IPv6 one (default: those of the default route's interface, "
            "followed when they change)");
  flags.add("kubelet-port", &options.kubelet_port, "port of the kubelet's server; 0 picks a free one");
  flags.add("node-lease-duration-seconds", &options.node_lease_duration_seconds,
            "the node shows that it lives four times in this time");
  flags.add("nodeport-addresses", &options.nodeport_addresses,
            "networks on whose addresses node ports are served, or \"primary\" (default: all addresses)");
  flags.add("proxy-healthz-bind-address", &options.proxy_healthz_bind_address,
            "address and port of the service proxy's /healthz; empty: off");
  flags.add("proxy-metrics-bind-address", &options.proxy_metrics_bind_address,
            "address and port of the service proxy's /metrics, /configz and /proxyMode; empty: off");
  flags.add("container-runtime-endpoint", &options.container_runtime_endpoint,
            "use a running containerd (unix:///run/containerd/containerd.sock) instead of starting one");
  flags.add("network", &options.network,
            "how pods of different machines reach each other: vxlan, host-gw, the path of a flannel net-conf.json, or "
            "none: a network plugin that is configured in /etc/cni/net.d (default: vxlan, or as the cluster has it)");
  flags.add("cni-bin-dir", &options.cni_bin_dir,
            "folder of the CNI plugins' programs (default: /usr/lib/cni, or /opt/cni/bin where that has none); for the "
            "containerd that is started here");
  flags.add("iptables-forward-rules", &options.iptables_forward_rules,
            "let packets of pods pass iptables' chain FORWARD, also where another program makes it drop");
  flags.add("registry-mirror", &options.registry_mirrors, "HOST=URL: ask URL before HOST for images; may be repeated");
  flags.add("sandbox-image", &options.sandbox_image, "image that holds a pod's namespaces");
  flags.add("cluster-dns", &options.cluster_dns,
            "addresses of the cluster's DNS server (default: the tenth of the services); none: no DNS server");
  flags.add("cluster-domain", &options.cluster_domain, "domain of the cluster's names");
  flags.add("resolv-conf", &options.resolv_conf,
            "file that names the DNS servers for names outside the cluster; pods with dnsPolicy Default get it, too");
  flags.add("dns-upstream", &options.dns_upstreams, "ask these DNS servers instead of --resolv-conf's");
  flags.add("dns-stub-domain", &options.dns_stub_domains,
            "DOMAIN=ADDRESS[,ADDRESS]: ask these DNS servers for names of DOMAIN; may be repeated");
  flags.add("ingress", &options.ingress, "serve Ingresses on this node, with nginx");
  flags.add("ingress-http-port", &options.ingress_http_port, "port of the ingress for HTTP");
  flags.add("ingress-https-port", &options.ingress_https_port, "port of the ingress for HTTPS");
  flags.add("stop-pods", &options.stop_pods, "on Ctrl-C also stop and remove the containers");
  flags.add("ready-file", &options.ready_file, "create this file when everything is ready");
  flags.add("v", &options.verbosity, "verbosity of the log; 2 and more show debugging lines");
  flags.add("help", &options.help, "print this text");
  return flags;
}

FlagSet cluster_flags(std::string usage, ClusterOptions& options) {
  FlagSet flags = node_flags(std::move(usage), options);
  flags.add("https-port", &options.https_port, "port of the API server; 0 picks a free one");
  flags.add("bind-address", &options.bind_address, "address the API server listens on");
  flags.add("advertise-address", &options.advertise_address, "address by which others reach the API server");
  flags.add("apiserver-cert-extra-sans", &options.extra_names,
            "more names and addresses by which clients reach the API server");
  flags.add("no-node", &options.no_node, "control plane only: start no containers");
  flags.add("controllers", &options.controllers, "controllers to run: * for all, name, -name; empty for none");
  flags.add("load-balancer-ip-range", &controllers::load_balancer_ip_ranges(),
            "addresses that services of type LoadBalancer get: CIDR or FIRST-LAST (default: the nodes' own)");
  flags.add("load-balancer-announce", &controllers::load_balancer_announcement(),
            "how packets for addresses of that range come to a node: layer2 (one node answers for each) or none");
  flags.add("cluster-cidr", &options.cluster_cidr, "addresses of pods; with a comma an IPv4 and an IPv6 range");
  flags.add("allocate-node-cidrs", &options.allocate_node_cidrs, "give every node a range of pod addresses");
  flags.add("node-cidr-mask-size", &options.node_cidr_mask_size, "size of a node's range of IPv4 addresses");
  flags.add("node-cidr-mask-size-ipv4", &options.node_cidr_mask_size, "the same");
  flags.add("node-cidr-mask-size-ipv6", &options.node_cidr_mask_size_ipv6, "size of a node's range of IPv6 addresses");
  flags.add("service-cluster-ip-range", &options.service_cidr,
            "addresses of services: a range, or one of each family with a comma between them");
  flags.add("token-auth-file", &options.token_auth_file, "file with static bearer tokens");
  flags.add("enable-admission-plugins", &options.enable_admission_plugins,
            "admission plugins that must run; all that there are run by default");
  flags.add("disable-admission-plugins", &options.disable_admission_plugins, "admission plugins that do not run");
  flags.add("admission-control-config-file", &options.admission_control_config_file,
            "an AdmissionConfiguration: settings of admission plugins");
  flags.add("node-monitor-grace-period", &options.node_monitor_grace_period,
            "silence after which a node counts as not ready");
  flags.add("cluster-signing-duration", &options.cluster_signing_duration,
            "longest validity of certificates that are signed on request, such as nodes'");
  flags.add("legacy-service-account-token-clean-up-period", &options.legacy_service_account_token_clean_up_period,
            "time after which a generated token that is not used is marked as invalid, and then again is deleted");
  return flags;
}

Status complete(ClusterOptions& options) {
  options.data_dir = std::filesystem::absolute(options.data_dir).lexically_normal().string();
  while (options.data_dir.size() > 1 && options.data_dir.ends_with('/')) options.data_dir.pop_back();
  if (options.data_dir == "/") return Status::bad_request("flag --data-dir: / cannot be the data folder");
  if (options.node_name.empty()) options.node_name = host_name();
  if (options.node_ip.empty()) {
    options.follow_addresses = true;
    options.node_ip = fmt::format("{}", fmt::join(linux::own_addresses(), ","));
  }
  TRY(check_addresses(options.node_addresses()));
  if (options.advertise_address.empty()) options.advertise_address = options.node_addresses().front();
  TRY(check_port("https-port", options.https_port));
  TRY(check_port("kubelet-port", options.kubelet_port));
  TRY(check_port("ingress-http-port", options.ingress_http_port));
  TRY(check_port("ingress-https-port", options.ingress_https_port));
  if (options.node_lease_duration_seconds < 1) {
    return Status::bad_request("flag --node-lease-duration-seconds: at least 1");
  }
  TRY(check_pod_ranges(options));
  TRY(first_address(options.service_cidr).status());
  for (const std::string& address : options.dns_addresses()) {
    if (!IpAddress::parse(address)) {
      return Status::bad_request(fmt::format("flag --cluster-dns: \"{}\" is no address", address));
    }
  }
  TRY(controllers::check_load_balancer_flags());
  return parse_mirrors(options.registry_mirrors).status();
}

std::vector<std::string> ClusterOptions::node_addresses() const {
  const auto parts = split_list(node_ip);
  return {parts.begin(), parts.end()};
}

std::string ClusterOptions::cgroup_root() const {
  return data_dir == ClusterOptions().data_dir ? "" : "/" + bridge_name(network_folder());
}

std::vector<std::string> service_ranges(const std::string& cidrs) {
  const auto parts = split(cidrs, ',');
  return {parts.begin(), parts.end()};
}

Result<std::string> first_address(const std::string& cidrs) {
  const std::vector<std::string> ranges = service_ranges(cidrs);
  std::vector<IpPrefix> networks;
  for (const std::string& each : ranges) {
    const auto range = IpPrefix::parse(each);
    if (!range || range->masked() != *range || range->length < 8 || range->length > range->address.bits() - 2) {
      return Status::bad_request(fmt::format("\"{}\" is no network such as 10.96.0.0/16", each));
    }
    networks.push_back(*range);
  }
  const bool mixed = networks.size() == 2 && networks[0].address.is_ipv6() != networks[1].address.is_ipv6();
  if (networks.size() != 1 && !mixed) {
    return Status::bad_request(fmt::format("\"{}\" is not one range, or one of each family", cidrs));
  }
  return networks.front().address.plus(1).to_string();
}

std::vector<std::string> ClusterOptions::dns_addresses() const {
  if (cluster_dns == std::vector<std::string>{"none"}) return {};
  if (!cluster_dns.empty()) return cluster_dns;
  constexpr uint64_t kTenth = 10;
  std::vector<std::string> addresses;
  for (const std::string_view cidr : split_list(service_cidr)) {
    const auto network = IpPrefix::parse(cidr);
    if (network) addresses.push_back(network->masked().address.plus(kTenth).to_string());
  }
  return addresses;
}

bool in_networks(const std::string& cidrs, const std::string& address) {
  const auto one = IpAddress::parse(address);
  return one && std::ranges::any_of(split_list(cidrs), [&](std::string_view cidr) {
           const auto network = IpPrefix::parse(cidr);
           return network && network->contains(*one);
         });
}

Result<std::vector<std::pair<std::string, std::string>>> parse_mirrors(const std::vector<std::string>& mirrors) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const std::string& mirror : mirrors) {
    size_t equals = mirror.find('=');
    bool valid = equals != std::string::npos && equals > 0 && mirror.find("://", equals) != std::string::npos &&
                 mirror.find('/') > equals;
    if (!valid) return Status::bad_request(fmt::format("flag --registry-mirror: \"{}\" is not HOST=URL", mirror));
    result.emplace_back(mirror.substr(0, equals), mirror.substr(equals + 1));
  }
  return result;
}

}  // namespace trireme::cmd
