#include "client/watch_frames.h"

#include <simdjson.h>

#include <cstdint>

namespace trireme::client {
namespace {

std::optional<uint64_t> read_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    value |= uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

Status malformed() { return Status::bad_request("malformed protobuf in an answer of the server"); }

}  // namespace

Status each_proto_field(std::string_view message,
                        const std::function<Status(uint64_t field, std::string_view bytes)>& each) {
  while (!message.empty()) {
    const auto tag = read_varint(message);
    if (!tag) return malformed();
    uint64_t skip = 0;
    switch (*tag & 7U) {
      case 0:
        if (!read_varint(message)) return malformed();
        break;
      case 1:
        skip = 8;
        break;
      case 5:
        skip = 4;
        break;
      case 2: {
        const auto length = read_varint(message);
        if (!length || *length > message.size()) return malformed();
        TRY(each(*tag >> 3U, message.substr(0, *length)));
        skip = *length;
        break;
      }
      default:
        return malformed();
    }
    if (skip > message.size()) return malformed();
    message.remove_prefix(skip);
  }
  return {};
}

void WatchFrames::append(std::string_view bytes) {
  if (start_ > 0) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  buffer_ += bytes;
}

Result<std::optional<RawWatchEvent>> WatchFrames::next() {
  return format_ == Format::kJson ? next_json() : next_protobuf();
}

Result<std::optional<RawWatchEvent>> WatchFrames::next_json() {
  while (true) {
    const size_t end = pending().find('\n', scanned_);
    if (end == std::string_view::npos) {
      scanned_ = pending().size();
      if (scanned_ > kMaxFrame) return Status::bad_request("a watch event is too large");
      return std::optional<RawWatchEvent>();
    }
    const std::string_view line = pending().substr(0, end);
    start_ += end + 1;
    scanned_ = 0;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    simdjson::ondemand::parser parser;
    const simdjson::padded_string padded(line);
    RawWatchEvent event;
    simdjson::ondemand::document document;
    std::string_view type;
    std::string_view object;
    if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
        document["type"].get_string().get(type) != simdjson::SUCCESS) {
      return Status::bad_request("malformed JSON in a watch");
    }
    event.type = type;
    simdjson::ondemand::object body;
    if (document["object"].get_object().get(body) != simdjson::SUCCESS ||
        body.raw_json().get(object) != simdjson::SUCCESS) {
      return Status::bad_request("malformed JSON in a watch");
    }
    event.object = object;
    return std::optional<RawWatchEvent>(std::move(event));
  }
}

Result<std::optional<RawWatchEvent>> WatchFrames::next_protobuf() {
  const std::string_view bytes = pending();
  if (bytes.size() < 4) return std::optional<RawWatchEvent>();
  size_t length = 0;
  for (int i = 0; i < 4; ++i) length = length << 8U | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
  if (length > kMaxFrame) return Status::bad_request("a watch event is too large");
  if (bytes.size() - 4 < length) return std::optional<RawWatchEvent>();
  std::string_view frame = bytes.substr(4, length);
  start_ += 4 + length;
  if (frame.starts_with(std::string_view("k8s\0", 4))) {
    TRY_ASSIGN(api::UnwrappedProto unwrapped, api::unwrap_proto(frame));
    frame = unwrapped.raw;
  }
  // WatchEvent{type = 1, object = 2 RawExtension{raw = 1}}
  RawWatchEvent event;
  TRY(each_proto_field(frame, [&](uint64_t field, std::string_view value) -> Status {
    if (field == 1) event.type = value;
    if (field != 2) return {};
    return each_proto_field(value, [&](uint64_t inner, std::string_view raw) -> Status {
      if (inner == 1) event.object = raw;
      return {};
    });
  }));
  return std::optional<RawWatchEvent>(std::move(event));
}

}  // namespace trireme::client
