#pragma once

#include <list>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "api/types/corev1.h"
#include "base/clock.h"

namespace trireme::client {

/// A map that forgets the entry used longest ago when it grows past `capacity`. Not synchronised.
template <typename V>
class LruMap {
 public:
  explicit LruMap(size_t capacity) : capacity_(capacity) {}

  /// Finds or makes the entry, and counts as a use. The reference holds until the next call.
  V& operator[](const std::string& key) {
    if (const auto found = places_.find(key); found != places_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().second;
    }
    if (entries_.size() == capacity_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(key, V{});
    places_[key] = entries_.begin();
    return entries_.front().second;
  }
  size_t size() const { return entries_.size(); }

 private:
  using Entry = std::pair<std::string, V>;
  size_t capacity_;
  std::list<Entry> entries_;
  std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
};

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
};

}  // namespace trireme::client
