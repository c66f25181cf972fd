#pragma once

#include <memory>
#include <string>
#include <utility>

#include "api/type_info.h"
#include "api/types/metav1.h"

namespace trireme::api {

/// One object of any built-in kind, owned: the type-erased form that the request pipeline handles.
/// Never null except when default-constructed or moved from.
class Object {
 public:
  Object() = default;
  /// A default-constructed struct of `type`.
  explicit Object(const TypeInfo& type);
  template <typename T>
  static Object of(T value) {
    return Object(type_info<T>(), new T(std::move(value)));
  }

  explicit operator bool() const { return data_ != nullptr; }
  const TypeInfo& type() const { return *data_.get_deleter().type; }
  void* data() { return data_.get(); }
  const void* data() const { return data_.get(); }
  Object clone() const;

  /// Its ObjectMeta; the type must be a kind with metadata (`type().metadata_offset >= 0`).
  metav1::ObjectMeta& metadata();
  const metav1::ObjectMeta& metadata() const;

  /// The typed struct, or null when it is of another type.
  template <typename T>
  T* as() {
    return data_.get_deleter().type == &type_info<T>() ? static_cast<T*>(data_.get()) : nullptr;
  }
  template <typename T>
  const T* as() const {
    return data_.get_deleter().type == &type_info<T>() ? static_cast<const T*>(data_.get()) : nullptr;
  }

 private:
  struct Deleter {
    const TypeInfo* type;  // null while there is no data
    void operator()(void* data) const;
  };
  Object(const TypeInfo& type, void* data) : data_(data, Deleter{&type}) {}

  std::unique_ptr<void, Deleter> data_;
};

}  // namespace trireme::api
