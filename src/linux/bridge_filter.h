#pragma once

#include <string>

#include "base/result.h"

namespace trireme::linux {

/// Makes packets that a bridge of this network namespace passes on go through the IP hooks of netfilter, as routed
/// ones do: without it a policy does not see what pods of one node send each other, and an answer that a pod of the
/// same bridge gives to a service's address goes back untranslated. Loads br_netfilter where it is a module. NotFound:
/// the kernel has no such thing.
/// https://kubernetes.io/docs/setup/production-environment/container-runtimes/#install-and-configure-prerequisites
Status enable_bridge_filter();

/// Does so again where somebody has turned it off meanwhile, of which the kernel tells nobody. Without it nothing is
/// done: it costs two small files' reading.
Status keep_bridge_filter();

/// Keeps in `file` how the switches were set, unless it is there already; and sets them so again. Where there were none
/// they stay as they are.
Status remember_bridge_filter(const std::string& file);
Status restore_bridge_filter(const std::string& file);

}  // namespace trireme::linux
