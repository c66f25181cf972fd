#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "client/reflector.h"
#include "controllers/runtime/context.h"

namespace trireme::controllers {

/// Finds the resources that the server comes to serve, and ceases to, while a controller runs: those of custom resource
/// definitions and aggregated APIs. For controllers that look at objects of every kind. Thread-safe.
class CustomKinds {
 public:
  using ReflectorPointer = std::shared_ptr<client::Reflector>;

  /// `changed` is called (by informers' threads) when `look` may find something. `wanted` tells which resources
  /// matter.
  CustomKinds(const ControllerContext& context, std::function<bool(const api::ResourceInfo&)> wanted,
              std::function<void()> changed);

  struct Change {
    /// Informers of what is new, which may be shared: of the objects where they are the server's own, else of their
    /// metadata. They start with `start`, when handlers have been added.
    std::vector<ReflectorPointer> fresh;
    std::vector<ReflectorPointer> gone;  ///< Stopped; their caches hold what was seen last.
    Status incomplete;                   ///< Not every group could be asked.
  };
  /// Asks the server. Called by one thread at a time.
  Result<Change> look();
  void start() { context_.informers->start(); }

 private:
  ControllerContext context_;
  const std::function<bool(const api::ResourceInfo&)> wanted_;
  std::vector<ReflectorPointer> followed_;
};

}  // namespace trireme::controllers
