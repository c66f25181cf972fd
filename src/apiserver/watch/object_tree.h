#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "apiserver/watch/cached_object.h"

namespace trireme::apiserver {

/// Objects ordered by key. A value: copies are one pointer, versions share what they have in common, and a version
/// never changes, so a list can be written from one while the next is being made. Changes cost O(log n) new nodes.
class ObjectTree {
 public:
  ObjectTree() = default;

  ObjectTree with(CachedPointer object) const;
  ObjectTree without(std::string_view key) const;

  /// Null when absent.
  CachedPointer find(std::string_view key) const;
  size_t size() const;
  /// Objects with a key of at least `start`; O(log n).
  size_t count_from(std::string_view start) const;
  size_t count(std::string_view start, std::string_view end) const;

  struct Node;
  using Link = std::shared_ptr<const Node>;

  /// Walks the objects of [start, end) in key order. Keeps the version alive.
  class Cursor {
   public:
    Cursor() = default;
    Cursor(const ObjectTree& tree, std::string_view start, std::string end);
    /// The next object, or null at the end. Valid while the cursor lives.
    const CachedPointer* next();

   private:
    Link root_;
    std::vector<const Node*> path_;
    std::string end_;
  };

 private:
  explicit ObjectTree(Link root) : root_(std::move(root)) {}
  Link root_;
};

}  // namespace trireme::apiserver
