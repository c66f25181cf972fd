#pragma once

#include <span>
#include <string_view>

#include "api/type_info.h"

namespace trireme::api {

/// A generated type that has a kind, with what upstream's client generator markers tell about its resource.
struct KindInfo {
  const TypeInfo* type;
  bool has_client;                ///< A resource of its own; lists, options and most reviews' parts are none.
  bool namespaced;                ///< Meaningful with has_client.
  std::string_view only_verbs;    ///< Comma-separated; empty: all verbs.
  std::string_view skip_verbs;    ///< Comma-separated, in Go spelling ("deleteCollection").
  std::string_view subresources;  ///< Comma-separated and sorted: "scale,status".
};

/// Every kind of every generated package, in the packages' order.
std::span<const KindInfo> kinds();

}  // namespace trireme::api
