#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "client/client.h"

namespace trireme::client {

/// The failure that an encoded metav1.Status (JSON or enveloped protobuf) tells of; OK when it tells of none or is
/// none.
Status decode_status(std::string_view body);

/// Cuts the body of a watch into events. JSON: one WatchEvent a line. Protobuf: a WatchEvent without envelope behind a
/// four-byte big-endian length, as apimachinery's length-delimited framer writes it. Used by one thread.
class WatchFrames {
 public:
  enum class Format { kJson, kProtobuf };
  /// One event may not be larger than this; a longer one fails the watch.
  static constexpr size_t kMaxFrame = size_t{64} << 20;

  explicit WatchFrames(Format format) : format_(format) {}

  void append(std::string_view bytes);
  /// The next whole event; empty when more bytes are needed; BadRequest when the stream is broken.
  Result<std::optional<RawWatchEvent>> next();

 private:
  Result<std::optional<RawWatchEvent>> next_json();
  Result<std::optional<RawWatchEvent>> next_protobuf();
  std::string_view pending() const { return std::string_view(buffer_).substr(start_); }

  Format format_;
  std::string buffer_;
  size_t start_ = 0;    ///< Where the unread part of the buffer begins.
  size_t scanned_ = 0;  ///< How much of the unread part is known to hold no line end.
};

/// Calls `each(field, bytes)` for every length-delimited field of a protobuf message, skipping others.
/// BadRequest when the message is malformed.
Status each_proto_field(std::string_view message,
                        const std::function<Status(uint64_t field, std::string_view bytes)>& each);

}  // namespace trireme::client
