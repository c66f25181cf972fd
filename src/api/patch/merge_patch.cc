#include <utility>

#include "api/patch/patch.h"

namespace trireme::api {

Value apply_merge_patch(Value document, const Value& patch) {
  if (!patch.is_object()) return patch;
  if (!document.is_object()) document = Value::object();
  for (const auto& [key, change] : patch.as_object()) {
    if (change.is_null()) {
      document.erase(key);
    } else {
      Value& member = document[key];
      member = apply_merge_patch(std::move(member), change);
    }
  }
  return document;
}

}  // namespace trireme::api
