#pragma once

#include <string>
#include <string_view>

#include "api/value.h"
#include "base/result.h"

/// The API of 2014, /api/v1beta1 and /api/v1beta2, in terms of today's v1. Pure functions on JSON documents.
///
/// Unknown members are dropped, as that API's server did. What v1 cannot express (`volumeMounts[].mountType`) is lost;
/// what v1beta1 cannot express is left alone by `overlay`.
namespace trireme::apiserver::legacy {

enum class Version { kV1Beta1, kV1Beta2 };
std::string_view to_string(Version version);

/// One resource of the 2014 API.
struct Kind {
  std::string_view resource;  ///< In URLs: "replicationControllers"
  std::string_view kind;      ///< "ReplicationController"
  std::string_view v1_resource;
  std::string_view v1_kind;
  bool namespaced;
};
/// Null when that API had no such resource. `nodes` is a later name of `minions`.
const Kind* find_kind(std::string_view resource);

/// Where the id that a client gave is kept when it is no valid name today.
inline constexpr std::string_view kIdAnnotation = "v1beta1.trireme.io/id";

/// The v1 name of an id: letters in lower case, other characters that a name may not have as '-', none at the ends. So
/// `redisSlaveController` becomes `redisslavecontroller`, in bodies and in URLs alike.
std::string name_of_id(std::string_view id);

/// A v1beta1 document as the v1 object to create. BadRequest names the field that is wrong.
Result<api::Value> to_v1(const Kind& kind, const api::Value& legacy);

/// A v1 object as v1beta1 shows it.
api::Value from_v1(const Kind& kind, Version version, const api::Value& object);
/// A v1 list likewise.
api::Value list_from_v1(const Kind& kind, Version version, const api::Value& list);
/// A metav1.Status likewise.
api::Value status_from_v1(Version version, const api::Value& status);

/// `stored` with what the v1beta1 document says, for an update that keeps what the old API does not know.
Result<api::Value> overlay(const Kind& kind, api::Value stored, const api::Value& legacy);

/// "DesiredState.Host=a,name=b" → "spec.nodeName=a,metadata.name=b". BadRequest for an unknown field.
Result<std::string> field_selector_to_v1(const Kind& kind, std::string_view selector);

}  // namespace trireme::apiserver::legacy
