#include <fmt/format.h>

#include <algorithm>

#include "api/status_convert.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/corev1.h"
#include "api/validation/equal.h"
#include "apiserver/extensions/lifecycle.h"
#include "apiserver/registry/writer.h"
#include "apiserver/strategy/strategy.h"

namespace trireme::apiserver {

namespace {

constexpr int kDeleteTries = 5;

void set_present(std::vector<std::string>& finalizers, std::string_view name, bool present) {
  auto found = std::find(finalizers.begin(), finalizers.end(), name);
  if (present && found == finalizers.end()) finalizers.emplace_back(name);
  if (!present && found != finalizers.end()) finalizers.erase(found);
}

/// What was deleted without a word about its dependents before there was a garbage collector left them alone, and does
/// so still.
bool orphans_by_default(const api::ResourceInfo& resource) {
  return (resource.group.empty() && resource.resource == "replicationcontrollers") ||
         (resource.group == "batch" && resource.version == "v1" && resource.resource == "jobs");
}

/// Notes on the object how its dependents are to be treated, for the garbage collector.
/// https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion
void apply_propagation(const api::ResourceInfo& resource, api::Object& object,
                       const api::metav1::DeleteOptions& options) {
  auto& finalizers = object.metadata().finalizers;
  bool orphan = false;
  bool foreground = false;
  if (options.propagation_policy) {
    orphan = *options.propagation_policy == api::metav1::kDeletePropagationOrphan;
    foreground = *options.propagation_policy == api::metav1::kDeletePropagationForeground;
  } else if (options.orphan_dependents) {
    orphan = *options.orphan_dependents;
  } else {
    // What an earlier caller asked for stands.
    auto has = [&](std::string_view name) {
      return std::find(finalizers.begin(), finalizers.end(), name) != finalizers.end();
    };
    orphan = has(api::metav1::kFinalizerOrphanDependents);
    foreground = !orphan && has(api::metav1::kFinalizerDeleteDependents);
    if (!orphan && !foreground) orphan = orphans_by_default(resource);
  }
  set_present(finalizers, api::metav1::kFinalizerOrphanDependents, orphan);
  set_present(finalizers, api::metav1::kFinalizerDeleteDependents, foreground);
}

bool is_protected_namespace(const WriteRequest& request) {
  if (request.resource.resource != "namespaces") return false;
  return request.name == "default" || request.name == "kube-system" || request.name == "kube-public";
}

/// Namespaces wait for their content: the namespace controller removes spec.finalizers when it has gone.
bool mark_namespace_deleted(api::corev1::Namespace& ns, const Clock& clock) {
  if (!ns.metadata.deletion_timestamp) ns.metadata.deletion_timestamp = api::Time(clock.now());
  ns.status.phase = api::corev1::kNamespaceTerminating;
  return !ns.spec.finalizers.empty() || !ns.metadata.finalizers.empty();
}

/// Marks the object as being deleted. Returns whether it must stay for now.
bool mark_deleted(api::Object& object, const api::metav1::DeleteOptions& options, const Clock& clock) {
  if (auto* ns = object.as<api::corev1::Namespace>()) return mark_namespace_deleted(*ns, clock);
  api::metav1::ObjectMeta& metadata = object.metadata();
  std::optional<int64_t> grace = strategy::grace_period(object, options.grace_period_seconds);
  auto end_of = [&](int64_t seconds) { return api::Time::from_unix(api::Time(clock.now()).unix_seconds() + seconds); };
  if (metadata.deletion_timestamp) {
    // Asked again: only a shorter period changes anything.
    if (grace && *grace < metadata.deletion_grace_period_seconds.value_or(0)) {
      metadata.deletion_timestamp = end_of(*grace);
      metadata.deletion_grace_period_seconds = *grace;
    }
  } else {
    if (grace.value_or(0) == 0 && metadata.finalizers.empty()) return false;
    metadata.deletion_timestamp = end_of(grace.value_or(0));
    metadata.deletion_grace_period_seconds = grace.value_or(0);
    // A deletion counts as a change of the desired state.
    if (metadata.generation > 0) ++metadata.generation;
  }
  return !metadata.finalizers.empty() || metadata.deletion_grace_period_seconds.value_or(0) > 0;
}

}  // namespace

Result<Writer::Deleted> Writer::remove(const WriteRequest& request, const api::metav1::DeleteOptions& options) {
  const bool is_job = request.resource.group == "batch" && request.resource.resource == "jobs";
  if (is_job && request.warnings != nullptr && !options.propagation_policy && !options.orphan_dependents) {
    request.warnings->emplace_back(
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or "
        "set propagationPolicy=Orphan to suppress this warning");
  }
  for (int attempt = 1;; ++attempt) {
    TRY_ASSIGN(CachedPointer stored, storage_->get(request.resource, request.ns, request.name));
    auto deleted = remove_once(request, options, stored);
    if (deleted.ok() || !deleted.status().is(Reason::kConflict) || !deleted.status().details().kind.empty() ||
        attempt == kDeleteTries) {
      return deleted;
    }
  }
}

Result<Writer::Deleted> Writer::remove_once(const WriteRequest& request, const api::metav1::DeleteOptions& options,
                                            const CachedPointer& stored) {
  if (is_protected_namespace(request)) {
    return api::forbidden(request.resource, request.name, "this namespace may not be deleted");
  }
  Preconditions preconditions;
  if (options.preconditions) {
    preconditions.uid = options.preconditions->uid.value_or("");
    preconditions.resource_version = options.preconditions->resource_version.value_or("");
  }
  TRY(check_preconditions(request.resource, stored->metadata(), preconditions));
  admission::Attributes attributes = attributes_of(request, admission::Operation::kDelete);
  attributes.old_object = &stored->object();
  TRY(admission_.admit(attributes));
  TRY(admission_.validate(attributes));

  api::Object object = stored->object().clone();
  apply_propagation(request.resource, object, options);
  if (auto* definition = object.as<api::apiextensionsv1::CustomResourceDefinition>();
      definition != nullptr && !definition->metadata.deletion_timestamp) {
    definitions_->begin_removal(*definition);
  }
  if (!mark_deleted(object, options, *clock_)) return finish_removal(request, stored);
  // Asked again for what is under way already.
  if (api::validation::semantic_equal(object.type(), object.data(), stored->object().data())) {
    return Deleted{stored, false};
  }
  TRY_ASSIGN(CachedPointer marked,
             storage_->put(request.resource, std::move(object), stored->revision(), request.dry_run));
  return Deleted{marked, false};
}

Result<Writer::Deleted> Writer::finish_removal(const WriteRequest& request, const CachedPointer& stored) {
  TRY(storage_->remove(request.resource, *stored, request.dry_run));
  release(request, stored->object());
  return Deleted{stored, true};
}

void Writer::release(const WriteRequest& request, const api::Object& removed) {
  if (request.dry_run) return;
  if (const auto* service = removed.as<api::corev1::Service>()) services_->release(*service);
  if (request.custom && custom_removed_) custom_removed_(request.resource);
}

}  // namespace trireme::apiserver
