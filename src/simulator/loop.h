#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/virtual_clock.h"
#include "simulator/random.h"

namespace trireme::simulator {

/// "Never", for Actor::due.
inline constexpr Duration kNever = Duration::max();

/// One thing in the world that acts, a step at a time. It holds no thread and keeps no time of its own.
struct Actor {
  std::string name;
  /// Mean virtual time that a step keeps it busy; other actors go on meanwhile.
  Duration cost = std::chrono::milliseconds(1);
  /// The monotonic virtual time from which it has something to do: now or earlier when it has already, kNever when only
  /// others can give it work.
  std::function<Duration()> due;
  /// Does one thing. May turn out to be nothing.
  std::function<void()> step;
};

/// The order of everything: of the actors that have work and are not busy, a random one takes the next step; when there
/// is none, the clock moves to the next time at which there may be. The seed decides all of it.
class Loop {
 public:
  Loop(std::shared_ptr<VirtualClock> clock, Random random) : clock_(std::move(clock)), random_(random) {}

  void add(Actor actor) { slots_.push_back({std::move(actor), Duration::zero()}); }

  enum class End {
    kDone,  ///< `done` holds.
    kTime,  ///< `limit` is reached.
    kIdle,  ///< Nothing will ever happen again.
  };
  /// Runs until `done` (asked whenever time has moved) or the monotonic virtual time `limit`.
  End run(Duration limit, const std::function<bool()>& done);

  uint64_t steps() const { return steps_; }
  /// Changes with every choice that was made.
  uint64_t choices() const { return choices_; }

 private:
  struct Slot {
    Actor actor;
    Duration busy_until;
  };
  /// What a step takes: around the mean, and now and then much longer, as a thread that loses its processor.
  Duration cost_of(const Actor& actor);

  const std::shared_ptr<VirtualClock> clock_;
  Random random_;
  std::vector<Slot> slots_;
  std::vector<size_t> runnable_;
  uint64_t steps_ = 0;
  uint64_t choices_ = 0;
};

}  // namespace trireme::simulator
