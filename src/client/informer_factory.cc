#include "client/informer_factory.h"

#include <algorithm>
#include <random>

namespace trireme::client {
namespace {

/// Leaves what tells objects apart and what ownership and deletion are decided by.
void trim(api::metav1::ObjectMeta& full) {
  api::metav1::ObjectMeta kept;
  kept.name = std::move(full.name);
  kept.namespace_ = std::move(full.namespace_);
  kept.uid = std::move(full.uid);
  kept.resource_version = std::move(full.resource_version);
  kept.deletion_timestamp = full.deletion_timestamp;
  kept.owner_references = std::move(full.owner_references);
  kept.finalizers = std::move(full.finalizers);
  full = std::move(kept);
}

}  // namespace

InformerFactory::~InformerFactory() { stop(); }

InformerFactory::Entry& InformerFactory::find_or_make(const api::ResourceInfo& resource, const Scope& scope,
                                                      AnyTransform transform) {
  Entry& entry = entries_[{&resource, scope}];
  if (!entry.reflector) {
    const api::TypeInfo* type =
        scope.metadata_only ? &api::type_info<api::metav1::PartialObjectMetadata>() : resource.type;
    AnyTransform trimmed = std::move(transform);
    // Objects that the server holds anyway are not copied to make them smaller.
    if (!client_->local()) {
      trimmed = [type, transform = std::move(trimmed)](void* object) {
        auto& managed = metadata_in(*type, object).managed_fields;
        std::remove_reference_t<decltype(managed)>().swap(managed);
        if (transform) transform(object);
      };
    }
    const uint64_t seed = stepped_ ? stepped_->seed * 1'000'003 + order_.size() : std::random_device{}();
    entry.reflector = std::make_shared<Reflector>(client_, clock_, resource, scope, std::move(trimmed),
                                                  static_cast<uint32_t>(seed % 0x7fffffff));
    order_.push_back(entry.reflector);
  }
  return entry;
}

std::shared_ptr<Reflector> InformerFactory::metadata(const api::ResourceInfo& resource) {
  const std::lock_guard lock(mutex_);
  if (const auto typed = entries_.find({&resource, Scope{}}); typed != entries_.end()) return typed->second.reflector;
  if (client_->local() && resource.type) return find_or_make(resource, {}, {}).reflector;
  Scope scope;
  scope.metadata_only = true;
  return find_or_make(resource, scope,
                      [](void* object) { trim(static_cast<api::metav1::PartialObjectMetadata*>(object)->metadata); })
      .reflector;
}

void InformerFactory::drop(const std::shared_ptr<Reflector>& reflector) {
  {
    const std::lock_guard lock(mutex_);
    if (std::erase(order_, reflector) == 0) return;
    std::erase_if(entries_, [&](const auto& entry) { return entry.second.reflector == reflector; });
    if (driver_) driver_->remove(*reflector);
  }
  reflector->request_stop();
  reflector->join();
}

std::vector<std::shared_ptr<Reflector>> InformerFactory::reflectors() {
  const std::lock_guard lock(mutex_);
  return order_;
}

void InformerFactory::start() {
  const std::lock_guard lock(mutex_);
  if (client_->local() && !stepped_ && !driver_) driver_.emplace(clock_);
  for (const auto& reflector : order_) {
    if (reflector->started()) continue;
    if (stepped_) {
      reflector->begin();
    } else if (driver_) {
      driver_->add(reflector);
    } else {
      reflector->start();
    }
  }
}

bool InformerFactory::pump() {
  bool worked = false;
  // By index: a handler may make another informer.
  for (size_t i = 0; i < order_.size(); ++i) {
    const std::shared_ptr<Reflector> reflector = order_[i];
    if (reflector->started() && reflector->advance()) worked = true;
  }
  return worked;
}

std::optional<Duration> InformerFactory::next_due() const {
  std::optional<Duration> first;
  for (const auto& reflector : order_) {
    const auto due = reflector->due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

bool InformerFactory::wait_synced(std::stop_token stop) {
  while (stepped_) {
    while (pump()) continue;
    const bool synced =
        std::ranges::all_of(order_, [](const auto& each) { return !each->started() || each->synced(); });
    if (synced) return true;
    // What has not synced has failed and backs off.
    const std::optional<Duration> due = next_due();
    if (!due || !clock_->sleep_for(*due - clock_->monotonic(), stop)) return false;
  }
  for (const auto& reflector : reflectors()) {
    if (reflector->started() && !reflector->wait_synced(stop)) return false;
  }
  return true;
}

void InformerFactory::stop() {
  if (driver_) driver_->stop();
  for (const auto& reflector : reflectors()) reflector->request_stop();
  for (const auto& reflector : reflectors()) reflector->join();
}

}  // namespace trireme::client
