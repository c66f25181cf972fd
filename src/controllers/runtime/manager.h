#pragma once

#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// One entry of the list of controllers that a manager can run.
struct ControllerDescriptor {
  std::string_view name;   ///< As in --controllers: "namespace-controller".
  std::string_view alias;  ///< The name before 1.28, still accepted: "namespace".
  std::function<std::unique_ptr<Controller>(const ControllerContext&)> make;
};

/// Which controllers `--controllers` selects: "*" all, "name" this one, "-name" not this one; the first match counts.
/// An empty list selects none. Unknown names are BadRequest.
Result<std::vector<const ControllerDescriptor*>> select_controllers(std::span<const ControllerDescriptor> all,
                                                                    std::string_view selection);

/// Runs a set of controllers on shared informers. Not thread-safe.
class Manager {
 public:
  explicit Manager(ControllerContext context) : context_(std::move(context)) {}
  /// Stops.
  ~Manager();

  void add(const ControllerDescriptor& descriptor);

  /// Starts the informers, waits until they hold what the server has, then starts the workers. Timeout when `stop` was
  /// requested before that.
  Status start(std::stop_token stop = {});
  /// Controllers first (in the opposite order of their start), then the informers. Safe to call twice.
  void stop();

  /// Prometheus text: the queues', and what controllers tell besides.
  std::string metrics() const;
  std::span<const std::unique_ptr<Controller>> controllers() const { return controllers_; }

 private:
  ControllerContext context_;
  std::vector<std::unique_ptr<Controller>> controllers_;
  bool running_ = false;
};

}  // namespace trireme::controllers
