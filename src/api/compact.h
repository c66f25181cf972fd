#pragma once

#include "api/object.h"

namespace trireme::api {

/// Keeps an object for reading only, with all that belongs to it (texts, lists, maps) in one piece of memory without
/// gaps: a fifth smaller than as it was made, and freed at once. In builds with sanitizers it is an ordinary copy.
///
/// How: while it copies, `operator new` on this thread hands out consecutive parts of one block. The parts are never
/// freed one by one, so the object's destructor must not run, nothing may be moved out of it, and no kind may
/// hold anything but memory. Thread-safe.
class CompactObject {
 public:
  explicit CompactObject(const Object& object);
  ~CompactObject();
  CompactObject(const CompactObject&) = delete;
  CompactObject& operator=(const CompactObject&) = delete;

  const Object& get() const { return object_; }

 private:
  union {
    Object object_;
  };
};

}  // namespace trireme::api
