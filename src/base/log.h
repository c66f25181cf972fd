#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/status.h"

/// Structured logs: a constant message and key/value pairs. Thread-safe; one line a call, on stderr.
///
///   log::info("Started container", {{"pod", key}, {"attempt", attempt}});
namespace trireme::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// One key/value pair. Any fmt-formattable value is accepted.
struct Field {
  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const std::string& text) : key(name), value(text) {}
  Field(std::string_view name, const char* text) : key(name), value(text) {}
  Field(std::string_view name, const Status& status) : key(name), value(status.to_string()) {}
  template <typename T>
  Field(std::string_view name, const T& any) : key(name), value(fmt::to_string(any)) {}

  std::string_view key;
  std::string value;
};

using Fields = std::initializer_list<Field>;

/// Lines below `level` are dropped. The default is kInfo.
void set_level(Level level);
bool enabled(Level level);
/// Receives every finished line instead of stderr (tests); null restores stderr.
void set_sink(void (*sink)(Level level, std::string_view line));

void write(Level level, std::string_view message, Fields fields);

inline void debug(std::string_view message, Fields fields = {}) {
  if (enabled(Level::kDebug)) write(Level::kDebug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) { write(Level::kInfo, message, fields); }
inline void warning(std::string_view message, Fields fields = {}) { write(Level::kWarning, message, fields); }
inline void error(std::string_view message, Fields fields = {}) { write(Level::kError, message, fields); }

}  // namespace trireme::log
