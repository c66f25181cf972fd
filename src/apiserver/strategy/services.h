#pragma once

#include "api/types/corev1.h"
#include "base/clock.h"

/// How a Service's addresses, ports and type-dependent fields follow each other. Allocation itself (cluster IPs, node
/// ports, the IP families of a cluster) is the registry's business and comes after.
namespace trireme::apiserver::strategy {

void create_service(api::corev1::Service& service, WallTime now);
/// Fills what the client left out from the stored service, and drops what a change of type makes meaningless.
void update_service(api::corev1::Service& updated, const api::corev1::Service& old, WallTime now);

}  // namespace trireme::apiserver::strategy
