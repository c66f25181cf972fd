#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace trireme::simulator {

/// A running hash over everything that was written to the store: key, revision, bytes and the virtual time. Two runs
/// with the same hash did the same. Must not outlive the store.
class Trace {
 public:
  /// Follows `store`, which delivers inline. `file`, when not null, gets a line for every write: what to compare when
  /// two runs differ.
  static Result<std::unique_ptr<Trace>> follow(store::Store& store, std::shared_ptr<Clock> clock, std::FILE* file);

  uint64_t hash() const;
  uint64_t writes() const;

 private:
  class Sink;
  std::shared_ptr<Sink> sink_;
  std::unique_ptr<store::Watch> watch_;
};

}  // namespace trireme::simulator
