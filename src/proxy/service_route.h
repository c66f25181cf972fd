#pragma once

#include <vector>

#include "base/result.h"
#include "proxy/address.h"

namespace trireme::proxy {

/// Processes of this machine can only connect to a service's address when there is some route to it, before any
/// translation. Where a machine has no default route, or has one that makes the range unreachable, this adds one that
/// leads nowhere, for what is not translated: over the loopback interface, and for IPv6, whose routes over loopback the
/// kernel makes unreachable ones, over a device of our own, trireme-svc. One that stands already is kept.
Status add_service_routes(const std::vector<Prefix>& service_cidrs);
/// And the device. Absent counts as removed.
Status remove_service_routes();

}  // namespace trireme::proxy
