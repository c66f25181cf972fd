#pragma once

#include "base/ip_address.h"
#include "base/result.h"
#include "linux/mac_address.h"

namespace trireme::linux {

/// Tells everybody on a link, unasked, that `address` is reached at `mac` from now on: a gratuitous ARP request and
/// reply (RFC 5227), or an unsolicited neighbour advertisement (RFC 4861, 7.2.6). Sends and returns; nobody confirms
/// it. Needs CAP_NET_RAW.
Status tell_neighbours(int link, const MacAddress& mac, const IpAddress& address);

}  // namespace trireme::linux
