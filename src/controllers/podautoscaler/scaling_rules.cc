#include "controllers/podautoscaler/scaling_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trireme::controllers {

namespace autoscaling = api::autoscalingv2;
using Behavior = autoscaling::HorizontalPodAutoscalerBehavior;
using Rules = autoscaling::HPAScalingRules;

namespace {

/// Without a behavior: at most double, but four are always allowed.
constexpr int32_t kFactor = 2;
constexpr int32_t kAlwaysAllowed = 4;
constexpr double kMost = std::numeric_limits<int32_t>::max();

constexpr const char* kTooSlow = "the desired replica count is increasing faster than the maximum scale rate";
constexpr const char* kTooFast = "the desired replica count is decreasing faster than the maximum scale rate";
constexpr const char* kTooMany = "the desired replica count is more than the maximum replica count";
constexpr const char* kTooFew = "the desired replica count is less than the minimum replica count";
constexpr const char* kLower =
    "recent recommendations were lower than current one, applying the lowest recent recommendation";
constexpr const char* kHigher =
    "recent recommendations were higher than current one, applying the highest recent recommendation";

Verdict within_range() { return {false, "DesiredWithinRange", "the desired count is within the acceptable range"}; }
Verdict ready_for_scale() { return {true, "ReadyForNewScale", "recommended size matches current size"}; }

Duration seconds(int32_t count) { return std::chrono::seconds(count); }

Duration longest_period(const Rules& rules) {
  int32_t longest = 0;
  for (const auto& policy : rules.policies) longest = std::max(longest, policy.period_seconds);
  return seconds(longest);
}

int32_t changed_within(const std::vector<ScalingHistory::Step>& steps, int32_t period_seconds, WallTime now) {
  int32_t total = 0;
  for (const auto& step : steps) {
    if (step.at > now - seconds(period_seconds)) total += step.replicas;
  }
  return total;
}

/// Up: the most there may be; down: the fewest. Policies look at how many there were when their period began.
int32_t rate_limit(const Rules& rules, const ScalingHistory& history, int32_t current, bool up, WallTime now) {
  const std::string select = rules.select_policy.value_or(std::string(autoscaling::kMaxChangePolicySelect));
  if (select == autoscaling::kDisabledPolicySelect) return current;
  // The largest change is the highest bound when scaling up, the lowest when scaling down.
  const bool highest = (select != autoscaling::kMinChangePolicySelect) == up;
  int32_t result = highest ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
  for (const auto& policy : rules.policies) {
    const int32_t start = current - changed_within(history.ups, policy.period_seconds, now) +
                          changed_within(history.downs, policy.period_seconds, now);
    const double sign = up ? 1 : -1;
    double proposed = start + sign * policy.value;
    if (policy.type == autoscaling::kPercentScalingPolicy) {
      proposed = start * (1 + sign * policy.value / 100.0);
      // Rounded up when growing: a small target must be able to grow at all.
      proposed = up ? std::ceil(proposed) : std::trunc(proposed);
    }
    const auto bound = static_cast<int32_t>(std::clamp(proposed, -kMost, kMost));
    result = highest ? std::max(result, bound) : std::min(result, bound);
  }
  return result;
}

/// Adds the recommendation, in the place of one that nobody looks at any more.
void remember(std::vector<ScalingHistory::Recommendation>& list, int32_t desired, WallTime oldest, WallTime now) {
  std::erase_if(list, [&](const auto& each) { return each.at < oldest; });
  list.push_back({desired, now});
}

ScalingDecision without_behavior(ScalingHistory& history, const ScalingBounds& bounds, int32_t desired,
                                 Duration downscale_window, WallTime now) {
  int32_t stable = desired;
  const WallTime cutoff = now - downscale_window;
  for (const auto& each : history.recommendations) {
    if (each.at >= cutoff) stable = std::max(stable, each.replicas);
  }
  remember(history.recommendations, desired, cutoff, now);

  ScalingDecision out;
  out.able = stable == desired ? ready_for_scale() : Verdict{true, "ScaleDownStabilized", kHigher};
  out.replicas = stable;
  out.limited = within_range();
  const int64_t limit = std::max<int64_t>(int64_t{kFactor} * bounds.current, kAlwaysAllowed);
  if (stable < bounds.minimum) {
    out.replicas = bounds.minimum;
    out.limited = {true, "TooFewReplicas", kTooFew};
  } else if (stable > std::min<int64_t>(bounds.maximum, limit)) {
    const bool rate = bounds.maximum > limit;
    out.replicas = rate ? static_cast<int32_t>(limit) : bounds.maximum;
    out.limited = rate ? Verdict{true, "ScaleUpLimit", kTooSlow} : Verdict{true, "TooManyReplicas", kTooMany};
  }
  return out;
}

ScalingDecision with_behavior(ScalingHistory& history, const Rules& up, const Rules& down, const ScalingBounds& bounds,
                              int32_t desired, Duration downscale_window, WallTime now) {
  const WallTime up_cutoff = now - seconds(up.stabilization_window_seconds.value_or(0));
  const WallTime down_cutoff =
      now - (down.stabilization_window_seconds ? seconds(*down.stabilization_window_seconds) : downscale_window);
  int32_t lowest = desired;
  int32_t highest = desired;
  for (const auto& each : history.recommendations) {
    if (each.at > up_cutoff) lowest = std::min(lowest, each.replicas);
    if (each.at > down_cutoff) highest = std::max(highest, each.replicas);
  }
  // What stays within both is left alone.
  int32_t stable = std::max(bounds.current, lowest);
  stable = std::min(stable, highest);
  remember(history.recommendations, desired, std::min(up_cutoff, down_cutoff), now);

  ScalingDecision out;
  const bool growing = desired >= bounds.current;
  out.able = stable == desired ? ready_for_scale()
             : growing         ? Verdict{true, "ScaleUpStabilized", kLower}
                               : Verdict{true, "ScaleDownStabilized", kHigher};
  out.replicas = stable;
  out.limited = within_range();
  if (stable > bounds.current) {
    const int32_t limit = std::max(bounds.current, rate_limit(up, history, bounds.current, true, now));
    const bool rate = bounds.maximum > limit;
    const int32_t most = rate ? limit : bounds.maximum;
    if (stable > most) {
      out.replicas = most;
      out.limited = rate ? Verdict{true, "ScaleUpLimit", kTooSlow} : Verdict{true, "TooManyReplicas", kTooMany};
    }
  } else if (stable < bounds.current) {
    const int32_t limit = std::min(bounds.current, rate_limit(down, history, bounds.current, false, now));
    const bool rate = bounds.minimum < limit;
    const int32_t fewest = rate ? limit : bounds.minimum;
    if (stable < fewest) {
      out.replicas = fewest;
      out.limited = rate ? Verdict{true, "ScaleDownLimit", kTooFast} : Verdict{true, "TooFewReplicas", kTooFew};
    }
  }
  return out;
}

}  // namespace

void ScalingHistory::note_step(const Behavior* behavior, int32_t before, int32_t after, WallTime now) {
  if (behavior == nullptr || before == after) return;
  Duration longest{};
  for (const auto* rules : {&behavior->scale_up, &behavior->scale_down}) {
    if (*rules) longest = std::max(longest, longest_period(**rules));
  }
  for (auto* steps : {&ups, &downs}) {
    std::erase_if(*steps, [&](const Step& step) { return step.at < now - longest; });
  }
  (after > before ? ups : downs).push_back({std::abs(after - before), now});
}

ScalingDecision apply_scaling_rules(ScalingHistory& history, const Behavior* behavior, const ScalingBounds& bounds,
                                    int32_t desired, Duration downscale_window, WallTime now) {
  if (behavior == nullptr) return without_behavior(history, bounds, desired, downscale_window, now);
  static const Rules kNone;
  const Rules& up = behavior->scale_up ? *behavior->scale_up : kNone;
  const Rules& down = behavior->scale_down ? *behavior->scale_down : kNone;
  return with_behavior(history, up, down, bounds, desired, downscale_window, now);
}

}  // namespace trireme::controllers
