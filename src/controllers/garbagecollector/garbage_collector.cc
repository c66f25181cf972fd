#include "controllers/garbagecollector/garbage_collector.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "api/value.h"
#include "base/log.h"

namespace trireme::controllers {
namespace {

using api::metav1::ObjectMeta;
using api::metav1::OwnerReference;

bool has_verb(const api::ResourceInfo& resource, std::string_view verb) {
  return std::ranges::find(resource.verbs, verb) != resource.verbs.end();
}

bool same_owners(const ObjectMeta& a, const ObjectMeta& b) {
  return std::ranges::equal(a.owner_references, b.owner_references, [](const auto& x, const auto& y) {
    return x.uid == y.uid && x.block_owner_deletion == y.block_owner_deletion;
  });
}

bool blocks(const ObjectMeta& dependent, const std::string& owner_uid) {
  return std::ranges::any_of(dependent.owner_references, [&](const OwnerReference& owner) {
    return owner.uid == owner_uid && owner.block_owner_deletion.value_or(false);
  });
}

bool drop_owners(ObjectMeta& metadata, const std::vector<std::string>& uids) {
  return std::erase_if(metadata.owner_references, [&](const OwnerReference& owner) {
           return std::ranges::find(uids, owner.uid) != uids.end();
         }) > 0;
}

bool drop_finalizer(ObjectMeta& metadata, std::string_view finalizer) {
  return std::erase(metadata.finalizers, finalizer) > 0;
}

Result<std::string> metadata_patch(const ObjectMeta& metadata) {
  api::Value patch = api::Value::object();
  api::Value& body = patch["metadata"];
  body["uid"] = metadata.uid;
  body["resourceVersion"] = metadata.resource_version;
  api::Value::Array owners;
  for (const OwnerReference& owner : metadata.owner_references) {
    TRY_ASSIGN(api::Value value, api::to_value(api::type_info<OwnerReference>(), &owner));
    owners.push_back(std::move(value));
  }
  api::Value::Array finalizers;
  for (const std::string& finalizer : metadata.finalizers) finalizers.push_back(finalizer);
  body["ownerReferences"] = owners.empty() ? api::Value() : api::Value(std::move(owners));
  body["finalizers"] = finalizers.empty() ? api::Value() : api::Value(std::move(finalizers));
  return api::to_json(patch);
}

}  // namespace

GarbageCollector::GarbageCollector(const ControllerContext& context)
    : Controller(context, "garbage-collector-controller", 4) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const api::ResourceInfo& resource : api::resources()) {
    if (!has_verb(resource, "list") || !has_verb(resource, "watch") || !has_verb(resource, "delete")) continue;
    if (resource.resource == "events" || !seen.emplace(resource.group, resource.resource).second) continue;
    resources_.push_back(&resource);
  }
  for (size_t i = 0; i < resources_.size(); ++i) follow(i);
}

void GarbageCollector::follow(size_t resource) {
  reflectors_.push_back(context().informers->metadata(*resources_[resource]));
  client::Reflector& reflector = *reflectors_.back();
  reflector.add_handler([this, resource, &reflector](const client::AnyPointer& before,
                                                     const client::AnyPointer& after) {
    on_change(resource, before ? &reflector.metadata(before) : nullptr, after ? &reflector.metadata(after) : nullptr);
  });
}

void GarbageCollector::on_change(size_t resource, const Metadata* before, const Metadata* after) {
  const Metadata& any = after ? *after : *before;
  const ObjectPlace place{resource, any.namespace_, any.name, any.uid};
  if (!after) {
    graph_.remove(place, any);
    enqueue_dependents(any.uid);
    // An owner that waits in the foreground may have lost its last dependent.
    for (const OwnerReference& owner : any.owner_references) {
      if (graph_.presence(owner.uid) != OwnerGraph::Presence::kWaiting) continue;
      for (size_t i = 0; i < resources_.size(); ++i) {
        if (resources_[i]->kind != owner.kind) continue;
        enqueue(ObjectPlace{i, resources_[i]->namespaced ? any.namespace_ : "", owner.name, owner.uid}.to_key());
      }
    }
    return;
  }
  graph_.update(place, before, *after);
  const bool owners_changed = !before ? !after->owner_references.empty() : !same_owners(*before, *after);
  const bool waits = deletes_dependents(*after);
  const bool began = waits && (!before || !deletes_dependents(*before));
  if (owners_changed || waits || orphans_dependents(*after)) enqueue(place.to_key());
  if (began) enqueue_dependents(after->uid);
}

