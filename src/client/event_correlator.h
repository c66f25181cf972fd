#pragma once

#include <optional>
#include <set>
#include <string>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/lru_map.h"

namespace trireme::client {

/// Turns a stream of events into few API objects, by client-go's rules and numbers: equal events become one whose count
/// rises; from ten similar ones on (same all but the message, within ten minutes) they are combined into one; and an
/// object that brings more than 25 at once is cut to one event in five minutes. Not synchronised.
class EventCorrelator {
 public:
  struct Verdict {
    bool drop = false;
    bool patch = false;        ///< The event exists by this name: only count, message and last timestamp changed.
    api::corev1::Event event;  ///< With its name and count.
    std::string cache_key;     ///< For `written` and `lost`.
  };

  /// `event` is complete but for name, count and timestamps. `now` is monotonic time.
  Verdict correlate(api::corev1::Event event, Duration now, WallTime wall);
  /// The server has stored `event` so.
  void written(const std::string& cache_key, const api::corev1::Event& event);

 private:
  struct Similar {
    std::set<std::string> messages;
    Duration last{};
  };
  struct Observed {
    int32_t count = 0;
    std::string name;
    WallTime first{};
  };
  struct Bucket {
    bool used = false;
    double tokens = 0;
    Duration at{};
  };
  static constexpr size_t kRemembered = 4096;

  bool spam(const api::corev1::Event& event, Duration now);

  LruMap<Similar> similar_{kRemembered};
  LruMap<Observed> observed_{kRemembered};
  LruMap<Bucket> buckets_{kRemembered};
  int64_t last_name_ = 0;  ///< The nanoseconds in the newest name: no two events get the same.
};

}  // namespace trireme::client
