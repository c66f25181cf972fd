#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/ip_address.h"
#include "proxy/endpoints.h"

/// Which node answers for which address of a load balancer: a pure function, which gives the same on every node.
namespace trireme::proxy {

struct AnnouncePlan {
  std::map<IpAddress, std::string> all;  ///< Every address that is announced, and whose it is: "namespace/name".
  std::set<IpAddress> ours;              ///< Those for which this node answers.
  bool operator==(const AnnouncePlan&) const = default;
};

using NodePointer = std::shared_ptr<const api::corev1::Node>;

/// Of which families a node's addresses are, if it may serve load balancers at all.
struct Families {
  bool ip4 = false;
  bool ip6 = false;
  bool operator==(const Families&) const = default;
};
Families families_served(const api::corev1::Node& node);

/// Of the nodes that may serve load balancers and have addresses of the family, with externalTrafficPolicy Local of
/// those with ready endpoints, the one whose name and the address give the highest number (rendezvous hashing): when a
/// node goes, only its own addresses move. `slices_of` is asked for services of policy Local.
AnnouncePlan plan_announcements(const std::vector<ServicePointer>& services, const std::vector<NodePointer>& nodes,
                                const std::function<std::vector<SlicePointer>(const std::string& key)>& slices_of,
                                std::string_view self);

}  // namespace trireme::proxy
