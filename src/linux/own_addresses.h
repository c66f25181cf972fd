#pragma once

#include <string>
#include <vector>

namespace trireme::linux {

/// The addresses by which others reach this machine: `primary_address`, and the first IPv6 address on the same
/// interface that is neither link-local nor loopback. On a machine without IPv4, the first such IPv6 address of any
/// interface that is up. {"127.0.0.1"} when there is nothing else.
std::vector<std::string> own_addresses();

/// Whether this machine has IPv6 at all, so that "::" can be listened on.
bool has_ipv6();

}  // namespace trireme::linux
