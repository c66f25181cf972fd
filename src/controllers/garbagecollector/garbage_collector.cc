#include "controllers/garbagecollector/garbage_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "api/value.h"
#include "base/log.h"

namespace trireme::controllers {
namespace {

using api::metav1::ObjectMeta;
using api::metav1::OwnerReference;

/// Not a UID: asks for a look at what the server serves.
constexpr std::string_view kDiscover = "discover";
constexpr Duration kUnseenDelay = std::chrono::seconds(5);

bool has_verb(const api::ResourceInfo& resource, std::string_view verb) {
  return std::ranges::find(resource.verbs, verb) != resource.verbs.end();
}

bool collectable(const api::ResourceInfo& resource) {
  return has_verb(resource, "list") && has_verb(resource, "watch") && has_verb(resource, "delete") &&
         resource.resource != "events";
}

bool same_owners(const ObjectMeta& a, const ObjectMeta& b) {
  return std::ranges::equal(a.owner_references, b.owner_references, [](const auto& x, const auto& y) {
    return x.uid == y.uid && x.block_owner_deletion == y.block_owner_deletion;
  });
}

const OwnerReference* find_reference(const ObjectMeta& metadata, const std::string& uid) {
  const auto found = std::ranges::find(metadata.owner_references, uid, &OwnerReference::uid);
  return found == metadata.owner_references.end() ? nullptr : &*found;
}

bool drop_owners(ObjectMeta& metadata, const std::vector<std::string>& uids) {
  return std::erase_if(metadata.owner_references, [&](const OwnerReference& owner) {
           return std::ranges::find(uids, owner.uid) != uids.end();
         }) > 0;
}

bool drop_finalizer(ObjectMeta& metadata, std::string_view finalizer) {
  return std::erase(metadata.finalizers, finalizer) > 0;
}

/// What identifies an absent owner to the dependents in `ns`.
std::string coordinates(std::string_view api_version, std::string_view kind, std::string_view ns, std::string_view name,
                        std::string_view uid) {
  return fmt::format("{}|{}|{}|{}|{}", api_version, kind, ns, name, uid);
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
    : Controller(context, "garbage-collector-controller", context.options.concurrent_gc_syncs),
      events_(context.events->recorder("garbage-collector-controller")),
      custom_(context, collectable, [this] { enqueue(std::string(kDiscover)); }) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const api::ResourceInfo& resource : api::resources()) {
    if (collectable(resource) && seen.emplace(resource.group, resource.resource).second) {
      follow(context.informers->metadata(resource));
    }
  }
}

void GarbageCollector::follow(const std::shared_ptr<client::Reflector>& reflector) {
  size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    index = followed_.size();
    followed_.push_back(Followed{&reflector->resource(), reflector});
  }
  reflector->add_handler(
      [this, index, &from = *reflector](const client::AnyPointer& before, const client::AnyPointer& after) {
        const auto metadata = [&](const client::AnyPointer& object) {
          return object ? MetadataPointer(object, &from.metadata(object)) : nullptr;
        };
        on_change(index, metadata(before), metadata(after));
      });
}

void GarbageCollector::unfollow(const client::Reflector& reflector) {
  size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(followed_, [&](const Followed& each) { return each.reflector.get() == &reflector; });
    if (found == followed_.end()) return;
    index = static_cast<size_t>(found - followed_.begin());
    found->reflector = nullptr;
  }
  for (const client::AnyPointer& object : reflector.cache().list("")) {
    on_change(index, MetadataPointer(object, &reflector.metadata(object)), nullptr);
  }
}

void GarbageCollector::begin() { enqueue(std::string(kDiscover)); }

GarbageCollector::Followed GarbageCollector::followed(size_t resource) const {
  const std::lock_guard lock(mutex_);
  return followed_[resource];
}

Status GarbageCollector::discover() {
  TRY_ASSIGN(const CustomKinds::Change change, custom_.look());
  for (const auto& reflector : change.gone) unfollow(*reflector);
  for (const auto& reflector : change.fresh) follow(reflector);
  custom_.start();
  return change.incomplete;
}

bool GarbageCollector::names(const OwnerReference& reference, const ObjectMeta& dependent,
                             const Observed& owner) const {
  const api::ResourceInfo& resource = *followed(owner.resource).resource;
  const size_t slash = reference.api_version.find('/');
  const std::string_view group = std::string_view(reference.api_version).substr(0, slash);
  return (slash == std::string::npos ? resource.group.empty() : group == resource.group) &&
         reference.kind == resource.kind && reference.name == owner.metadata->name &&
         (owner.metadata->namespace_.empty() || owner.metadata->namespace_ == dependent.namespace_);
}

