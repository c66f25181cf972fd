#include "controllers/support/ownership.h"

namespace trireme::controllers {

std::string orphans_of(std::string_view ns) { return "orphan/" + std::string(ns); }

api::metav1::OwnerReference controller_reference(const api::corev1::ObjectReference& owner) {
  api::metav1::OwnerReference reference;
  reference.api_version = owner.api_version;
  reference.kind = owner.kind;
  reference.name = owner.name;
  reference.uid = owner.uid;
  reference.controller = true;
  reference.block_owner_deletion = true;
  return reference;
}

api::LabelSelector owner_selector(const api::metav1::LabelSelector* selector) {
  if (!selector) return api::LabelSelector::nothing();
  auto parsed = api::LabelSelector::from(*selector);
  return parsed.ok() && !parsed->empty() ? std::move(*parsed) : api::LabelSelector::nothing();
}

std::string adoption_patch(const api::corev1::ObjectReference& owner, const std::string& uid) {
  api::Value reference = api::Value::object();
  reference["apiVersion"] = owner.api_version;
  reference["kind"] = owner.kind;
  reference["name"] = owner.name;
  reference["uid"] = owner.uid;
  reference["controller"] = true;
  reference["blockOwnerDeletion"] = true;
  api::Value patch = api::Value::object();
  patch["metadata"]["ownerReferences"] = api::Value::Array{std::move(reference)};
  patch["metadata"]["uid"] = uid;
  return api::to_json(patch);
}

std::string release_patch(const std::string& owner_uid, const std::string& uid) {
  api::Value removal = api::Value::object();
  removal["$patch"] = "delete";
  removal["uid"] = owner_uid;
  api::Value patch = api::Value::object();
  patch["metadata"]["ownerReferences"] = api::Value::Array{std::move(removal)};
  patch["metadata"]["uid"] = uid;
  return api::to_json(patch);
}

Claim claim_of(const std::string& owner_uid, bool owner_deleting, const api::LabelSelector& selector,
               const api::metav1::ObjectMeta& object) {
  const auto* controller = controller_of(object);
  const bool matches = selector.matches(object.labels);
  if (controller) {
    if (controller->uid != owner_uid) return Claim::kIgnore;
    if (matches) return Claim::kOwned;
    return owner_deleting ? Claim::kIgnore : Claim::kRelease;
  }
  if (owner_deleting || !matches || object.deletion_timestamp) return Claim::kIgnore;
  return Claim::kAdopt;
}

}  // namespace trireme::controllers
