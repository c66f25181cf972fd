#include "apiserver/registry/scale.h"

#include "api/selectors.h"
#include "api/status_convert.h"
#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "apiserver/extensions/custom_objects.h"

namespace trireme::apiserver {

namespace {

using api::autoscalingv1::Scale;

std::string selector_text(const api::metav1::LabelSelector& selector) {
  auto parsed = api::LabelSelector::from(selector);
  return parsed.ok() ? parsed->to_string() : std::string();
}
std::string selector_text(const Box<api::metav1::LabelSelector>& selector) {
  return selector ? selector_text(*selector) : std::string();
}
std::string selector_text(const api::Map<std::string>& labels) {
  return api::LabelSelector::from_map(labels).to_string();
}

/// Calls `use` with the struct, when the object is of a kind that scales.
template <typename Use, typename Object>
bool with_scalable(Object& object, Use use) {
  auto as = [&]<typename T>() {
    auto* typed = object.template as<T>();
    if (typed != nullptr) use(*typed);
    return typed != nullptr;
  };
  return as.template operator()<api::corev1::ReplicationController>() ||
         as.template operator()<api::appsv1::ReplicaSet>() || as.template operator()<api::appsv1::Deployment>() ||
         as.template operator()<api::appsv1::StatefulSet>();
}

}  // namespace

Scale read_scale(const CachedObject& cached) {
  Scale scale;
  const api::metav1::ObjectMeta& metadata = cached.metadata();
  scale.metadata.name = metadata.name;
  scale.metadata.namespace_ = metadata.namespace_;
  scale.metadata.uid = metadata.uid;
  scale.metadata.resource_version = metadata.resource_version;
  scale.metadata.creation_timestamp = metadata.creation_timestamp;
  with_scalable(cached.object(), [&](const auto& object) {
    scale.spec.replicas = object.spec.replicas.value_or(1);
    scale.status.replicas = object.status.replicas;
    scale.status.selector = selector_text(object.spec.selector);
  });
  return scale;
}

Status write_scale(const Scale& scale, api::Object& object, const extensions::CustomVersion* custom) {
  if (scale.spec.replicas < 0) {
    return api::invalid("autoscaling", "Scale", scale.metadata.name,
                        {api::field_error::invalid("spec.replicas", int64_t{scale.spec.replicas},
                                                   "must be greater than or equal to 0")});
  }
  api::metav1::ObjectMeta& metadata = object.metadata();
  // Without a version the change applies to whatever is stored.
  if (!scale.metadata.resource_version.empty()) metadata.resource_version = scale.metadata.resource_version;
  if (!scale.metadata.uid.empty()) metadata.uid = scale.metadata.uid;
  if (custom != nullptr) return extensions::write_scale(*custom, scale, object);
  bool scalable = with_scalable(object, [&](auto& typed) { typed.spec.replicas = scale.spec.replicas; });
  return scalable ? Status() : Status::internal("this kind cannot be scaled");
}

}  // namespace trireme::apiserver
