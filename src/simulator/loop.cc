#include "simulator/loop.h"

#include <algorithm>

namespace trireme::simulator {
namespace {

constexpr double kHiccups = 0.002;
constexpr int kHiccupFactor = 100;

}  // namespace

Duration Loop::cost_of(const Actor& actor) {
  Duration cost = random_.between(actor.cost / 2, actor.cost * 3 / 2);
  if (random_.chance(kHiccups)) cost *= kHiccupFactor;
  return cost;
}

Loop::End Loop::run(Duration limit, const std::function<bool()>& done) {
  Duration now = clock_->monotonic();
  if (done()) return End::kDone;
  while (true) {
    runnable_.clear();
    Duration next = kNever;
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Duration due = slots_[i].actor.due();
      if (due == kNever) continue;
      const Duration from = std::max(due, slots_[i].busy_until);
      if (from <= now) {
        runnable_.push_back(i);
      } else {
        next = std::min(next, from);
      }
    }
    if (!runnable_.empty()) {
      const size_t chosen = runnable_[runnable_.size() == 1 ? 0 : random_.below(runnable_.size())];
      Slot& slot = slots_[chosen];
      slot.actor.step();
      slot.busy_until = clock_->monotonic() + cost_of(slot.actor);
      ++steps_;
      choices_ = choices_ * 1099511628211u + chosen + 1;
      // A step may have slept.
      if (const Duration later = clock_->monotonic(); later != now) {
        now = later;
        if (now >= limit) return done() ? End::kDone : End::kTime;
      }
      continue;
    }
    if (const std::optional<Duration> timer = clock_->next_due()) next = std::min(next, now + *timer);
    if (next == kNever) return done() ? End::kDone : End::kIdle;
    next = std::min(next, limit);
    clock_->advance(next - now);
    now = clock_->monotonic();
    if (done()) return End::kDone;
    if (now >= limit) return End::kTime;
  }
}

}  // namespace trireme::simulator
