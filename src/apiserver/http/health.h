#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "apiserver/http/context.h"
#include "base/status.h"

namespace trireme::apiserver {

/// /healthz, /livez and /readyz with their checks, each also at a path of its own; `?verbose` lists them and
/// `?exclude=NAME` leaves some out. https://kubernetes.io/docs/reference/using-api/health-checks/
class Health {
 public:
  /// Registered before serving; thread-safe afterwards.
  void add(std::string name, std::function<Status()> check);
  /// From now on /readyz fails with the check "shutdown".
  void begin_shutdown() { shutting_down_ = true; }
  /// False when the path is none of its own.
  bool serve(RequestContext& context) const;
  std::vector<std::string> paths() const;

 private:
  std::vector<std::pair<std::string, std::function<Status()>>> checks_;
  std::atomic<bool> shutting_down_ = false;
};

}  // namespace trireme::apiserver
