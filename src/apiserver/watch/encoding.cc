#include "apiserver/watch/encoding.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "api/codec.h"

namespace trireme::apiserver {

namespace {

size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

void append_field(std::string& out, char tag, std::string_view text) {
  out += tag;
  append_varint(out, text.size());
  out += text;
}

size_t total_size(const std::vector<SharedBytes>& pieces) {
  size_t size = 0;
  for (const SharedBytes& piece : pieces) size += piece->size();
  return size;
}

}  // namespace

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

SharedBytes json_head(const api::TypeInfo& type) {
  static std::mutex mutex;
  static std::map<const api::TypeInfo*, SharedBytes> heads;
  std::scoped_lock lock(mutex);
  SharedBytes& head = heads[&type];
  if (!head) head = share(fmt::format(R"({{"kind":"{}","apiVersion":"{}",)", type.kind, type.api_version));
  return head;
}

std::string json_body(const api::TypeInfo& type, const void* object) {
  std::string json;
  api::append_json(type, object, json);
  const std::string& head = *json_head(type);
  if (json.starts_with(head)) json.erase(0, head.size());
  return json;
}

std::string proto_head(const api::TypeInfo& type, size_t raw_size) {
  std::string type_meta;
  append_field(type_meta, 0x0a, type.api_version);
  append_field(type_meta, 0x12, type.kind);
  std::string head("k8s\0", 4);
  append_field(head, 0x0a, type_meta);
  head += 0x12;
  append_varint(head, raw_size);
  return head;
}

SharedBytes proto_tail() {
  // contentEncoding and contentType, which upstream writes although they are empty.
  static const SharedBytes tail = share(std::string("\x1a\0\x22\0", 4));
  return tail;
}

std::vector<SharedBytes> object_pieces(const api::TypeInfo& type, Encoding encoding, SharedBytes body) {
  if (encoding == Encoding::kJson) return {json_head(type), std::move(body)};
  return {share(proto_head(type, body->size())), body, proto_tail()};
}

std::string event_frame(std::string_view event_type, Encoding encoding, const std::vector<SharedBytes>& object) {
  size_t size = total_size(object);
  std::string frame;
  if (encoding == Encoding::kJson) {
    frame.reserve(size + 48);
    frame += R"({"type":")";
    frame += event_type;
    frame += R"(","object":)";
    for (const SharedBytes& piece : object) frame += *piece;
    frame += "}\n";
    return frame;
  }
  // WatchEvent{type = 1, object = 2: RawExtension{raw = 1}}, after its length as four big-endian bytes.
  size_t extension = 1 + varint_size(size) + size;
  size_t message = 1 + varint_size(event_type.size()) + event_type.size() + 1 + varint_size(extension) + extension;
  frame.reserve(message + 4);
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(message >> shift);
  append_field(frame, 0x0a, event_type);
  frame += 0x12;
  append_varint(frame, extension);
  frame += 0x0a;
  append_varint(frame, size);
  for (const SharedBytes& piece : object) frame += *piece;
  return frame;
}

}  // namespace trireme::apiserver
