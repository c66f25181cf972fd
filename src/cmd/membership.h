#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "join/cluster_info.h"

namespace trireme::cmd {

/// What a joined node remembers, in DATA-DIR/membership.json (0600; certificates lie in pki/ beside it): enough to
/// start again without a token, also while the API server cannot be reached.
struct Membership {
  std::string server;  ///< "https://192.0.2.1:6443"
  std::string node_name;
  std::vector<std::string> flags;  ///< The node's own, as they were given when it joined.
  join::ClusterFacts facts;
};

/// NotFound when the machine has not joined; BadRequest when the file is no such.
Result<Membership> read_membership(const std::string& file);
Status write_membership(const std::string& file, const Membership& membership);

/// The words of a `trireme join` that belong to the node for good: without the address, the token, the hash, and where
/// state lies.
std::vector<std::string> lasting_flags(const std::vector<std::string>& words, const std::string& address);

}  // namespace trireme::cmd
