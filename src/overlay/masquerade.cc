#include "overlay/masquerade.h"

#include <string_view>

namespace trireme::overlay {
namespace {

namespace nft = linux::nft;

constexpr uint32_t kProxyMark = 0x4000;  // kube-proxy's own masquerading takes care of these
constexpr int kSourceNat = 100;          // the priority that nft calls srcnat
constexpr std::string_view kChain = "postrouting";

nft::Table table_of(const std::string& name, bool ipv6) { return {ipv6 ? nft::Family::kIp6 : nft::Family::kIp, name}; }

/// A network that an address is in, or (`not_in`) is not.
struct Side {
  const IpPrefix& network;
  bool not_in = false;
};

nft::Rule between(const Side& source, const Side& destination) {
  const bool ipv6 = source.network.address.is_ipv6();
  nft::Rule rule;
  const auto match = [&](nft::Field field, const Side& side) {
    const IpAddress& address = side.network.address;
    const std::string_view bytes(reinterpret_cast<const char*>(address.bytes.data()), address.size());
    rule.match_prefix(field, bytes, side.network.length, side.not_in);
  };
  match(ipv6 ? nft::Field::kIp6Saddr : nft::Field::kIpSaddr, source);
  match(ipv6 ? nft::Field::kIp6Daddr : nft::Field::kIpDaddr, destination);
  return rule;
}

}  // namespace

void masquerade_rules(const std::string& name, const NetworkConfig& config, const Lease& own, nft::Batch& batch) {
  for (const bool ipv6 : {false, true}) {
    const nft::Table table = table_of(name, ipv6);
    batch.destroy_table(table);
    const IpPrefix& subnet = ipv6 ? own.ipv6_subnet : own.subnet;
    if (!(ipv6 ? config.enable_ipv6 : config.enable_ipv4) || subnet.empty()) continue;
    batch.add_table(table, "masquerading of what leaves the pod network");
    batch.add_chain(
        table, {.name = std::string(kChain), .type = "nat", .hook = nft::Hook::kPostrouting, .priority = kSourceNat});
    const IpPrefix& network = ipv6 ? config.ipv6_network : config.network;
    const IpPrefix multicast = *IpPrefix::parse(ipv6 ? "ff00::/8" : "224.0.0.0/4");
    for (const nft::Rule& rule : {
             nft::Rule().match_bits(nft::Field::kMark, kProxyMark).verdict(nft::return_()),
             between({subnet}, {network}).verdict(nft::return_()),
             between({network}, {subnet}).verdict(nft::return_()),
             between({network, true}, {subnet}).verdict(nft::return_()),
             between({network}, {multicast, true}).masquerade(true),
             between({network, true}, {network}).masquerade(true),
         }) {
      batch.add_rule(table, kChain, rule);
    }
  }
}

Status remove_masquerade(const std::string& name) {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  nft::Batch batch;
  for (const bool ipv6 : {false, true}) batch.destroy_table(table_of(name, ipv6));
  return socket.commit(batch);
}

}  // namespace trireme::overlay
