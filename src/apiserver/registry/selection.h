#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "api/object.h"
#include "api/scheme.h"
#include "api/selectors.h"
#include "apiserver/extensions/definitions.h"
#include "apiserver/http/request_info.h"
#include "apiserver/watch/resource_cache.h"
#include "base/result.h"

namespace trireme::apiserver {

/// Which objects a list, watch or deletecollection is about: namespace, name, labelSelector and fieldSelector.
class Selection {
 public:
  /// BadRequest for malformed selectors and fields that the kind does not offer.
  static Result<Selection> parse(const api::ResourceInfo& resource, std::string_view ns, const Query& query,
                                 std::string_view prefix, extensions::CustomVersionPointer custom = nullptr);

  /// Whether an object within the scope is selected.
  bool matches(const api::Object& object) const;
  bool selects_all() const { return labels_.empty() && fields_.empty(); }
  const WatchScope& scope() const { return scope_; }
  /// The keys that can match: [start, end).
  std::string start() const;
  std::string end() const;

 private:
  api::LabelSelector labels_;
  api::FieldSelector fields_;
  WatchScope scope_;
  extensions::CustomVersionPointer custom_;
};

/// Upstream's paging token: the revision and the key, below the resource's prefix, to go on from.
struct ContinueToken {
  store::Revision revision = 0;  ///< -1: not consistent with earlier pages, use the newest.
  std::string start;

  std::string encode() const;
  /// BadRequest.
  static Result<ContinueToken> decode(std::string_view token);
};

}  // namespace trireme::apiserver
