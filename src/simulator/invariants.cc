#include "simulator/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/conditions.h"
#include "controllers/job/indexes.h"
#include "controllers/job/tracking.h"
#include "controllers/support/jobs.h"
#include "controllers/support/pods.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;
namespace appsv1 = api::appsv1;
namespace batchv1 = api::batchv1;

constexpr size_t kMostViolations = 20;
/// A controller may act upon what was true so long ago: its cache lags, and a slow step takes its time.
constexpr Duration kLag = std::chrono::seconds(10);

std::optional<int32_t> ordinal_of(std::string_view set, std::string_view pod) {
  if (!pod.starts_with(set) || pod.size() < set.size() + 2 || pod[set.size()] != '-') return std::nullopt;
  pod.remove_prefix(set.size() + 1);
  int32_t ordinal = 0;
  const auto [end, error] = std::from_chars(pod.data(), pod.data() + pod.size(), ordinal);
  if (error != std::errc() || end != pod.data() + pod.size()) return std::nullopt;
  return ordinal;
}

/// The node a DaemonSet's pod is made for, before it is bound, too.
std::string node_of(const corev1::Pod& pod) {
  if (!pod.spec.node_name.empty() || !pod.spec.affinity || !pod.spec.affinity->node_affinity) {
    return pod.spec.node_name;
  }
  const auto& required = pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return {};
  for (const auto& term : required->node_selector_terms) {
    for (const auto& field : term.match_fields) {
      if (field.key == "metadata.name" && field.values.size() == 1) return field.values.front();
    }
  }
  return {};
}

bool was_disrupted(const corev1::Pod& pod) {
  const auto* condition = api::find_condition(pod.status.conditions, corev1::kDisruptionTarget);
  return condition && condition->status == corev1::kConditionTrue;
}

}  // namespace

Invariants::Invariants(client::InformerFactory& informers, client::Client client, std::shared_ptr<Clock> clock)
    : client_(std::move(client)), clock_(std::move(clock)), informers_(informers) {
  informers.informer<Pod>().add_handler([this](const auto& before, const auto& after) { on_pod(before, after); });
  informers.informer<Job>().add_handler([this](const auto& before, const auto& after) { on_job(before, after); });
  informers.informer<appsv1::StatefulSet>().add_handler([this](const auto& before, const auto& after) {
    if (!after) sets_.erase(before->metadata.uid);
  });
  informers.informer<appsv1::DaemonSet>().add_handler([this](const auto& before, const auto& after) {
    if (!after) daemons_.erase(before->metadata.uid);
  });
}

void Invariants::violated(std::string what) {
  if (violations_.size() >= kMostViolations) return;
  violations_.push_back(
      fmt::format("{} (at {:.3f} s)", what, std::chrono::duration<double>(clock_->monotonic()).count()));
}

template <typename T>
std::shared_ptr<const T> Invariants::look_up(const std::string& ns, const Owner& owner) {
  auto cached = informers_.informer<T>().get(ns, owner.name);
  if (cached && cached->metadata.uid == owner.uid) return cached;
  auto found = client_.get<T>(ns, owner.name);
  if (!found.ok() || found->metadata.uid != owner.uid) return nullptr;
  return std::make_shared<const T>(std::move(*found));
}

void Invariants::on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after) {
  if (before && after && before->metadata.uid != after->metadata.uid) {
    on_pod(before, nullptr);
    return on_pod(nullptr, after);
  }
  const Pod& pod = after ? *after : *before;
  const Owner* owner = controllers::controller_of(pod.metadata);
  if (!owner) return;
  if (owner->kind == "StatefulSet") return on_set_pod(*owner, pod, after != nullptr);
  if (owner->kind == "DaemonSet") return on_daemon_pod(*owner, pod, after != nullptr);
  if (owner->kind == "Job") return on_job_pod(*owner, pod, after != nullptr);
}

// StatefulSets

