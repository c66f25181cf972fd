#pragma once

#include "api/value.h"
#include "apiserver/legacy/convert.h"
#include "base/result.h"

/// The part of the 2014 API that pods and replication controllers share: ContainerManifest and its v1 twin, PodSpec.
namespace trireme::apiserver::legacy {

/// `path` begins the field paths of errors: "desiredState.manifest".
Result<api::Value> spec_of_manifest(const api::Value& manifest, const std::string& path);
api::Value manifest_of_spec(const api::Value& spec, Version version);

/// Moves the member `from` of `source` to `to` of `target` when it is there and not null.
void move_member(const api::Value& source, std::string_view from, api::Value& target, std::string_view to);

}  // namespace trireme::apiserver::legacy
