#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

/// The kernel's memory of connections, through ctnetlink, in the network namespace of the calling thread.
namespace trireme::linux {

/// One tracked flow. Addresses are the bytes of packets: 4 or 16.
struct Flow {
  std::string source;
  std::string destination;  ///< As the client sent it: before translation.
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  std::string reply_source;  ///< Who answers: where it was translated to.
  uint16_t reply_source_port = 0;
};

/// Deletes the flows of a protocol (IPPROTO_*) that `wanted` picks; returns how many were there to delete. Needs
/// CAP_NET_ADMIN.
Result<size_t> delete_flows(bool ip6, uint8_t protocol, const std::function<bool(const Flow&)>& wanted);

}  // namespace trireme::linux
