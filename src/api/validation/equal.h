#pragma once

#include <string>

#include "api/type_info.h"

namespace trireme::api::validation {

/// Deep equality of two structs of `type`, as upstream's "semantic" equality: an absent and an empty list or map are
/// the same, quantities and times compare by value.
bool semantic_equal(const TypeInfo& type, const void* a, const void* b);

template <typename T>
bool semantic_equal(const T& a, const T& b) {
  return semantic_equal(type_info<T>(), &a, &b);
}

/// The leaf fields in which `updated` differs from `old`, one `path: old -> new` a line, at most `max_lines`; for the
/// messages of refused updates.
std::string describe_changes(const TypeInfo& type, const void* old, const void* updated, size_t max_lines = 20);

}  // namespace trireme::api::validation
