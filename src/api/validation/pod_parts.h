#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "api/types/corev1.h"
#include "api/validation/field.h"

/// The parts of a pod's spec that other kinds' validators use too, and those split off for size.
namespace trireme::api::validation {

/// What a pod spec's containers may refer to.
struct PodScope {
  std::map<std::string_view, const corev1::VolumeSource*> volumes;  ///< The valid ones, by name.
  std::set<std::string_view> claims;                                ///< Names in spec.resourceClaims.
  std::optional<int64_t> grace_period;
  std::string_view restart_policy;
  bool host_users = true;
};

/// Calls `visit(common, path)` for every init, regular and ephemeral container, in upstream's order. `common` is a
/// Container or an EphemeralContainerCommon.
template <typename Visit>
void visit_containers(const corev1::PodSpec& spec, const Path& at, Visit visit) {
  for (size_t i = 0; i < spec.init_containers.size(); ++i)
    visit(spec.init_containers[i], at.child("initContainers").index(i));
  for (size_t i = 0; i < spec.containers.size(); ++i) visit(spec.containers[i], at.child("containers").index(i));
  for (size_t i = 0; i < spec.ephemeral_containers.size(); ++i) {
    visit(spec.ephemeral_containers[i].ephemeral_container_common, at.child("ephemeralContainers").index(i));
  }
}

// volumes.cc
void check_volumes(const std::vector<corev1::Volume>& volumes, std::string_view pod_name, const Path& at,
                   PodScope& scope, ErrorList& errors);
void check_persistent_volume_source(const corev1::PersistentVolumeSource& source, std::string_view pv_name,
                                    bool node_affinity, const Path& at, ErrorList& errors);
/// A relative path without `..` elements.
void check_descending_path(std::string_view path, const Path& at, ErrorList& errors);
void check_no_backsteps(std::string_view path, const Path& at, ErrorList& errors);
void check_csi_driver_name(std::string_view name, const Path& at, ErrorList& errors);

// storage.cc
void check_claim_spec(const corev1::PersistentVolumeClaimSpec& spec, const Path& at, ErrorList& errors);

// containers.cc
void check_containers(const corev1::PodSpec& spec, const PodScope& scope, const Path& at, ErrorList& errors);
/// Expressions that a downward API file or variable may name.
void check_field_ref(const corev1::ObjectFieldSelector& ref, bool volume, const Path& at, ErrorList& errors);
void check_resource_field_ref(const corev1::ResourceFieldSelector& ref, bool volume, const Path& at, ErrorList& errors);

// scheduling.cc
void check_affinity(const corev1::Affinity& affinity, const Path& at, ErrorList& errors);
void check_node_selector(const corev1::NodeSelector& selector, const Path& at, ErrorList& errors);
void check_node_selector_term(const corev1::NodeSelectorTerm& term, bool any_values, const Path& at, ErrorList& errors);
void check_tolerations(const std::vector<corev1::Toleration>& tolerations, const Path& at, ErrorList& errors);
void check_taint_effect(std::string_view effect, const Path& at, ErrorList& errors);
void check_spread_constraints(const std::vector<corev1::TopologySpreadConstraint>& constraints, const Path& at,
                              ErrorList& errors);

// security.cc
void check_pod_security_context(const corev1::PodSecurityContext& context, const corev1::PodSpec& spec, const Path& at,
                                ErrorList& errors);
void check_security_context(const corev1::SecurityContext& context, bool host_users, const Path& at, ErrorList& errors);
/// Operating-system rules: what a Linux or a Windows pod must not set, and host-process containers.
void check_pod_os(const corev1::PodSpec& spec, const Path& at, ErrorList& errors);
/// Seccomp and AppArmor annotations by themselves, and against the fields that replaced them.
void check_profile_annotations(const Map<std::string>& annotations, const corev1::PodSpec& spec, const Path& at,
                               ErrorList& errors);
void check_profiles_match(const Map<std::string>& annotations, const corev1::PodSpec& spec, const Path& spec_path,
                          ErrorList& errors);

}  // namespace trireme::api::validation
