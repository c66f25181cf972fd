#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "linux/nft.h"
#include "proxy/address.h"
#include "proxy/endpoints.h"

/// What is to stand in the kernel for services: pure functions from objects to rules.
///
/// The number of rules does not grow with the number of services. A verdict map (address . protocol . port) sends new
/// connections to one of a few chains, one for each number of endpoints; that chain picks a number and looks the
/// endpoint up in a second map by (address . protocol . port . number). A service is so many elements, and a change of
/// it changes as many elements as endpoints changed. Only session affinity has a chain for each port.
namespace trireme::proxy {

namespace nft = linux::nft;

enum class SetId : uint8_t {
  kServices,          ///< address . protocol . port : verdict
  kServicesInternal,  ///< The same, for sources in the cluster; asked first.
  kNodePorts,         ///< protocol . port : verdict
  kNodePortsInternal,
  kEndpoints,             ///< address . protocol . port . number : address . port
  kNodePortEndpoints,     ///< protocol . port . number : address . port
  kNoEndpoints,           ///< address . protocol . port : verdict
  kNodePortsNoEndpoints,  ///< protocol . port : verdict
  kClusterIps,            ///< address
  kHairpin,               ///< address . address
  kMasquerade,            ///< address . protocol . port, whoever the source is
  kMasqueradeFromNode,    ///< The same, for processes of this machine.
  kMasqueradeNodePorts,   ///< protocol . port
  kMasqueradeNodePortsFromNode,
  kFirewalled,         ///< address . protocol . port with source ranges
  kSourceRanges,       ///< address . protocol . port . source
  kNodePortAddresses,  ///< address; only with --nodeport-addresses
  kAffinityTcp,        ///< source . address . port . endpoint . port, filled by the rules
  kAffinityUdp,
  kAffinitySctp,
  kCount,
};
constexpr size_t kSets = static_cast<size_t>(SetId::kCount);

/// How the set of an address family is made.
const nft::Set& set_of(SetId id, bool ip6);
nft::Table table_of(bool ip6);
/// The comment of tables made by these functions: what has another is not taken over, but replaced.
std::string schema(bool ip6);

/// One element. `data` of verdict maps is `verdict_data`.
struct Entry {
  SetId set = SetId::kCount;
  std::string key;
  std::string key_end;
  std::string data;
  auto operator<=>(const Entry&) const = default;
};
std::string verdict_data(const nft::Verdict& verdict);
/// As the kernel is told, and back.
nft::Element element_of(const Entry& entry);
Entry entry_of(SetId set, const nft::Element& element);

/// Entries, sorted, in one string: 10,000 services keep them in two megabytes.
std::string pack(const std::vector<Entry>& entries);
void for_each_entry(std::string_view packed, const std::function<void(const Entry&)>& each);

struct Options {
  /// How pods are told from others: what others send to a cluster IP is masqueraded.
  enum class Local : uint8_t {
    kClusterRanges,    ///< By cluster_cidrs; where there is none of a family nothing is masqueraded.
    kNodeRanges,       ///< By the ranges of this node's Node object.
    kInterface,        ///< They come through `local_interface`.
    kInterfacePrefix,  ///< They come through an interface whose name begins so.
  };
  Local local = Local::kClusterRanges;
  std::string local_interface;
  std::vector<Prefix> cluster_cidrs;
  std::vector<Prefix> service_cidrs;       ///< Optional; packets to addresses in them that no service has are dropped.
  std::vector<Prefix> nodeport_addresses;  ///< Node ports on the node's addresses in these; empty: on all.
  bool nodeport_primary = false;           ///< Only on the Node object's addresses.
  bool masquerade_all = false;
};

struct StaticChain {
  nft::Chain chain;
  std::vector<nft::Rule> rules;
};
/// The chains that do not depend on services.
std::vector<StaticChain> static_chains(const Options& options, const NodeView& node, bool ip6);
/// The elements that do not depend on services.
std::vector<Entry> static_entries(const Options& options, const NodeView& node, bool ip6);

/// A chain that many services share: picks one of `count` endpoints.
struct PickChain {
  uint16_t count = 0;
  bool node_port = false;
  bool internal = false;
  std::string name() const;
  nft::Rule rule(bool ip6) const;
  auto operator<=>(const PickChain&) const = default;
};

/// Of services over UDP and SCTP: what the kernel's memory of connections is cleaned by.
struct DatagramPort {
  uint8_t protocol = 0;
  std::vector<Target> fronts;  ///< Where clients send to.
  uint16_t node_port = 0;
  std::vector<Target> targets;  ///< Sorted; flows to others are stale.
  auto operator<=>(const DatagramPort&) const = default;
};

/// By a port's name: the endpoints in the order in which they are numbered.
struct Arrangement {
  std::vector<Target> cluster;
  std::vector<Target> local;
};
using Arrangements = std::map<std::string, Arrangement>;

/// What one service adds to the table of one family.
struct ServiceRules {
  std::vector<Entry> entries;                            ///< Sorted by set and key.
  std::map<std::string, std::vector<nft::Rule>> chains;  ///< Of its own.
  std::vector<PickChain> picks;                          ///< Sorted.
  std::vector<DatagramPort> datagrams;
  Arrangements arrangements;
};

/// Whether kube-proxy's rules apply to the service at all: not headless, not ExternalName, not another proxy's.
bool is_proxied(const api::corev1::Service& service);
/// address . protocol . port and (for node ports) protocol . port of everything the service listens on: no two services
/// can have the same.
std::vector<std::string> fronts_of(const api::corev1::Service& service, bool ip6);
/// `owns` tells whether the service may have that front; `before` what `compile` gave last time.
ServiceRules compile(const ServiceView& view, const NodeView& node, const Options& options, bool ip6,
                     const std::function<bool(const std::string&)>& owns, const Arrangements& before);

struct HealthCheck {
  uint16_t port = 0;
  int local_endpoints = 0;
  auto operator<=>(const HealthCheck&) const = default;
};
/// The health check node port; port 0: it has none.
HealthCheck health_check_of(const ServiceView& view, const NodeView& node);

/// One line for every element and rule, for tests.
std::vector<std::string> describe(const ServiceRules& rules, bool ip6);

}  // namespace trireme::proxy
