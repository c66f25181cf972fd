#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "api/type_info.h"
#include "api/types/metav1.h"

namespace trireme::client {

/// An object of a kind known at run time, shared and immutable.
using AnyPointer = std::shared_ptr<const void>;

/// The objects of one informer, by key and by index: the type-erased inside of `Informer<T>`. Thread-safe.
/// Ordered by namespace and name, so that lists come out the same every time. The keys stand in the objects: what the
/// cache adds to one is a node of 64 bytes, and another for each index it is in.
class Cache {
 public:
  using IndexFunction = std::function<std::vector<std::string>(const void*)>;

  /// The objects are of `type`, which must be a kind with metadata.
  explicit Cache(const api::TypeInfo& type) : type_(type), objects_(Less{&type}) {}

  /// Null when absent.
  AnyPointer get(std::string_view ns, std::string_view name) const;
  /// By "namespace/name", or "name".
  AnyPointer get(std::string_view key) const;
  std::vector<AnyPointer> list(std::string_view ns) const;
  std::vector<AnyPointer> by_index(std::string_view name, std::string_view value) const;
  size_t size() const;

  /// Indexes what the cache holds already, too. Does nothing when there is an index of that name.
  void add_index(std::string name, IndexFunction index);

  /// Returns what was there before (null: nothing).
  AnyPointer put(AnyPointer object);
  AnyPointer remove(std::string_view ns, std::string_view name);

 private:
  struct Key {
    std::string_view ns;
    std::string_view name;
  };
  struct Item {
    mutable AnyPointer object;  ///< Replaced only by one of the same key.
  };
  struct Less {
    using is_transparent = void;
    const api::TypeInfo* type;
    Key key(const Item& item) const;
    static const Key& key(const Key& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      const Key& left = key(a);
      const Key& right = key(b);
      const int order = left.ns.compare(right.ns);
      return order != 0 ? order < 0 : left.name < right.name;
    }
  };
  using Items = std::set<Item, Less>;
  struct Index {
    IndexFunction function;
    std::map<std::string, Items, std::less<>> entries;
  };
  void insert_into(Index& index, const AnyPointer& object);
  void remove_from(Index& index, const AnyPointer& object);
  static std::vector<AnyPointer> all(const Items& items);

  const api::TypeInfo& type_;
  mutable std::shared_mutex mutex_;
  Items objects_;
  std::map<std::string, Index, std::less<>> indexes_;
};

/// The ObjectMeta inside an object of `type`, which must be a kind with metadata.
const api::metav1::ObjectMeta& metadata_in(const api::TypeInfo& type, const void* object);
api::metav1::ObjectMeta& metadata_in(const api::TypeInfo& type, void* object);

}  // namespace trireme::client
