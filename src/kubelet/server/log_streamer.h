#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

namespace trireme::kubelet {

/// A log request's options, as the API's PodLogOptions.
struct LogOptions {
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  std::optional<WallTime> since;
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::string stream;  ///< "Stdout", "Stderr", or empty for both.
};

/// From the request's query; BadRequest names the parameter. `now` turns sinceSeconds into a time.
Result<LogOptions> parse_log_options(std::string_view query, WallTime now);

/// Writes a container's log file to `out`, without the CRI prefixes, and keeps on as it grows when `options.follow` is
/// set: through rotation, until `running` says that the container has ended, the reader is gone, or `out` refuses
/// (returns false). Blocks; uses inotify, and asks `running` once a second while nothing comes.
Status stream_log(const std::string& path, const LogOptions& options, const std::function<bool()>& running,
                  const std::function<bool(std::string)>& out);

}  // namespace trireme::kubelet
