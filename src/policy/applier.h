#pragma once

#include "base/result.h"
#include "policy/ruleset.h"

namespace trireme::policy {

/// Where the rules come into force: the kernel, or a test's table. Called by one thread at a time.
class Applier {
 public:
  virtual ~Applier() = default;

  /// Whatever was there gives way to `everything`, in one step: at no time do other rules hold, or none.
  virtual Status replace(const Changes& everything) = 0;
  /// All or nothing. After a failure what is in force may not be what was thought: `replace` it.
  virtual Status apply(const Changes& changes) = 0;
  /// Nothing is left; nothing being there is fine.
  virtual Status remove() = 0;
};

}  // namespace trireme::policy
