#include "controllers/resourcequota/resource_quota_controller.h"

#include <algorithm>
#include <set>

namespace trireme::controllers {

namespace quota = api::quota;
using api::ResourceList;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::corev1::ResourceQuota;
using api::corev1::Service;

namespace {

/// The key (no quota's) under which it looks for resources that are not built in.
constexpr std::string_view kDiscover = "discover";
// Between the charge and the object's appearance: a recount in that time would miss it.
constexpr Duration kSettle = std::chrono::seconds(5);
// What the first list of a kind takes.
constexpr Duration kListing = std::chrono::milliseconds(100);

bool has_verb(const api::ResourceInfo& resource, std::string_view verb) {
  return std::ranges::find(resource.verbs, verb) != resource.verbs.end();
}

bool is_countable(const api::ResourceInfo& resource) {
  return resource.namespaced && !quota::is_ignored(resource) && has_verb(resource, "create") &&
         has_verb(resource, "list") && has_verb(resource, "watch") && has_verb(resource, "delete");
}

template <typename T>
bool is(const api::ResourceInfo& resource) {
  return resource.type == &api::type_info<T>();
}

}  // namespace

ResourceQuotaController::ResourceQuotaController(const ControllerContext& context)
    : Controller(context, "resourcequota-controller", context.options.concurrent_resource_quota_syncs),
      quotas_(context.informers->informer<ResourceQuota>()),
      custom_(context, is_countable, [this] { enqueue(std::string(kDiscover)); }) {
  // What counts by content is wanted whole; of everything else the metadata will do.
  context.informers->informer<Pod>();
  context.informers->informer<Service>();
  context.informers->informer<PersistentVolumeClaim>();
  std::set<std::pair<std::string, std::string>> seen;
  for (const api::ResourceInfo& resource : api::resources()) {
    if (is_countable(resource) && seen.emplace(resource.group, resource.resource).second) {
      follow(context.informers->metadata(resource));
    }
  }
  quotas_.add_handler([this](const auto& before, const auto& after) { on_quota(before, after); });
}

void ResourceQuotaController::begin() { enqueue(std::string(kDiscover)); }

void ResourceQuotaController::follow(const std::shared_ptr<client::Reflector>& reflector) {
  const api::ResourceInfo& resource = reflector->resource();
  auto counted = std::make_shared<Counted>(Counted{quota::Evaluator::of(resource)});
  counted->pods = is<Pod>(resource);
  counted->by_content = counted->pods || is<Service>(resource) || is<PersistentVolumeClaim>(resource);
  counted->objects = reflector;
  const Counted& own = *counted;
  {
    const std::lock_guard lock(mutex_);
    counted_.push_back(counted);
  }
  reflector->add_handler([this, kept = std::weak_ptr<Counted>(counted), &own](const client::AnyPointer& before,
                                                                              const client::AnyPointer& after) {
    if (const auto alive = kept.lock()) {
      on_object(own, before.get(), after.get(), own.objects->metadata(after ? after : before).namespace_);
    }
  });
}

void ResourceQuotaController::recount(const quota::Evaluator& evaluator) {
  for (const auto& each : quotas_.list()) {
    if (!evaluator.tracked(each->spec.hard).empty()) enqueue(client::key_of(each->metadata));
  }
}

Status ResourceQuotaController::discover() {
  TRY_ASSIGN(const CustomKinds::Change change, custom_.look());
  for (const auto& reflector : change.gone) {
    std::shared_ptr<Counted> dropped;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::ranges::find_if(counted_, [&](const auto& each) { return each->objects == reflector; });
      if (found == counted_.end()) continue;
      dropped = std::move(*found);
      counted_.erase(found);
    }
    recount(dropped->evaluator);
  }
  for (const auto& reflector : change.fresh) follow(reflector);
  custom_.start();
  for (const auto& reflector : change.fresh) recount(quota::Evaluator::of(reflector->resource()));
  return change.incomplete;
}

