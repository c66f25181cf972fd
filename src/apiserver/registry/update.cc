#include <fmt/format.h>

#include "api/codec.h"
#include "api/conversion.h"
#include "api/status_convert.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/corev1.h"
#include "api/validation/validation.h"
#include "apiserver/extensions/custom_objects.h"
#include "apiserver/extensions/lifecycle.h"
#include "apiserver/registry/writer.h"
#include "apiserver/strategy/strategy.h"

namespace trireme::apiserver {

namespace {

/// Writes that lost a race are tried again this often when the caller did not ask for a certain version.
constexpr int kUpdateTries = 5;

/// Whether both would be stored as the same bytes.
bool same_bytes(const api::Object& a, const api::Object& b) {
  std::string left;
  std::string right;
  api::append_proto(a.type(), a.data(), left);
  api::append_proto(b.type(), b.data(), right);
  return left == right;
}

/// The object was being deleted and the last thing that held it back has gone.
bool deletes(const api::Object& updated, const api::metav1::ObjectMeta& stored) {
  if (!stored.deletion_timestamp || !updated.metadata().finalizers.empty()) return false;
  // Namespaces have no grace period but finalizers of their own.
  if (const auto* ns = updated.as<api::corev1::Namespace>()) return ns->spec.finalizers.empty();
  return stored.deletion_grace_period_seconds.value_or(1) == 0;
}

}  // namespace

Status check_preconditions(const api::ResourceInfo& resource, const api::metav1::ObjectMeta& stored,
                           const Preconditions& preconditions) {
  if (!preconditions.uid.empty() && preconditions.uid != stored.uid) {
    return api::conflict(resource, stored.name,
                         fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}",
                                     preconditions.uid, stored.uid));
  }
  if (!preconditions.resource_version.empty() && preconditions.resource_version != stored.resource_version) {
    return api::conflict(resource, stored.name,
                         fmt::format("Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in "
                                     "object meta: {}",
                                     preconditions.resource_version, stored.resource_version));
  }
  return {};
}

Result<Writer::Updated> Writer::update(const WriteRequest& request, const Change& change) {
  for (int attempt = 1;; ++attempt) {
    CachedPointer stored;
    auto found = storage_->get(request.resource, request.ns, request.name);
    if (found.ok()) {
      stored = *found;
    } else if (!found.status().is(Reason::kNotFound) || !request.subresource.empty() ||
               !strategy::allow_create_on_update(storage_type(request.resource))) {
      return found.status();
    }
    bool may_retry = false;
    auto updated = update_once(request, change, stored, may_retry);
    if (updated.ok() || !updated.status().is(Reason::kConflict) || !may_retry || attempt == kUpdateTries) {
      return updated;
    }
  }
}

