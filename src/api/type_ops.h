#pragma once

#include <new>
#include <optional>
#include <type_traits>
#include <vector>

#include "api/map.h"
#include "api/type_info.h"
#include "base/box.h"

/// Templates behind the tables of api/type_info.h; only generated sources include this.
namespace trireme::api {

template <typename T>
struct TypeFunctions {
  static void construct(void* storage) { new (storage) T(); }
  static void destroy(void* object) { static_cast<T*>(object)->~T(); }
  static void* create() { return new T(); }
  static void copy(void* to, const void* from) { *static_cast<T*>(to) = *static_cast<const T*>(from); }
  static void* clone(const void* from) { return new T(*static_cast<const T*>(from)); }
  static void remove(void* object) { delete static_cast<T*>(object); }
};

/// Box and std::optional.
template <typename Pointer>
struct PointerFunctions {
  static Pointer& get(void* container) { return *static_cast<Pointer*>(container); }
  static const Pointer& get(const void* container) { return *static_cast<const Pointer*>(container); }

  static size_t size(const void* container) { return get(container).has_value() ? 1 : 0; }
  static void clear(void* container) { get(container).reset(); }
  static const void* at(const void* container, size_t) {
    return get(container).has_value() ? static_cast<const void*>(&*get(container)) : nullptr;
  }
  static void* add(void* container) { return &get(container).emplace(); }
};

template <typename Vector>
struct SliceFunctions {
  static Vector& get(void* container) { return *static_cast<Vector*>(container); }
  static const Vector& get(const void* container) { return *static_cast<const Vector*>(container); }

  static size_t size(const void* container) { return get(container).size(); }
  static void clear(void* container) { get(container).clear(); }
  static const void* at(const void* container, size_t index) { return &get(container)[index]; }
  static void* add(void* container) { return &get(container).emplace_back(); }
};

template <typename Table>
struct MapFunctions {
  static Table& get(void* container) { return *static_cast<Table*>(container); }
  static const Table& get(const void* container) { return *static_cast<const Table*>(container); }

  static size_t size(const void* container) { return get(container).size(); }
  static void clear(void* container) { get(container).clear(); }
  static void* insert(void* container, std::string_view key) { return &get(container)[key]; }
  static const void* find(const void* container, std::string_view key) {
    const auto at = get(container).find(key);
    return at == get(container).end() ? nullptr : &at->second;
  }
  static void each(const void* container, void* context,
                   void (*visit)(void* context, std::string_view key, const void* value)) {
    for (const auto& [key, value] : get(container)) visit(context, key, &value);
  }
};

template <typename Container>
inline constexpr ContainerOps kContainerOps = {};

template <typename Pointer>
constexpr ContainerOps pointer_ops() {
  using F = PointerFunctions<Pointer>;
  return {.size = &F::size,
          .clear = &F::clear,
          .at = &F::at,
          .add = &F::add,
          .insert = nullptr,
          .find = nullptr,
          .each = nullptr};
}
template <typename T>
inline constexpr ContainerOps kContainerOps<Box<T>> = pointer_ops<Box<T>>();
template <typename T>
inline constexpr ContainerOps kContainerOps<std::optional<T>> = pointer_ops<std::optional<T>>();

template <typename T>
inline constexpr ContainerOps kContainerOps<std::vector<T>> = {.size = &SliceFunctions<std::vector<T>>::size,
                                                               .clear = &SliceFunctions<std::vector<T>>::clear,
                                                               .at = &SliceFunctions<std::vector<T>>::at,
                                                               .add = &SliceFunctions<std::vector<T>>::add,
                                                               .insert = nullptr,
                                                               .find = nullptr,
                                                               .each = nullptr};

template <typename T>
inline constexpr ContainerOps kContainerOps<Map<T>> = {.size = &MapFunctions<Map<T>>::size,
                                                       .clear = &MapFunctions<Map<T>>::clear,
                                                       .at = nullptr,
                                                       .add = nullptr,
                                                       .insert = &MapFunctions<Map<T>>::insert,
                                                       .find = &MapFunctions<Map<T>>::find,
                                                       .each = &MapFunctions<Map<T>>::each};

}  // namespace trireme::api
