#pragma once

#include <string>

#include "base/result.h"

/// Routes and links of this network namespace, through rtnetlink. All calls block briefly and need CAP_NET_ADMIN to
/// change.
namespace trireme::linux {

/// Makes packets to `cidr` ("10.96.0.0/12") fail at once with "host unreachable" where no more specific route exists,
/// instead of leaving by the default route. Done already counts as done.
Status add_unreachable_route(const std::string& cidr);
/// Absent counts as removed.
Status remove_unreachable_route(const std::string& cidr);

/// Deletes an interface by name; absent counts as deleted.
Status delete_link(const std::string& name);

/// The address this machine would use to reach others: that of the interface with the default route, else of the
/// first interface that is up; "127.0.0.1" when there is none. IPv4.
std::string primary_address();

}  // namespace trireme::linux
