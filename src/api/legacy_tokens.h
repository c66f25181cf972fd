#pragma once

#include <string>
#include <string_view>

#include "api/time.h"

/// What API server and controllers agree on about tokens of secrets, which have no end: since when their use is noted,
/// when each was used last, and from when on one counts no more.
/// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#auto-generated-legacy-serviceaccount-token-clean-up
namespace trireme::api {

/// In kube-system; its key `kLegacyTokenSince` holds the day from which on use is noted.
inline constexpr std::string_view kLegacyTokenTrackingMap = "kube-apiserver-legacy-service-account-token-tracking";
inline constexpr std::string_view kLegacyTokenSince = "since";
/// Labels of the secrets; their values are days.
inline constexpr std::string_view kLegacyTokenLastUsed = "kubernetes.io/legacy-token-last-used";
inline constexpr std::string_view kLegacyTokenInvalidSince = "kubernetes.io/legacy-token-invalid-since";

/// "2025-03-01", in UTC. Days compare as text.
inline std::string day_of(WallTime at) { return Time(at).to_string().substr(0, 10); }
/// The day's first moment; BadRequest for anything but a day.
inline Result<Time> parse_day(std::string_view text) {
  if (text.size() != 10) return Status::bad_request("not a day: " + std::string(text));
  return Time::parse(std::string(text) + "T00:00:00Z");
}

}  // namespace trireme::api