void GarbageCollector::report_other_namespace(const Observed& dependent, const OwnerReference& reference,
                                              const Observed& owner) {
  const ObjectMeta& metadata = *dependent.metadata;
  if (owner.metadata->namespace_.empty() || owner.metadata->namespace_ == metadata.namespace_) return;
  const api::ResourceInfo& resource = *followed(dependent.resource).resource;
  api::corev1::ObjectReference about;
  about.kind = resource.kind;
  about.api_version = resource.api_version();
  about.namespace_ = metadata.namespace_;
  about.name = metadata.name;
  about.uid = metadata.uid;
  events_.warning(about, "OwnerRefInvalidNamespace",
                  fmt::format("ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace \"{}\"",
                              reference.api_version, reference.kind, metadata.namespace_, reference.name, reference.uid,
                              metadata.namespace_));
}

void GarbageCollector::on_change(size_t resource, const MetadataPointer& before, const MetadataPointer& after) {
  if (!after) {
    const api::ResourceInfo& info = *followed(resource).resource;
    graph_.set_absent(coordinates(info.api_version(), info.kind, before->namespace_, before->name, before->uid));
    graph_.remove(before->uid);
    enqueue_dependents(before->uid);
    for (const OwnerReference& owner : before->owner_references) release_owner(owner.uid);
    return;
  }
  // First the graph, then the looks at it: an owner that goes at the same time sees the dependent, or is seen gone.
  graph_.update(resource, after);
  const Observed object{resource, after};
  const bool owners_changed = !before || !same_owners(*before, *after);
  bool needed = deletes_dependents(*after) || orphans_dependents(*after);
  for (const OwnerReference& reference : after->owner_references) {
    if (!owners_changed) break;
    if (known(*after, reference) != Presence::kSolid) needed = true;
    if (before && find_reference(*before, reference.uid)) continue;
    if (const auto owner = graph_.find(reference.uid)) report_other_namespace(object, reference, *owner);
  }
  if (needed) enqueue(after->uid);
  if (before && owners_changed) {
    for (const OwnerReference& owner : before->owner_references) {
      if (!find_reference(*after, owner.uid) || !blocks(*after, owner.uid)) release_owner(owner.uid);
    }
  }
  if (!before) {
    for (const Observed& dependent : graph_.dependents(after->uid)) {
      const OwnerReference* reference = find_reference(*dependent.metadata, after->uid);
      if (!reference || names(*reference, *dependent.metadata, object)) continue;
      report_other_namespace(dependent, *reference, object);
      enqueue(dependent.metadata->uid);
    }
  }
  const bool began = (deletes_dependents(*after) && (!before || !deletes_dependents(*before))) ||
                     (orphans_dependents(*after) && (!before || !orphans_dependents(*before)));
  if (began) enqueue_dependents(after->uid);
}

void GarbageCollector::enqueue_dependents(const std::string& uid) {
  for (const Observed& dependent : graph_.dependents(uid)) enqueue(dependent.metadata->uid);
}

void GarbageCollector::release_owner(const std::string& uid) {
  const auto owner = graph_.find(uid);
  if (owner && (deletes_dependents(*owner->metadata) || orphans_dependents(*owner->metadata))) enqueue(uid);
}

std::optional<GarbageCollector::Presence> GarbageCollector::known(const ObjectMeta& dependent,
                                                                  const OwnerReference& reference) {
  if (const auto owner = graph_.find(reference.uid)) {
    // Another object's UID says nothing about the one that is named.
    if (!names(reference, dependent, *owner)) return std::nullopt;
    if (orphans_dependents(*owner->metadata)) return Presence::kOrphaning;
    return deletes_dependents(*owner->metadata) ? Presence::kWaiting : Presence::kSolid;
  }
  for (const std::string_view ns : {std::string_view(), std::string_view(dependent.namespace_)}) {
    if (graph_.absent(coordinates(reference.api_version, reference.kind, ns, reference.name, reference.uid))) {
      return Presence::kAbsent;
    }
  }
  return std::nullopt;
}

