#pragma once

#include <string>
#include <vector>

#include "cmd/leading.h"
#include "controllers/runtime/context.h"
#include "proxy/config.h"
#include "scheduler/config.h"

/// What /configz of the components shows: the settings in effect, as JSON in the shape of upstream's internal
/// configuration types (with their Go field names). Certificates and keys are left out.
namespace trireme::cmd {

std::string controllers_configz(const controllers::ControllerOptions& options, const Leadership& leadership,
                                const std::vector<std::string>& selection);
std::string proxy_configz(const proxy::Configuration& configuration);
std::string scheduler_configz(const scheduler::Configuration& configuration, const Leadership& leadership);

}  // namespace trireme::cmd
