#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "proxy/address.h"

namespace trireme::proxy {

/// The `protocol` of the routes (and proxy neighbours) for services, by which `ip route show proto 117` finds them. Not
/// the overlay's number, which looks after its own.
inline constexpr uint8_t kServiceRoute = 117;
/// A device that leads nowhere: a bridge without ports, the one kind that every kernel has which runs pods.
inline constexpr const char* kServiceDevice = "trireme-svc";

/// Processes of this machine can only connect to a service's address when there is some route to it, before any
/// translation. Where a machine has no default route, or has one that makes the range unreachable, this adds one that
/// leads nowhere, for what is not translated: over the loopback interface, and for IPv6, whose routes over loopback the
/// kernel makes unreachable ones, over a device of our own, trireme-svc. One that stands already is kept.
Status add_service_routes(const std::vector<Prefix>& service_cidrs);
/// Such routes to single addresses of services outside the cluster's ranges; those to other single addresses go.
Status keep_host_routes(const std::vector<Prefix>& hosts);
/// All of them, and the device. Absent counts as removed.
Status remove_service_routes();

}  // namespace trireme::proxy
