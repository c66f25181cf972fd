#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Label and field selectors, with upstream's syntax and error texts.
/// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
/// https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
namespace trireme::api {

namespace metav1 {
struct LabelSelector;
}

enum class SelectorOperator : uint8_t {
  kEquals,        ///< =
  kDoubleEquals,  ///< ==
  kNotEquals,     ///< !=
  kIn,
  kNotIn,
  kExists,
  kDoesNotExist,
  kGreaterThan,  ///< node selectors and command lines only
  kLessThan,
};

struct LabelRequirement {
  std::string key;
  SelectorOperator op;
  std::vector<std::string> values;

  /// `value` is null where the label is missing.
  bool matches(const std::string* value) const;
  std::string to_string() const;
  bool operator==(const LabelRequirement&) const = default;

  /// Checks the key, the values and their number; field paths in errors begin with `path`.
  static Result<LabelRequirement> make(std::string key, SelectorOperator op, std::vector<std::string> values,
                                       std::string_view path = "");
};

/// A conjunction of requirements, ordered by key. Immutable once made; safe to share between threads.
class LabelSelector {
 public:
  /// Selects everything.
  LabelSelector() = default;
  /// Selects nothing: what a missing (nil) metav1.LabelSelector means.
  static LabelSelector nothing();
  /// The text of a `labelSelector` query parameter. BadRequest.
  static Result<LabelSelector> parse(std::string_view text);
  /// An empty one selects everything. BadRequest.
  static Result<LabelSelector> from(const metav1::LabelSelector& selector);
  /// The older, map-shaped selectors (ReplicationController, Service): every label must be there. Not validated.
  template <typename LabelMap>
  static LabelSelector from_map(const LabelMap& labels) {
    LabelSelector selector;
    for (const auto& [key, value] : labels)
      selector.requirements_.push_back({key, SelectorOperator::kEquals, {std::string(value)}});
    return selector;
  }

  /// `labels` is a map of strings with transparent find, such as ObjectMeta's.
  template <typename LabelMap>
  bool matches(const LabelMap& labels) const {
    if (nothing_) return false;
    for (const LabelRequirement& requirement : requirements_) {
      auto found = labels.find(requirement.key);
      if (!requirement.matches(found == labels.end() ? nullptr : &found->second)) return false;
    }
    return true;
  }
  /// Whether it selects everything.
  bool empty() const { return !nothing_ && requirements_.empty(); }
  std::span<const LabelRequirement> requirements() const { return requirements_; }
  std::string to_string() const;
  bool operator==(const LabelSelector&) const = default;

 private:
  std::vector<LabelRequirement> requirements_;
  bool nothing_ = false;
};

struct FieldRequirement {
  std::string field;
  bool equals = true;  ///< false: !=
  std::string value;
  bool operator==(const FieldRequirement&) const = default;
};

/// A conjunction of field comparisons. Which fields a kind has is the registry's business.
class FieldSelector {
 public:
  FieldSelector() = default;
  /// The text of a `fieldSelector` query parameter: `a=b`, `a==b`, `a!=b`, with `\` escaping `\`, `,` and `=`.
  /// BadRequest.
  static Result<FieldSelector> parse(std::string_view text);
  static FieldSelector equals(std::string field, std::string value);

  /// `value_of` returns the field's text, "" where there is none.
  bool matches(const std::function<std::string(std::string_view field)>& value_of) const;
  bool empty() const { return requirements_.empty(); }
  std::span<const FieldRequirement> requirements() const { return requirements_; }
  /// The value that `field` must equal, or null.
  const std::string* exact(std::string_view field) const;
  std::string to_string() const;

 private:
  std::vector<FieldRequirement> requirements_;
};

}  // namespace trireme::api
