#include "apiserver/extensions/custom_objects.h"

#include <algorithm>

#include "api/status_convert.h"
#include "api/structural/validate.h"
#include "api/validation/meta.h"

namespace trireme::apiserver::extensions {
namespace {

constexpr std::string_view kStatus = "status";

/// The whole object as its schema describes it.
api::Value whole(const api::Object& object) {
  api::Value value = api::members_of(*api::as_custom(object));
  value["apiVersion"] = object.type().api_version;
  value["kind"] = object.type().kind;
  auto metadata = api::to_value(api::type_info<api::metav1::ObjectMeta>(), &object.metadata());
  value["metadata"] = metadata.ok() ? std::move(*metadata) : api::Value::object();
  return value;
}

std::vector<StatusCause> schema_problems(const CustomVersion& version, const api::Object& object) {
  api::validation::ErrorList errors;
  if (version.schema) api::structural::validate(whole(object), *version.schema, "", errors);
  return errors.take();
}

/// A fault of one value, not of what stands around it.
bool is_about_value(const StatusCause& cause) {
  return cause.type == "FieldValueInvalid" || cause.type == "FieldValueTypeInvalid" ||
         cause.type == "FieldValueNotSupported" || cause.type == "FieldValueTooLong";
}

/// What was wrong before and was not touched is no reason to refuse an update (KEP-4008).
void forgive_old_faults(std::vector<StatusCause>& problems, const std::vector<StatusCause>& before) {
  std::erase_if(problems, [&](const StatusCause& problem) {
    return is_about_value(problem) && std::ranges::any_of(before, [&](const StatusCause& old) {
             return old.field == problem.field && old.message == problem.message && old.type == problem.type;
           });
  });
}

const api::Value* only(const std::vector<const api::Value*>& found) {
  return found.size() == 1 ? found.front() : nullptr;
}

int32_t count_at(const api::structural::JsonPath& path, const api::Value& root) {
  const api::Value* found = only(path.find(root));
  return found != nullptr && found->is_int() ? static_cast<int32_t>(found->as_int()) : 0;
}

}  // namespace

void refine(const CustomVersion& version, api::CustomResource& object, std::vector<std::string>* unknown) {
  api::Value members = api::members_of(object);
  if (version.schema && !version.definition->definition->spec.preserve_unknown_fields) {
    api::structural::prune(members, *version.schema, true, unknown);
  }
  if (version.schema) api::structural::apply_defaults(members, *version.schema);
  // In any case: the same members in another order are the same object.
  api::set_members(object, members);
}

void fill_in_defaults(const CustomVersion& version, api::CustomResource& object) {
  if (!version.schema || !version.schema->has_defaults) return;
  api::Value members = api::members_of(object);
  api::structural::apply_defaults(members, *version.schema);
  api::set_members(object, members);
}

void prepare_for_create(const CustomVersion& version, api::Object& object) {
  object.metadata().generation = 1;
  if (!version.has_status) return;
  api::CustomResource& resource = *api::as_custom(object);
  api::Value members = api::members_of(resource);
  if (members.erase(kStatus)) api::set_members(resource, members);
}

void prepare_for_update(const CustomVersion& version, api::Object& updated, const api::Object& old) {
  api::CustomResource& resource = *api::as_custom(updated);
  api::Value members = api::members_of(resource);
  api::Value before = api::members_of(*api::as_custom(old));
  if (version.has_status) {
    members.erase(kStatus);
    const api::Value* status = before.find(kStatus);
    api::Value kept = status != nullptr ? *status : api::Value();
    const bool had_status = before.erase(kStatus);
    if (members != before) ++updated.metadata().generation;
    if (had_status) members[kStatus] = std::move(kept);
    api::set_members(resource, members);
  } else if (members != before) {
    ++updated.metadata().generation;
  }
}

void prepare_for_status_update(api::Object& updated, const api::Object& old) {
  api::CustomResource& resource = *api::as_custom(updated);
  const api::Value given = api::members_of(resource);
  api::Value members = api::members_of(*api::as_custom(old));
  members.erase(kStatus);
  if (const api::Value* status = given.find(kStatus)) members[kStatus] = *status;
  api::set_members(resource, members);
  api::metav1::ObjectMeta metadata = old.metadata();
  metadata.managed_fields = std::move(updated.metadata().managed_fields);
  metadata.resource_version = updated.metadata().resource_version;
  updated.metadata() = std::move(metadata);
}

std::vector<StatusCause> validate(const CustomVersion& version, const api::Object& object, const api::Object* old) {
  namespace validation = api::validation;
  validation::ErrorList errors;
  const validation::Path at("metadata");
  if (old == nullptr) {
    validation::check_object_meta(object.metadata(), version.resource->namespaced, validation::NameRule::kSubdomain, at,
                                  errors);
  } else {
    validation::check_object_meta_update(object.metadata(), old->metadata(), at, errors);
  }
  std::vector<StatusCause> all = errors.take();
  std::vector<StatusCause> problems = schema_problems(version, object);
  if (old != nullptr && !problems.empty()) forgive_old_faults(problems, schema_problems(version, *old));
  all.insert(all.end(), std::make_move_iterator(problems.begin()), std::make_move_iterator(problems.end()));
  return all;
}

Result<api::autoscalingv1::Scale> read_scale(const CustomVersion& version, const api::Object& object) {
  if (!version.scale) return Status::internal("this kind cannot be scaled");
  const api::metav1::ObjectMeta& metadata = object.metadata();
  const api::Value members = api::members_of(*api::as_custom(object));
  api::autoscalingv1::Scale scale;
  scale.metadata.name = metadata.name;
  scale.metadata.namespace_ = metadata.namespace_;
  scale.metadata.uid = metadata.uid;
  scale.metadata.resource_version = metadata.resource_version;
  scale.metadata.creation_timestamp = metadata.creation_timestamp;
  scale.spec.replicas = count_at(version.scale->spec_replicas, members);
  scale.status.replicas = count_at(version.scale->status_replicas, members);
  if (version.scale->selector) {
    const api::Value* selector = only(version.scale->selector->find(members));
    if (selector != nullptr) scale.status.selector = selector->string_or_empty();
  }
  return scale;
}

Status write_scale(const CustomVersion& version, const api::autoscalingv1::Scale& scale, api::Object& object) {
  if (!version.scale) return Status::internal("this kind cannot be scaled");
  api::CustomResource& resource = *api::as_custom(object);
  api::Value members = api::members_of(resource);
  if (!version.scale->spec_replicas.set(members, int64_t{scale.spec.replicas})) {
    return Status::internal("the path of the replicas leads through something that is no object");
  }
  api::set_members(resource, members);
  return {};
}

std::string selected_text(const api::structural::JsonPath& path, const api::CustomResource& object) {
  const api::Value members = api::members_of(object);
  const api::Value* found = only(path.find(members));
  if (found == nullptr || found->is_null()) return "";
  return found->is_string() ? found->as_string() : api::to_json(*found);
}

}  // namespace trireme::apiserver::extensions
