#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/type_info.h"
#include "apiserver/watch/cached_object.h"
#include "base/bytes.h"

/// What stands around the shared bodies of cached objects when they are sent: single objects, lists and watch events.
namespace trireme::apiserver {

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kProtoType = "application/vnd.kubernetes.protobuf";

/// `{"kind":"Pod","apiVersion":"v1",`; one shared copy per type.
SharedBytes json_head(const api::TypeInfo& type);
/// The JSON body of a whole encoded object: see CachedObject::body.
std::string json_body(const api::TypeInfo& type, const void* object);

/// The beginning of the `k8s\0` envelope for a message of `raw_size` bytes, and its constant end.
std::string proto_head(const api::TypeInfo& type, size_t raw_size);
SharedBytes proto_tail();
void append_varint(std::string& out, uint64_t value);

/// A whole object around `body`.
std::vector<SharedBytes> object_pieces(const api::TypeInfo& type, Encoding encoding, SharedBytes body);

/// One watch event with any complete object text or envelope in pieces: a JSON line, or a protobuf WatchEvent with its
/// length in front.
std::string event_frame(std::string_view event_type, Encoding encoding, const std::vector<SharedBytes>& object);

}  // namespace trireme::apiserver
