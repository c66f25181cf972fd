#include "base/log.h"

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

namespace trireme::log {
namespace {

std::atomic<Level> threshold{Level::kInfo};
std::atomic<void (*)(Level, std::string_view)> line_sink{nullptr};

char letter(Level level) { return "DIWE"[static_cast<int>(level)]; }

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == 0x7f) return true;
  }
  return false;
}

void append_value(std::string& line, std::string_view value) {
  if (!needs_quotes(value)) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ') {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

void set_level(Level level) { threshold = level; }

bool enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }

void set_sink(void (*sink)(Level, std::string_view)) { line_sink = sink; }

void write(Level level, std::string_view message, Fields fields) {
  if (!enabled(level)) return;
  timeval now{};
  gettimeofday(&now, nullptr);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  std::string line = fmt::format("{}{:02}{:02} {:02}:{:02}:{:02}.{:06} {}", letter(level), parts.tm_mon + 1,
                                 parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_usec, message);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  if (auto* sink = line_sink.load()) {
    sink(level, line);
    return;
  }
  line += '\n';
  // One write, so that lines of several threads and processes never interleave.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace trireme::log
