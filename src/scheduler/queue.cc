#include "scheduler/queue.h"

#include <algorithm>
#include <vector>

namespace trireme::scheduler {
namespace {

/// What of the pod changed that a plugin may care for.
uint32_t own_change(const PodInfo& before, const PodInfo& after) {
  uint32_t kinds = 0;
  const auto same_toleration = [](const api::corev1::Toleration& a, const api::corev1::Toleration& b) {
    return a.key == b.key && a.operator_ == b.operator_ && a.value == b.value && a.effect == b.effect &&
           a.toleration_seconds == b.toleration_seconds;
  };
  if (before.pod->metadata.labels != after.pod->metadata.labels) kinds |= kOwnLabels;
  if (asks_less(before.requests, after.requests)) kinds |= kOwnScaledDown;
  if (!std::ranges::equal(before.pod->spec.tolerations, after.pod->spec.tolerations, same_toleration)) {
    kinds |= kOwnTolerations;
  }
  if (!before.pod->spec.scheduling_gates.empty() && after.pod->spec.scheduling_gates.empty()) kinds |= kOwnGates;
  return kinds;
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
  if (place == Place::kUnschedulable || place == Place::kGated) {
    entry.care = care_of(entry);
    by_care_[entry.care].insert(&entry);
  }
}

void Queue::leave(Entry& entry) {
  --sizes_[static_cast<size_t>(entry.place)];
  if (entry.place == Place::kActive) active_.erase(&entry);
  if (entry.place == Place::kBackoff) backoff_.erase(&entry);
  if (entry.place == Place::kUnschedulable) unschedulable_.erase(&entry);
  if (entry.place == Place::kInFlight) stop_recording(entry);
  if (entry.place == Place::kUnschedulable || entry.place == Place::kGated) {
    const auto group = by_care_.find(entry.care);
    group->second.erase(&entry);
    if (group->second.empty()) by_care_.erase(group);
  }
}

void Queue::stop_recording(Entry& entry) {
  if (!entry.seen_from) return;
  seen_from_.erase(seen_from_.find(*entry.seen_from));
  entry.seen_from.reset();
  const uint64_t end = first_change_ + changes_.size();
  const uint64_t needed = seen_from_.empty() ? end : *seen_from_.begin();
  for (; first_change_ < needed; ++first_change_) changes_.pop_front();
}

uint32_t Queue::care_of(const Entry& entry) const {
  if (entry.pod.waits_for_node) return kNodeAdded;
  if (entry.pod.refused_by & kExtenders) return ~uint32_t{0};
  uint32_t kinds = 0;
  const auto& plugins = entry.pod.profile->plugins;
  for (size_t i = 0; i < plugins.size(); ++i) {
    if (entry.pod.refused_by & (1U << i)) kinds |= plugins[i]->changes();
  }
  return kinds;
}

Duration Queue::backoff_end(const Entry& entry) const {
  Duration wait = times_.initial_backoff;
  for (int i = 1; i < entry.pod.attempts && wait < times_.maximum_backoff; ++i) wait *= 2;
  return entry.pod.since + std::min(wait, times_.maximum_backoff);
}

bool Queue::gated(Entry& entry) const {
  for (const Profile::Use& use : entry.pod.profile->at(Point::kPreEnqueue)) {
    if (!entry.pod.profile->plugins[use.plugin]->pre_enqueue(*entry.pod.info)) continue;
    entry.pod.refused_by = 1U << use.plugin;
    entry.pod.waits_for_node = false;
    return true;
  }
  return false;
}

void Queue::admit(Entry& entry, Duration now) {
  if (gated(entry)) {
    enter(entry, Place::kGated);
    return;
  }
  entry.pod.since = now;
  enter(entry, Place::kActive);
}

void Queue::retry(Entry& entry, Duration now) {
  leave(entry);
  const Duration end = backoff_end(entry);
  if (entry.pod.attempts > 0 && end > now) {
    entry.due = end;
    enter(entry, Place::kBackoff);
  } else {
    admit(entry, now);
  }
}

void Queue::put(const PodInfoPointer& pod, Duration now) {
  const auto [found, added] = entries_.try_emplace(pod->uid());
  Entry& entry = found->second;
  if (added) {
    entry.number = ++last_number_;
    entry.pod.profile = find_profile(profiles_, pod->pod->spec.scheduler_name);
    entry.pod.info = pod;
    entry.pod.first_seen = now;
    admit(entry, now);
    return;
  }
  const PodInfoPointer before = entry.pod.info;
  if (entry.place == Place::kInFlight || entry.place == Place::kBackoff) {
    entry.pod.info = pod;
  } else if (entry.place == Place::kActive) {
    // The priority orders the active ones: out before it changes.
    leave(entry);
    entry.pod.info = pod;
    enter(entry, Place::kActive);
  } else if (entry.place == Place::kGated) {
    leave(entry);
    entry.pod.info = pod;
    admit(entry, now);
    // The time behind the gate is not the scheduler's.
    if (entry.place == Place::kActive && entry.pod.attempts == 0) entry.pod.first_seen = now;
  } else {
    entry.pod.info = pod;
    ClusterChange change;
    change.kinds = own_change(*before, *pod);
    change.pod = pod;
    change.pod_before = before;
    if (change.kinds && helps(entry, change)) retry(entry, now);
  }
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
  entry.seen_from = first_change_ + changes_.size();
  seen_from_.insert(*entry.seen_from);
  ++entry.pod.attempts;
  return &entry.pod;
}

void Queue::settle(const std::string& uid) {
  const auto found = entries_.find(uid);
  if (found != entries_.end()) stop_recording(found->second);
}

void Queue::requeue(const std::string& uid, uint32_t plugins, bool waits_for_node, Duration now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end() || found->second.place != Place::kInFlight) return;
  Entry& entry = found->second;
  entry.pod.refused_by = plugins;
  entry.pod.waits_for_node = waits_for_node;
  entry.pod.since = now;
  bool again = plugins == 0 && !waits_for_node;
  if (entry.seen_from) {
    for (uint64_t i = *entry.seen_from; !again && i < first_change_ + changes_.size(); ++i) {
      again = helps(entry, changes_[i - first_change_]);
    }
  }
  if (again) {
    retry(entry, now);
  } else {
    leave(entry);
    entry.due = now + times_.unschedulable_timeout;
    enter(entry, Place::kUnschedulable);
  }
}

bool Queue::helps(const Entry& entry, const ClusterChange& change) const {
  // That it was itself taken from a node is no news to a pod.
  if ((change.kinds & kPodGone) && change.pod && change.pod->uid() == entry.pod.info->uid()) return false;
  if (entry.pod.waits_for_node) return (change.kinds & kNodeAdded) != 0;
  if (entry.pod.refused_by & kExtenders) return true;
  const auto& plugins = entry.pod.profile->plugins;
  for (size_t i = 0; i < plugins.size(); ++i) {
    if (!(entry.pod.refused_by & (1U << i))) continue;
    const Plugin& plugin = *plugins[i];
    if ((plugin.changes() & change.kinds) && plugin.may_help(*entry.pod.info, change, cache_)) return true;
  }
  return false;
}

void Queue::on_change(const ClusterChange& change, Duration now) {
  if (!seen_from_.empty()) changes_.push_back(change);
  std::vector<Entry*> moving;
  for (const auto& [care, group] : by_care_) {
    if (!(care & change.kinds)) continue;
    for (Entry* entry : group) {
      if (helps(*entry, change)) moving.push_back(entry);
    }
  }
  for (Entry* entry : moving) {
    if (entry->place == Place::kUnschedulable) {
      retry(*entry, now);
    } else {
      leave(*entry);
      admit(*entry, now);
    }
  }
}

void Queue::advance(Duration now) {
  while (!backoff_.empty() && (*backoff_.begin())->due <= now) {
    Entry& entry = **backoff_.begin();
    leave(entry);
    admit(entry, now);
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
