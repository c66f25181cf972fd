#pragma once

#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "dns/records.h"
#include "dns/wire.h"

/// The servers that names outside the cluster are asked of.
namespace trireme::dns {

struct Endpoint {
  Address address;
  uint16_t port = 53;
  uint32_t scope = 0;  ///< The interface's index, for "fe80::1%eth0".
  bool operator==(const Endpoint&) const = default;
};
/// "10.0.0.1", "10.0.0.1:5353", "fd00::1", "[fd00::1]:5353", "fe80::1%eth0".
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_text(const Endpoint& endpoint);
socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out);

/// One server and how it has been doing. Of one thread.
struct Upstream {
  Endpoint endpoint;
  int failures = 0;      ///< In a row.
  bool down = false;     ///< Failed twice in a row, and has not answered a probe since.
  bool looped = false;   ///< It asks us in turn: never asked again.
  bool checked = false;  ///< Whether the question that finds loops was sent.
  Name token;            ///< That question's name.
};

/// The servers of one domain, and whose turn it is.
class UpstreamGroup {
 public:
  UpstreamGroup() = default;
  explicit UpstreamGroup(const std::vector<Endpoint>& endpoints);

  /// The one to ask when those in `tried` did not answer. In turn from `start`; those that are down only when no other
  /// is left. Null when there is none at all, or each was tried.
  std::shared_ptr<Upstream> next(size_t start, const std::vector<std::shared_ptr<Upstream>>& tried) const;
  size_t size() const { return members_.size(); }
  const std::vector<std::shared_ptr<Upstream>>& members() const { return members_; }
  bool same(const std::vector<Endpoint>& endpoints) const;

 private:
  std::vector<std::shared_ptr<Upstream>> members_;
};

/// "corp.example=10.0.0.1,10.0.0.2:5353"
struct StubDomain {
  Name domain;
  std::vector<Endpoint> servers;
};
Result<StubDomain> parse_stub_domain(std::string_view text);

/// The name servers of a resolv.conf; lines that cannot be read are left out.
std::vector<Endpoint> read_resolv_conf(std::string_view text);

}  // namespace trireme::dns
