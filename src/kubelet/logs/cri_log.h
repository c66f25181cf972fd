#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

/// The log format that CRI runtimes write: "2024-01-01T00:00:00.000000000Z stdout F text".
/// Source: the CRI logging design (kubernetes/design-proposals-archive, node/kubelet-cri-logging.md).
namespace trireme::kubelet {

struct LogLine {
  std::string_view time;  ///< As written.
  std::string_view stream;
  bool partial = false;  ///< The line goes on in the next record of its stream.
  std::string_view text;
};

/// Nothing when `line` (without its newline) is not of this format.
std::optional<LogLine> parse_log_line(std::string_view line);
/// RFC 3339 with any fraction; nothing when it cannot be read.
std::optional<WallTime> parse_log_time(std::string_view text);

/// The last `max_lines` lines, at most `max_bytes`, of a log file, without their CRI prefixes. Empty when unreadable.
std::string log_tail(const std::string& path, size_t max_lines, size_t max_bytes);

/// The offset in `fd` from which on there are `lines` whole lines (records), counted from the end.
int64_t tail_offset(int fd, int64_t size, int64_t lines);

}  // namespace trireme::kubelet
