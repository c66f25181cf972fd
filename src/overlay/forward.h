#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "linux/nft.h"
#include "overlay/config.h"

/// Packets of pods pass a machine whose iptables drop what they forward, as Docker makes them.
///
/// A verdict "accept" of one nftables table does not overrule another's "drop". So these are the only rules that stand
/// in a table of somebody else's: a chain of our own in iptables' `filter` table, to which the first rule of FORWARD
/// leads, accepts what comes from or goes to the pods' network, as flannel's FLANNEL-FWD does. Its name is not
/// flannel's, because it is wholly ours: it is emptied and removed without a look at who else might have written into
/// it, and two clusters on one machine have one each.
namespace trireme::overlay {

inline constexpr std::string_view kForwardChain = "TRIREME-FWD";

/// Whether a change in this table may concern the rules.
bool concerns_forwarding(const linux::nft::Table& table);

/// Puts the rules into the tables `ip filter` and `ip6 filter`, as far as they have a chain FORWARD: in one
/// transaction, and only when they do not stand already. Takes away those of a family that the network does not have.
Status ensure_forward_rules(linux::nft::Socket& socket, const std::string& chain, const NetworkConfig& config);

/// The same rules for the older kind of iptables, which nftables knows nothing of: where its table is loaded or the
/// machine's command `iptables` is of this kind. The kernel tells nobody when somebody removes these.
Status ensure_legacy_forward_rules(const std::string& chain, const NetworkConfig& config);

/// Removes the rules and the chain, of both kinds; absent counts as removed.
Status remove_forward_rules(const std::string& chain);

}  // namespace trireme::overlay
