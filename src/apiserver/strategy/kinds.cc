#include "apiserver/strategy/kinds.h"

#include <algorithm>
#include <charconv>
#include <type_traits>

#include "api/pod_resources.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/certificatesv1.h"
#include "api/validation/equal.h"
#include "apiserver/strategy/services.h"

namespace trireme::apiserver::strategy {
namespace {

using namespace api;  // NOLINT: every kind of every group appears here

constexpr std::string_view kTemplateGeneration = "deprecated.daemonset.template.generation";

// Pods

/// Fields of features that 1.32 has but does not enable by default; it ignores them silently.
void drop_disabled_fields(corev1::PodSpec& spec) {
  spec.resources.reset();
  spec.host_users.reset();
  if (spec.security_context) {
    spec.security_context->supplemental_groups_policy.reset();
    spec.security_context->se_linux_change_policy.reset();
  }
  for (auto* containers : {&spec.containers, &spec.init_containers}) {
    for (auto& container : *containers) {
      container.resize_policy.clear();
      if (container.security_context) container.security_context->proc_mount.reset();
    }
  }
}

/// matchLabelKeys become part of the selector when a pod is created (KEP-3633).
void merge_label_keys(corev1::PodAffinityTerm& term, const Map<std::string>& labels) {
  if (!term.label_selector) return;
  auto merge = [&](const std::vector<std::string>& keys, std::string_view op) {
    for (const auto& key : keys) {
      const auto label = labels.find(key);
      if (label == labels.end()) continue;
      auto& requirement = term.label_selector->match_expressions.emplace_back();
      requirement.key = key;
      requirement.operator_ = op;
      requirement.values = {label->second};
    }
  };
  merge(term.match_label_keys, "In");
  merge(term.mismatch_label_keys, "NotIn");
}

template <typename PodAffinity>
void merge_label_keys(Box<PodAffinity>& affinity, const Map<std::string>& labels) {
  if (!affinity) return;
  for (auto& term : affinity->required_during_scheduling_ignored_during_execution) merge_label_keys(term, labels);
  for (auto& term : affinity->preferred_during_scheduling_ignored_during_execution) {
    merge_label_keys(term.pod_affinity_term, labels);
  }
}

void create_pod(corev1::Pod& pod, WallTime) {
  drop_disabled_fields(pod.spec);
  pod.status.phase = corev1::kPodPending;
  pod.status.qos_class = api::qos_class(pod.spec);
  if (pod.spec.affinity) {
    merge_label_keys(pod.spec.affinity->pod_affinity, pod.metadata.labels);
    merge_label_keys(pod.spec.affinity->pod_anti_affinity, pod.metadata.labels);
  }
  if (!pod.spec.scheduling_gates.empty()) {
    auto& condition = pod.status.conditions.emplace_back();
    condition.type = corev1::kPodScheduled;
    condition.status = corev1::kConditionFalse;
    condition.reason = corev1::kPodReasonSchedulingGated;
    condition.message = "Scheduling is blocked due to non-empty scheduling gates";
  }
}

void update_pod(corev1::Pod& pod, const corev1::Pod&, WallTime) { drop_disabled_fields(pod.spec); }

void update_pod_status(corev1::Pod& pod, const corev1::Pod& old, WallTime) {
  pod.metadata.owner_references = old.metadata.owner_references;
  if (pod.status.qos_class.empty()) pod.status.qos_class = old.status.qos_class;
}

// Namespaces

void create_namespace(corev1::Namespace& object, WallTime) {
  object.status.phase = corev1::kNamespaceActive;
  auto& finalizers = object.spec.finalizers;
  if (std::find(finalizers.begin(), finalizers.end(), corev1::kFinalizerKubernetes) == finalizers.end()) {
    finalizers.emplace_back(corev1::kFinalizerKubernetes);
  }
  object.metadata.labels["kubernetes.io/metadata.name"] = object.metadata.name;
}

/// Finalizers go through the `finalize` subresource.
void update_namespace(corev1::Namespace& object, const corev1::Namespace& old, WallTime) {
  object.spec.finalizers = old.spec.finalizers;
}

// Service accounts

void clean_references(corev1::ServiceAccount& account) {
  for (auto& reference : account.secrets) {
    corev1::ObjectReference clean;
    clean.name = reference.name;
    reference = std::move(clean);
  }
}

void create_service_account(corev1::ServiceAccount& account, WallTime) { clean_references(account); }

void update_service_account(corev1::ServiceAccount& account, const corev1::ServiceAccount&, WallTime) {
  clean_references(account);
}

// Volumes and claims

void create_volume(corev1::PersistentVolume& volume, WallTime now) {
  volume.status.phase = corev1::kVolumePending;
  volume.status.last_phase_transition_time = Time(now);
}

void update_volume_status(corev1::PersistentVolume& volume, const corev1::PersistentVolume& old, WallTime now) {
  if (volume.status.phase != old.status.phase &&
      volume.status.last_phase_transition_time == old.status.last_phase_transition_time) {
    volume.status.last_phase_transition_time = Time(now);
  }
}

/// dataSource and dataSourceRef name the same thing unless another namespace is meant (KEP-1495).
void sync_data_sources(corev1::PersistentVolumeClaimSpec& spec) {
  if (spec.data_source_ref && spec.data_source_ref->namespace_ && spec.data_source_ref->namespace_->empty()) {
    spec.data_source_ref->namespace_.reset();
  }
  if (spec.data_source && !spec.data_source_ref) {
    auto& reference = spec.data_source_ref.emplace();
    reference.api_group = spec.data_source->api_group;
    reference.kind = spec.data_source->kind;
    reference.name = spec.data_source->name;
  } else if (spec.data_source_ref && !spec.data_source && !spec.data_source_ref->namespace_) {
    auto& source = spec.data_source.emplace();
    source.api_group = spec.data_source_ref->api_group;
    source.kind = spec.data_source_ref->kind;
    source.name = spec.data_source_ref->name;
  }
}

void create_claim(corev1::PersistentVolumeClaim& claim, WallTime) {
  claim.status.phase = corev1::kClaimPending;
  claim.spec.volume_attributes_class_name.reset();
  sync_data_sources(claim.spec);
}

void update_claim(corev1::PersistentVolumeClaim& claim, const corev1::PersistentVolumeClaim&, WallTime) {
  claim.spec.volume_attributes_class_name.reset();
  sync_data_sources(claim.spec);
}

// Workloads

/// Deployments count annotation changes too: rollbacks and hashes are kept there.
void update_deployment(appsv1::Deployment& deployment, const appsv1::Deployment& old, WallTime) {
  if (!(deployment.metadata.annotations == old.metadata.annotations)) {
    deployment.metadata.generation = old.metadata.generation + 1;
  }
}

void update_deployment_status(appsv1::Deployment& deployment, const appsv1::Deployment& old, WallTime) {
  deployment.metadata.labels = old.metadata.labels;
}

void create_daemon_set(appsv1::DaemonSet& daemon_set, WallTime) {
  daemon_set.metadata.annotations[kTemplateGeneration] = "1";
}

void update_daemon_set(appsv1::DaemonSet& daemon_set, const appsv1::DaemonSet& old, WallTime) {
  int64_t generation = 0;
  const std::string text = old.metadata.annotations.get(kTemplateGeneration, "0");
  std::from_chars(text.data(), text.data() + text.size(), generation);
  if (!validation::semantic_equal(daemon_set.spec.template_, old.spec.template_)) ++generation;
  daemon_set.metadata.annotations[kTemplateGeneration] = std::to_string(generation);
}

/// Without a selector of its own a job selects its pods by its uid.
void create_job(batchv1::Job& job, WallTime) {
  if (job.spec.manual_selector.value_or(false)) return;
  auto& labels = job.spec.template_.metadata.labels;
  const std::pair<std::string_view, const std::string&> wanted[] = {{batchv1::kControllerUidLabel, job.metadata.uid},
                                                                    {"controller-uid", job.metadata.uid},
                                                                    {batchv1::kJobNameLabel, job.metadata.name},
                                                                    {"job-name", job.metadata.name}};
  // Labels that were given stand; validation refuses wrong ones.
  for (const auto& [key, value] : wanted) labels.emplace(key, value);
  auto& selected = job.spec.selector.ensure().match_labels;
  selected.emplace(batchv1::kControllerUidLabel, job.metadata.uid);
}

// Custom resource definitions

/// A version that was ever the stored one stays listed until somebody migrates and removes it.
void add_stored_version(apiextensionsv1::CustomResourceDefinition& definition) {
  for (const auto& version : definition.spec.versions) {
    auto& stored = definition.status.stored_versions;
    if (version.storage && std::find(stored.begin(), stored.end(), version.name) == stored.end()) {
      stored.push_back(version.name);
    }
  }
}

void create_definition(apiextensionsv1::CustomResourceDefinition& definition, WallTime) {
  add_stored_version(definition);
}

void update_definition(apiextensionsv1::CustomResourceDefinition& definition,
                       const apiextensionsv1::CustomResourceDefinition&, WallTime) {
  add_stored_version(definition);
}

/// Each hook is a function or nullptr. (Told apart by type: GCC's sanitizers cannot compare addresses at compile time.)
void update_signing_request(certificatesv1::CertificateSigningRequest& updated,
                            const certificatesv1::CertificateSigningRequest& old, WallTime) {
  updated.spec = old.spec;
}

/// Whoever adds a condition may leave its times to the server.
void update_signing_request_status(certificatesv1::CertificateSigningRequest& updated,
                                   const certificatesv1::CertificateSigningRequest& old, WallTime now) {
  for (auto& condition : updated.status.conditions) {
    const auto same = std::ranges::find_if(old.status.conditions, [&](const auto& each) {
      return each.type == condition.type && each.status == condition.status;
    });
    if (condition.last_update_time.is_zero()) condition.last_update_time = api::Time(now);
    if (condition.last_transition_time.is_zero()) {
      condition.last_transition_time =
          same != old.status.conditions.end() ? same->last_transition_time : api::Time(now);
    }
  }
}

template <typename T, auto Create, auto Update = nullptr, auto StatusUpdate = nullptr>
KindHooks hooks() {
  KindHooks result{&type_info<T>(), nullptr, nullptr, nullptr};
  if constexpr (!std::is_null_pointer_v<decltype(Create)>) {
    result.create = [](void* object, WallTime now) { Create(*static_cast<T*>(object), now); };
  }
  if constexpr (!std::is_null_pointer_v<decltype(Update)>) {
    result.update = [](void* updated, const void* old, WallTime now) {
      Update(*static_cast<T*>(updated), *static_cast<const T*>(old), now);
    };
  }
  if constexpr (!std::is_null_pointer_v<decltype(StatusUpdate)>) {
    result.status = [](void* updated, const void* old, WallTime now) {
      StatusUpdate(*static_cast<T*>(updated), *static_cast<const T*>(old), now);
    };
  }
  return result;
}

}  // namespace

std::span<const KindHooks> kind_hooks() {
  static const KindHooks kHooks[] = {
      hooks<corev1::Pod, create_pod, update_pod, update_pod_status>(),
      hooks<corev1::Namespace, create_namespace, update_namespace>(),
      hooks<corev1::Service, create_service, update_service>(),
      hooks<corev1::ServiceAccount, create_service_account, update_service_account>(),
      hooks<corev1::PersistentVolume, create_volume, nullptr, update_volume_status>(),
      hooks<corev1::PersistentVolumeClaim, create_claim, update_claim>(),
      hooks<appsv1::Deployment, nullptr, update_deployment, update_deployment_status>(),
      hooks<appsv1::DaemonSet, create_daemon_set, update_daemon_set>(),
      hooks<batchv1::Job, create_job>(),
      hooks<certificatesv1::CertificateSigningRequest, nullptr, update_signing_request,
            update_signing_request_status>(),
      hooks<apiextensionsv1::CustomResourceDefinition, create_definition, update_definition>(),
  };
  return kHooks;
}

}  // namespace trireme::apiserver::strategy
