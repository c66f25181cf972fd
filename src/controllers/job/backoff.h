#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "controllers/support/pods.h"

/// How long a job waits before it replaces a failed pod: 10 s, doubled with every failure in a row, 10 minutes at most.
/// https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy
namespace trireme::controllers {

/// When the pod ended: by its containers, else when it stopped being ready, else when it was deleted, else (never where
/// a kubelet and the pod collector run) when it was created.
WallTime finished_time(const api::corev1::Pod& pod);

struct Backoff {
  int32_t failures = 0;  ///< In a row, since the last success.
  WallTime last_failure{};
  bool operator==(const Backoff&) const = default;
};
/// `before` and what has ended since.
Backoff advance(Backoff before, std::span<const PodPointer> succeeded, std::span<const PodPointer> failed);

/// Zero when the next pod may be made.
Duration remaining(const Backoff& backoff, WallTime now);

}  // namespace trireme::controllers
