#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "api/time.h"
#include "api/types/metav1.h"
#include "base/clock.h"

/// Lists of conditions, whatever a kind calls its own: type, status, reason, message and the time of the last change.
namespace trireme::api {

/// Null when there is none of that type.
template <typename Condition>
const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  return found == conditions.end() ? nullptr : &*found;
}

template <typename Condition>
bool is_condition_true(const std::vector<Condition>& conditions, std::string_view type) {
  const Condition* found = find_condition(conditions, type);
  return found != nullptr && found->status == "True";
}

/// Puts `wanted` in the place of the condition of its type, or at the end. The time of the last transition is `now`
/// when the status changes and stays otherwise. Whether anything changed.
template <typename Condition>
bool set_condition(std::vector<Condition>& conditions, Condition wanted, WallTime now) {
  const auto found = std::ranges::find(conditions, wanted.type, &Condition::type);
  if (found == conditions.end()) {
    wanted.last_transition_time = Time(now);
    conditions.push_back(std::move(wanted));
    return true;
  }
  const bool flips = found->status != wanted.status;
  bool differs = flips || found->reason != wanted.reason || found->message != wanted.message;
  if constexpr (requires { wanted.observed_generation; }) {
    differs = differs || found->observed_generation != wanted.observed_generation;
  }
  if (!differs) return false;
  wanted.last_transition_time = flips ? Time(now) : found->last_transition_time;
  *found = std::move(wanted);
  return true;
}

}  // namespace trireme::api
