#include "apiserver/extensions/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/conditions.h"
#include "api/status_convert.h"
#include "api/types/metav1.h"
#include "base/log.h"

namespace trireme::apiserver::extensions {
namespace {

namespace crd = api::apiextensionsv1;
using crd::CustomResourceDefinition;

const api::ResourceInfo& definition_resource() { return api::resource_of<CustomResourceDefinition>(); }

void set_condition(CustomResourceDefinition& definition, std::string_view type, bool value, std::string_view reason,
                   std::string message, WallTime now) {
  crd::CustomResourceDefinitionCondition fresh;
  fresh.type = type;
  fresh.status = value ? crd::kConditionTrue : crd::kConditionFalse;
  fresh.reason = reason;
  fresh.message = std::move(message);
  api::set_condition(definition.status.conditions, std::move(fresh), now);
}

/// The names that the other definitions of a group hold.
struct Taken {
  std::set<std::string> resources;
  std::set<std::string> kinds;
};

/// Takes over what is free of `wanted`. Empty when all is; else the reason and message of the first name that is not.
std::pair<std::string_view, std::string> accept_names(const crd::CustomResourceDefinitionNames& wanted,
                                                      const Taken& taken,
                                                      crd::CustomResourceDefinitionNames& accepted) {
  std::pair<std::string_view, std::string> conflict;
  auto refuse = [&](std::string_view reason, std::string_view name) {
    if (conflict.first.empty()) conflict = {reason, fmt::format("{} is already in use", api::go_quote(name))};
  };
  auto take = [&](const std::string& name, std::string& place, const std::set<std::string>& others,
                  std::string_view reason) {
    if (others.contains(name)) return refuse(reason, name);
    place = name;
  };
  take(wanted.plural, accepted.plural, taken.resources, "PluralConflict");
  take(wanted.singular, accepted.singular, taken.resources, "SingularConflict");
  const auto used =
      std::ranges::find_if(wanted.short_names, [&](const std::string& name) { return taken.resources.contains(name); });
  if (used != wanted.short_names.end()) {
    refuse("ShortNamesConflict", *used);
  } else {
    accepted.short_names = wanted.short_names;
  }
  take(wanted.kind, accepted.kind, taken.kinds, "KindConflict");
  take(wanted.list_kind, accepted.list_kind, taken.kinds, "ListKindConflict");
  accepted.categories = wanted.categories;
  return conflict;
}

/// Groups of the Kubernetes project itself need its approval.
/// https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/2337-k8s.io-group-protection
void note_approval(CustomResourceDefinition& definition, WallTime now) {
  const auto approval = definition.metadata.annotations.find(crd::kKubeAPIApprovedAnnotation);
  if (approval == definition.metadata.annotations.end()) return;
  const bool approved = approval->second.starts_with("http");
  set_condition(
      definition, crd::kKubernetesAPIApprovalPolicyConformant, approved,
      approved ? "ApprovedAnnotation" : "UnapprovedAnnotation",
      (approved ? "approved in " : "not approved: ") + (approved ? approval->second : api::go_quote(approval->second)),
      now);
}

}  // namespace

Lifecycle::Lifecycle(std::shared_ptr<Caches> caches, std::shared_ptr<Definitions> definitions,
                     std::shared_ptr<Clock> clock)
    : caches_(std::move(caches)), definitions_(std::move(definitions)), clock_(std::move(clock)) {}

Status Lifecycle::settle(CustomResourceDefinition& definition) {
  const WallTime now = clock_->now();
  Taken taken;
  TRY_ASSIGN(const auto all, caches_->list<CustomResourceDefinition>());
  for (const auto& other : all) {
    if (other->metadata.name == definition.metadata.name || other->spec.group != definition.spec.group) continue;
    const auto& names = other->status.accepted_names;
    taken.resources.insert({names.plural, names.singular});
    taken.resources.insert(names.short_names.begin(), names.short_names.end());
    taken.kinds.insert({names.kind, names.list_kind});
  }
  taken.resources.erase("");
  taken.kinds.erase("");
  const auto [reason, message] = accept_names(definition.spec.names, taken, definition.status.accepted_names);
  const bool accepted = reason.empty();
  set_condition(definition, crd::kNamesAccepted, accepted, accepted ? "NoConflicts" : reason,
                accepted ? "no conflicts found" : message, now);
  // Once established it stays so: what is stored must be reached.
  if (!api::is_condition_true(definition.status.conditions, crd::kEstablished)) {
    set_condition(definition, crd::kEstablished, accepted, accepted ? "InitialNamesAccepted" : "NotAccepted",
                  accepted ? "the initial names have been accepted" : "not all names are accepted", now);
  }
  note_approval(definition, now);
  return {};
}

void Lifecycle::begin_removal(CustomResourceDefinition& definition) const {
  auto& finalizers = definition.metadata.finalizers;
  if (std::ranges::find(finalizers, crd::kCustomResourceCleanupFinalizer) == finalizers.end()) {
    finalizers.emplace_back(crd::kCustomResourceCleanupFinalizer);
  }
  set_condition(definition, crd::kTerminating, true, "InstanceDeletionPending",
                "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon", clock_->now());
}

bool Lifecycle::concerns_removal(const api::ResourceInfo& resource) {
  auto served = definitions_->served();
  if (!served.ok()) return true;  // somebody looks closer
  const DefinitionPointer definition = (*served)->find(resource.group, resource.resource);
  return definition && definition->terminating;
}

Status Lifecycle::clean_up(Writer& writer, const std::string& name) {
  authn::UserInfo self;
  self.name = "system:apiserver";
  self.groups = {"system:masters", std::string(authn::kAuthenticatedGroup)};
  auto found = caches_->get<CustomResourceDefinition>("", name);
  if (found.status().is(Reason::kNotFound)) return {};
  TRY(found.status());
  if (!(*found)->metadata.deletion_timestamp) return {};
  const WriteRequest request{
      .resource = definition_resource(), .ns = "", .name = name, .subresource = "", .user = self};
  auto note = [&](bool terminating, std::string_view reason, std::string message) {
    return writer
        .edit(definition_resource(), "", name, false,
              [&](api::Object& object) {
                auto& definition = *object.as<CustomResourceDefinition>();
                set_condition(definition, crd::kTerminating, terminating, reason, message, clock_->now());
                return Status();
              })
        .status();
  };
  TRY_ASSIGN(const auto served, definitions_->served());
  if (const DefinitionPointer definition = served->find(name); definition && definition->storage != nullptr) {
    const api::ResourceInfo& resource = *definition->storage->resource;
    TRY_ASSIGN(auto objects, caches_->list(resource));
    if (!objects.empty()) TRY(note(true, "InstanceDeletionInProgress", "CustomResource deletion is in progress"));
    api::metav1::DeleteOptions options;
    options.propagation_policy = api::metav1::kDeletePropagationBackground;
    for (const CachedPointer& object : objects) {
      if (object->metadata().deletion_timestamp) continue;  // its finalizers' owners have been told
      const WriteRequest each{.resource = resource,
                              .ns = object->metadata().namespace_,
                              .name = object->metadata().name,
                              .subresource = "",
                              .user = self,
                              .custom = CustomVersionPointer(definition, definition->storage)};
      auto removed = writer.remove(each, options);
      if (removed.ok() || removed.status().is(Reason::kNotFound)) continue;
      TRY(note(true, "InstanceDeletionFailed", "could not issue all deletes: " + removed.status().message()));
      return removed.status();
    }
    TRY_ASSIGN(objects, caches_->list(resource));
    if (!objects.empty()) return {};
  }
  TRY(note(false, "InstanceDeletionCompleted", "removed all instances"));
  auto released = writer.update(request, [](const CachedObject* stored) -> Result<api::Object> {
    api::Object object = stored->object().clone();
    std::erase(object.metadata().finalizers, crd::kCustomResourceCleanupFinalizer);
    return object;
  });
  if (!released.ok() && !released.status().is(Reason::kNotFound)) return released.status();
  settle_others(writer);
  return {};
}

void Lifecycle::settle_others(Writer& writer) {
  auto all = caches_->list<CustomResourceDefinition>();
  if (!all.ok()) return;
  for (const auto& each : *all) {
    if (api::is_condition_true(each->status.conditions, crd::kNamesAccepted)) continue;
    const auto held = lock();
    auto settled = writer.edit(definition_resource(), "", each->metadata.name, false,
                               [&](api::Object& object) { return settle(*object.as<CustomResourceDefinition>()); });
    if (!settled.ok() && !settled.status().is(Reason::kNotFound)) {
      log::warning("A definition's names could not be looked at again",
                   {{"definition", each->metadata.name}, {"error", settled.status()}});
    }
  }
}

}  // namespace trireme::apiserver::extensions
