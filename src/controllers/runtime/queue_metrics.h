#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// What upstream's metrics call the queue of a controller: "deployment" for "deployment-controller". A controller of
/// which upstream knows nothing gives its queue its own name.
std::string_view queue_name(std::string_view controller);

/// The workqueue_ metrics of all controllers. Upstream's one queue is one here, too, but for controllers that have
/// several there (their first name counts).
/// https://kubernetes.io/docs/reference/instrumentation/metrics/
void print_queue_metrics(std::string& out, std::span<const std::unique_ptr<Controller>> controllers);

}  // namespace trireme::controllers
