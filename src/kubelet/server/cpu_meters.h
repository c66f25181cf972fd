#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

namespace trireme::kubelet {

/// Turns cumulative cpu times, read now and then, into rates: since a look a second to a minute ago. Not synchronised.
class CpuMeters {
 public:
  static constexpr Duration kShortest = std::chrono::seconds(1);  ///< Looks closer together tell nothing.
  static constexpr Duration kUsual = std::chrono::seconds(15);    ///< From here on the next rate counts from this look.
  static constexpr Duration kLongest = std::chrono::seconds(60);  ///< A look that old is no use for a rate "now".

  struct Rate {
    uint64_t nano_cores = 0;
    Duration window{};  ///< Over which it was watched.
  };

  /// Notes that `key` had used `cpu_nanoseconds` at `at` (of whichever clock belongs to that key). `now` is when that
  /// was learned. Whether a rate is known.
  bool look(const std::string& key, uint64_t cpu_nanoseconds, Duration at, Duration now);
  /// Nothing when there is none yet.
  std::optional<Rate> rate(const std::string& key) const;
  /// Forgets what was not seen for a minute.
  void forget_unseen(Duration now);
  size_t size() const { return meters_.size(); }

 private:
  struct Meter {
    uint64_t cpu_nanoseconds = 0;
    Duration at{};
    Duration seen{};
    std::optional<Rate> rate;
  };
  std::map<std::string, Meter> meters_;
};

}  // namespace trireme::kubelet
