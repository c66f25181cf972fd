#pragma once

#include <memory>

#include "base/result.h"
#include "proxy/planner.h"

namespace trireme::proxy {

/// Brings what was planned to where packets pass. Used by one thread.
class Applier {
 public:
  virtual ~Applier() = default;

  /// Makes the table what the planner says, whatever stands there, in one transaction. What is the same already stays
  /// untouched, and so do the clients that are bound to endpoints.
  virtual Status replace(const Planner& planner) = 0;
  /// One transaction on top of what was applied before. When it fails nothing has changed, and `replace` is due.
  virtual Status apply(bool ip6, const Change& change) = 0;
  /// Forgets connections that go where they must not any more; returns how many.
  virtual Result<size_t> forget(bool ip6, const std::vector<DatagramPort>& stale) = 0;

  /// Readable when somebody else may have changed the tables; -1: never.
  virtual int watch_fd() const = 0;
  /// Reads what came in. True when what was applied does not stand any more.
  virtual bool disturbed() = 0;
};

/// nftables and the kernel's connection tracking in the network namespace of the calling thread.
Result<std::unique_ptr<Applier>> nft_applier();

/// Deletes both tables; absent counts as deleted.
Status remove_tables();

}  // namespace trireme::proxy
