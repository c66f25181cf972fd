#include "apiserver/extensions/definitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "api/conditions.h"
#include "api/custom_resource.h"
#include "apiserver/extensions/custom_objects.h"
#include "base/log.h"

namespace trireme::apiserver::extensions {
namespace {

using api::apiextensionsv1::CustomResourceDefinition;
using api::apiextensionsv1::CustomResourceDefinitionVersion;
using api::structural::JsonPath;

const api::ResourceInfo& definition_resource() { return api::resource_of<CustomResourceDefinition>(); }

/// The versions and names as the registry knows resources.
const api::ResourceInfo& resource_info(const CustomResourceDefinition& definition,
                                       const CustomResourceDefinitionVersion& version,
                                       const std::string& storage_version) {
  const auto& names = definition.status.accepted_names;
  api::ResourceInfo info;
  info.group = definition.spec.group;
  info.version = version.name;
  info.resource = names.plural;
  info.singular = names.singular;
  info.kind = names.kind;
  info.namespaced = definition.spec.scope == api::apiextensionsv1::kNamespaceScoped;
  info.short_names = names.short_names;
  info.categories = names.categories;
  info.verbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
  if (version.subresources && version.subresources->scale) info.subresources.emplace_back("scale");
  if (version.subresources && version.subresources->status) info.subresources.emplace_back("status");
  info.storage = {info.group, storage_version};
  return api::custom_resource(std::move(info), names.list_kind);
}

/// Paths come from a validated definition; one that does not parse (a cluster of another make) leads nowhere.
std::optional<JsonPath> path_of(std::string_view text) {
  auto path = JsonPath::parse(text);
  if (!path.ok()) return std::nullopt;
  return std::move(*path);
}

std::optional<ScalePaths> scale_paths(const CustomResourceDefinitionVersion& version) {
  if (!version.subresources || !version.subresources->scale) return std::nullopt;
  const auto& scale = *version.subresources->scale;
  auto spec = path_of(scale.spec_replicas_path);
  auto status = path_of(scale.status_replicas_path);
  if (!spec || !status) return std::nullopt;
  ScalePaths paths{std::move(*spec), std::move(*status), std::nullopt};
  if (scale.label_selector_path && !scale.label_selector_path->empty())
    paths.selector = path_of(*scale.label_selector_path);
  return paths;
}

CustomVersion make_version(const Definition& owner, const CustomResourceDefinitionVersion& spec,
                           const std::string& storage_version, const CustomVersion* before) {
  const CustomResourceDefinition& definition = *owner.definition;
  CustomVersion version;
  version.definition = &owner;
  version.spec = &spec;
  version.resource = &resource_info(definition, spec, storage_version);
  if (before != nullptr) {
    version.schema = before->schema;
  } else if (spec.schema && spec.schema->open_apiv_3_schema) {
    auto schema = api::structural::compile(*spec.schema->open_apiv_3_schema);
    if (schema.ok()) {
      version.schema = std::move(*schema);
    } else {
      log::error("A definition's schema cannot be used",
                 {{"definition", definition.metadata.name}, {"version", spec.name}, {"error", schema.status()}});
    }
  }
  version.has_status = spec.subresources && spec.subresources->status;
  version.scale = scale_paths(spec);
  for (const auto& column : spec.additional_printer_columns) {
    version.columns.push_back(path_of(column.json_path).value_or(JsonPath()));
  }
  for (const auto& field : spec.selectable_fields) {
    if (auto path = path_of(field.json_path)) version.selectable.emplace(field.json_path.substr(1), std::move(*path));
  }
  if (spec.deprecated) {
    version.warning = spec.deprecation_warning ? *spec.deprecation_warning
                                               : fmt::format("{}/{} {} is deprecated", definition.spec.group, spec.name,
                                                             definition.status.accepted_names.kind);
  }
  return version;
}

DefinitionPointer make_definition(const CachedPointer& object, const Definition* before) {
  auto made = std::make_shared<Definition>();
  made->object = object;
  made->definition = object->object().as<CustomResourceDefinition>();
  const CustomResourceDefinition& definition = *made->definition;
  made->established = api::is_condition_true(definition.status.conditions, api::apiextensionsv1::kEstablished);
  made->terminating = definition.metadata.deletion_timestamp.has_value();
  const auto& conversion = definition.spec.conversion;
  made->needs_webhook = conversion && conversion->strategy == api::apiextensionsv1::kWebhookConverter;
  std::vector<const CustomResourceDefinitionVersion*> wanted;
  std::string storage;
  for (const auto& version : definition.spec.versions) {
    if (version.storage) storage = version.name;
    if (version.served || version.storage) wanted.push_back(&version);
  }
  std::ranges::sort(wanted, [](const auto* a, const auto* b) { return version_before(a->name, b->name); });
  made->versions.reserve(wanted.size());
  for (const auto* spec : wanted) {
    const CustomVersion* same = nullptr;
    if (before != nullptr) {
      const auto found =
          std::ranges::find_if(before->versions, [&](const auto& each) { return each.spec->name == spec->name; });
      if (found != before->versions.end()) same = &*found;
    }
    made->versions.push_back(make_version(*made, *spec, storage, same));
    if (spec->storage) made->storage = &made->versions.back();
  }
  return made;
}

/// "v1beta2" as (stage, major, minor); stages: GA, beta, alpha, anything else.
std::tuple<int, int, int> version_rank(std::string_view version) {
  constexpr std::tuple<int, int, int> kOther{0, 0, 0};
  if (!version.starts_with('v')) return kOther;
  version.remove_prefix(1);
  int major = 0;
  int minor = 0;
  auto number = [&](int& out) {
    const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), out);
    if (error != std::errc() || out <= 0) return false;
    version.remove_prefix(static_cast<size_t>(end - version.data()));
    return true;
  };
  if (!number(major)) return kOther;
  if (version.empty()) return {3, major, 0};
  const bool beta = version.starts_with("beta");
  if (!beta && !version.starts_with("alpha")) return kOther;
  version.remove_prefix(beta ? 4 : 5);
  if (!number(minor) || !version.empty()) return kOther;
  return {beta ? 2 : 1, major, minor};
}

}  // namespace

