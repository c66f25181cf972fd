#pragma once

#include <list>
#include <string>
#include <unordered_map>
#include <utility>

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
  bool contains(const std::string& key) const { return places_.contains(key); }
  size_t size() const { return entries_.size(); }

 private:
  using Entry = std::pair<std::string, V>;
  size_t capacity_;
  std::list<Entry> entries_;
  std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
};

}  // namespace trireme::client
