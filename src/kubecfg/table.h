#pragma once

#include <string>

#include "api/value.h"
#include "base/result.h"

namespace trireme::kubecfg {

/// The human-readable form of a v1beta1 object, list or Status: columns of at least twenty characters, a row of dashes
/// under the header, an empty line at the end. BadRequest for a kind that has no such form.
Result<std::string> print_table(const api::Value& document);

}  // namespace trireme::kubecfg