Result<Writer::Updated> Writer::update_once(const WriteRequest& request, const Change& change,
                                            const CachedPointer& stored, bool& may_retry) {
  TRY_ASSIGN(api::Object object, change(stored.get()));
  const api::TypeInfo& stored_type = storage_type(request.resource);
  if (&object.type() != &stored_type) {
    TRY_ASSIGN(object, api::convert(object, stored_type));
  }
  if (!stored) {
    if (!object.metadata().uid.empty()) {
      return api::conflict(
          request.resource, request.name,
          fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: ", object.metadata().uid));
    }
    object.metadata().resource_version.clear();
    TRY_ASSIGN(CachedPointer created, create(request, std::move(object)));
    return Updated{created, true};
  }

  const api::Object& before = stored->object();
  const api::metav1::ObjectMeta& old = before.metadata();
  api::metav1::ObjectMeta& metadata = object.metadata();
  if (request.resource.namespaced && metadata.namespace_.empty()) metadata.namespace_ = request.ns;
  if (!request.resource.namespaced) metadata.namespace_.clear();
  if (metadata.namespace_ != old.namespace_) {
    return Status::bad_request("the namespace of the provided object does not match the namespace sent on the request");
  }
  TRY(check_preconditions(request.resource, old, {.uid = metadata.uid, .resource_version = {}}));
  if (metadata.resource_version.empty() || metadata.resource_version == "0") {
    if (!strategy::allow_unconditional_update(stored_type)) {
      return api::invalid(
          request.resource.group, request.resource.kind, request.name,
          {api::field_error::invalid_raw("metadata.resourceVersion", "0x0", "must be specified for an update")});
    }
  } else if (metadata.resource_version != old.resource_version) {
    return api::conflict(request.resource, request.name);
  }
  metadata.resource_version = old.resource_version;
  metadata.uid = old.uid;
  metadata.deletion_timestamp = old.deletion_timestamp;
  metadata.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
  if (request.subresource.empty()) {
    strategy::prepare_for_update(object, before, clock_->now());
  } else {
    strategy::prepare_for_subresource_update(object, before, request.subresource, clock_->now());
  }
  if (request.custom && request.subresource == "status") {
    extensions::prepare_for_status_update(object, before);
  } else if (request.custom) {
    extensions::prepare_for_update(*request.custom, object, before);
  }

  admission::Attributes attributes = attributes_of(request, admission::Operation::kUpdate);
  attributes.object = &object;
  attributes.old_object = &before;
  TRY(admission_.admit(attributes));
  ServiceAllocator::Claim claim;
  if (auto* service = object.as<api::corev1::Service>(); service != nullptr && request.subresource.empty()) {
    TRY_ASSIGN(claim, services_->claim(before.as<api::corev1::Service>(), *service));
  }
  std::unique_lock<std::mutex> names;
  if (auto* definition = object.as<api::apiextensionsv1::CustomResourceDefinition>();
      definition != nullptr && request.subresource.empty()) {
    names = definitions_->lock();
    TRY(definitions_->settle(*definition));
  }
  auto problems = request.custom ? extensions::validate(*request.custom, object, &before)
                  : request.subresource.empty()
                      ? api::validation::validate_update(object, before)
                      : api::validation::validate_subresource_update(object, before, request.subresource);
  if (!problems.empty()) {
    return api::invalid(request.resource.group, request.resource.kind, request.name, std::move(problems));
  }
  if (request.warnings != nullptr) {
    for (std::string& warning : strategy::warnings_on_update(object, before))
      request.warnings->push_back(std::move(warning));
  }
  TRY(admission_.validate(attributes));

  if (deletes(object, old)) {
    may_retry = true;
    Status removed = storage_->remove(request.resource, *stored, request.dry_run);
    if (removed.is(Reason::kConflict)) return api::conflict(request.resource, request.name);
    TRY(removed);
    release(request, before);
    return Updated{std::make_shared<const CachedObject>(stored->key(), stored->revision(), std::move(object))};
  }

  if (same_bytes(object, before)) return Updated{stored};
  // Who asked for a certain version finds out on the next round that it is no longer the stored one.
  may_retry = true;
  auto written = storage_->put(request.resource, std::move(object), stored->revision(), request.dry_run);
  if (!written.ok()) {
    if (written.status().is(Reason::kConflict)) return api::conflict(request.resource, request.name);
    return written.status();
  }
  if (!request.dry_run) claim.commit();
  return Updated{*written};
}

Result<CachedPointer> Writer::edit(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                                   bool dry_run, const std::function<Status(api::Object& object)>& change) {
  for (int attempt = 1;; ++attempt) {
    TRY_ASSIGN(CachedPointer stored, storage_->get(resource, ns, name));
    api::Object object = stored->object().clone();
    TRY(change(object));
    if (same_bytes(object, stored->object())) return stored;
    auto written = storage_->put(resource, std::move(object), stored->revision(), dry_run);
    if (written.ok()) return written;
    if (!written.status().is(Reason::kConflict)) return written.status();
    if (attempt == kUpdateTries) return api::conflict(resource, name);
  }
}

}  // namespace trireme::apiserver
