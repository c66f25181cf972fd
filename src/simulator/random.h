#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace trireme::simulator {

/// Random numbers that are the same on every machine for a seed (splitmix64). Used by one thread.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  /// A source for one purpose: what others draw from theirs does not change what it gives.
  Random fork(std::string_view purpose) const {
    uint64_t hash = 14695981039346656037u;
    for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    Random child(state_ ^ hash);
    child.next();
    return child;
  }

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// 0 to `count` - 1; `count` is not 0.
  uint64_t below(uint64_t count) { return next() % count; }
  /// From 0 up to, not including, 1.
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  bool chance(double probability) { return unit() < probability; }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<int64_t>(static_cast<double>((high - low).count()) * unit()));
  }

 private:
  uint64_t state_;
};

}  // namespace trireme::simulator
