#pragma once

#include "api/types/corev1.h"
#include "api/validation/field.h"

/// Services, Endpoints and what they share with EndpointSlices.
namespace trireme::api::validation {

void check_service_create(const corev1::Service& service, ErrorList& errors);
void check_service_update(const corev1::Service& updated, const corev1::Service& old, ErrorList& errors);
/// Cluster IPs, address families and their policy, of which any may be missing: what is checked before they are
/// allocated.
void check_service_addresses(const corev1::Service& service, ErrorList& errors);
void check_service_status_update(const corev1::Service& updated, const corev1::Service& old, ErrorList& errors);
/// Load balancer addresses in a Service's or an Ingress's status.
void check_load_balancer(const corev1::LoadBalancerStatus& status, const Path& at, ErrorList& errors);
void check_endpoints_create(const corev1::Endpoints& endpoints, ErrorList& errors);
void check_endpoints_update(const corev1::Endpoints& updated, const corev1::Endpoints& old, ErrorList& errors);

/// Whether traffic from outside the cluster reaches the service.
bool externally_accessible(const corev1::Service& service);
bool needs_health_check_port(const corev1::Service& service);

}  // namespace trireme::api::validation