void Invariants::on_set_pod(const Owner& owner, const Pod& pod, bool exists) {
  const auto ordinal = ordinal_of(owner.name, pod.metadata.name);
  if (!ordinal) return violated(fmt::format("StatefulSet {} has a pod {}", owner.name, pod.metadata.name));
  Ordinals& all = sets_[owner.uid];
  Ordinal& own = all[*ordinal];
  const Duration now = clock_->monotonic();
  if (own.ready) own.last_ready = now;
  if (!exists) {
    if (own.uid == pod.metadata.uid) own = {{}, false, false, own.last_ready};
    return;
  }
  const bool fresh = own.uid != pod.metadata.uid;
  const bool terminates = pod.metadata.deletion_timestamp && (fresh || !own.terminating);
  own.uid = pod.metadata.uid;
  own.terminating = pod.metadata.deletion_timestamp.has_value();
  own.ready = !own.terminating && controllers::is_ready(pod);
  if (own.ready) own.last_ready = now;
  if (!fresh && !terminates) return;
  const auto set = look_up<appsv1::StatefulSet>(pod.metadata.namespace_, owner);
  if (!set || set->metadata.deletion_timestamp || set->spec.pod_management_policy == appsv1::kParallelPodManagement) {
    return;
  }
  if (fresh) check_created(*set, pod, *ordinal, all);
  if (terminates) check_deleted(*set, pod, *ordinal, all);
}

void Invariants::check_created(const appsv1::StatefulSet& set, const Pod& pod, int32_t ordinal, const Ordinals& all) {
  const Duration now = clock_->monotonic();
  for (int32_t lower = set.spec.ordinals ? set.spec.ordinals->start : 0; lower < ordinal; ++lower) {
    const auto found = all.find(lower);
    if (found != all.end() && found->second.last_ready && *found->second.last_ready + kLag >= now) continue;
    if (found != all.end() && found->second.ready) continue;
    return violated(fmt::format("the StatefulSet's pod {}/{} was made while ordinal {} was not ready",
                                pod.metadata.namespace_, pod.metadata.name, lower));
  }
}

void Invariants::check_deleted(const appsv1::StatefulSet& set, const Pod& pod, int32_t ordinal, const Ordinals& all) {
  if (was_disrupted(pod)) return;
  const auto too_many = [&](const appsv1::StatefulSet& each) {
    const int32_t start = each.spec.ordinals ? each.spec.ordinals->start : 0;
    return ordinal >= start + each.spec.replicas.value_or(1);
  };
  if (!too_many(set)) return;
  // Of what the cache does not show yet the server tells.
  const auto newest = client_.get<appsv1::StatefulSet>(set.metadata.namespace_, set.metadata.name);
  if (!newest.ok() || newest->metadata.uid != set.metadata.uid || !too_many(*newest)) return;
  for (auto higher = all.upper_bound(ordinal); higher != all.end(); ++higher) {
    if (higher->second.uid.empty()) continue;
    return violated(fmt::format("the StatefulSet's pod {}/{} was taken away before ordinal {}", pod.metadata.namespace_,
                                pod.metadata.name, higher->first));
  }
}

// DaemonSets

void Invariants::on_daemon_pod(const Owner& owner, const Pod& pod, bool exists) {
  const std::string node = node_of(pod);
  if (node.empty()) return;
  auto& there = daemons_[owner.uid][node];
  if (!exists || controllers::is_finished(pod)) {
    there.erase(pod.metadata.uid);
    return;
  }
  if (!there.insert(pod.metadata.uid).second) return;
  if (there.size() > 1) {
    violated(fmt::format("DaemonSet {}/{} has {} pods on {}", pod.metadata.namespace_, owner.name, there.size(), node));
  }
  const auto set = look_up<appsv1::DaemonSet>(pod.metadata.namespace_, owner);
  const auto known = informers_.informer<corev1::Node>().get("", node);
  if (!set || !known) return;
  for (const auto& [key, value] : set->spec.template_.spec.node_selector) {
    const auto label = known->metadata.labels.find(key);
    if (label != known->metadata.labels.end() && label->second == value) continue;
    violated(fmt::format("DaemonSet {}/{} has a pod on {}, which its selector leaves out", pod.metadata.namespace_,
                         owner.name, node));
  }
}

// Jobs

