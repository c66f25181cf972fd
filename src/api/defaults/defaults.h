#pragma once

#include "api/object.h"
#include "api/types/corev1.h"

/// Upstream's v1.32 defaults: what the API server fills in where a client left a field out, on every object that it
/// decodes (requests and stored objects alike). Idempotent, stateless and thread-safe. Fields that exist twice for
/// old clients (`serviceAccount`, `podIP`, a Secret's `stringData`) are brought in step as well.
namespace trireme::api {

void apply_defaults(Object& object);
/// As above, for the struct behind `type`. Kinds without defaults are left alone.
void apply_defaults(const TypeInfo& type, void* object);

template <typename T>
void apply_defaults(T& object) {
  apply_defaults(type_info<T>(), &object);
}

/// The parts of a pod that templates share with pods.
void default_pod_spec(corev1::PodSpec& spec);
void default_claim_spec(corev1::PersistentVolumeClaimSpec& spec);

/// `Always` for images tagged latest (or not at all), else `IfNotPresent`.
std::string_view default_pull_policy(std::string_view image);

}  // namespace trireme::api