void GarbageCollector::enqueue_dependents(const std::string& uid) {
  for (const ObjectPlace& dependent : graph_.dependents(uid)) enqueue(dependent.to_key());
}

std::shared_ptr<const GarbageCollector::Metadata> GarbageCollector::cached(const ObjectPlace& place) const {
  if (place.resource >= reflectors_.size()) return nullptr;
  const client::Reflector& reflector = *reflectors_[place.resource];
  const client::AnyPointer object = reflector.cache().get(place.ns.empty() ? place.name : place.ns + "/" + place.name);
  if (!object || reflector.metadata(object).uid != place.uid) return nullptr;
  return {object, &reflector.metadata(object)};
}

Result<bool> GarbageCollector::exists(const ObjectPlace& dependent, const OwnerReference& owner) {
  const api::ResourceInfo* resource = api::find_kind(owner.api_version, owner.kind);
  if (!resource) {
    return Status(Reason::kNotFound,
                  fmt::format("no resource is known for the owner's kind {} in {}", owner.kind, owner.api_version));
  }
  // A namespaced owner of a cluster-wide object cannot be meant; nothing is deleted for it.
  if (resource->namespaced && dependent.ns.empty()) return true;
  const auto found = client().raw().get_metadata(*resource, resource->namespaced ? dependent.ns : "", owner.name);
  if (found.ok()) return found->metadata.uid == owner.uid;
  if (found.status().is(Reason::kNotFound)) return false;
  return found.status();
}

Result<GarbageCollector::Owners> GarbageCollector::classify(const ObjectPlace& place, const Metadata& metadata) {
  Owners owners;
  for (const OwnerReference& owner : metadata.owner_references) {
    OwnerGraph::Presence presence = graph_.presence(owner.uid);
    if (presence == OwnerGraph::Presence::kUnknown) {
      TRY_ASSIGN(const bool there, exists(place, owner));
      if (!there) graph_.set_absent(owner.uid);
      presence = there ? OwnerGraph::Presence::kSolid : OwnerGraph::Presence::kAbsent;
    }
    if (presence == OwnerGraph::Presence::kSolid) owners.solid.push_back(owner.uid);
    if (presence == OwnerGraph::Presence::kWaiting) owners.waiting.push_back(owner.uid);
    if (presence == OwnerGraph::Presence::kAbsent) owners.dangling.push_back(owner.uid);
  }
  return owners;
}

Status GarbageCollector::edit(const ObjectPlace& place, const std::function<bool(Metadata&)>& change) {
  const api::ResourceInfo& resource = *resources_[place.resource];
  auto fresh = client().raw().get_metadata(resource, place.ns, place.name);
  if (fresh.status().is(Reason::kNotFound)) return {};
  if (!fresh.ok()) return fresh.status();
  if (fresh->metadata.uid != place.uid || !change(fresh->metadata)) return {};
  TRY_ASSIGN(std::string patch, metadata_patch(fresh->metadata));
  const auto written =
      client().raw().patch(resource, place.ns, place.name, client::PatchType::kMerge, std::move(patch));
  if (written.ok() || written.status().is(Reason::kNotFound)) return {};
  return written.status();
}

Status GarbageCollector::finish_foreground(const ObjectPlace& place) {
  bool blocked = false;
  for (const ObjectPlace& dependent : graph_.dependents(place.uid)) {
    const auto metadata = cached(dependent);
    if (!metadata || !blocks(*metadata, place.uid)) continue;
    blocked = true;
    if (!deletes_dependents(*metadata)) enqueue(dependent.to_key());
  }
  // The last blocking dependent's deletion brings this object back here.
  if (blocked) return {};
  return edit(place,
              [](Metadata& metadata) { return drop_finalizer(metadata, api::metav1::kFinalizerDeleteDependents); });
}

