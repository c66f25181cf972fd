#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/codec.h"
#include "api/validation/field.h"
#include "api/value.h"
#include "base/clock.h"
#include "base/result.h"

/// Strict reading of the components' configuration files (KubeSchedulerConfiguration, AdmissionConfiguration), whose
/// types no package of upstream's API has: every unknown and ill-typed field is an error with its path.
namespace trireme::api {

/// Reads an object's members one by one; what nobody asked for is an error when the reader ends. A member that is
/// absent or null leaves its variable alone. Refers to `value` and `errors`; used by one thread.
class ConfigReader {
 public:
  ConfigReader(const Value& value, validation::Path path, validation::ErrorList& errors);
  ~ConfigReader();
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  const validation::Path& path() const { return path_; }
  validation::ErrorList& errors() const { return errors_; }
  validation::Path at(std::string_view name) const { return path_.child(name); }

  /// Null when the member is absent or null.
  const Value* take(const std::string& name);
  /// apiVersion and kind, which must be one of `versions` and this kind.
  void read_kind(std::initializer_list<std::string_view> versions, std::string_view kind);

  void read(const std::string& name, std::string& into);
  void read(const std::string& name, bool& into);
  void read(const std::string& name, Duration& into);
  void read(const std::string& name, std::vector<std::string>& into);
  template <std::integral T>
  requires(!std::same_as<T, bool>) void read(const std::string& name, T& into) {
    const Value* member = take(name);
    if (!member) return;
    if (!member->is_int() || !std::in_range<T>(member->as_int())) return wrong_type(at(name), *member, "an integer");
    into = static_cast<T>(member->as_int());
  }
  void each(const std::string& name, const std::function<void(const Value&, const validation::Path&)>& item);
  void object(const std::string& name, const std::function<void(ConfigReader&)>& members);

  /// A part of the API's own types. False, with an error, when it is none.
  template <typename T>
  static bool decode(const Value& value, const validation::Path& path, validation::ErrorList& errors, T& into) {
    DecodeNotes notes;
    auto decoded = decode_json<T>(to_json(value), &notes);
    if (!decoded.ok()) {
      errors.invalid(path, validation::BadValue::raw(to_json(value)), decoded.status().message());
      return false;
    }
    for (const std::string& note : notes.unknown) errors.forbidden(path, note);
    into = std::move(*decoded);
    return true;
  }

 private:
  void wrong_type(const validation::Path& path, const Value& value, std::string_view wanted) const;

  const Value& value_;
  validation::Path path_;
  validation::ErrorList& errors_;
  std::set<std::string, std::less<>> seen_;
};

/// OK for an empty list; else BadRequest that lists everything: `PATH: PROBLEM`, several in brackets.
Status config_status(const validation::ErrorList& errors);

}  // namespace trireme::api
