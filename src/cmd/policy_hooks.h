#pragma once

#include "base/log.h"
#include "kubelet/network_hooks.h"
#include "linux/bridge_filter.h"
#include "policy/enforcer.h"

namespace trireme::cmd {

/// By which a kubelet waits for the policies of its new pods. `enforcer` outlives the kubelet.
inline kubelet::NetworkHooks policy_hooks(policy::Enforcer& enforcer) {
  kubelet::NetworkHooks hooks;
  hooks.admit = [&enforcer](const auto& pod, const auto& ips) {
    if (Status status = linux::keep_bridge_filter(); !status.ok()) {
      log::warning("Policies and services do not hold between pods of this machine", {{"error", status}});
    }
    return enforcer.admit(pod, ips);
  };
  hooks.forget = [&enforcer](const auto& pod) { enforcer.forget(pod); };
  return hooks;
}

}  // namespace trireme::cmd
