#include "api/validation/field.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/status_convert.h"

namespace trireme::api::validation {

BadValue::BadValue(const std::vector<std::string>& list) : text_("[]string{") {
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) text_ += ", ";
    text_ += go_quote(list[i]);
  }
  text_ += "}";
}

bool Supported::contains(std::string_view value) const {
  return std::find(values_.begin(), values_.end(), value) != values_.end();
}

void ErrorList::add(std::string_view type, const Path& at, std::string message, std::string_view detail) {
  if (!detail.empty()) {
    message += ": ";
    message += detail;
  }
  causes_.push_back({std::string(type), std::move(message), at.str()});
}

void ErrorList::required(const Path& at, std::string_view detail) {
  add("FieldValueRequired", at, "Required value", detail);
}

void ErrorList::invalid(const Path& at, const BadValue& value, std::string_view detail) {
  // A value that is not to be shown has no text.
  add("FieldValueInvalid", at, value.text().empty() ? "Invalid value" : "Invalid value: " + value.text(), detail);
}

void ErrorList::type_invalid(const Path& at, const BadValue& value, std::string_view detail) {
  add("FieldValueTypeInvalid", at, "Invalid value: " + value.text(), detail);
}

void ErrorList::invalid_each(const Path& at, const BadValue& value, std::span<const std::string> messages) {
  for (const std::string& message : messages) invalid(at, value, message);
}

void ErrorList::not_supported(const Path& at, const BadValue& value, Supported supported) {
  std::string detail;
  for (std::string_view each : supported) {
    detail += detail.empty() ? "supported values: " : ", ";
    detail += go_quote(each);
  }
  add("FieldValueNotSupported", at, "Unsupported value: " + value.text(), detail);
}

void ErrorList::duplicate(const Path& at, const BadValue& value, std::string_view detail) {
  add("FieldValueDuplicate", at, "Duplicate value: " + value.text(), detail);
}

void ErrorList::not_found(const Path& at, const BadValue& value, std::string_view detail) {
  add("FieldValueNotFound", at, "Not found: " + value.text(), detail);
}

void ErrorList::forbidden(const Path& at, std::string_view detail) {
  add("FieldValueForbidden", at, "Forbidden", detail);
}

void ErrorList::too_long(const Path& at, size_t max_bytes) {
  add("FieldValueTooLong", at, "Too long", fmt::format("may not be more than {} bytes", max_bytes));
}

void ErrorList::too_many(const Path& at, size_t actual, size_t max_items) {
  add("FieldValueTooMany", at, fmt::format("Too many: {}", actual),
      fmt::format("must have at most {} items", max_items));
}

void ErrorList::internal(const Path& at, std::string_view detail) {
  add("InternalError", at, "Internal error", detail);
}

void ErrorList::check_enum(const Path& at, std::string_view value, Supported supported) {
  if (value.empty()) {
    required(at);
  } else if (!supported.contains(value)) {
    not_supported(at, value, supported);
  }
}

void ErrorList::append(ErrorList other) {
  causes_.insert(causes_.end(), std::make_move_iterator(other.causes_.begin()),
                 std::make_move_iterator(other.causes_.end()));
}

}  // namespace trireme::api::validation
