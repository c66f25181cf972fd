#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "scheduler/framework.h"

namespace trireme::scheduler {

/// A pod on its way from the decision to the binding. The scheduling thread's, but for what `work` may touch while
/// `running`: the reservations and `prepared`.
struct Flight {
  struct Reserved {
    size_t plugin;  ///< Its index in the profile.
    std::unique_ptr<Reservation> reservation;
  };
  struct Wait {
    Duration until;  ///< Of the clock's monotonic time.
    Duration limit;
  };

  PodInfoPointer pod;
  const Profile* profile = nullptr;
  std::string node;
  Duration first_seen{};
  int attempts = 0;  ///< Decisions made for it, with this one.
  Duration started{};
  std::vector<Reserved> reservations;
  std::map<size_t, Wait> waits_for;  ///< The plugins that have not permitted it yet.
  size_t prepared = 0;               ///< Reservations whose `pre_bind` is done.
  uint32_t care = 0;                 ///< The kinds of change that `pre_bind` may wait for.
  std::optional<Duration> look_again;
  bool running = false;         ///< A thread of the writer's works on it.
  bool changed = false;         ///< Something it cares for changed while it was worked on.
  bool abandoned = false;       ///< Its pod is gone.
  std::optional<Duration> due;  ///< Kept by Flights.
  uint64_t number = 0;
};
using FlightPointer = std::shared_ptr<Flight>;

/// All pods under way, by UID and by the time at which they want to be looked at.
class Flights {
 public:
  void add(const FlightPointer& flight) {
    flight->number = ++last_number_;
    by_uid_[flight->pod->uid()] = flight;
  }
  void remove(const FlightPointer& flight) {
    clear_due(flight);
    const auto found = by_uid_.find(flight->pod->uid());
    if (found != by_uid_.end() && found->second == flight) by_uid_.erase(found);
  }
  FlightPointer find(const std::string& uid) const {
    const auto found = by_uid_.find(uid);
    return found == by_uid_.end() ? nullptr : found->second;
  }

  /// Notes the flight's next time and whether it waits for changes, after these have changed.
  void set_due(const FlightPointer& flight) {
    clear_due(flight);
    flight->due = flight->look_again;
    for (const auto& [plugin, wait] : flight->waits_for) {
      if (!flight->due || wait.until < *flight->due) flight->due = wait.until;
    }
    if (flight->due) by_due_.emplace(std::pair(*flight->due, flight->number), flight);
    if (flight->waits_for.empty() && flight->care) preparing_[flight->number] = flight;
  }
  std::optional<Duration> next_due() const {
    if (by_due_.empty()) return std::nullopt;
    return by_due_.begin()->first.first;
  }
  std::vector<FlightPointer> due(Duration now) const {
    std::vector<FlightPointer> out;
    for (const auto& [key, flight] : by_due_) {
      if (key.first > now) break;
      out.push_back(flight);
    }
    return out;
  }
  /// Those whose `pre_bind` may wait for one of these kinds of change.
  std::vector<FlightPointer> caring(uint32_t kinds) const {
    std::vector<FlightPointer> out;
    for (const auto& [number, flight] : preparing_) {
      if (flight->care & kinds) out.push_back(flight);
    }
    return out;
  }

 private:
  void clear_due(const FlightPointer& flight) {
    if (flight->due) by_due_.erase({*flight->due, flight->number});
    flight->due.reset();
    preparing_.erase(flight->number);
  }

  std::unordered_map<std::string, FlightPointer> by_uid_;
  std::map<std::pair<Duration, uint64_t>, FlightPointer> by_due_;
  std::map<uint64_t, FlightPointer> preparing_;
  uint64_t last_number_ = 0;
};

}  // namespace trireme::scheduler
