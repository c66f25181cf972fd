#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "linux/netlink_client.h"

namespace trireme::linux {

/// One message of rtnetlink, read.
struct NetlinkMessage {
  uint32_t sequence = 0;
  bool done = false;         ///< The end of a listing.
  bool interrupted = false;  ///< Things changed while they were listed.
  std::optional<int> error;  ///< An acknowledgement: 0, or the errno.
  std::string explanation;   ///< The kernel's words for the error; mostly empty.
  bool removed = false;      ///< The object has gone (RTM_DEL…).
  std::variant<std::monostate, Link, Address, Route, Neighbour> object;
};

/// Calls `each` for every message in a datagram of the kernel, in order. Messages of other types have no object.
/// False when the datagram is cut short or malformed; what came before was reported. `bytes` must be aligned to four.
bool parse_netlink(std::string_view bytes, const std::function<void(const NetlinkMessage&)>& each);

}  // namespace trireme::linux