Result<std::set<ObjectPlace>> GarbageCollector::all_dependents(const ObjectPlace& place, const Metadata& metadata) {
  std::set<ObjectPlace> out;
  for (ObjectPlace& dependent : graph_.dependents(place.uid)) out.insert(std::move(dependent));
  uint64_t version = 0;
  std::from_chars(metadata.resource_version.data(), metadata.resource_version.data() + metadata.resource_version.size(),
                  version);
  for (size_t i = 0; i < resources_.size(); ++i) {
    const api::ResourceInfo& resource = *resources_[i];
    if (reflectors_[i]->version() >= version || (!resource.namespaced && !place.ns.empty())) continue;
    using List = api::metav1::PartialObjectMetadataList;
    client::ListOptions options;
    options.metadata_only = true;
    TRY_ASSIGN(const std::string body, client().raw().list(resource, place.ns, options));
    TRY_ASSIGN(const List list, body.starts_with(std::string_view("k8s\0", 4)) ? api::decode_proto<List>(body)
                                                                               : api::decode_json<List>(body));
    for (const auto& item : list.items) {
      const bool owned = std::ranges::any_of(item.metadata.owner_references,
                                             [&](const OwnerReference& owner) { return owner.uid == place.uid; });
      if (owned) out.insert({i, item.metadata.namespace_, item.metadata.name, item.metadata.uid});
    }
  }
  return out;
}

Status GarbageCollector::orphan(const ObjectPlace& place, const Metadata& metadata) {
  TRY_ASSIGN(const std::set<ObjectPlace> dependents, all_dependents(place, metadata));
  for (const ObjectPlace& dependent : dependents) {
    TRY(edit(dependent, [&](Metadata& metadata) { return drop_owners(metadata, {place.uid}); }));
  }
  return edit(place,
              [](Metadata& metadata) { return drop_finalizer(metadata, api::metav1::kFinalizerOrphanDependents); });
}

Status GarbageCollector::collect(const ObjectPlace& place, const Metadata& metadata) {
  TRY_ASSIGN(const Owners owners, classify(place, metadata));
  std::vector<std::string> useless = owners.dangling;
  useless.insert(useless.end(), owners.waiting.begin(), owners.waiting.end());
  if (!owners.solid.empty()) {
    if (useless.empty()) return {};
    return edit(place, [&](Metadata& fresh) { return drop_owners(fresh, useless); });
  }
  // The cache may be behind: only what the server shows now is deleted, and only in that very version.
  const api::ResourceInfo& resource = *resources_[place.resource];
  auto fresh = client().raw().get_metadata(resource, place.ns, place.name);
  if (fresh.status().is(Reason::kNotFound)) return {};
  if (!fresh.ok()) return fresh.status();
  if (fresh->metadata.uid != place.uid || fresh->metadata.deletion_timestamp) return {};
  if (!same_owners(fresh->metadata, metadata)) return {Reason::kConflict, "the owners have changed"};
  client::DeleteOptions options;
  options.uid = place.uid;
  options.resource_version = fresh->metadata.resource_version;
  if (!owners.waiting.empty() && graph_.has_dependents(place.uid)) {
    // Its own dependents go first, too. In a circle of owners each would wait for the other: break it.
    const auto dependents = graph_.dependents(place.uid);
    const bool circle = std::ranges::any_of(dependents, [&](const ObjectPlace& each) {
      return graph_.presence(each.uid) == OwnerGraph::Presence::kWaiting;
    });
    if (circle) {
      TRY(edit(place, [](Metadata& each) {
        bool changed = false;
        for (OwnerReference& owner : each.owner_references) {
          changed = changed || owner.block_owner_deletion.value_or(false);
          owner.block_owner_deletion = false;
        }
        return changed;
      }));
      options.resource_version.clear();
    }
    options.propagation_policy = "Foreground";
  } else if (has_finalizer(fresh->metadata, api::metav1::kFinalizerOrphanDependents)) {
    options.propagation_policy = "Orphan";
  } else if (has_finalizer(fresh->metadata, api::metav1::kFinalizerDeleteDependents)) {
    options.propagation_policy = "Foreground";
  } else {
    options.propagation_policy = "Background";
  }
  log::debug("Deleting an object without owners",
             {{"resource", resource.resource}, {"namespace", place.ns}, {"name", place.name}});
  const Status removed = client().raw().remove(resource, place.ns, place.name, options);
  return removed.is(Reason::kNotFound) ? Status() : removed;
}

Result<Outcome> GarbageCollector::reconcile(const std::string& key) {
  const auto place = ObjectPlace::from_key(key);
  if (!place) return Status::internal("malformed key " + key);
  const auto metadata = cached(*place);
  if (!metadata) return Outcome::done();
  if (orphans_dependents(*metadata)) {
    TRY(orphan(*place, *metadata));
  } else if (deletes_dependents(*metadata)) {
    TRY(finish_foreground(*place));
  } else if (!metadata->deletion_timestamp && !metadata->owner_references.empty()) {
    TRY(collect(*place, *metadata));
  }
  return Outcome::done();
}

}  // namespace trireme::controllers
