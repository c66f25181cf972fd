#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/checks.h"
#include "store/store.h"

namespace trireme::store {

/// Finds the members whose key range holds a key. The ranges of Kubernetes are prefixes and single keys: these are
/// found with one hash lookup for each distinct length, however many there are. Other ranges are compared one by one.
/// `Member` is a copyable handle with ==. Not thread-safe.
template <typename Member>
class WatchIndex {
 public:
  void add(std::string_view start, std::string_view end, Member member) {
    if (is_single_key(start, end)) {
      singles_[std::string(start)].push_back(std::move(member));
    } else if (end == prefix_end(start)) {
      prefixes_[start.size()][std::string(start)].push_back(std::move(member));
    } else {
      others_.push_back({std::string(start), std::string(end), std::move(member)});
    }
  }

  void remove(std::string_view start, std::string_view end, const Member& member) {
    if (is_single_key(start, end)) {
      erase(singles_, start, member);
    } else if (end == prefix_end(start)) {
      auto length = prefixes_.find(start.size());
      if (length == prefixes_.end()) return;
      erase(length->second, start, member);
      if (length->second.empty()) prefixes_.erase(length);
    } else {
      std::erase_if(others_, [&](const Other& other) { return other.member == member; });
    }
  }

  /// Calls `visit(member)` for each member whose range holds `key`.
  template <typename Visit>
  void find(std::string_view key, Visit&& visit) const {
    visit_all(singles_, key, visit);
    for (const auto& [length, ranges] : prefixes_) {
      if (length > key.size()) break;
      visit_all(ranges, key.substr(0, length), visit);
    }
    for (const Other& other : others_) {
      if (key >= other.start && below(key, other.end)) visit(other.member);
    }
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Ranges = std::unordered_map<std::string, std::vector<Member>, Hash, std::equal_to<>>;
  struct Other {
    std::string start;
    std::string end;
    Member member;
  };

  template <typename Visit>
  static void visit_all(const Ranges& ranges, std::string_view key, Visit& visit) {
    if (auto found = ranges.find(key); found != ranges.end()) {
      for (const Member& member : found->second) visit(member);
    }
  }

  static void erase(Ranges& ranges, std::string_view start, const Member& member) {
    auto found = ranges.find(start);
    if (found == ranges.end()) return;
    std::erase(found->second, member);
    if (found->second.empty()) ranges.erase(found);
  }

  Ranges singles_;
  std::map<std::size_t, Ranges> prefixes_;  // by length
  std::vector<Other> others_;
};

}  // namespace trireme::store
