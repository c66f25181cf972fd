#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"
#include "join/bootstrap_token.h"
#include "join/cluster_info.h"

namespace trireme::join {

struct DiscoveryOptions {
  std::string address;  ///< "192.0.2.1:6443", "[2001:db8::1]:6443", "node-1.example:6443".
  BootstrapToken token;
  std::vector<std::string> ca_hashes;  ///< As `normal_ca_hash` writes them; one must fit.
  Duration timeout = std::chrono::seconds(10);
};

/// "https://HOST:PORT" of what a user gave as a server's address: with or without scheme, port 6443 by default, IPv6
/// with or without brackets. BadRequest otherwise.
Result<std::string> server_url(std::string_view address);

/// Finds out whom to trust, as kubeadm does: reads kube-public/cluster-info over a connection that trusts nobody,
/// checks its signature by the token and its authority by the pinned hashes, then reads it once more over a connection
/// that trusts that authority, and both must say the same. The server's address is the given one where its certificate
/// is made out for that, else the one that cluster-info names.
///
/// Failures say what to do: ServiceUnavailable (unreachable), Unauthorized (token, hash), BadRequest (clocks that
/// differ so much that certificates do not count, no cluster-info).
Result<ClusterAddress> discover(const DiscoveryOptions& options, Clock& clock);

/// A client at `address` that proves itself by the token.
Result<client::Client> bootstrap_client(const ClusterAddress& address, const BootstrapToken& token);

/// That the server is of a version that a node of ours may have: its minor version at least ours and at most three
/// more (https://kubernetes.io/releases/version-skew-policy/#kubelet). `version_json` is what /version answers.
Status check_version(std::string_view version_json);

/// That no living node has this name. Conflict when there is one that is Ready.
Status check_name_is_free(client::Client client, const std::string& node_name);

/// How far the server's clock is ahead of `now`, by the Date of its answer (RFC 9110, 5.6.7); nothing when it has none.
std::optional<Duration> clock_difference(const net::Response& response, WallTime now);

}  // namespace trireme::join
