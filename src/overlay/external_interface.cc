#include "overlay/external_interface.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <regex>

namespace trireme::overlay {
namespace {

constexpr uint32_t kLoopbackMtu = 1500;

class Chooser {
 public:
  Chooser(const InterfaceFacts& facts, const InterfaceOptions& options, const NetworkConfig& config)
      : facts_(facts), options_(options), config_(config) {}

  Result<ExternalInterface> run() {
    for (const std::string& wanted : options_.iface) {
      const auto address = IpAddress::parse(wanted);
      if (const linux::Link* link = address ? link_with(*address) : link_named(wanted)) return describe(*link);
    }
    for (const std::string& wanted : options_.iface_regex) {
      TRY_ASSIGN(const linux::Link* link, link_matching(wanted));
      if (link != nullptr) return describe(*link);
    }
    if (!options_.iface_can_reach.empty()) {
      if (const linux::Link* link = link_of(facts_.reachable_link)) return describe(*link);
      return Status::not_found(fmt::format("there is no route to {} (--iface-can-reach)", options_.iface_can_reach));
    }
    if (!options_.iface.empty() || !options_.iface_regex.empty()) {
      return Status::not_found(fmt::format(
          "no interface is {}", fmt::join(options_.iface.empty() ? options_.iface_regex : options_.iface, ", nor ")));
    }
    if (const linux::Link* link = link_of(facts_.default_link)) return describe(*link);
    return Status::not_found(
        "there is no default route by which to find the interface between nodes; name it (--iface)");
  }

 private:
  const linux::Link* find(const std::function<bool(const linux::Link&)>& matches) const {
    const auto found = std::ranges::find_if(facts_.links, matches);
    return found == facts_.links.end() ? nullptr : &*found;
  }
  const linux::Link* link_of(int index) const {
    return find([&](const linux::Link& link) { return link.index == index; });
  }
  const linux::Link* link_named(const std::string& name) const {
    return find([&](const linux::Link& link) { return link.name == name; });
  }
  const linux::Link* link_with(const IpAddress& address) const {
    for (const linux::Address& each : facts_.addresses) {
      if (each.prefix.address == address) return link_of(each.link);
    }
    return nullptr;
  }
  Result<const linux::Link*> link_matching(const std::string& text) const {
    try {
      const std::regex pattern(text);
      for (const linux::Link& link : facts_.links) {
        if (std::regex_search(link.name, pattern)) return &link;
      }
      for (const linux::Address& each : facts_.addresses) {
        if (std::regex_search(each.prefix.address.to_string(), pattern)) return link_of(each.link);
      }
      return nullptr;
    } catch (const std::regex_error& error) {
      return Status::bad_request(fmt::format("flag --iface-regex: \"{}\": {}", text, error.what()));
    }
  }

  /// The address that was named, else the first that others may know.
  IpAddress address_of(const linux::Link& link, bool ipv6) const {
    IpAddress first;
    for (const linux::Address& each : facts_.addresses) {
      const IpAddress& address = each.prefix.address;
      if (each.link != link.index || address.is_ipv6() != ipv6) continue;
      if (std::ranges::find(options_.iface, address.to_string()) != options_.iface.end()) return address;
      const bool usable = each.scope == RT_SCOPE_UNIVERSE || link.loopback;
      if (first.empty() && usable) first = address;
    }
    return first;
  }

  Result<ExternalInterface> describe(const linux::Link& link) const {
    ExternalInterface out;
    out.index = link.index;
    out.name = link.name;
    out.mtu = link.loopback ? std::min(link.mtu, kLoopbackMtu) : link.mtu;
    out.address = address_of(link, false);
    out.address_ipv6 = address_of(link, true);
    if (config_.enable_ipv4 && out.address.empty()) {
      return Status::not_found(fmt::format("interface {} has no IPv4 address", link.name));
    }
    if (config_.enable_ipv6 && out.address_ipv6.empty()) {
      return Status::not_found(fmt::format("interface {} has no global IPv6 address", link.name));
    }
    return out;
  }

  const InterfaceFacts& facts_;
  const InterfaceOptions& options_;
  const NetworkConfig& config_;
};

}  // namespace

Result<ExternalInterface> choose_interface(const InterfaceFacts& facts, const InterfaceOptions& options,
                                           const NetworkConfig& config) {
  return Chooser(facts, options, config).run();
}

Result<ExternalInterface> find_interface(linux::Netlink& netlink, const InterfaceOptions& options,
                                         const NetworkConfig& config) {
  InterfaceFacts facts;
  TRY_ASSIGN(facts.links, netlink.links());
  TRY_ASSIGN(facts.addresses, netlink.addresses());
  if (!options.iface_can_reach.empty()) {
    const auto target = IpAddress::parse(options.iface_can_reach);
    if (!target) return Status::bad_request("flag --iface-can-reach: not an address");
    TRY_ASSIGN(const linux::Route route, netlink.route_to(*target));
    facts.reachable_link = route.link;
  } else if (options.iface.empty() && options.iface_regex.empty()) {
    const uint8_t family = config.enable_ipv4 ? AF_INET : AF_INET6;
    TRY_ASSIGN(const auto routes, netlink.routes({.family = family}));
    uint32_t metric = 0;
    for (const linux::Route& route : routes) {
      if (route.destination.length != 0 || route.link == 0) continue;
      if (facts.default_link == 0 || route.metric < metric) {
        facts.default_link = route.link;
        metric = route.metric;
      }
    }
  }
  return choose_interface(facts, options, config);
}

}  // namespace trireme::overlay
