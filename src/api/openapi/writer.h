#pragma once

#include <string>
#include <string_view>

#include "api/value.h"

namespace trireme::api::openapi {

/// Which OpenAPI version a part is written for.
enum class Dialect { kV2, kV3 };

/// Appends JSON text and sets the commas. The caller pairs begins and ends.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { out_ += '}'; }
  void begin_array() { open('['); }
  void end_array() { out_ += ']'; }
  void key(std::string_view name) {
    separate();
    append_json_string(name, out_);
    out_ += ':';
  }
  void string(std::string_view text) {
    separate();
    append_json_string(text, out_);
  }
  /// `json` is written as it stands.
  void raw(std::string_view json) {
    separate();
    out_ += json;
  }

  void member(std::string_view name, std::string_view text) {
    key(name);
    string(text);
  }
  void member(std::string_view name, const char* text) { member(name, std::string_view(text)); }
  void raw_member(std::string_view name, std::string_view json) {
    key(name);
    raw(json);
  }

 private:
  void open(char bracket) {
    separate();
    out_ += bracket;
  }
  void separate() {
    char last = out_.empty() ? '{' : out_.back();
    if (last != '{' && last != '[' && last != ':') out_ += ',';
  }

  std::string& out_;
};

}  // namespace trireme::api::openapi
