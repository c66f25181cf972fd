#pragma once

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace trireme::api {

/// A map from strings, ordered by key as on the wire, kept as one sorted array: small, and cheap to copy and compare.
/// The interface is std::map's with transparent lookup. Inserting and erasing move the elements behind and
/// invalidate iterators. Do not change a key through an iterator.
template <typename T>
class Map {
 public:
  using value_type = std::pair<std::string, T>;
  using iterator = typename std::vector<value_type>::iterator;
  using const_iterator = typename std::vector<value_type>::const_iterator;

  Map() = default;
  /// The first of equal keys wins.
  Map(std::initializer_list<value_type> entries) {
    for (const value_type& entry : entries) emplace(entry.first, entry.second);
  }

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  void clear() { entries_.clear(); }
  void reserve(size_t count) { entries_.reserve(count); }

  iterator begin() { return entries_.begin(); }
  iterator end() { return entries_.end(); }
  const_iterator begin() const { return entries_.begin(); }
  const_iterator end() const { return entries_.end(); }

  iterator lower_bound(std::string_view key) { return std::lower_bound(begin(), end(), key, less); }
  const_iterator lower_bound(std::string_view key) const { return std::lower_bound(begin(), end(), key, less); }
  iterator find(std::string_view key) {
    const iterator at = lower_bound(key);
    return at != end() && at->first == key ? at : end();
  }
  const_iterator find(std::string_view key) const {
    const const_iterator at = lower_bound(key);
    return at != end() && at->first == key ? at : end();
  }
  bool contains(std::string_view key) const { return find(key) != end(); }
  size_t count(std::string_view key) const { return contains(key) ? 1 : 0; }

  /// Throws std::out_of_range when `key` is absent: only for keys that must be there.
  const T& at(std::string_view key) const {
    const const_iterator found = find(key);
    if (found == end()) throw std::out_of_range(std::string(key));
    return found->second;
  }
  T& at(std::string_view key) { return const_cast<T&>(std::as_const(*this).at(key)); }
  /// The value of `key`, or `fallback`.
  T get(std::string_view key, T fallback = T()) const {
    const const_iterator found = find(key);
    return found == end() ? std::move(fallback) : found->second;
  }
  T& operator[](std::string_view key) { return emplace(key).first->second; }

  /// Inserts unless `key` is there. Appending in key order is amortised constant time.
  template <typename... Arguments>
  std::pair<iterator, bool> emplace(std::string_view key, Arguments&&... arguments) {
    iterator at = entries_.empty() || entries_.back().first < key ? end() : lower_bound(key);
    if (at != end() && at->first == key) return {at, false};
    return {entries_.emplace(at, std::piecewise_construct, std::forward_as_tuple(key),
                             std::forward_as_tuple(std::forward<Arguments>(arguments)...)),
            true};
  }
  std::pair<iterator, bool> insert(value_type entry) { return emplace(entry.first, std::move(entry.second)); }
  template <typename Value>
  std::pair<iterator, bool> insert_or_assign(std::string_view key, Value&& value) {
    const iterator at = find(key);
    if (at == end()) return emplace(key, std::forward<Value>(value));
    at->second = std::forward<Value>(value);
    return {at, false};
  }
  size_t erase(std::string_view key) {
    const iterator at = find(key);
    if (at == end()) return 0;
    entries_.erase(at);
    return 1;
  }
  iterator erase(const_iterator at) { return entries_.erase(at); }

  friend bool operator==(const Map& a, const Map& b) { return a.entries_ == b.entries_; }

 private:
  static bool less(const value_type& entry, std::string_view key) { return entry.first < key; }

  std::vector<value_type> entries_;
};

}  // namespace trireme::api
