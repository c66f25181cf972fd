#include "api/validation/validation.h"

#include <unordered_map>

#include "api/scheme.h"
#include "api/types/certificatesv1.h"
#include "api/types/corev1.h"
#include "api/validation/meta.h"
#include "api/validation/pod.h"
#include "api/validation/rules.h"

namespace trireme::api::validation {
namespace {

const KindRules* find_rules(const TypeInfo& type) {
  static const std::unordered_map<const TypeInfo*, const KindRules*> kByType = [] {
    std::unordered_map<const TypeInfo*, const KindRules*> by_type;
    for (auto group : {core_rules(), node_rules(), storage_rules(), apps_rules(), batch_rules(), rbac_rules(),
                       networking_rules(), policy_rules(), admission_rules()}) {
      for (const KindRules& rules : group) by_type.emplace(rules.type, &rules);
    }
    return by_type;
  }();
  const auto found = kByType.find(&type);
  return found == kByType.end() ? nullptr : found->second;
}

void check_meta_update(const Object& updated, const Object& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata(), old.metadata(), Path("metadata"), errors);
}

}  // namespace

std::vector<StatusCause> validate_create(const Object& object) {
  ErrorList errors;
  if (const KindRules* rules = find_rules(object.type())) {
    rules->create(object.data(), errors);
  } else if (const auto* binding = object.as<corev1::Binding>()) {
    check_binding(*binding, errors);
  } else if (const ResourceInfo* info = find_type(object.type()); info != nullptr && info->list_type != nullptr) {
    // A kind without rules of its own is stored all the same, so its metadata must be sound.
    check_object_meta(object.metadata(), info->namespaced, NameRule::kSubdomain, Path("metadata"), errors);
  }
  return errors.take();
}

std::vector<StatusCause> validate_update(const Object& updated, const Object& old) {
  ErrorList errors;
  if (const KindRules* rules = find_rules(updated.type())) {
    rules->update(updated.data(), old.data(), errors);
  } else {
    check_meta_update(updated, old, errors);
  }
  return errors.take();
}

std::vector<StatusCause> validate_subresource_update(const Object& updated, const Object& old,
                                                     std::string_view subresource) {
  ErrorList errors;
  const auto* pod = updated.as<corev1::Pod>();
  const auto* old_pod = old.as<corev1::Pod>();
  if (pod != nullptr && subresource == "ephemeralcontainers") {
    check_ephemeral_containers_update(*pod, *old_pod, errors);
  } else if (pod != nullptr && subresource == "resize") {
    check_pod_resize(*pod, *old_pod, errors);
  } else if (const auto* ns = updated.as<corev1::Namespace>(); ns != nullptr && subresource == "finalize") {
    check_meta_update(updated, old, errors);
    for (size_t i = 0; i < ns->spec.finalizers.size(); ++i) {
      check_finalizer_name(ns->spec.finalizers[i], Path("spec.finalizers").index(i), errors);
    }
  } else if (subresource == "status" || updated.as<certificatesv1::CertificateSigningRequest>() != nullptr) {
    const KindRules* rules = find_rules(updated.type());
    if (rules != nullptr && rules->status != nullptr) {
      rules->status(updated.data(), old.data(), errors);
    } else {
      check_meta_update(updated, old, errors);
    }
  } else {
    return validate_update(updated, old);
  }
  return errors.take();
}

}  // namespace trireme::api::validation
