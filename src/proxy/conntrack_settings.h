#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace trireme::proxy {

/// How the kernel's memory of connections is to be set; what is zero stays as it is. Upstream's defaults.
/// https://docs.kernel.org/networking/nf_conntrack-sysctl.html
struct ConntrackSettings {
  int max_per_core = 32 * 1024;
  int min = 128 * 1024;  ///< Whatever the number of cores is.
  Duration tcp_established_timeout = std::chrono::hours(24);
  Duration tcp_close_wait_timeout = std::chrono::hours(1);
  bool tcp_be_liberal = false;
  Duration udp_timeout{};
  Duration udp_stream_timeout{};
  bool operator==(const ConntrackSettings&) const = default;
};

/// How many connections are to be remembered on a machine of `cores`; 0: as many as now.
int connections_limit(const ConntrackSettings& settings, int cores);

/// Writes the settings of the network namespace of the calling thread, with `folder` for /proc/sys/net/netfilter. The
/// limit is only raised, and only the machine's first namespace has one. Everything is tried; the first failure is
/// returned.
Status set_conntrack(const ConntrackSettings& settings, int cores,
                     const std::string& folder = "/proc/sys/net/netfilter");

}  // namespace trireme::proxy
