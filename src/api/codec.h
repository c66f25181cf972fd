#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/type_info.h"
#include "base/result.h"

/// JSON and protobuf, both driven by the field tables of api/type_info.h. Stateless and thread-safe.
namespace trireme::api {

/// What decoding noticed and did not fail on, with field paths, for `fieldValidation=Strict|Warn`:
/// `unknown field "spec.foo"`, `duplicate field "spec.bar"`.
struct DecodeNotes {
  std::vector<std::string> unknown;
  std::vector<std::string> duplicate;
};

/// JSON of the struct behind `type`, by Go's rules: omitempty, null for nil, sorted maps, HTML characters escaped
/// as the API server sends them. Kinds begin with kind and apiVersion; embedded kinds (a list's items) do not.
void append_json(const TypeInfo& type, const void* object, std::string& out);
/// Fills a default-constructed struct. Bad documents and ill-typed values are BadRequest in upstream's words:
/// `Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field …`.
/// kind and apiVersion are not compared with the type's. Field names are case-sensitive.
Status parse_json(const TypeInfo& type, std::string_view json, void* object, DecodeNotes* notes = nullptr);

/// Byte for byte what upstream's generated code writes, without envelope.
void append_proto(const TypeInfo& type, const void* object, std::string& out);
/// Fills a default-constructed struct; unknown fields are skipped, malformed bytes are BadRequest.
Status parse_proto(const TypeInfo& type, std::string_view bytes, void* object);

/// The storage and wire envelope `k8s\0` + runtime.Unknown{TypeMeta, raw} around a kind's protobuf.
std::string wrap_proto(std::string_view api_version, std::string_view kind, std::string_view raw);
struct UnwrappedProto {
  std::string_view api_version;
  std::string_view kind;
  std::string_view raw;
};
Result<UnwrappedProto> unwrap_proto(std::string_view envelope);

template <typename T>
std::string encode_json(const T& object) {
  std::string out;
  append_json(type_info<T>(), &object, out);
  return out;
}

template <typename T>
Result<T> decode_json(std::string_view json, DecodeNotes* notes = nullptr) {
  T object;
  TRY(parse_json(type_info<T>(), json, &object, notes));
  return object;
}

/// With the `k8s\0` envelope.
template <typename T>
std::string encode_proto(const T& object) {
  std::string raw;
  append_proto(type_info<T>(), &object, raw);
  return wrap_proto(type_info<T>().api_version, type_info<T>().kind, raw);
}

template <typename T>
Result<T> decode_proto(std::string_view envelope) {
  TRY_ASSIGN(UnwrappedProto unwrapped, unwrap_proto(envelope));
  T object;
  TRY(parse_proto(type_info<T>(), unwrapped.raw, &object));
  return object;
}

}  // namespace trireme::api
