#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
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
/// Ordered by key, so that the objects of a namespace stand together and lists come out the same every time.
class Cache {
 public:
  using IndexFunction = std::function<std::vector<std::string>(const void*)>;

  AnyPointer get(const std::string& key) const;
  std::vector<AnyPointer> list(std::string_view ns) const;
  std::vector<std::string> keys() const;
  std::vector<AnyPointer> by_index(std::string_view name, std::string_view value) const;
  size_t size() const;

  /// Indexes what the cache holds already, too. Does nothing when there is an index of that name.
  void add_index(std::string name, IndexFunction index);

  /// Returns what was there before (null: nothing).
  AnyPointer put(const std::string& key, AnyPointer object);
  AnyPointer remove(const std::string& key);

 private:
  struct Index {
    IndexFunction function;
    std::map<std::string, std::map<std::string, AnyPointer>, std::less<>> entries;
  };
  static void insert_into(Index& index, const std::string& key, const AnyPointer& object);
  static void remove_from(Index& index, const std::string& key, const AnyPointer& object);

  mutable std::shared_mutex mutex_;
  std::map<std::string, AnyPointer> objects_;
  std::map<std::string, Index, std::less<>> indexes_;
};

/// The ObjectMeta inside an object of `type`, which must be a kind with metadata.
const api::metav1::ObjectMeta& metadata_in(const api::TypeInfo& type, const void* object);
api::metav1::ObjectMeta& metadata_in(const api::TypeInfo& type, void* object);

}  // namespace trireme::client
