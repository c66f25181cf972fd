#include "api/config_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"

namespace trireme::api {

using validation::BadValue;
using validation::ErrorList;
using validation::Path;

ConfigReader::ConfigReader(const Value& value, Path path, ErrorList& errors)
    : value_(value), path_(std::move(path)), errors_(errors) {
  if (!value.is_object()) wrong_type(path_, value, "an object");
}

ConfigReader::~ConfigReader() {
  if (!value_.is_object()) return;
  for (const auto& [name, member] : value_.as_object()) {
    if (!seen_.contains(name)) errors_.forbidden(path_.child(name), "unknown field");
  }
}

const Value* ConfigReader::take(const std::string& name) {
  seen_.insert(name);
  const Value* member = value_.find(name);
  return member && !member->is_null() ? member : nullptr;
}

void ConfigReader::read_kind(std::initializer_list<std::string_view> versions, std::string_view wanted) {
  std::string version;
  std::string kind;
  read("apiVersion", version);
  read("kind", kind);
  if (std::ranges::find(versions, version) == versions.end()) {
    errors_.not_supported(at("apiVersion"), version, validation::Supported(versions));
  }
  if (kind != wanted) errors_.not_supported(at("kind"), kind, {wanted});
}

void ConfigReader::read(const std::string& name, std::string& into) {
  const Value* member = take(name);
  if (!member) return;
  if (!member->is_string()) return wrong_type(at(name), *member, "a string");
  into = member->as_string();
}

void ConfigReader::read(const std::string& name, bool& into) {
  const Value* member = take(name);
  if (!member) return;
  if (!member->is_bool()) return wrong_type(at(name), *member, "a boolean");
  into = member->as_bool();
}

void ConfigReader::read(const std::string& name, Duration& into) {
  const Value* member = take(name);
  if (!member) return;
  if (!member->is_string()) return wrong_type(at(name), *member, "a duration");
  auto parsed = parse_duration(member->as_string());
  if (!parsed.ok()) return errors_.invalid(at(name), member->as_string(), parsed.status().message());
  into = *parsed;
}

void ConfigReader::read(const std::string& name, std::vector<std::string>& into) {
  each(name, [&](const Value& item, const Path& path) {
    if (item.is_string()) {
      into.push_back(item.as_string());
    } else {
      wrong_type(path, item, "a string");
    }
  });
}

void ConfigReader::each(const std::string& name, const std::function<void(const Value&, const Path&)>& item) {
  const Value* member = take(name);
  if (!member) return;
  if (!member->is_array()) return wrong_type(at(name), *member, "an array");
  for (size_t i = 0; i < member->as_array().size(); ++i) item(member->as_array()[i], at(name).index(i));
}

void ConfigReader::object(const std::string& name, const std::function<void(ConfigReader&)>& members) {
  const Value* member = take(name);
  if (!member) return;
  ConfigReader inner(*member, at(name), errors_);
  members(inner);
}

void ConfigReader::wrong_type(const Path& path, const Value& value, std::string_view wanted) const {
  errors_.invalid(path, BadValue::raw(to_json(value)), fmt::format("must be {}", wanted));
}

Status config_status(const ErrorList& errors) {
  if (errors.empty()) return {};
  std::string message;
  for (const auto& cause : errors.causes()) {
    message += fmt::format("{}{}: {}", message.empty() ? "" : ", ", cause.field, cause.message);
  }
  return Status::bad_request(errors.size() == 1 ? message : "[" + message + "]");
}

}  // namespace trireme::api
