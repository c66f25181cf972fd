#pragma once

#include <string>
#include <vector>

#include "api/types/autoscalingv2.h"
#include "base/clock.h"

/// What becomes of a recommendation: bounds, stabilization and the rates of an autoscaler's behavior.
/// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#configurable-scaling-behavior
namespace trireme::controllers {

/// What an autoscaler recommended and did of late. Lost at a restart, as upstream's: stabilization begins anew then.
struct ScalingHistory {
  struct Recommendation {
    int32_t replicas = 0;
    WallTime at{};
  };
  struct Step {
    int32_t replicas = 0;  ///< By how many.
    WallTime at{};
  };
  std::vector<Recommendation> recommendations;
  std::vector<Step> ups;
  std::vector<Step> downs;

  /// Remembers a change for as long as a policy of `behavior` looks back. Without one nothing is remembered.
  void note_step(const api::autoscalingv2::HorizontalPodAutoscalerBehavior* behavior, int32_t before, int32_t after,
                 WallTime now);
};

struct ScalingBounds {
  int32_t minimum = 1;
  int32_t maximum = 1;
  int32_t current = 1;
};

/// A condition's content.
struct Verdict {
  bool holds = false;
  std::string reason;
  std::string message;
};

struct ScalingDecision {
  int32_t replicas = 0;
  Verdict able;     ///< AbleToScale
  Verdict limited;  ///< ScalingLimited
};

/// Holds `desired` within the bounds and rules, and adds it to the history. `downscale_window` is the stabilization
/// window for scaling down where the behavior names none.
ScalingDecision apply_scaling_rules(ScalingHistory& history,
                                    const api::autoscalingv2::HorizontalPodAutoscalerBehavior* behavior,
                                    const ScalingBounds& bounds, int32_t desired, Duration downscale_window,
                                    WallTime now);

}  // namespace trireme::controllers
