#include "apiserver/registry/service_families.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/validation/meta.h"
#include "api/validation/service.h"

namespace trireme::apiserver {

using api::corev1::Service;
using api::validation::ErrorList;
using api::validation::Path;

namespace {

const Path kPolicy("spec.ipFamilyPolicy");

bool is_single(const Service& service) {
  return service.spec.ip_family_policy.value_or("") == api::corev1::kIPFamilyPolicySingleStack;
}

bool is_headless(const Service& service) { return service.spec.cluster_ip == api::corev1::kClusterIPNone; }

std::string inferred_policy(const Service* stored, const Service& service) {
  if (stored != nullptr && stored->spec.ip_family_policy) return *stored->spec.ip_family_policy;
  // Whoever writes the endpoints of a headless service decides of what families they are.
  if (is_headless(service) && service.spec.selector.empty()) {
    return std::string(api::corev1::kIPFamilyPolicyRequireDualStack);
  }
  return std::string(api::corev1::kIPFamilyPolicySingleStack);
}

/// Whether `now` is a shorter form of `before`.
bool is_reduced(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  return !now.empty() && now.size() < before.size() && now[0] == before[0];
}

void follow_policy_change(const Service& stored, Service& service, ErrorList& errors) {
  auto& spec = service.spec;
  if (is_single(service)) {
    // The policy alone was changed: that is clear enough. The primary address stays anyway.
    if (spec.cluster_ips == stored.spec.cluster_ips && spec.cluster_ips.size() > 1) spec.cluster_ips.resize(1);
    if (spec.ip_families == stored.spec.ip_families && spec.ip_families.size() > 1) spec.ip_families.resize(1);
    return;
  }
  const auto refuse = [&](std::string_view what) {
    errors.invalid(kPolicy, *spec.ip_family_policy,
                   fmt::format("must be 'SingleStack' to release the secondary {}", what));
  };
  if (is_reduced(stored.spec.cluster_ips, spec.cluster_ips)) refuse("cluster IP");
  if (is_reduced(stored.spec.ip_families, spec.ip_families)) refuse("IP family");
}

void check_single(const Service& service, ErrorList& errors) {
  if (!is_single(service)) return;
  const auto refuse = [&](std::string_view what) {
    errors.invalid(kPolicy, *service.spec.ip_family_policy,
                   fmt::format("must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified", what));
  };
  if (service.spec.cluster_ips.size() == 2) refuse("cluster IPs");
  if (service.spec.ip_families.size() == 2) refuse("IP families");
}

void infer_families(const std::vector<std::string>& cluster, Service& service, ErrorList& errors) {
  auto& spec = service.spec;
  for (size_t i = spec.ip_families.size(); i < spec.cluster_ips.size() && !is_headless(service); ++i) {
    const std::string family(api::validation::is_ipv6(spec.cluster_ips[i]) ? api::corev1::kIPv6Protocol
                                                                           : api::corev1::kIPv4Protocol);
    if (std::ranges::find(cluster, family) == cluster.end()) {
      errors.invalid(Path("spec.clusterIPs").index(i), spec.cluster_ips,
                     fmt::format("{} is not configured on this cluster", family));
      return;
    }
    spec.ip_families.push_back(family);
  }
}

}  // namespace

std::string other_family(std::string_view family) {
  return std::string(family == api::corev1::kIPv4Protocol ? api::corev1::kIPv6Protocol : api::corev1::kIPv4Protocol);
}

bool keeps_preferred_families(const Service* stored, const Service& service) {
  const auto prefers = [](const Service& each) {
    return each.spec.ip_family_policy.value_or("") == api::corev1::kIPFamilyPolicyPreferDualStack;
  };
  return stored != nullptr && prefers(*stored) && prefers(service) &&
         stored->spec.cluster_ips == service.spec.cluster_ips && stored->spec.ip_families == service.spec.ip_families;
}

void init_families(const std::vector<std::string>& cluster, const Service* stored, Service& service,
                   ErrorList& errors) {
  auto& spec = service.spec;
  if (spec.type == api::corev1::kServiceTypeExternalName || keeps_preferred_families(stored, service)) return;
  if (!spec.ip_family_policy) spec.ip_family_policy = inferred_policy(stored, service);
  api::validation::check_service_addresses(service, errors);
  if (!errors.empty()) return;
  if (stored != nullptr) follow_policy_change(*stored, service, errors);
  check_single(service, errors);
  infer_families(cluster, service, errors);
  if (!errors.empty()) return;

  const bool wants_two = !is_single(service);
  if (is_headless(service) && spec.selector.empty()) {
    // It may have two families where the cluster has one: nothing is allocated.
    if (spec.ip_families.empty()) spec.ip_families = {cluster.front()};
    if (wants_two && spec.ip_families.size() == 1) spec.ip_families.push_back(other_family(spec.ip_families[0]));
    return;
  }
  if (spec.ip_family_policy == api::corev1::kIPFamilyPolicyRequireDualStack && cluster.size() < 2) {
    errors.invalid(kPolicy, *spec.ip_family_policy, "this cluster is not configured for dual-stack services");
  }
  for (size_t i = 0; i < spec.ip_families.size(); ++i) {
    if (std::ranges::find(cluster, spec.ip_families[i]) != cluster.end()) continue;
    errors.invalid(Path("spec.ipFamilies").index(i), spec.ip_families[i], "not configured on this cluster");
  }
  if (!errors.empty()) return;
  if (spec.ip_families.empty()) spec.ip_families = {cluster.front()};
  if (wants_two && spec.ip_families.size() == 1 && cluster.size() == 2) {
    spec.ip_families.push_back(other_family(spec.ip_families[0]));
  }
}

}  // namespace trireme::apiserver
