#include "controllers/deployment/revisions.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "client/event_recorder.h"
#include "controllers/support/ownership.h"
#include "controllers/support/template_hash.h"

namespace trireme::controllers::deployment {
namespace {

/// Longer histories lose their oldest entries: an annotation cannot grow without end.
constexpr size_t kMaxHistory = 2000;

template <typename Number>
std::optional<Number> number(const std::string& text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int32_t> number_annotation(const ReplicaSet& set, std::string_view name) {
  const auto found = set.metadata.annotations.find(name);
  return found == set.metadata.annotations.end() ? std::nullopt : number<int32_t>(found->second);
}

/// Annotations that belong to the object they stand on.
bool is_own(std::string_view name) {
  constexpr std::array kOwn = {std::string_view("kubectl.kubernetes.io/last-applied-configuration"),
                               kRevision,
                               kRevisionHistory,
                               kDesiredReplicas,
                               kMaxReplicas,
                               api::appsv1::kDeprecatedRollbackTo};
  return std::ranges::find(kOwn, name) != kOwn.end();
}

bool assign(api::metav1::ObjectMeta& metadata, std::string_view name, const std::string& value) {
  const auto found = metadata.annotations.find(name);
  if (found != metadata.annotations.end() && found->second == value) return false;
  metadata.annotations.insert_or_assign(name, value);
  return true;
}

void remember(api::metav1::ObjectMeta& metadata, const std::string& revision) {
  std::string history = metadata.annotations.get(kRevisionHistory);
  if (history.empty()) {
    history = revision;
  } else {
    history += "," + revision;
    while (history.size() > kMaxHistory) {
      const size_t comma = history.find(',');
      if (comma == std::string::npos) break;
      history.erase(0, comma + 1);
    }
  }
  metadata.annotations.insert_or_assign(kRevisionHistory, history);
}

}  // namespace

std::optional<int64_t> revision_of(const api::metav1::ObjectMeta& metadata) {
  const auto found = metadata.annotations.find(kRevision);
  return found == metadata.annotations.end() ? 0 : number<int64_t>(found->second);
}

int64_t highest_revision(const std::vector<SetPointer>& sets) {
  int64_t highest = 0;
  for (const SetPointer& set : sets) highest = std::max(highest, revision_of(set->metadata).value_or(0));
  return highest;
}

int64_t last_revision(const std::vector<SetPointer>& sets) {
  int64_t highest = 0;
  int64_t second = 0;
  for (const SetPointer& set : sets) {
    const int64_t each = revision_of(set->metadata).value_or(0);
    second = each >= highest ? highest : std::max(second, each);
    highest = std::max(highest, each);
  }
  return second;
}

std::optional<int32_t> desired_annotation(const ReplicaSet& set) { return number_annotation(set, kDesiredReplicas); }
std::optional<int32_t> max_annotation(const ReplicaSet& set) { return number_annotation(set, kMaxReplicas); }

bool annotate_replicas(const Deployment& deployment, ReplicaSet& set) {
  const int32_t desired = replicas_of(deployment);
  const bool a = assign(set.metadata, kDesiredReplicas, std::to_string(desired));
  const bool b = assign(set.metadata, kMaxReplicas, std::to_string(desired + fenceposts(deployment).max_surge));
  return a || b;
}

bool annotate_current(const Deployment& deployment, ReplicaSet& set, int64_t revision) {
  bool changed = false;
  for (const auto& [name, value] : deployment.metadata.annotations) {
    if (!is_own(name)) changed = assign(set.metadata, name, value) || changed;
  }
  const std::string before = set.metadata.annotations.get(kRevision);
  const auto old = before.empty() ? std::optional<int64_t>(0) : number<int64_t>(before);
  // Who wrote something else there keeps it.
  if (!old || *old >= revision) return changed;
  set.metadata.annotations.insert_or_assign(kRevision, std::to_string(revision));
  if (!before.empty()) remember(set.metadata, before);
  return true;
}

ReplicaSet make_set(const Deployment& deployment, int64_t revision, int32_t replicas) {
  const std::string hash = template_hash(deployment.spec.template_, deployment.status.collision_count);
  constexpr std::string_view kHash = api::appsv1::kDefaultDeploymentUniqueLabelKey;
  ReplicaSet set;
  set.metadata.namespace_ = deployment.metadata.namespace_;
  set.metadata.name = deployment.metadata.name + "-" + hash;
  set.spec.template_ = deployment.spec.template_;
  set.spec.template_.metadata.labels.insert_or_assign(kHash, hash);
  set.metadata.labels = set.spec.template_.metadata.labels;
  set.metadata.owner_references.push_back(controller_reference(client::reference_to(deployment)));
  set.spec.selector = deployment.spec.selector;
  set.spec.selector.ensure().match_labels.insert_or_assign(kHash, hash);
  set.spec.min_ready_seconds = deployment.spec.min_ready_seconds;
  set.spec.replicas = replicas;
  annotate_current(deployment, set, revision);
  annotate_replicas(deployment, set);
  return set;
}

void roll_back_to(Deployment& deployment, const ReplicaSet& set) {
  deployment.spec.template_ = set.spec.template_;
  deployment.spec.template_.metadata.labels.erase(api::appsv1::kDefaultDeploymentUniqueLabelKey);
  // The reasons of change travel with the revision; what belongs to the Deployment itself stays.
  auto& annotations = deployment.metadata.annotations;
  decltype(deployment.metadata.annotations) kept;
  for (const auto& [name, value] : annotations) {
    if (is_own(name)) kept.insert_or_assign(name, value);
  }
  for (const auto& [name, value] : set.metadata.annotations) {
    if (!is_own(name)) kept.insert_or_assign(name, value);
  }
  annotations = std::move(kept);
}

}  // namespace trireme::controllers::deployment
