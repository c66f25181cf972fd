#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "linux/netlink_client.h"

namespace trireme::proxy {

/// Answers on a link for addresses that no machine has, with the kernel's own means: proxy entries of its ARP and NDP
/// tables. So the address does not become one of this machine: no other program of it is reached by it, nothing takes
/// it for its own address, and ports that no service has lead nowhere. Works in the network namespace of the calling
/// thread; for one thread.
class Layer2 {
 public:
  static Result<Layer2> open();

  /// Makes `all` addresses reachable from this machine itself (by a route that leads nowhere, which only what is not
  /// translated takes), and has the kernel answer for those of them that are `ours`, each on the link whose network it
  /// is of, else on that of this machine's own address of its family. Whatever else was answered for or routed so is
  /// not any more. `fresh` gets what is newly answered for. Everything is tried; the first failure is returned.
  Status apply(const std::set<IpAddress>& all, const std::set<IpAddress>& ours, std::vector<IpAddress>& fresh);
  /// Tells everybody on their links where those are reached now.
  Status tell(const std::vector<IpAddress>& addresses);

 private:
  explicit Layer2(linux::Netlink netlink) : netlink_(std::move(netlink)) {}
  /// Without those that there is no link for: `missing` is set.
  Result<std::map<IpAddress, linux::Link>> links_for(const std::set<IpAddress>& addresses, Status& missing);
  Status prepare(const linux::Link& link, bool ipv6);
  void restore(int link, bool ipv6);
  Status route(const std::set<IpAddress>& all);

  linux::Netlink netlink_;
  std::map<IpAddress, linux::Link> held_;
  /// By link and family: settings of the kernel, as they were before.
  std::map<std::pair<int, bool>, std::vector<std::pair<std::string, std::string>>> before_;
};

/// Removes all entries that a Layer2 has left in this network namespace.
Status remove_layer2();

}  // namespace trireme::proxy
