#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "client/client.h"

/// Watched, cached collections. One informer per kind is shared by everything in a process (InformerFactory).
namespace trireme::client {

/// "namespace/name", or "name" for cluster-scoped objects.
std::string key_of(const api::metav1::ObjectMeta& metadata);
struct ObjectKey {
  std::string ns;
  std::string name;
};
ObjectKey split_key(std::string_view key);

/// What handlers are told. Called one at a time: they only enqueue keys and return. They run on the informer's thread;
/// for objects that were there before the handler, on the thread that adds it.
/// `before` is null when added; `after` is null when deleted.
template <typename T>
using EventHandler = std::function<void(const std::shared_ptr<const T>& before, const std::shared_ptr<const T>& after)>;

/// A cache of all objects of a kind (in the scope of the list options), kept by list and watch. Thread-safe.
/// Cached objects are shared and immutable: copy before changing.
template <typename T>
class Informer {
 public:
  using Pointer = std::shared_ptr<const T>;

  virtual ~Informer() = default;

  /// Null when absent.
  virtual Pointer get(std::string_view ns, std::string_view name) const = 0;
  Pointer get(std::string_view key) const {
    ObjectKey parts = split_key(key);
    return get(parts.ns, parts.name);
  }
  /// In the order of their keys.
  virtual std::vector<Pointer> list(std::string_view ns = {}) const = 0;

  /// Objects for which `index(object)` gave `value`; an index must be added before the informer starts.
  /// Adding an index of a name that is there already does nothing: an index is known by its name.
  using IndexFunction = std::function<std::vector<std::string>(const T&)>;
  virtual void add_index(std::string name, IndexFunction index) = 0;
  virtual std::vector<Pointer> by_index(std::string_view name, std::string_view value) const = 0;

  /// Existing objects are reported as added. Handlers live as long as the informer.
  virtual void add_handler(EventHandler<T> handler) = 0;

  /// The resource version that the cache has reached: an object written at this or an earlier version is in it (or
  /// gone again). 0 before the first list.
  virtual uint64_t version() const = 0;

  /// True once the first list has been delivered to the cache.
  virtual bool synced() const = 0;
};

}  // namespace trireme::client