bool version_before(std::string_view a, std::string_view b) {
  const auto left = version_rank(a);
  const auto right = version_rank(b);
  if (left != right) return left > right;
  return a < b;
}

CustomVersionPointer Served::find(std::string_view group, std::string_view version, std::string_view resource) const {
  const DefinitionPointer definition = find(group, resource);
  if (!definition) return nullptr;
  for (const CustomVersion& candidate : definition->versions) {
    if (candidate.spec->served && candidate.spec->name == version) return {definition, &candidate};
  }
  return nullptr;
}

DefinitionPointer Served::find(std::string_view group, std::string_view resource) const {
  const auto found = std::ranges::find_if(definitions, [&](const auto& each) {
    return each->definition->spec.group == group && each->definition->status.accepted_names.plural == resource;
  });
  return found == definitions.end() ? nullptr : *found;
}

DefinitionPointer Served::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(definitions, [&](const auto& each) { return each->definition->metadata.name == name; });
  return found == definitions.end() ? nullptr : *found;
}

/// Shared with the function that the caches call, which may outlive this server's part of it.
struct Definitions::State {
  std::mutex mutex;
  std::shared_ptr<const Served> served = std::make_shared<Served>();

  std::shared_ptr<const Served> get() {
    const std::scoped_lock lock(mutex);
    return served;
  }
};

Definitions::Definitions(std::shared_ptr<Caches> caches)
    : caches_(std::move(caches)), state_(std::make_shared<State>()) {
  // Called while a cache is filled or follows the store: it must not wait for anything, and takes what is known.
  caches_->set_refine([state = state_](const api::ResourceInfo& resource, api::Object& object) {
    if (!api::is_custom(object.type())) return;
    if (const DefinitionPointer definition = state->get()->find(resource.group, resource.resource)) {
      fill_in_defaults(*definition->storage, *api::as_custom(object));
    }
  });
}

Definitions::~Definitions() { caches_->set_refine(nullptr); }

Result<std::shared_ptr<const Served>> Definitions::served() {
  TRY_ASSIGN(const store::Revision changed, caches_->changed_at(definition_resource()));
  if (auto known = state_->get(); known->revision >= changed) return known;
  const std::scoped_lock lock(mutex_);
  const std::shared_ptr<const Served> old = state_->get();
  TRY_ASSIGN(const store::Revision revision, caches_->changed_at(definition_resource()));
  if (old->revision >= revision) return old;
  TRY_ASSIGN(const auto objects, caches_->list(definition_resource()));
  auto fresh = std::make_shared<Served>();
  fresh->revision = revision;
  std::vector<const api::ResourceInfo*> outdated;
  for (const CachedPointer& object : objects) {
    const DefinitionPointer before = old->find(object->metadata().name);
    if (before && before->object == object) {
      fresh->definitions.push_back(before);
      continue;
    }
    // Whether what is known of the objects stays good.
    const bool known = before && before->definition->metadata.uid == object->metadata().uid &&
                       before->definition->metadata.generation == object->metadata().generation;
    DefinitionPointer made = make_definition(object, known ? before.get() : nullptr);
    if (!made->established || made->storage == nullptr) continue;
    if (before && !known) outdated.push_back(before->storage->resource);
    fresh->definitions.push_back(std::move(made));
  }
  for (const DefinitionPointer& before : old->definitions) {
    if (!fresh->find(before->definition->metadata.name)) outdated.push_back(before->storage->resource);
  }
  std::ranges::sort(fresh->definitions, {}, [](const DefinitionPointer& each) {
    return std::tie(each->definition->spec.group, each->definition->spec.names.plural);
  });
  {
    const std::scoped_lock state_lock(state_->mutex);
    state_->served = fresh;
  }
  // Read again, with the new schema; watches end, and whoever watched lists anew.
  for (const api::ResourceInfo* resource : outdated) caches_->forget(*resource);
  return std::shared_ptr<const Served>(fresh);
}

Result<CustomVersionPointer> Definitions::find(std::string_view group, std::string_view version,
                                               std::string_view resource) {
  // Core and other groups without a dot are never custom.
  if (group.find('.') == std::string_view::npos) return CustomVersionPointer();
  TRY_ASSIGN(const auto all, served());
  return all->find(group, version, resource);
}

}  // namespace trireme::apiserver::extensions