Status GarbageCollector::look_up(const ObjectMeta& dependent, const OwnerReference& reference, Owners& owners) {
  api::ResourceInfo resource;
  if (const api::ResourceInfo* built_in = api::find_kind(reference.api_version, reference.kind)) {
    resource = *built_in;
  } else {
    // Any version will do: all show the same objects.
    const size_t slash = reference.api_version.find('/');
    const std::string group = slash == std::string::npos ? "" : reference.api_version.substr(0, slash);
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(followed_, [&](const Followed& each) {
      return each.reflector && each.resource->kind == reference.kind && each.resource->group == group;
    });
    if (found == followed_.end()) {
      return {Reason::kNotFound,
              fmt::format("no resource is known for the owner's kind {} in {}", reference.kind, reference.api_version)};
    }
    resource = *found->resource;
  }
  if (resource.namespaced && dependent.namespace_.empty()) {
    owners.invalid = true;
    return {};
  }
  const std::string ns = resource.namespaced ? dependent.namespace_ : "";
  const auto found = client().raw().get_metadata(resource, ns, reference.name);
  if (!found.ok() && !found.status().is(Reason::kNotFound)) return found.status();
  if (!found.ok() || found->metadata.uid != reference.uid) {
    graph_.set_absent(coordinates(reference.api_version, reference.kind, ns, reference.name, reference.uid));
    owners.dangling.push_back(reference.uid);
    return {};
  }
  (deletes_dependents(found->metadata) ? owners.waiting : owners.solid).push_back(reference.uid);
  owners.unseen = owners.unseen || (collectable(resource) && !graph_.find(reference.uid));
  return {};
}

Result<GarbageCollector::Owners> GarbageCollector::classify(const Observed& object) {
  Owners owners;
  for (const OwnerReference& reference : object.metadata->owner_references) {
    const auto presence = known(*object.metadata, reference);
    if (!presence) {
      TRY(look_up(*object.metadata, reference, owners));
    } else if (*presence == Presence::kSolid) {
      owners.solid.push_back(reference.uid);
    } else if (*presence == Presence::kWaiting) {
      owners.waiting.push_back(reference.uid);
    } else {
      owners.dangling.push_back(reference.uid);
    }
  }
  return owners;
}

Status GarbageCollector::edit(const Observed& object, const std::function<bool(ObjectMeta&)>& change) {
  const api::ResourceInfo& resource = *followed(object.resource).resource;
  const std::string& ns = object.metadata->namespace_;
  const std::string& name = object.metadata->name;
  auto fresh = client().raw().get_metadata(resource, ns, name);
  if (fresh.status().is(Reason::kNotFound)) return {};
  if (!fresh.ok()) return fresh.status();
  if (fresh->metadata.uid != object.metadata->uid || !change(fresh->metadata)) return {};
  TRY_ASSIGN(std::string patch, metadata_patch(fresh->metadata));
  const auto written = client().raw().patch(resource, ns, name, client::PatchType::kMerge, std::move(patch));
  if (written.ok() || written.status().is(Reason::kNotFound)) return {};
  return written.status();
}

Status GarbageCollector::finish_foreground(const Observed& object) {
  const std::string& uid = object.metadata->uid;
  if (const auto blocking = graph_.blocking_dependent(uid)) {
    // All were queued when the deletion began, and the last one's end brings this object back here.
    if (!deletes_dependents(*blocking->metadata)) enqueue(blocking->metadata->uid);
    return {};
  }
  return edit(object,
              [](ObjectMeta& metadata) { return drop_finalizer(metadata, api::metav1::kFinalizerDeleteDependents); });
}

Result<std::vector<Observed>> GarbageCollector::unseen_dependents(const Observed& owner) {
  const ObjectMeta& metadata = *owner.metadata;
  uint64_t version = 0;
  std::from_chars(metadata.resource_version.data(), metadata.resource_version.data() + metadata.resource_version.size(),
                  version);
  std::vector<Observed> out;
  size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = followed_.size();
  }
  for (size_t i = 0; i < count; ++i) {
    const Followed each = followed(i);
    if (!each.reflector) continue;
    if (each.reflector->version() >= version || (!each.resource->namespaced && !metadata.namespace_.empty())) continue;
    using List = api::metav1::PartialObjectMetadataList;
    client::ListOptions options;
    options.metadata_only = true;
    TRY_ASSIGN(const std::string body, client().raw().list(*each.resource, metadata.namespace_, options));
    TRY_ASSIGN(List list, body.starts_with(std::string_view("k8s\0", 4)) ? api::decode_proto<List>(body)
                                                                         : api::decode_json<List>(body));
    for (auto& item : list.items) {
      if (!find_reference(item.metadata, metadata.uid)) continue;
      out.push_back({i, std::make_shared<const ObjectMeta>(std::move(item.metadata))});
    }
  }
  return out;
}

