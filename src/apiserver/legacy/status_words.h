#pragma once

#include <string_view>

namespace trireme::apiserver::legacy {

/// v1's pod phase in the words of v1beta1: Waiting, Running, Terminated. Succeeded stays, as v0.15 had it.
inline std::string_view status_of_phase(std::string_view phase) {
  if (phase == "Pending" || phase.empty()) return "Waiting";
  if (phase == "Failed") return "Terminated";
  return phase;
}

inline std::string_view phase_of_status(std::string_view status) {
  if (status == "Waiting") return "Pending";
  if (status == "Terminated") return "Failed";
  return status;
}

/// True, False and Unknown were Full, None and Unknown.
inline std::string_view legacy_condition_status(std::string_view status) {
  if (status == "True") return "Full";
  if (status == "False") return "None";
  return status;
}

}  // namespace trireme::apiserver::legacy
