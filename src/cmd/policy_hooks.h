#pragma once

#include "kubelet/network_hooks.h"
#include "policy/enforcer.h"

namespace trireme::cmd {

/// By which a kubelet waits for the policies of its new pods. `enforcer` outlives the kubelet.
inline kubelet::NetworkHooks policy_hooks(policy::Enforcer& enforcer) {
  return {.admit = [&enforcer](const auto& pod, const auto& ips) { return enforcer.admit(pod, ips); },
          .forget = [&enforcer](const auto& pod) { enforcer.forget(pod); }};
}

}  // namespace trireme::cmd
