#pragma once

#include <string>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"

namespace trireme::controllers {

/// Why a controller ends a pod, as its condition DisruptionTarget tells.
/// https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
struct Disruption {
  std::string reason;
  std::string message;
  bool fail = false;   ///< Also set the phase Failed (nobody else will: its kubelet is gone).
  bool force = false;  ///< Delete at once, without grace.
};

/// Sets the condition, then deletes the pod. OK when it is gone already.
Status disrupt(client::Client& client, const api::corev1::Pod& pod, const Disruption& why, WallTime now);

}  // namespace trireme::controllers
