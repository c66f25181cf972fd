#include "cmd/node_dns.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <sstream>

#include "api/types/corev1.h"
#include "base/log.h"
#include "client/informer_factory.h"
#include "dns/dns_server.h"
#include "linux/file.h"
#include "linux/netlink_client.h"
#include "linux/netlink_monitor.h"

namespace trireme::cmd {
namespace {

constexpr const char* kLoopback = "lo";
constexpr auto kServiceTimeout = std::chrono::seconds(10);
constexpr auto kServiceRetry = std::chrono::milliseconds(50);

std::string record_file(const std::string& folder) { return folder + "/addresses"; }

Result<linux::Address> loopback_address(linux::Netlink& netlink, const std::string& text) {
  const auto parsed = IpAddress::parse(text);
  if (!parsed) return Status::bad_request(fmt::format("\"{}\" is no address", text));
  TRY_ASSIGN(const linux::Link link, netlink.link(kLoopback));
  linux::Address address;
  address.link = link.index;
  address.prefix = IpPrefix::host(*parsed);
  // No duplicate can be on the loopback interface: an IPv6 address counts at once.
  if (parsed->is_ipv6()) address.flags = IFA_F_NODAD;
  return address;
}

Status assign(const std::vector<std::string>& addresses) {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  for (const std::string& text : addresses) {
    TRY_ASSIGN(const linux::Address address, loopback_address(netlink, text));
    Status status = netlink.add_address(address);
    if (!status.ok() && !status.is(Reason::kAlreadyExists)) return status;
  }
  return {};
}

}  // namespace

NodeDns::NodeDns() = default;
NodeDns::~NodeDns() = default;

Result<std::unique_ptr<NodeDns>> NodeDns::start(const NodeDnsOptions& options, client::InformerFactory& informers,
                                                std::shared_ptr<Clock> clock) {
  TRY(linux::make_dirs(options.folder, 0755));
  std::vector<std::string> recorded = options.addresses;
  if (auto before = linux::read_file(record_file(options.folder)); before.ok()) {
    std::istringstream lines(*before);
    for (std::string line; std::getline(lines, line);) {
      if (std::find(recorded.begin(), recorded.end(), line) == recorded.end()) recorded.push_back(line);
    }
  }
  // Written before anything is assigned: a crash must not leave an address that nobody knows of.
  TRY(linux::replace_file(record_file(options.folder), fmt::format("{}\n", fmt::join(recorded, "\n")), 0644));
  TRY(assign(options.addresses));

  std::unique_ptr<NodeDns> node(new NodeDns());
  dns::DnsOptions server;
  server.addresses = options.addresses;
  server.domain = options.domain;
  server.reverse_ranges = options.ranges;
  server.resolv_conf = options.resolv_conf;
  server.upstreams = options.upstreams;
  server.stub_domains = options.stub_domains;
  auto started = dns::DnsServer::start(std::move(server), {&informers, std::move(clock)});
  if (!started.ok()) {
    return started.status().with_context(
        "the cluster's DNS server (--cluster-dns=none leaves it out; another DNS server on port 53 of all addresses is "
        "in its way)");
  }
  node->server_ = std::move(*started);
  TRY_ASSIGN(node->monitor_,
             linux::NetlinkMonitor::start([addresses = options.addresses](const linux::NetlinkMessage& message) {
               const auto* change = std::get_if<linux::Address>(&message.object);
               const bool lost = std::holds_alternative<std::monostate>(message.object);
               const bool ours =
                   change != nullptr && message.removed &&
                   std::find(addresses.begin(), addresses.end(), change->prefix.address.to_string()) != addresses.end();
               if (!ours && !lost) return;
               if (ours) {
                 log::warning("An address of the cluster's DNS was taken away; it is put back",
                              {{"address", change->prefix.to_string()}});
               }
               if (Status status = assign(addresses); !status.ok()) {
                 log::error("The cluster's DNS has lost its address", {{"error", status}});
               }
             }));
  return node;
}

Status remove_node_dns(const std::string& folder) {
  auto recorded = linux::read_file(record_file(folder));
  if (!recorded.ok()) return recorded.status().is(Reason::kNotFound) ? Status() : recorded.status();
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  std::istringstream lines(*recorded);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    TRY_ASSIGN(const linux::Address address, loopback_address(netlink, line));
    Status status = netlink.delete_address(address);
    if (!status.ok() && !status.is(Reason::kNotFound)) return status;
  }
  return linux::remove_tree(folder);
}

Status ensure_dns_service(client::Client client, const std::vector<std::string>& addresses, Clock& clock) {
  using api::corev1::Service;
  Service service;
  service.metadata.namespace_ = "kube-system";
  service.metadata.name = "kube-dns";
  service.metadata.labels["k8s-app"] = "kube-dns";
  service.metadata.labels["kubernetes.io/cluster-service"] = "true";
  service.metadata.labels["kubernetes.io/name"] = "CoreDNS";
  // Well-behaved proxies leave services of another proxy's name alone.
  service.metadata.labels["service.kubernetes.io/service-proxy-name"] = "trireme-dns";
  service.metadata.annotations["prometheus.io/port"] = "9153";
  service.metadata.annotations["prometheus.io/scrape"] = "true";
  service.spec.cluster_ip = addresses.front();
  service.spec.cluster_ips = addresses;
  if (addresses.size() > 1) {
    service.spec.ip_family_policy = "RequireDualStack";
    for (const std::string& address : addresses) {
      service.spec.ip_families.emplace_back(address.find(':') == std::string::npos ? "IPv4" : "IPv6");
    }
  }
  const auto port = [&](const char* name, const char* protocol, int number) {
    auto& each = service.spec.ports.emplace_back();
    each.name = name;
    each.protocol = protocol;
    each.port = number;
  };
  port("dns", "UDP", 53);
  port("dns-tcp", "TCP", 53);
  port("metrics", "TCP", 9153);
  // A server that has just begun may not have made kube-system yet.
  const Duration deadline = clock.monotonic() + kServiceTimeout;
  while (true) {
    auto existing = client.get<Service>("kube-system", "kube-dns");
    if (existing.ok()) {
      if (existing->spec.cluster_ip != addresses.front()) {
        log::warning("The service kube-dns has another address than the nodes' DNS server",
                     {{"service", existing->spec.cluster_ip}, {"server", addresses.front()}});
      }
      return {};
    }
    Status status = client.create(service).status();
    if (status.ok() || status.is(Reason::kAlreadyExists)) return {};
    if (clock.monotonic() >= deadline) return status.with_context("service kube-system/kube-dns");
    clock.sleep_for(kServiceRetry, {});
  }
}

}  // namespace trireme::cmd
