#pragma once

#include <vector>

#include "base/result.h"
#include "proxy/address.h"

namespace trireme::proxy {

/// Processes of this machine can only connect to a service's address when there is some route to it, before any
/// translation. Where a machine has no default route, or has one that makes the range unreachable, this adds one, on
/// the loopback interface: what is not translated goes nowhere. IPv4 only: the kernel makes IPv6 routes over loopback
/// unreachable ones. One that stands already is kept.
Status add_service_routes(const std::vector<Prefix>& service_cidrs);
/// Absent counts as removed.
Status remove_service_routes();

}  // namespace trireme::proxy
