#pragma once

#include <string>

namespace trireme::api {

/// Raw bytes; base64 only on the JSON wire.
using Bytes = std::string;

/// Any JSON value as its text without insignificant space; empty stands for Go's nil and is written as null.
/// (In protobuf, where upstream carries other encodings in such fields, the bytes are kept as they are.)
struct RawJson {
  std::string text;

  bool empty() const { return text.empty(); }
  friend bool operator==(const RawJson&, const RawJson&) = default;
};

}  // namespace trireme::api
