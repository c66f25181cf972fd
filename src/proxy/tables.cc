// The fixed part of the tables: sets, chains that every packet meets, and the encoding of elements.
#include <fmt/format.h>

#include <array>
#include <functional>

#include "base/hash.h"
#include "proxy/rules.h"

namespace trireme::proxy {
namespace {

using nft::Field;
using nft::Hook;
using nft::Rule;
using nft::Type;

// Beside what other software hooks in: a service's translation comes just before that of Docker (-100), firewalld (-90)
// and CNI plugins, the rest around it.
constexpr int32_t kDestinationNat = -101;
constexpr int32_t kSourceNat = 99;
constexpr int32_t kBeforeTranslation = -110;
constexpr int32_t kAfterTranslation = -95;
constexpr uint32_t kAffinitySize = 262144;

struct FamilyFields {
  Field source;
  Field destination;
  Field original_destination;
};
constexpr FamilyFields kIp4 = {Field::kIpSaddr, Field::kIpDaddr, Field::kCtOriginalIpDaddr};
constexpr FamilyFields kIp6 = {Field::kIp6Saddr, Field::kIp6Daddr, Field::kCtOriginalIp6Daddr};
const FamilyFields& fields_of(bool ip6) { return ip6 ? kIp6 : kIp4; }

std::array<nft::Set, kSets> make_sets(bool ip6) {
  const Type address = ip6 ? Type::kIpv6 : Type::kIpv4;
  const std::vector<Type> front = {address, Type::kInetProto, Type::kInetService};
  const std::vector<Type> node_port = {Type::kInetProto, Type::kInetService};
  const std::vector<Type> target = {address, Type::kInetService};
  const std::vector<Type> verdict = {Type::kVerdict};
  std::array<nft::Set, kSets> sets;
  const auto set = [&](SetId id, const char* name, std::vector<Type> key, std::vector<Type> data, const char* comment) {
    nft::Set& one = sets[static_cast<size_t>(id)];
    one.name = name;
    one.key = std::move(key);
    one.data = std::move(data);
    one.comment = comment;
  };
  set(SetId::kServices, "services", front, verdict, "addresses and ports of services");
  set(SetId::kServicesInternal, "services-internal", front, verdict, "the same for sources inside the cluster");
  set(SetId::kNodePorts, "nodeports", node_port, verdict, "node ports of services");
  set(SetId::kNodePortsInternal, "nodeports-internal", node_port, verdict, "the same for sources inside the cluster");
  set(SetId::kEndpoints, "endpoints", {address, Type::kInetProto, Type::kInetService, Type::kIndex}, target,
      "endpoints of services, numbered");
  set(SetId::kNodePortEndpoints, "nodeport-endpoints", {Type::kInetProto, Type::kInetService, Type::kIndex}, target,
      "endpoints of node ports, numbered");
  set(SetId::kNoEndpoints, "no-endpoints", front, verdict, "services without usable endpoints");
  set(SetId::kNodePortsNoEndpoints, "no-endpoint-nodeports", node_port, verdict, "node ports without usable endpoints");
  set(SetId::kClusterIps, "cluster-ips", {address}, {}, "cluster addresses in use");
  set(SetId::kHairpin, "hairpin", {address, address}, {}, "pods that reach themselves through a service");
  set(SetId::kMasquerade, "masquerade", front, {}, "external addresses that any node's pods may serve");
  set(SetId::kMasqueradeFromNode, "masquerade-from-node", front, {}, "external addresses that keep the source");
  set(SetId::kMasqueradeNodePorts, "masquerade-nodeports", node_port, {}, "node ports that any node's pods may serve");
  set(SetId::kMasqueradeNodePortsFromNode, "masquerade-nodeports-from-node", node_port, {},
      "node ports that keep the source");
  set(SetId::kFirewalled, "firewalled", front, {}, "load balancers with source ranges");
  set(SetId::kSourceRanges, "source-ranges", {address, Type::kInetProto, Type::kInetService, address}, {},
      "who may reach them");
  sets[static_cast<size_t>(SetId::kSourceRanges)].interval = true;
  set(SetId::kNodePortAddresses, "nodeport-addresses", {address}, {}, "addresses that node ports are served on");
  sets[static_cast<size_t>(SetId::kNodePortAddresses)].interval = true;
  const std::pair<SetId, const char*> affinities[] = {{SetId::kAffinityTcp, "affinity-tcp"},
                                                      {SetId::kAffinityUdp, "affinity-udp"},
                                                      {SetId::kAffinitySctp, "affinity-sctp"}};
  for (const auto& [id, name] : affinities) {
    set(id, name, {address, address, Type::kInetService, address, Type::kInetService}, {},
        "clients and the endpoints they stay with");
    nft::Set& affinity = sets[static_cast<size_t>(id)];
    affinity.dynamic = true;
    affinity.timeouts = true;
    affinity.size = kAffinitySize;
  }
  return sets;
}

const std::string& name_of(SetId id) { return set_of(id, false).name; }

bool limits_node_ports(const Options& options) {
  return options.nodeport_primary || !options.nodeport_addresses.empty();
}

/// On an address of this machine that node ports are served on. Not on loopback: such a connection could not leave.
Rule to_node_port(const Options& options, bool ip6) {
  Rule rule;
  rule.match(Field::kFibDaddrType, nft::bytes_of(nft::kFibLocal));
  if (limits_node_ports(options)) {
    rule.match_set({fields_of(ip6).destination}, name_of(SetId::kNodePortAddresses));
  } else if (ip6) {
    rule.match_prefix(Field::kIp6Daddr, *parse_address("::1"), 128, true);
  } else {
    rule.match_prefix(Field::kIpDaddr, *parse_address("127.0.0.0"), 8, true);
  }
  return rule;
}

std::vector<Prefix> of_family(const std::vector<Prefix>& prefixes, bool ip6) {
  std::vector<Prefix> out;
  for (const Prefix& prefix : prefixes) {
    if (is_ip6(prefix.address) == ip6) out.push_back(prefix);
  }
  return out;
}

/// Adds to a rule that the packet is a pod's.
using FromPods = std::function<Rule(Rule)>;

bool by_interface(const Options& options) {
  return options.local == Options::Local::kInterface || options.local == Options::Local::kInterfacePrefix;
}

Rule on_pod_interface(const Options& options, Field name, Rule rule) {
  return options.local == Options::Local::kInterface ? rule.match(name, nft::interface_bytes(options.local_interface))
                                                     : rule.match_name_prefix(name, options.local_interface);
}

/// One rule for each of these matches what pods send.
std::vector<FromPods> pod_sources(const Options& options, const NodeView& node, bool ip6) {
  if (by_interface(options)) {
    return {[=](Rule rule) { return on_pod_interface(options, Field::kIifName, std::move(rule)); }};
  }
  std::vector<FromPods> out;
  const bool by_node = options.local == Options::Local::kNodeRanges;
  for (const Prefix& prefix : of_family(by_node ? node.pod_ranges : options.cluster_cidrs, ip6)) {
    out.emplace_back(
        [=](Rule rule) { return rule.match_prefix(fields_of(ip6).source, prefix.address, prefix.length); });
  }
  return out;
}

}  // namespace

const nft::Set& set_of(SetId id, bool ip6) {
  static const std::array<std::array<nft::Set, kSets>, 2> sets = {make_sets(false), make_sets(true)};
  return sets[ip6 ? 1 : 0][static_cast<size_t>(id)];
}

nft::Table table_of(bool ip6) { return {ip6 ? nft::Family::kIp6 : nft::Family::kIp, "trireme-proxy"}; }

std::string schema(bool ip6) {
  // Of what is compared when a table is taken over, the rest is written anew anyway: the sets' shapes.
  std::string text;
  for (size_t i = 0; i < kSets; ++i) {
    const nft::Set& set = set_of(static_cast<SetId>(i), ip6);
    text += fmt::format("{} {} {} {}", set.name, set.interval, set.dynamic, set.size);
    for (Type type : set.key) text += fmt::format(" {}", static_cast<int>(type));
    for (Type type : set.data) text += fmt::format(":{}", static_cast<int>(type));
  }
  return fmt::format("services, kept by trireme ({:08x})", fnv1a_32(text));
}

std::string verdict_data(const nft::Verdict& verdict) { return static_cast<char>(verdict.code) + verdict.chain; }

nft::Element element_of(const Entry& entry) {
  nft::Element element{.key = entry.key, .key_end = entry.key_end};
  const nft::Set& set = set_of(entry.set, false);
  if (set.data.size() == 1 && set.data[0] == Type::kVerdict) {
    nft::Verdict verdict;
    if (!entry.data.empty()) verdict = {static_cast<nft::Verdict::Code>(entry.data[0]), entry.data.substr(1)};
    element.data = std::move(verdict);
  } else {
    element.data = entry.data;
  }
  return element;
}

Entry entry_of(SetId set, const nft::Element& element) {
  Entry entry{set, element.key, element.key_end, {}};
  if (const auto* verdict = std::get_if<nft::Verdict>(&element.data)) {
    entry.data = verdict_data(*verdict);
  } else {
    entry.data = std::get<std::string>(element.data);
  }
  if (entry.key_end == entry.key) entry.key_end.clear();
  return entry;
}

std::string pack(const std::vector<Entry>& entries) {
  std::string out;
  for (const Entry& entry : entries) {
    out += static_cast<char>(entry.set);
    for (const std::string* part : {&entry.key, &entry.key_end, &entry.data}) {
      out += static_cast<char>(static_cast<unsigned char>(part->size()));
      out += *part;
    }
  }
  out.shrink_to_fit();
  return out;
}

void for_each_entry(std::string_view packed, const std::function<void(const Entry&)>& each) {
  Entry entry;
  while (!packed.empty()) {
    entry.set = static_cast<SetId>(packed[0]);
    packed.remove_prefix(1);
    for (std::string* part : {&entry.key, &entry.key_end, &entry.data}) {
      size_t size = static_cast<unsigned char>(packed[0]);
      part->assign(packed.substr(1, size));
      packed.remove_prefix(1 + size);
    }
    each(entry);
  }
}

std::vector<Entry> static_entries(const Options& options, const NodeView& node, bool ip6) {
  std::vector<Prefix> prefixes;
  if (options.nodeport_primary) {
    for (const std::string& address : node.addresses) {
      if (is_ip6(address) == ip6) prefixes.push_back({address, static_cast<unsigned>(address.size() * 8)});
    }
  } else {
    prefixes = of_family(options.nodeport_addresses, ip6);
  }
  std::vector<Entry> out;
  for (const Prefix& prefix : outermost(std::move(prefixes))) {
    std::string last = prefix.last();
    // The kernel keeps borders: two networks side by side are one range to it.
    if (!out.empty()) {
      const std::string& end = out.back().key_end.empty() ? out.back().key : out.back().key_end;
      std::string after = end;
      for (size_t i = after.size(); i > 0; --i) {
        after[i - 1] = static_cast<char>(static_cast<unsigned char>(after[i - 1]) + 1);
        if (after[i - 1] != 0) break;
      }
      if (after == prefix.address) {
        out.back().key_end = last;
        continue;
      }
    }
    out.push_back({SetId::kNodePortAddresses, prefix.address, last == prefix.address ? std::string() : last, {}});
  }
  return out;
}

std::vector<StaticChain> static_chains(const Options& options, const NodeView& node, bool ip6) {
  const FamilyFields& f = fields_of(ip6);
  const std::vector<FromPods> from_pods = pod_sources(options, node, ip6);
  const auto is_new = [] { return Rule().match_bits(Field::kCtState, nft::kCtNew); };
  const std::string local = nft::bytes_of(nft::kFibLocal);
  const auto front = {f.destination, Field::kL4Proto, Field::kThDport};
  const auto node_port = {Field::kL4Proto, Field::kThDport};
  const auto original_front = {f.original_destination, Field::kL4Proto, Field::kCtOriginalProtoDst};
  const auto original_node_port = {Field::kL4Proto, Field::kCtOriginalProtoDst};

  std::vector<StaticChain> out;
  const auto chain = [&](const char* name, std::vector<Rule> rules) {
    out.push_back({{.name = name}, std::move(rules)});
  };
  const auto base = [&](const char* name, const char* type, Hook hook, int32_t priority, std::vector<Rule> rules) {
    out.push_back({{.name = name, .type = type, .hook = hook, .priority = priority}, std::move(rules)});
  };

  // Ordinary chains first: others jump to them.
  chain("reject",
        {Rule().match(Field::kL4Proto, nft::byte_of(6)).reject(nft::RejectWith::kTcpReset),
         Rule().reject(ip6 ? nft::RejectWith::kIcmp6PortUnreachable : nft::RejectWith::kIcmpPortUnreachable)});

  std::vector<Rule> node_ports;
  std::vector<Rule> services;
  for (const FromPods& from : from_pods) {
    services.push_back(from({}).verdict_map(front, name_of(SetId::kServicesInternal)));
    node_ports.push_back(from({}).verdict_map(node_port, name_of(SetId::kNodePortsInternal)));
  }
  const auto from_node = [&] { return Rule().match(Field::kFibSaddrType, local); };
  services.push_back(from_node().verdict_map(front, name_of(SetId::kServicesInternal)));
  node_ports.push_back(from_node().verdict_map(node_port, name_of(SetId::kNodePortsInternal)));
  services.push_back(Rule().verdict_map(front, name_of(SetId::kServices)));
  node_ports.push_back(Rule().verdict_map(node_port, name_of(SetId::kNodePorts)));
  services.push_back(to_node_port(options, ip6).verdict(nft::jump("nodeports")));
  chain("nodeports", std::move(node_ports));
  chain("services", std::move(services));

  // Who is masqueraded is told by where the connection went before it was translated: no mark is needed that others
  // might use, too.
  std::vector<Rule> masquerading;
  masquerading.push_back(Rule().match_set({f.source, f.destination}, name_of(SetId::kHairpin)).masquerade(true));
  const auto to_cluster_ip = [&](Rule rule) {
    return rule.match_set({f.original_destination}, name_of(SetId::kClusterIps));
  };
  if (options.masquerade_all) {
    masquerading.push_back(to_cluster_ip(Rule()).masquerade(true));
  } else if (!from_pods.empty()) {
    for (const FromPods& from : from_pods) masquerading.push_back(to_cluster_ip(from({})).verdict(nft::return_()));
    if (by_interface(options)) {
      // Between two ports of a bridge the kernel does not tell here where a packet came in; processes of this machine
      // have its addresses.
      Rule bridged = Rule().match(Field::kIifName, nft::interface_bytes(""));
      bridged.match(Field::kFibSaddrType, local, nft::Compare::kNotEqual);
      masquerading.push_back(
          to_cluster_ip(on_pod_interface(options, Field::kOifName, std::move(bridged))).verdict(nft::return_()));
    }
    masquerading.push_back(to_cluster_ip(Rule()).masquerade(true));
  }
  masquerading.push_back(to_cluster_ip(Rule()).verdict(nft::return_()));
  masquerading.push_back(Rule().match_set(original_front, name_of(SetId::kMasquerade)).masquerade(true));
  masquerading.push_back(from_node().match_set(original_front, name_of(SetId::kMasqueradeFromNode)).masquerade(true));
  masquerading.push_back(Rule().match_set(original_front, name_of(SetId::kMasqueradeFromNode)).verdict(nft::return_()));
  masquerading.push_back(Rule().match_set(original_node_port, name_of(SetId::kMasqueradeNodePorts)).masquerade(true));
  masquerading.push_back(
      from_node().match_set(original_node_port, name_of(SetId::kMasqueradeNodePortsFromNode)).masquerade(true));
  chain("masquerading", std::move(masquerading));

  chain("firewall", {Rule()
                         .match_set(front, name_of(SetId::kFirewalled))
                         .match_set({f.destination, Field::kL4Proto, Field::kThDport, f.source},
                                    name_of(SetId::kSourceRanges), true)
                         .verdict(nft::drop())
                         .comment("not from the service's loadBalancerSourceRanges")});

  std::vector<Rule> unserved;
  unserved.push_back(Rule().match_bits(Field::kCtStatus, nft::kCtDnatStatus).verdict(nft::return_()));
  unserved.push_back(Rule().verdict_map(front, name_of(SetId::kNoEndpoints)));
  unserved.push_back(to_node_port(options, ip6).verdict_map(node_port, name_of(SetId::kNodePortsNoEndpoints)));
  unserved.push_back(Rule()
                         .match_set({f.destination}, name_of(SetId::kClusterIps))
                         .verdict(nft::goto_("reject"))
                         .comment("ports that no service has at its cluster address"));
  const std::vector<Prefix> services_range = of_family(options.service_cidrs, ip6);
  if (!services_range.empty()) {
    unserved.push_back(Rule()
                           .match(Field::kFibDaddrType, local)
                           .verdict(nft::return_())
                           .comment("addresses that this machine has itself, as that of the cluster's DNS"));
  }
  for (const Prefix& prefix : services_range) {
    unserved.push_back(Rule()
                           .match_prefix(f.destination, prefix.address, prefix.length)
                           .verdict(nft::drop())
                           .comment("cluster addresses that no service has"));
  }
  chain("unserved", std::move(unserved));

  base("nat-prerouting", "nat", Hook::kPrerouting, kDestinationNat, {Rule().verdict(nft::jump("services"))});
  base("nat-output", "nat", Hook::kOutput, kDestinationNat, {Rule().verdict(nft::jump("services"))});
  base("nat-postrouting", "nat", Hook::kPostrouting, kSourceNat,
       {Rule().match_bits(Field::kCtStatus, nft::kCtDnatStatus).verdict(nft::jump("masquerading"))});
  base("filter-prerouting", "filter", Hook::kPrerouting, kBeforeTranslation, {is_new().verdict(nft::jump("firewall"))});
  base("filter-output", "filter", Hook::kOutput, kBeforeTranslation, {is_new().verdict(nft::jump("firewall"))});
  base("check-prerouting", "filter", Hook::kPrerouting, kAfterTranslation, {is_new().verdict(nft::jump("unserved"))});
  base("check-output", "filter", Hook::kOutput, kAfterTranslation, {is_new().verdict(nft::jump("unserved"))});
  // A late packet that its connection's memory does not accept would pass untranslated, and its receiver would reset a
  // connection it knows nothing of.
  std::vector<Rule> forward;
  for (const FromPods& from : from_pods) {
    forward.push_back(from(Rule().match_bits(Field::kCtState, nft::kCtInvalid)).verdict(nft::drop()));
  }
  base("filter-forward", "filter", Hook::kForward, 0, std::move(forward));
  return out;
}

}  // namespace trireme::proxy
