#pragma once

#include <string>
#include <string_view>

#include "api/value.h"

/// The protobuf form of Swagger documents that kubectl asks for, message by message (gnostic's OpenAPIv2.proto).
/// Each function turns a part of the JSON document into the bytes of its message.
namespace trireme::api::openapi {

std::string gnostic_schema(const Value& schema);
std::string gnostic_path_item(const Value& item);

/// A length-delimited field.
void append_proto_field(int number, std::string_view bytes, std::string& out);
/// A `Named…` message: name and value, as field `number`.
void append_proto_named(int number, std::string_view name, std::string_view value, std::string& out);

}  // namespace trireme::api::openapi
