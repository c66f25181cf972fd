#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ingress/plan.h"

namespace trireme::ingress {

struct NginxSettings {
  std::string folder;   ///< Of everything that is written: configuration, certificates, pid, error log.
  std::string address;  ///< To listen on; empty: all, IPv4 and IPv6.
  int http_port = 80;
  int https_port = 443;
  std::string user;                 ///< Of the workers; empty: nginx's own choice.
  std::string default_certificate;  ///< File with certificate and key.
  bool ipv6 = true;                 ///< Whether the machine has IPv6.
};

/// nginx's configuration for a plan. `certificates`: the file of each TlsSecret that the plan names. The same plan
/// gives the same text. Nothing that comes from objects can end its place: see `quoted`.
std::string nginx_config(const Plan& plan, const NginxSettings& settings,
                         const std::map<const TlsSecret*, std::string>& certificates);

/// `text` as one word of nginx's configuration, whatever it holds.
std::string quoted(std::string_view text);

}  // namespace trireme::ingress
