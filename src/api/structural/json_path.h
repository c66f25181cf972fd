#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/value.h"
#include "base/result.h"

namespace trireme::api::structural {

/// The part of JSONPath that definitions use for printed columns, selectable fields and the scale subresource:
/// `.spec.replicas`, `.metadata.labels['a.b/c']`, `.items[0]`, `.items[*].name`,
/// `.conditions[?(@.type=="Ready")].status`. https://kubernetes.io/docs/reference/kubectl/jsonpath/
class JsonPath {
 public:
  /// BadRequest with what is wrong.
  static Result<JsonPath> parse(std::string_view text);

  /// Everything that the path leads to, in order.
  std::vector<const Value*> find(const Value& root) const;
  /// Only members by name, so that the path leads to one place: what the scale subresource may use.
  bool is_simple() const;
  /// Sets the place that a simple path leads to, and makes the objects on the way. False when one of them is there and
  /// no object.
  bool set(Value& root, Value value) const;

  struct Step {
    enum class Kind { kMember, kIndex, kAll, kWhere } kind = Kind::kMember;
    std::string name;                ///< kMember
    int64_t index = 0;               ///< kIndex; from the end when negative
    std::vector<std::string> where;  ///< kWhere: the members below @
    bool equal = true;               ///< kWhere: == or !=
    Value literal;                   ///< kWhere
  };

 private:
  std::vector<Step> steps_;
};

}  // namespace trireme::api::structural
