#include "scheduler/queue.h"

#include <algorithm>
#include <vector>

#include "api/validation/equal.h"

namespace trireme::scheduler {
namespace {

// A safety net for changes that no plugin counts.
constexpr Duration kUnschedulableTimeout = std::chrono::minutes(5);

bool gated(const PodInfo& pod) { return !pod.pod->spec.scheduling_gates.empty(); }

bool scheduling_differs(const api::corev1::Pod& a, const api::corev1::Pod& b) {
  return a.metadata.labels != b.metadata.labels || a.metadata.annotations != b.metadata.annotations ||
         a.status.resource_claim_statuses.size() != b.status.resource_claim_statuses.size() ||
         !api::validation::semantic_equal(a.spec, b.spec);
}

}  // namespace

bool Queue::Before::operator()(const Entry* a, const Entry* b) const {
  if (a->pod.info->priority != b->pod.info->priority) return a->pod.info->priority > b->pod.info->priority;
  if (a->pod.since != b->pod.since) return a->pod.since < b->pod.since;
  return a->number < b->number;
}

bool Queue::Sooner::operator()(const Entry* a, const Entry* b) const {
  return a->due != b->due ? a->due < b->due : a->number < b->number;
}

void Queue::enter(Entry& entry, Place place) {
  entry.place = place;
  ++sizes_[static_cast<size_t>(place)];
  if (place == Place::kActive) active_.insert(&entry);
  if (place == Place::kBackoff) backoff_.insert(&entry);
  if (place == Place::kUnschedulable) unschedulable_.insert(&entry);
}

void Queue::leave(Entry& entry) {
  --sizes_[static_cast<size_t>(entry.place)];
  if (entry.place == Place::kActive) active_.erase(&entry);
  if (entry.place == Place::kBackoff) backoff_.erase(&entry);
  if (entry.place == Place::kUnschedulable) unschedulable_.erase(&entry);
}

Duration Queue::backoff_end(const Entry& entry) const {
  Duration wait = initial_backoff_;
  for (int i = 1; i < entry.pod.attempts && wait < maximum_backoff_; ++i) wait *= 2;
  return entry.pod.since + std::min(wait, maximum_backoff_);
}

void Queue::retry(Entry& entry, Duration now) {
  leave(entry);
  const Duration end = backoff_end(entry);
  if (entry.pod.attempts > 0 && end > now) {
    entry.due = end;
    enter(entry, Place::kBackoff);
  } else {
    entry.pod.since = now;
    enter(entry, Place::kActive);
  }
}

void Queue::put(const PodInfoPointer& pod, Duration now) {
  const auto [found, added] = entries_.try_emplace(pod->uid());
  Entry& entry = found->second;
  if (added) {
    entry.number = ++last_number_;
    entry.pod.info = pod;
    entry.pod.since = entry.pod.first_seen = now;
    enter(entry, gated(*pod) ? Place::kGated : Place::kActive);
    return;
  }
  const PodInfoPointer before = entry.pod.info;
  const Place place = entry.place;
  // The priority orders the active ones: out before it changes.
  leave(entry);
  entry.pod.info = pod;
  if (place == Place::kGated && !gated(*pod)) {
    entry.pod.since = entry.pod.first_seen = now;
    enter(entry, Place::kActive);
    return;
  }
  enter(entry, place);
  if (place == Place::kUnschedulable && scheduling_differs(*before->pod, *pod->pod)) retry(entry, now);
}

PodInfoPointer Queue::remove(const std::string& uid) {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return nullptr;
  leave(found->second);
  PodInfoPointer info = std::move(found->second.pod.info);
  entries_.erase(found);
  return info;
}

const QueuedPod* Queue::pop() {
  if (active_.empty()) return nullptr;
  Entry& entry = **active_.begin();
  leave(entry);
  enter(entry, Place::kInFlight);
  ++entry.pod.attempts;
  return &entry.pod;
}

void Queue::requeue(const std::string& uid, uint32_t plugins, bool waits_for_node, Duration now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end() || found->second.place != Place::kInFlight) return;
  Entry& entry = found->second;
  leave(entry);
  entry.pod.refused_by = plugins;
  entry.pod.waits_for_node = waits_for_node;
  entry.pod.since = now;
  if (plugins == 0 && !waits_for_node) {
    entry.due = backoff_end(entry);
    enter(entry, Place::kBackoff);
  } else {
    entry.due = now + kUnschedulableTimeout;
    enter(entry, Place::kUnschedulable);
  }
}

bool Queue::helps(const Entry& entry, const ClusterChange& change) const {
  if (entry.pod.waits_for_node) return (change.kinds & kNodeAdded) != 0;
  for (size_t i = 0; i < profile_.size(); ++i) {
    if (!(entry.pod.refused_by & (1U << i))) continue;
    const Plugin& plugin = *profile_[i].plugin;
    if ((plugin.changes() & change.kinds) && plugin.may_help(*entry.pod.info, change, cache_)) return true;
  }
  return false;
}

void Queue::on_change(const ClusterChange& change, Duration now) {
  if (unschedulable_.empty()) return;
  std::vector<Entry*> moving;
  for (Entry* entry : unschedulable_) {
    if (helps(*entry, change)) moving.push_back(entry);
  }
  for (Entry* entry : moving) retry(*entry, now);
}

void Queue::advance(Duration now) {
  while (!backoff_.empty() && (*backoff_.begin())->due <= now) {
    Entry& entry = **backoff_.begin();
    leave(entry);
    entry.pod.since = now;
    enter(entry, Place::kActive);
  }
  while (!unschedulable_.empty() && (*unschedulable_.begin())->due <= now) retry(**unschedulable_.begin(), now);
}

std::optional<Duration> Queue::next_due() const {
  std::optional<Duration> due;
  if (!backoff_.empty()) due = (*backoff_.begin())->due;
  if (!unschedulable_.empty()) {
    const Duration flush = (*unschedulable_.begin())->due;
    due = due ? std::min(*due, flush) : flush;
  }
  return due;
}

std::optional<Queue::Place> Queue::place_of(const std::string& uid) const {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return std::nullopt;
  return found->second.place;
}

}  // namespace trireme::scheduler
