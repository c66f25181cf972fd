#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/world.h"

namespace trireme::simulator {

/// A part of what users run in a world, and what must be true of it in the end.
class Population {
 public:
  virtual ~Population() = default;
  /// Which of the populations it is: "sets".
  virtual std::string_view kind() const = 0;
  /// Pods that are to exist and to be ready when the world is at rest.
  virtual int64_t wanted_pods() const = 0;
  /// Everything has been created, and nothing says that it is not through. Asked often.
  virtual bool is_complete() const = 0;
  /// Fails the world for everything that is not as it was asked for. Called at rest.
  virtual void check() const = 0;
};

using Populations = std::vector<std::unique_ptr<Population>>;

/// Why the world is not settled, for whoever must find out.
std::string unsettled(World& world, const Populations& all);
/// Exactly the pods that they want together exist, all are ready, and each is complete.
bool settled(World& world, const Populations& all);

}  // namespace trireme::simulator
