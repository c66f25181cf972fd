#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "linux/mac_address.h"

struct mnl_socket;
struct nlmsghdr;

/// Links, addresses, routes and neighbours of a network namespace, through rtnetlink.
/// https://man7.org/linux/man-pages/man7/rtnetlink.7.html
namespace trireme::linux {

/// The `protocol` of every route that Trireme sets, by which `ip route show proto 116` finds them.
inline constexpr uint8_t kRouteProtocol = 116;

/// A VXLAN device's own properties.
struct Vxlan {
  uint32_t vni = 0;
  uint16_t port = 8472;  ///< UDP; Linux' number, which flannel uses too (IANA's is 4789).
  IpAddress local;       ///< Source address of the tunnel; none: the route's.
  int link = 0;          ///< Index of the interface below; 0: any.
  bool learning = false;
  bool gbp = false;
  bool operator==(const Vxlan&) const = default;
};

struct Link {
  int index = 0;
  std::string name;
  std::string kind;  ///< "vxlan", "bridge", "veth"; empty for hardware and loopback.
  bool up = false;   ///< Administratively.
  bool loopback = false;
  uint32_t mtu = 0;
  MacAddress mac;
  int master = 0;  ///< Index of the bridge it is a port of; 0: none.
  std::optional<Vxlan> vxlan;
};

struct NewLink {
  std::string name;
  std::string kind;  ///< "vxlan", "bridge" or "veth".
  uint32_t mtu = 0;  ///< 0: the kernel's choice.
  MacAddress mac;    ///< Empty: the kernel's choice.
  std::optional<Vxlan> vxlan;
  std::string peer;         ///< A veth's other end,
  int peer_namespace = -1;  ///< and the descriptor of the namespace it is made in; -1: this one.
};

struct Address {
  int link = 0;
  IpPrefix prefix;
  uint8_t scope = 0;  ///< RT_SCOPE_*; 0 is global.
  uint32_t flags = 0;
};

enum class RouteType : uint8_t { kOther = 0, kUnicast = 1, kLocal = 2, kBlackhole = 6, kUnreachable = 7 };

/// A route of the main table, unless `table` says otherwise. Of a multipath route the first hop stands here.
struct Route {
  IpPrefix destination;  ///< Of length 0: the default route of its family.
  IpAddress gateway;     ///< None: the destination is on the link.
  int link = 0;
  IpAddress source;  ///< Preferred source address.
  uint8_t protocol = kRouteProtocol;
  uint8_t scope = 0;
  RouteType type = RouteType::kUnicast;
  uint32_t metric = 0;  ///< IPv6's default is shown as 1024.
  uint32_t table = 254;
  bool onlink = false;  ///< The gateway counts as reachable on `link`, whatever the link's addresses.
  bool operator==(const Route&) const = default;
};

/// An ARP or NDP entry, or (with `fdb`) one of a bridge's or VXLAN device's forwarding table, whose `address` is the
/// tunnel's far end, or (with `proxy`) one for which this machine answers in another's place.
struct Neighbour {
  int link = 0;
  IpAddress address;
  MacAddress mac;
  bool fdb = false;
  bool permanent = true;
  bool proxy = false;
  uint8_t protocol = 0;  ///< Of a `proxy`: who set it, as with routes.
  auto operator<=>(const Neighbour&) const = default;
};

/// Narrows a listing; what is 0 does not.
struct RouteFilter {
  uint8_t family = 0;
  uint8_t protocol = 0;
  int link = 0;
};

/// A connection to the kernel's rtnetlink. It stays with the network namespace it was opened in. For one thread at a
/// time. Changes need CAP_NET_ADMIN. Failures say what was tried and the kernel's reason: NotFound (ENOENT, ENODEV,
/// ESRCH, EADDRNOTAVAIL), AlreadyExists (EEXIST), Forbidden (EPERM, EACCES), else InternalError.
class Netlink {
 public:
  static Result<Netlink> open();

  Result<std::vector<Link>> links();
  Result<Link> link(std::string_view name);
  Status add_link(const NewLink& link);
  Status delete_link(int index);
  Status set_up(int index, bool up);
  Status set_mtu(int index, uint32_t mtu);
  Status set_mac(int index, const MacAddress& mac);
  /// `bridge` 0 releases it.
  Status set_master(int index, int bridge);

  /// Of one link, or of all (0).
  Result<std::vector<Address>> addresses(int link = 0);
  Status add_address(const Address& address);
  Status delete_address(const Address& address);

  Result<std::vector<Route>> routes(const RouteFilter& filter = {});
  /// Fails when there is a route with this destination and metric.
  Status add_route(const Route& route);
  /// Takes the place of a route with this destination and metric.
  Status replace_route(const Route& route);
  /// Deletes the route that has everything that is set in `route`; `protocol` 0 matches any.
  Status delete_route(const Route& route);
  /// The route that a packet to `destination` would take now.
  Result<Route> route_to(const IpAddress& destination);

  /// ARP and NDP entries.
  Result<std::vector<Neighbour>> neighbours(int link);
  /// A bridge's or VXLAN device's entries.
  Result<std::vector<Neighbour>> forwarding(int link);
  /// Entries of the kind `proxy`, of both families. That the kernel answers needs forwarding on the link, and a route
  /// to the address over another one; for IPv6 also the link's proxy_ndp.
  Result<std::vector<Neighbour>> proxies();
  /// Adds, or changes the entry for the same address (with `fdb`: the same mac).
  Status set_neighbour(const Neighbour& neighbour);
  Status delete_neighbour(const Neighbour& neighbour);

 private:
  struct CloseSocket {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netlink(mnl_socket* socket) : socket_(socket) {}

  template <typename T, typename Keep>
  Result<std::vector<T>> dump(nlmsghdr* request, std::string_view what, Keep keep);
  Status change(nlmsghdr* request, std::string_view what);
  Status change_link(int index, nlmsghdr* request, std::string_view what);
  Status write_route(const Route& route, uint16_t type, uint16_t flags, std::string_view verb);
  Status write_neighbour(const Neighbour& neighbour, uint16_t type, uint16_t flags, std::string_view verb);

  std::unique_ptr<mnl_socket, CloseSocket> socket_;
  uint32_t sequence_ = 0;
};

/// "10.244.1.0/24 via 10.244.1.0", for messages.
std::string to_string(const Route& route);

}  // namespace trireme::linux