Status GarbageCollector::orphan(const Observed& owner) {
  const std::string& uid = owner.metadata->uid;
  const auto let_go = [&uid](ObjectMeta& metadata) { return drop_owners(metadata, {uid}); };
  // Those that are known were queued when the deletion began, so that all workers share them; the last one that lets go
  // brings the owner back here.
  if (const auto dependent = graph_.any_dependent(uid)) {
    enqueue(dependent->metadata->uid);
    return {};
  }
  TRY_ASSIGN(const std::vector<Observed> unseen, unseen_dependents(owner));
  for (const Observed& dependent : unseen) TRY(edit(dependent, let_go));
  return edit(owner,
              [](ObjectMeta& metadata) { return drop_finalizer(metadata, api::metav1::kFinalizerOrphanDependents); });
}

Status GarbageCollector::remove(const Observed& object, const std::string& policy, const std::string& version) {
  const api::ResourceInfo& resource = *followed(object.resource).resource;
  const ObjectMeta& metadata = *object.metadata;
  client::DeleteOptions options;
  options.uid = metadata.uid;
  // Only in the very version that was looked at; if there is a newer one, its event leads back here.
  options.resource_version = version;
  options.propagation_policy = policy;
  log::debug("Deleting an object without owners",
             {{"resource", resource.resource}, {"namespace", metadata.namespace_}, {"name", metadata.name}});
  const Status removed = client().raw().remove(resource, metadata.namespace_, metadata.name, options);
  return removed.is(Reason::kNotFound) ? Status() : removed;
}

Result<Outcome> GarbageCollector::collect(const Observed& object) {
  const ObjectMeta& metadata = *object.metadata;
  TRY_ASSIGN(const Owners owners, classify(object));
  if (owners.invalid) return Outcome::done();
  const Outcome outcome = owners.unseen ? Outcome::again_after(kUnseenDelay) : Outcome::done();
  if (!owners.solid.empty()) {
    std::vector<std::string> useless = owners.dangling;
    useless.insert(useless.end(), owners.waiting.begin(), owners.waiting.end());
    if (!useless.empty()) TRY(edit(object, [&](ObjectMeta& fresh) { return drop_owners(fresh, useless); }));
    return outcome;
  }
  if (!owners.waiting.empty() && graph_.any_dependent(metadata.uid)) {
    // Its own dependents go first, too. In a circle of owners each would wait for the other: break it.
    const bool circle = std::ranges::any_of(graph_.dependents(metadata.uid),
                                            [](const Observed& each) { return deletes_dependents(*each.metadata); });
    if (circle) {
      TRY(edit(object, [](ObjectMeta& fresh) {
        bool changed = false;
        for (OwnerReference& owner : fresh.owner_references) {
          changed = changed || owner.block_owner_deletion.value_or(false);
          owner.block_owner_deletion = false;
        }
        return changed;
      }));
    }
    TRY(remove(object, "Foreground", circle ? "" : metadata.resource_version));
    return outcome;
  }
  std::string policy = "Background";
  if (has_finalizer(metadata, api::metav1::kFinalizerOrphanDependents)) {
    policy = "Orphan";
  } else if (has_finalizer(metadata, api::metav1::kFinalizerDeleteDependents)) {
    policy = "Foreground";
  }
  TRY(remove(object, policy, metadata.resource_version));
  return outcome;
}

Result<Outcome> GarbageCollector::reconcile(const std::string& key) {
  if (key == kDiscover) {
    TRY(discover());
    return Outcome::done();
  }
  const auto object = graph_.find(key);
  if (!object) return Outcome::done();
  const ObjectMeta& metadata = *object->metadata;
  std::vector<std::string> orphaning;
  for (const OwnerReference& reference : metadata.owner_references) {
    if (known(metadata, reference) == Presence::kOrphaning) orphaning.push_back(reference.uid);
  }
  if (!orphaning.empty()) {
    TRY(edit(*object, [&](ObjectMeta& fresh) { return drop_owners(fresh, orphaning); }));
    return Outcome::done();
  }
  if (orphans_dependents(metadata)) {
    TRY(orphan(*object));
  } else if (deletes_dependents(metadata)) {
    TRY(finish_foreground(*object));
  } else if (!metadata.deletion_timestamp && !metadata.owner_references.empty()) {
    return collect(*object);
  }
  return Outcome::done();
}

}  // namespace trireme::controllers
