#include "simulator/population.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::simulator {

bool settled(World& world, const Populations& all) {
  const Sample& now = world.observer().now();
  if (now.pending != 0 || now.unready != 0) return false;
  int64_t wanted = 0;
  for (const auto& each : all) wanted += each->wanted_pods();
  return now.ready == wanted && std::ranges::all_of(all, [](const auto& each) { return each->is_complete(); });
}

std::string unsettled(World& world, const Populations& all) {
  const Sample& now = world.observer().now();
  int64_t wanted = 0;
  std::string incomplete;
  for (const auto& each : all) {
    wanted += each->wanted_pods();
    if (!each->is_complete()) incomplete += fmt::format(", {} are not complete", each->kind());
  }
  return fmt::format("{} pods pending, {} not ready, {} ready of {}{}", now.pending, now.unready, now.ready, wanted,
                     incomplete);
}

}  // namespace trireme::simulator
