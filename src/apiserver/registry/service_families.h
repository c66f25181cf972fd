#pragma once

#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/validation/field.h"

/// Which address families a service gets, as functions of the service and of what the cluster has.
/// https://kubernetes.io/docs/concepts/services-networking/dual-stack/#services
namespace trireme::apiserver {

/// "IPv4" or "IPv6".
std::string other_family(std::string_view family);

/// Fills in ipFamilyPolicy and ipFamilies of `service`, and drops the secondary address and family when it turns into a
/// SingleStack one. `cluster`: the families with a service range, the first of which is the default; `stored`: what
/// there was (null: a new service). What is wrong with what was asked for goes to `errors`.
void init_families(const std::vector<std::string>& cluster, const api::corev1::Service* stored,
                   api::corev1::Service& service, api::validation::ErrorList& errors);

/// Both are PreferDualStack with the same addresses and families: nothing is allocated or released then, so that such
/// services do not change by themselves when the cluster's ranges do.
bool keeps_preferred_families(const api::corev1::Service* stored, const api::corev1::Service& service);

}  // namespace trireme::apiserver