void Invariants::on_job_pod(const Owner& owner, const Pod& pod, bool exists) {
  Known& known = jobs_[owner.uid];
  Tally& tally = known.tally;
  Fate& fate = known.pods[pod.metadata.uid];
  const bool tracked = controllers::has_tracking_finalizer(pod);
  const bool ended = fate.succeeded || fate.failed;
  if (!ended && pod.status.phase == corev1::kPodSucceeded) {
    fate.succeeded = true;
    const bool sure = tracked && !fate.deleted;
    ++(sure ? tally.succeeded : tally.perhaps_succeeded);
    (sure ? tally.indexes : tally.perhaps_indexes).insert(controllers::completion_index(pod));
  } else if (!ended && pod.status.phase == corev1::kPodFailed) {
    fate.failed = true;
    if (!fate.deleted) ++(tracked ? tally.failed : tally.perhaps_failed);
  } else if (!ended && !fate.deleted && (!exists || pod.metadata.deletion_timestamp)) {
    fate.deleted = true;
    ++tally.perhaps_failed;
  }
  if (!exists) known.pods.erase(pod.metadata.uid);
}

void Invariants::on_job(const JobPointer& before, const JobPointer& after) {
  if (before && after && before->metadata.uid != after->metadata.uid) {
    on_job(before, nullptr);
    return on_job(nullptr, after);
  }
  const Job& job = after ? *after : *before;
  const std::string name = job.metadata.namespace_ + "/" + job.metadata.name;
  const auto* owner = controllers::controller_of(job.metadata);
  if (owner && owner->kind == "CronJob") {
    if (!before) ++made_[job.metadata.namespace_ + "/" + owner->name];
    auto& under_way = under_way_[owner->uid];
    if (!after || controllers::is_finished(job)) {
      under_way.erase(job.metadata.uid);
    } else if (under_way.insert(job.metadata.uid).second && under_way.size() > 1) {
      const auto cron_job = look_up<batchv1::CronJob>(job.metadata.namespace_, *owner);
      if (cron_job && cron_job->spec.concurrency_policy == batchv1::kForbidConcurrent) {
        violated(fmt::format("CronJob {}/{} forbids it and has {} Jobs under way", job.metadata.namespace_, owner->name,
                             under_way.size()));
      }
    }
  }
  if (!after) {
    if (controllers::is_finished(job)) compare(job, jobs_[job.metadata.uid].tally);
    jobs_.erase(job.metadata.uid);
    return;
  }
  const auto& status = after->status;
  if (after->spec.completions && status.succeeded > *after->spec.completions) {
    violated(fmt::format("Job {} has counted {} successes of {}", name, status.succeeded, *after->spec.completions));
  }
  if (before && (status.succeeded < before->status.succeeded || status.failed < before->status.failed)) {
    violated(fmt::format("the counters of Job {} went back from {} and {} to {} and {}", name, before->status.succeeded,
                         before->status.failed, status.succeeded, status.failed));
  }
}

void Invariants::compare(const Job& job, const Tally& tally) {
  int64_t least = tally.succeeded, most = tally.succeeded + tally.perhaps_succeeded;
  if (job.spec.completion_mode == batchv1::kIndexedCompletion) {
    std::set<int32_t> all = tally.indexes;
    all.insert(tally.perhaps_indexes.begin(), tally.perhaps_indexes.end());
    least = static_cast<int64_t>(tally.indexes.size());
    most = static_cast<int64_t>(all.size());
  }
  const auto& status = job.status;
  const std::string name = job.metadata.namespace_ + "/" + job.metadata.name;
  if (status.succeeded < least || status.succeeded > most) {
    violated(fmt::format("Job {} has counted {} successes; there were {} to {}", name, status.succeeded, least, most));
  }
  if (status.failed < tally.failed || status.failed > tally.failed + tally.perhaps_failed) {
    violated(fmt::format("Job {} has counted {} failures; there were {} to {}", name, status.failed, tally.failed,
                         tally.failed + tally.perhaps_failed));
  }
  const auto& uncounted = status.uncounted_terminated_pods;
  if (uncounted && !(uncounted->succeeded.empty() && uncounted->failed.empty())) {
    violated(fmt::format("Job {} has ended with pods that are not counted", name));
  }
}

void Invariants::check_jobs() {
  for (const JobPointer& job : informers_.informer<Job>().list()) {
    if (controllers::is_finished(*job)) compare(*job, jobs_[job->metadata.uid].tally);
  }
}

int64_t Invariants::jobs_of(const std::string& cron_job) const {
  const auto found = made_.find(cron_job);
  return found == made_.end() ? 0 : found->second;
}

}  // namespace trireme::simulator
