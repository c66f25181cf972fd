#include "proxy/layer2.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

#include "linux/file.h"
#include "linux/own_addresses.h"
#include "linux/tell_neighbours.h"
#include "proxy/service_route.h"

namespace trireme::proxy {
namespace {

using linux::Link;
using linux::Neighbour;
using linux::Netlink;

Status unless_absent(Status status) { return status.is(Reason::kNotFound) ? Status() : status; }

std::vector<Neighbour> ours_of(std::vector<Neighbour> proxies) {
  std::erase_if(proxies, [](const Neighbour& each) { return each.protocol != kServiceRoute; });
  return proxies;
}

Neighbour entry(int link, const IpAddress& address) {
  Neighbour out;
  out.link = link;
  out.address = address;
  out.proxy = true;
  out.protocol = kServiceRoute;
  return out;
}

}  // namespace

Result<Layer2> Layer2::open() {
  TRY_ASSIGN(Netlink netlink, Netlink::open());
  return Layer2(std::move(netlink));
}

Result<std::map<IpAddress, Link>> Layer2::links_for(const std::set<IpAddress>& addresses, Status& missing) {
  std::map<IpAddress, Link> out;
  if (addresses.empty()) return out;
  std::map<int, Link> links;
  TRY_ASSIGN(const auto all_links, netlink_.links());
  for (const Link& link : all_links) {
    if (link.up && !link.loopback && link.name != kServiceDevice && !link.mac.empty()) links[link.index] = link;
  }
  TRY_ASSIGN(const auto own, netlink_.addresses());
  std::map<bool, IpAddress> main;
  for (const std::string& text : linux::own_addresses()) {
    if (const auto address = IpAddress::parse(text)) main.emplace(address->is_ipv6(), *address);
  }
  for (const IpAddress& address : addresses) {
    const Link* chosen = nullptr;
    uint8_t longest = 0;
    for (const linux::Address& each : own) {
      const auto link = links.find(each.link);
      if (link == links.end() || each.prefix.address.family != address.family) continue;
      if (each.prefix.masked().contains(address) && each.prefix.length >= longest) {
        chosen = &link->second;
        longest = each.prefix.length;
      } else if (longest == 0 && each.prefix.address == main[address.is_ipv6()]) {
        chosen = &link->second;
      }
    }
    if (chosen != nullptr) {
      out.emplace(address, *chosen);
    } else {
      missing = Status::not_found(fmt::format("no link to answer for {} on", address.to_string()));
    }
  }
  return out;
}

/// By default the kernel answers IPv6's only when it is told to, and IPv4's after up to 0.8 seconds.
Status Layer2::prepare(const Link& link, bool ipv6) {
  auto& before = before_[{link.index, ipv6}];
  if (!before.empty()) return {};
  std::map<std::string, std::string> wanted = {
      {fmt::format("/proc/sys/net/{}/neigh/{}/proxy_delay", ipv6 ? "ipv6" : "ipv4", link.name), "0\n"}};
  if (ipv6) wanted[fmt::format("/proc/sys/net/ipv6/conf/{}/proxy_ndp", link.name)] = "1\n";
  for (const auto& [path, value] : wanted) {
    TRY_ASSIGN(std::string now, linux::read_file(path));
    if (now != value) TRY(linux::write_existing(path, value));
    before.emplace_back(path, std::move(now));
  }
  return {};
}

void Layer2::restore(int link, bool ipv6) {
  const auto at = before_.find({link, ipv6});
  if (at == before_.end()) return;
  // A link that is gone has taken its settings along.
  for (const auto& [path, value] : at->second) (void)linux::write_existing(path, value);
  before_.erase(at);
}

Status Layer2::route(const std::set<IpAddress>& all) {
  std::vector<Prefix> hosts;
  for (const IpAddress& address : all) {
    hosts.push_back(
        {{reinterpret_cast<const char*>(address.bytes.data()), address.size()}, static_cast<unsigned>(address.bits())});
  }
  return keep_host_routes(hosts);
}

Status Layer2::apply(const std::set<IpAddress>& all, const std::set<IpAddress>& ours, std::vector<IpAddress>& fresh) {
  Status first = route(all);
  const auto note = [&first](Status status) {
    if (first.ok()) first = std::move(status);
  };
  Status missing;
  TRY_ASSIGN(const auto links, links_for(ours, missing));
  note(std::move(missing));
  TRY_ASSIGN(auto standing, netlink_.proxies());
  standing = ours_of(std::move(standing));
  for (const auto& [address, link] : links) {
    const Neighbour wanted = entry(link.index, address);
    note(prepare(link, address.is_ipv6()));
    const auto there = std::ranges::find_if(standing, [&, &host = address, &on = link](const Neighbour& each) {
      return each.address == host && each.link == on.index;
    });
    if (there != standing.end()) {
      standing.erase(there);
      continue;
    }
    Status status = netlink_.set_neighbour(wanted);
    if (status.ok()) fresh.push_back(address);
    note(std::move(status));
  }
  for (const Neighbour& each : standing) note(unless_absent(netlink_.delete_neighbour(each)));
  for (const auto& [address, link] : std::exchange(held_, links)) {
    const bool used = std::ranges::any_of(held_, [&, &host = address, &on = link](const auto& each) {
      return each.second.index == on.index && each.first.family == host.family;
    });
    if (!used) restore(link.index, address.is_ipv6());
  }
  return first;
}

Status Layer2::tell(const std::vector<IpAddress>& addresses) {
  Status first;
  for (const IpAddress& address : addresses) {
    const auto at = held_.find(address);
    if (at == held_.end()) continue;
    Status status = linux::tell_neighbours(at->second.index, at->second.mac, address);
    if (first.ok()) first = std::move(status);
  }
  return first;
}

Status remove_layer2() {
  TRY_ASSIGN(Netlink netlink, Netlink::open());
  TRY_ASSIGN(const auto standing, netlink.proxies());
  for (const Neighbour& each : ours_of(standing)) TRY(unless_absent(netlink.delete_neighbour(each)));
  return keep_host_routes({});
}

}  // namespace trireme::proxy
