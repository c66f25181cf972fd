#pragma once

#include "api/structural/schema.h"
#include "api/validation/field.h"

namespace trireme::api::structural {

/// Whether `value`, at `at` ("" for a whole object), is as `schema` asks; with upstream's texts.
void validate(const Value& value, const Schema& schema, const std::string& at, validation::ErrorList& errors);

/// Whether `text` has `format` ("date-time", "ipv4", …). Formats that upstream does not know are met by everything.
bool has_format(std::string_view format, std::string_view text);

}  // namespace trireme::api::structural
