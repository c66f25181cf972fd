#pragma once

#include <cstdint>
#include <string_view>

#include "api/types/batchv1.h"
#include "api/validation/field.h"
#include "base/result.h"

/// The parts of a Job's rules that fill files of their own.
namespace trireme::api::validation {

/// How many indexes "0,2-5,7" names. BadRequest unless they ascend and stay below `completions`.
Result<int32_t> count_indexes(std::string_view text, int32_t completions);

/// A value that an error does not show.
inline BadValue not_shown() { return BadValue::raw(""); }

/// "acme.io/foo", 63 bytes at most.
void check_managed_by(std::string_view name, const Path& at, ErrorList& errors);

/// A Job's status must keep its promises whoever writes it (KEP-4368): what has ended stays ended, counters of failures
/// only grow, the lists of indexes can be read. What did not change is let be, and what the specification's change has
/// made wrong until the controller comes round.
void check_job_status(const batchv1::Job& updated, const batchv1::Job& old, const Path& at, ErrorList& errors);

}  // namespace trireme::api::validation