void ResourceQuotaController::on_quota(const std::shared_ptr<const ResourceQuota>& before,
                                       const std::shared_ptr<const ResourceQuota>& after) {
  if (!after) return;
  const std::string key = client::key_of(after->metadata);
  if (!before || before->spec.hard != after->spec.hard) return enqueue(key);
  // Somebody was charged: whether the object came to be shows soon.
  if (before->status.used != after->status.used) enqueue_after(key, kSettle);
}

void ResourceQuotaController::on_object(const Counted& counted, const void* before, const void* after,
                                        const std::string& ns) {
  const WallTime now = clock().now();
  for (const auto& each : quotas_.list(ns)) {
    const std::vector<std::string> names = counted.evaluator.tracked(each->spec.hard);
    if (names.empty()) continue;
    const std::string key = client::key_of(each->metadata);
    auto cost = [&](const void* object) {
      if (object == nullptr || !counted.evaluator.in_scopes(each->spec, object)) return ResourceList();
      return quota::only(counted.evaluator.usage(object, now), names);
    };
    if (!after) {
      enqueue(key);
    } else if (!before) {
      enqueue_after(key, kSettle);
    } else if (counted.by_content && cost(before) != cost(after)) {
      enqueue(key);
    } else if (counted.pods && static_cast<const Pod*>(after)->metadata.deletion_timestamp) {
      // It stops counting when its time is up, gone or not.
      WallTime until{};
      if (quota::is_charged(*static_cast<const Pod*>(after), now, &until)) {
        enqueue_after(key, std::max(Duration::zero(), until - now) + kSettle);
      }
    }
  }
}

ResourceList ResourceQuotaController::count(const ResourceQuota& quota, WallTime now, Duration& due) const {
  std::vector<std::shared_ptr<Counted>> all;
  {
    const std::lock_guard lock(mutex_);
    all = counted_;
  }
  ResourceList used;
  for (const auto& counted : all) {
    const std::vector<std::string> names = counted->evaluator.tracked(quota.spec.hard);
    if (names.empty()) continue;
    if (!counted->objects->synced()) {
      // A kind that has just come to be served: what was known of it stays for now.
      due = std::min(due, kListing);
      continue;
    }
    for (const std::string& name : names) used.emplace(name);
    for (const client::AnyPointer& object : counted->objects->cache().list(quota.metadata.namespace_)) {
      if (!counted->evaluator.in_scopes(quota.spec, object.get())) continue;
      api::add_resources(used, quota::only(counted->evaluator.usage(object.get(), now), names));
      if (!counted->pods) continue;
      WallTime until{};
      if (quota::is_charged(*static_cast<const Pod*>(object.get()), now, &until) && until >= now) {
        due = std::min(due, (until - now) + std::chrono::seconds(1));
      }
    }
  }
  return used;
}

Result<Outcome> ResourceQuotaController::reconcile(const std::string& key) {
  if (key == kDiscover) {
    TRY(discover());
    return Outcome::done();
  }
  const auto stored = quotas_.get(key);
  if (!stored) return Outcome::done();
  Duration due = context().options.resource_quota_sync_period;
  ResourceList used = count(*stored, clock().now(), due);
  // Usage that nothing here can count stays as whoever counts it wrote it.
  for (const auto& [name, limit] : stored->spec.hard) {
    const auto known = stored->status.used.find(name);
    if (!used.contains(name) && known != stored->status.used.end()) used.emplace(name, known->second);
  }
  if (used != stored->status.used || stored->spec.hard != stored->status.hard) {
    ResourceQuota counted = *stored;
    counted.status.hard = stored->spec.hard;
    counted.status.used = std::move(used);
    const Status written = client().update_status(counted).status();
    if (!written.ok() && !written.is(Reason::kNotFound)) return written;
  }
  return Outcome::again_after(due);
}

}  // namespace trireme::controllers
