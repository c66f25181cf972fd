#include "api/object.h"

#include <cassert>

namespace trireme::api {

Object::Object(const TypeInfo& type) : Object(type, type.create()) {}

Object Object::clone() const { return data_ == nullptr ? Object() : Object(type(), type().clone(data_.get())); }

metav1::ObjectMeta& Object::metadata() {
  return const_cast<metav1::ObjectMeta&>(static_cast<const Object&>(*this).metadata());
}

const metav1::ObjectMeta& Object::metadata() const {
  assert(data_ != nullptr && type().metadata_offset >= 0);
  return *reinterpret_cast<const metav1::ObjectMeta*>(static_cast<const char*>(data_.get()) + type().metadata_offset);
}

void Object::Deleter::operator()(void* data) const { type->remove(data); }

}  // namespace trireme::api
