#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apiserver/authn/authn.h"
#include "apiserver/authz/authz.h"
#include "base/result.h"

namespace trireme::apiserver {

/// The decoded query of a request, with upstream's reading of values.
class Query {
 public:
  Query() = default;
  explicit Query(std::string_view encoded);

  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// The first value, or empty.
  const std::string& get(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
  /// Anything but "false" and "0" is true; false when missing.
  bool flag(std::string_view name) const;
  /// BadRequest when it is there but no number.
  Result<std::optional<int64_t>> number(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }

 private:
  const std::string* find(std::string_view name) const;
  std::vector<std::pair<std::string, std::string>> pairs_;
};

/// What a URL and method ask for. Forms: /api/v1/…, /apis/GROUP/VERSION/…, with namespaces/NS, a name, a subresource,
/// and the older /api/v1/watch/… prefix; anything else is a path without a resource.
struct RequestInfo {
  bool is_resource = false;
  std::string path;  ///< Decoded.
  std::string verb;  ///< get list watch create update patch delete deletecollection, or the HTTP method in lower case
  std::string api_prefix;  ///< "api" or "apis"
  std::string group;
  std::string version;
  std::string ns;
  std::string resource;
  std::string subresource;
  std::string name;
  std::vector<std::string> parts;  ///< From the resource on.
  bool watch_path = false;         ///< The /watch/ form.
};

/// BadRequest when the path's escapes are malformed.
Result<RequestInfo> parse_request_info(std::string_view method, std::string_view path, const Query& query);

authz::Attributes attributes_of(const RequestInfo& info, const authn::UserInfo& user);

}  // namespace trireme::apiserver
