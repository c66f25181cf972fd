#include <fmt/format.h>

#include "api/conversion.h"
#include "api/names.h"
#include "api/status_convert.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/corev1.h"
#include "api/validation/validation.h"
#include "apiserver/extensions/custom_objects.h"
#include "apiserver/extensions/lifecycle.h"
#include "apiserver/http/context.h"
#include "apiserver/registry/writer.h"
#include "apiserver/strategy/strategy.h"

namespace trireme::apiserver {

namespace {

/// Tries to find a free generated name before giving up, as upstream does.
constexpr int kGenerateNameTries = 8;

}  // namespace

Writer::Writer(std::shared_ptr<Storage> storage, std::shared_ptr<Clock> clock, const admission::Chain& admission,
               std::shared_ptr<ServiceAllocator> services, std::shared_ptr<extensions::Lifecycle> definitions,
               api::RandomSource random)
    : storage_(std::move(storage)),
      clock_(std::move(clock)),
      admission_(admission),
      services_(std::move(services)),
      definitions_(std::move(definitions)),
      random_(std::move(random)) {}

admission::Attributes Writer::attributes_of(const WriteRequest& request, admission::Operation operation) {
  admission::Attributes attributes;
  attributes.operation = operation;
  attributes.resource = &request.resource;
  attributes.subresource = request.subresource;
  attributes.ns = request.ns;
  attributes.name = request.name;
  attributes.user = &request.user;
  attributes.dry_run = request.dry_run;
  attributes.warnings = request.warnings;
  return attributes;
}

Status Writer::admit_body(const WriteRequest& request, api::Object& body) {
  admission::Attributes attributes = attributes_of(request, admission::Operation::kCreate);
  attributes.object = &body;
  TRY(admission_.admit(attributes));
  return admission_.validate(attributes);
}

Status Writer::check_namespace(const WriteRequest& request, std::string_view name) {
  if (!request.resource.namespaced) return {};
  auto ns = storage_->caches().get<api::corev1::Namespace>("", request.ns);
  if (!ns.ok()) return ns.status();
  if ((*ns)->status.phase != api::corev1::kNamespaceTerminating && !(*ns)->metadata.deletion_timestamp) return {};
  Status refused = api::forbidden(
      request.resource, name,
      fmt::format("unable to create new content in namespace {} because it is being terminated", request.ns));
  StatusDetails details = refused.details();
  details.causes.push_back({std::string(api::corev1::kNamespaceTerminatingCause),
                            fmt::format("namespace {} is being terminated", request.ns), "metadata.namespace"});
  return refused.with_details(std::move(details));
}

Result<CachedPointer> Writer::create(const WriteRequest& request, api::Object object) {
  api::metav1::ObjectMeta& metadata = object.metadata();
  if (!request.resource.namespaced) {
    metadata.namespace_.clear();
  } else if (metadata.namespace_.empty()) {
    metadata.namespace_ = request.ns;
  } else if (metadata.namespace_ != request.ns) {
    return Status::bad_request("the namespace of the provided object does not match the namespace sent on the request");
  }
  if (!metadata.resource_version.empty() && metadata.resource_version != "0") {
    return Status::bad_request("resourceVersion should not be set on objects to be created");
  }
  metadata.uid = new_uuid(random_);
  metadata.creation_timestamp = api::Time(clock_->now());
  metadata.deletion_timestamp.reset();
  metadata.deletion_grace_period_seconds.reset();
  metadata.self_link.clear();
  TRY(check_namespace(request, metadata.name));

  const api::TypeInfo& stored_type = storage_type(request.resource);
  bool generated = metadata.name.empty() && !metadata.generate_name.empty();
  for (int attempt = 1;; ++attempt) {
    api::Object candidate;
    if (&object.type() == &stored_type) {
      candidate = generated ? object.clone() : std::move(object);
    } else {
      TRY_ASSIGN(candidate, api::convert(object, stored_type));
    }
    if (generated) candidate.metadata().name = api::generate_name(candidate.metadata().generate_name, random_);
    auto created = create_once(request, candidate);
    if (created.ok() || !created.status().is(Reason::kAlreadyExists) || !generated) return created;
    if (attempt == kGenerateNameTries) {
      return api::generate_name_conflict(request.resource, created.status().details().name);
    }
  }
}

Result<CachedPointer> Writer::create_once(const WriteRequest& request, api::Object& object) {
  const std::string name = object.metadata().name;
  strategy::prepare_for_create(object, clock_->now());
  if (request.custom) extensions::prepare_for_create(*request.custom, object);
  strategy::record_requester(object, request.user);
  admission::Attributes attributes = attributes_of(request, admission::Operation::kCreate);
  attributes.name = name;
  attributes.object = &object;
  TRY(admission_.admit(attributes));
  ServiceAllocator::Claim claim;
  if (auto* service = object.as<api::corev1::Service>()) {
    TRY_ASSIGN(claim, services_->claim(nullptr, *service));
  }
  std::unique_lock<std::mutex> names;
  if (auto* definition = object.as<api::apiextensionsv1::CustomResourceDefinition>()) {
    names = definitions_->lock();
    TRY(definitions_->settle(*definition));
  }
  auto problems = request.custom ? extensions::validate(*request.custom, object, nullptr)
                                 : api::validation::validate_create(object);
  if (!problems.empty()) {
    return api::invalid(request.resource.group, request.resource.kind, name, std::move(problems));
  }
  if (request.warnings != nullptr) {
    for (std::string& warning : strategy::warnings_on_create(object)) request.warnings->push_back(std::move(warning));
  }
  TRY(admission_.validate(attributes));

  auto stored = storage_->put(request.resource, std::move(object), 0, request.dry_run);
  if (!stored.ok()) {
    if (stored.status().is(Reason::kConflict)) return api::already_exists(request.resource, name);
    return stored.status();
  }
  if (!request.dry_run) claim.commit();
  return stored;
}

}  // namespace trireme::apiserver
