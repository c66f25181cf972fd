#pragma once

#include "base/result.h"

namespace trireme::linux {

/// Makes packets that a bridge of this network namespace passes on go through the IP hooks of netfilter, as routed
/// ones do: without it a policy does not see what pods of one node send each other, and an answer that a pod of the
/// same bridge gives to a service's address goes back untranslated. Loads br_netfilter where it is a module. NotFound:
/// the kernel has no such thing.
/// https://kubernetes.io/docs/setup/production-environment/container-runtimes/#install-and-configure-prerequisites
Status enable_bridge_filter();

}  // namespace trireme::linux
