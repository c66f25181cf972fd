#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "api/patch/patch.h"

namespace trireme::api {
namespace {

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kDeletePrefix = "$deleteFromPrimitiveList";
constexpr std::string_view kOrderPrefix = "$setElementOrder";

// Upstream answers some of these with 500; a broken patch is the client's fault, so here all of them are 400.
Status bad_patch(std::string message) { return Status::bad_request(std::move(message)); }
Status bad_order_list() { return bad_patch("invalid patch format of setElementOrder list"); }

/// As Go's %v prints a decoded JSON value.
std::string go_print(const Value& value) {
  if (value.is_null()) return "<nil>";
  if (value.is_string()) return value.as_string();
  std::string out;
  if (value.is_array()) {
    out = "[";
    for (const Value& element : value.as_array()) out += (out.size() > 1 ? " " : "") + go_print(element);
    return out + "]";
  }
  if (value.is_object()) {
    out = "map[";
    for (const auto& [key, member] : value.as_object())
      out += (out.size() > 4 ? " " : "") + key + ":" + go_print(member);
    return out + "]";
  }
  return to_json(value);
}

std::string_view go_type(const Value& value) {
  if (value.is_object()) return "map[string]interface {}";
  if (value.is_array()) return "[]interface {}";
  if (value.is_string()) return "string";
  if (value.is_bool()) return "bool";
  if (value.is_int()) return "int64";
  return value.is_double() ? "float64" : "%!s(<nil>)";
}

Status wrong_type(std::string_view expected, const Value& actual) {
  return bad_patch(fmt::format("expected a {}, but received a {}", expected, go_type(actual)));
}
Status expected_map(const Value& actual) { return wrong_type("map[string]interface {}", actual); }
Status expected_list(const Value& actual) { return wrong_type("[]interface {}", actual); }
Status no_merge_key(const Value& map, std::string_view key) {
  return bad_patch(fmt::format("map: {} does not contain declared merge key: {}", go_print(map), key));
}

/// What the field tables say below one point of the document. Raw JSON has no tables: there everything merges plainly.
struct Schema {
  const TypeInfo* type = nullptr;
  std::string_view merge_key;
  bool replace = false;
  bool merge = false;
};

const FieldInfo* find_field(const TypeInfo& type, std::string_view name) {
  for (const FieldInfo& field : type.fields) {
    if (field.json_name == name) return &field;
    if (!field.json_name.empty()) continue;
    if (const FieldInfo* inlined = find_field(*field.type, name)) return inlined;
  }
  return nullptr;
}

Result<Schema> lookup(const Schema& parent, std::string_view key) {
  if (parent.type == nullptr) return Schema();
  const FieldInfo* field = find_field(*parent.type, key);
  if (field == nullptr) {
    return bad_patch(
        fmt::format("unable to find api field in struct {} for the json field \"{}\"", parent.type->name, key));
  }
  Schema schema;
  schema.merge_key = field->patch_merge_key;
  std::string_view strategy = field->patch_strategy;
  schema.replace = strategy.find("replace") != std::string_view::npos;
  schema.merge = strategy.find("merge") != std::string_view::npos;
  // The members of a map (labels, selectors) are no fields.
  bool elements_are_members = field->shape == FieldShape::kMap || field->shape == FieldShape::kMapOfSlices;
  if (!elements_are_members) schema.type = field->type;
  return schema;
}

/// The element type that all lists share; null for none. Lists of lists and mixed lists are refused.
enum class Elements { kNone, kMaps, kScalars };
Result<Elements> element_type(const Value::Array& a, const Value::Array& b) {
  const Value* first = nullptr;
  for (const Value::Array* list : {&a, &b}) {
    for (const Value& element : *list) {
      if (element.is_array()) return bad_patch("lists of lists are not supported");
      if (element.is_null()) return bad_patch("lists with null elements cannot be merged");
      if (first == nullptr) first = &element;
      if (first->is_object() != element.is_object() || go_type(*first) != go_type(element))
        return bad_patch(fmt::format("list element types are not identical: [{} {}]", go_print(a), go_print(b)));
    }
  }
  if (first == nullptr) return Elements::kNone;
  return first->is_object() ? Elements::kMaps : Elements::kScalars;
}

/// What identifies an element of a merged list: its merge key's value, or itself when the list is of scalars.
const Value* identity(const Value& element, std::string_view merge_key) {
  return merge_key.empty() ? &element : element.find(merge_key);
}

std::optional<size_t> index_in(const Value::Array& list, const Value& element, std::string_view merge_key) {
  const Value* wanted = identity(element, merge_key);
  for (size_t i = 0; i < list.size(); ++i) {
    const Value* candidate = identity(list[i], merge_key);
    if (wanted != nullptr && candidate != nullptr && *wanted == *candidate) return i;
  }
  return std::nullopt;
}

bool has_directive(const Value& element, std::string_view directive) {
  const Value* found = element.find(kDirective);
  return found != nullptr && found->string_or_empty() == directive;
}

/// Sorts by the positions in `order`; elements marked for deletion go last. Elements that `order` does not know move
/// forward: upstream's comparison calls them smaller than everything, and its insertion sort makes that the result.
Result<Value::Array> sort_by(Value::Array list, const Value::Array& order, std::string_view merge_key) {
  Value::Array sorted;
  Value::Array deletions;
  if (!merge_key.empty()) {
    for (const Value::Array* checked : {static_cast<const Value::Array*>(&list), &order}) {
      for (const Value& element : *checked) {
        if (!element.is_object()) return expected_map(element);
        if (element.find(merge_key) == nullptr) return no_merge_key(element, merge_key);
      }
    }
  }
  for (Value& element : list) {
    if (!merge_key.empty() && has_directive(element, "delete")) {
      deletions.push_back(std::move(element));
      continue;
    }
    auto position = index_in(order, element, merge_key);
    auto at = sorted.end();
    while (at != sorted.begin()) {
      auto before = index_in(order, *std::prev(at), merge_key);
      if (position && before && *position >= *before) break;
      --at;
    }
    sorted.insert(at, std::move(element));
  }
  std::move(deletions.begin(), deletions.end(), std::back_inserter(sorted));
  return sorted;
}

/// Interleaves two ordered lists: a server-only element goes before the first patch element that follows it in
/// `server_order`, and after all patch elements when there is none.
Value::Array interleave(Value::Array server_only, Value::Array patched, const Value::Array& server_order,
                        std::string_view merge_key) {
  Value::Array merged;
  merged.reserve(server_only.size() + patched.size());
  size_t i = 0;
  size_t j = 0;
  while (i < server_only.size() && j < patched.size()) {
    auto left = index_in(server_order, server_only[i], merge_key);
    auto right = index_in(server_order, patched[j], merge_key);
    bool left_first = left && right && *left < *right;
    merged.push_back(std::move(left_first ? server_only[i++] : patched[j++]));
  }
  std::move(patched.begin() + static_cast<std::ptrdiff_t>(j), patched.end(), std::back_inserter(merged));
  std::move(server_only.begin() + static_cast<std::ptrdiff_t>(i), server_only.end(), std::back_inserter(merged));
  return merged;
}

/// Orders `merged`: elements named in `patch_order` follow it, the others keep their place in `server_order`.
Result<Value::Array> enforce_order(Value::Array merged, const Value::Array& patch_order,
                                   const Value::Array& server_order, std::string_view merge_key) {
  Value::Array patched;
  Value::Array server_only;
  for (Value& element : merged) {
    if (!merge_key.empty() && !element.is_object()) return expected_map(element);
    if (identity(element, merge_key) == nullptr) return no_merge_key(element, merge_key);
    (index_in(patch_order, element, merge_key) ? patched : server_only).push_back(std::move(element));
  }
  TRY_ASSIGN(patched, sort_by(std::move(patched), patch_order, merge_key));
  TRY_ASSIGN(server_only, sort_by(std::move(server_only), server_order, merge_key));
  return interleave(std::move(server_only), std::move(patched), server_order, merge_key);
}

/// Drops members and elements that are directives. False when `value` is one itself.
bool remove_directives(Value& value) {
  if (value.is_object()) {
    if (value.find(kDirective) != nullptr) return false;
    Value::Map& members = value.as_object();
    for (auto at = members.begin(); at != members.end();)
      at = remove_directives(at->second) ? std::next(at) : members.erase(at);
  } else if (value.is_array()) {
    Value::Array kept;
    for (Value& element : value.as_array()) {
      if (remove_directives(element)) kept.push_back(std::move(element));
    }
    value = std::move(kept);
  }
  return true;
}

void discard_nulls(Value& value) {
  if (value.is_object()) {
    std::erase_if(value.as_object(), [](auto& member) { return member.second.is_null(); });
    for (auto& [key, member] : value.as_object()) discard_nulls(member);
  } else if (value.is_array()) {
    for (Value& element : value.as_array()) discard_nulls(element);
  }
}

/// Removes later duplicates the way upstream does, by filling the gap with the last element.
void deduplicate(Value::Array& list) {
  for (size_t i = 0; i + 1 < list.size(); ++i) {
    for (size_t j = i + 1; j < list.size();) {
      if (list[i] == list[j]) {
        if (j + 1 < list.size()) list[j] = std::move(list.back());
        list.pop_back();
      } else {
        ++j;
      }
    }
  }
}

/// The field that "$setElementOrder/field" and the like speak of.
std::optional<std::string> directive_field(std::string_view key, std::string_view prefix) {
  if (key.size() <= prefix.size() || key[prefix.size()] != '/') return std::nullopt;
  return std::string(key.substr(prefix.size() + 1));
}

class StrategicMerge {
 public:
  /// Merges the map `patch` into the map `original`.
  Result<Value> merge_maps(Value original, Value patch, const Schema& schema) {
    if (const Value* directive = patch.find(kDirective)) {
      if (directive->string_or_empty() == "replace") {
        patch.erase(kDirective);
        return patch;
      }
      if (directive->string_or_empty() == "delete") return Value::object();
      return bad_patch(fmt::format("unknown patch type: {} in map: {}", go_print(*directive), go_print(patch)));
    }
    TRY(retain_keys(original, patch));
    TRY(merge_ordered_lists(original, patch, schema));
    for (auto& [key, change] : patch.as_object()) {
      if (key.starts_with(kDeletePrefix)) {
        auto field = directive_field(key, kDeletePrefix);
        if (!field) return bad_patch("invalid patch format of primitive list");
        TRY(delete_from_list(original, *field, change));
      } else if (change.is_null()) {
        original.erase(key);
      } else {
        TRY(merge_member(original, key, std::move(change), schema));
      }
    }
    return original;
  }

 private:
  static Status retain_keys(Value& original, Value& patch) {
    const Value* directive = patch.find(kRetainKeys);
    if (directive == nullptr) return {};
    auto wrong = [] { return bad_patch("invalid patch format of retainKeys"); };
    if (!directive->is_array()) return wrong();
    Value::Array retained = directive->as_array();
    patch.erase(kRetainKeys);
    auto listed = [&](const std::string& key) {
      return std::any_of(retained.begin(), retained.end(), [&](const Value& one) { return one == Value(key); });
    };
    for (const auto& [key, change] : patch.as_object()) {
      if (change.is_null() || key.starts_with(kDeletePrefix) || key.starts_with(kOrderPrefix)) continue;
      if (!listed(key)) return wrong();
    }
    std::erase_if(original.as_object(), [&](const auto& member) { return !listed(member.first); });
    return {};
  }

  static Status delete_from_list(Value& original, const std::string& field, const Value& unwanted) {
    if (unwanted.is_null()) {
      original.erase(field);
      return {};
    }
    Value* list = original.find(field);
    if (list == nullptr || list->is_array() != unwanted.is_array()) return {};
    if (!unwanted.is_array()) return expected_list(unwanted);
    TRY_ASSIGN(Elements elements, element_type(list->as_array(), unwanted.as_array()));
    if (elements == Elements::kMaps) return bad_patch("invalid patch format of primitive list");
    std::erase_if(list->as_array(),
                  [&](const Value& element) { return index_in(unwanted.as_array(), element, "").has_value(); });
    return {};
  }

  Status merge_member(Value& original, const std::string& key, Value change, const Schema& schema) {
    Value* member = original.find(key);
    bool both_maps = member != nullptr && member->is_object() && change.is_object();
    bool both_lists = member != nullptr && member->is_array() && change.is_array();
    if (!both_maps && !both_lists) {
      discard_nulls(change);
      if (remove_directives(change)) {
        original[key] = std::move(change);
      } else {
        original.erase(key);
      }
      return {};
    }
    TRY_ASSIGN(Schema below, lookup(schema, key));
    if (both_maps) {
      if (below.replace) {
        *member = std::move(change);
      } else {
        TRY_ASSIGN(*member, merge_maps(std::move(*member), std::move(change), below));
      }
    } else if (below.merge) {
      Value::Array ignored;
      TRY_ASSIGN(*member, merge_lists(std::move(member->as_array()), std::move(change.as_array()), below, ignored));
    } else {
      *member = std::move(change);
    }
    return {};
  }

  /// Merges the lists that come with a $setElementOrder, and takes both from the patch.
  Status merge_ordered_lists(Value& original, Value& patch, const Schema& schema) {
    std::vector<std::string> directives;
    for (const auto& [key, value] : patch.as_object()) {
      if (key.starts_with(kOrderPrefix)) directives.push_back(key);
    }
    for (const std::string& key : directives) {
      Value order = std::move(*patch.find(key));
      patch.erase(key);
      if (!order.is_array()) return expected_list(order);
      auto field = directive_field(key, kOrderPrefix);
      if (!field) return bad_order_list();
      TRY(merge_ordered_list(original, patch, *field, order.as_array(), schema));
    }
    return {};
  }

  Status merge_ordered_list(Value& original, Value& patch, const std::string& field, const Value::Array& order,
                            const Schema& schema) {
    Value* have = original.find(field);
    Value* change = patch.find(field);
    if (have != nullptr && !have->is_array()) return expected_list(*have);
    if (change != nullptr && !change->is_array()) return expected_list(*change);
    TRY_ASSIGN(Schema below, lookup(schema, field));
    TRY(check_order(change != nullptr ? change->as_array() : Value::Array(), order, below.merge_key));
    if (have == nullptr && change == nullptr) return {};
    Value::Array server_order = have != nullptr ? have->as_array() : Value::Array();
    TRY_ASSIGN(Elements elements, element_type(server_order, change != nullptr ? change->as_array() : Value::Array()));
    if (elements == Elements::kNone) {
      if (have == nullptr) original[field] = Value::array();
      patch.erase(field);
      return {};
    }
    Value merged;
    if (change == nullptr) {
      merged = std::move(*have);
    } else if (have == nullptr) {
      merged = std::move(*change);
      remove_directives(merged);
    } else if (below.merge) {
      TRY_ASSIGN(merged, merge_lists(std::move(have->as_array()), std::move(change->as_array()), below, server_order));
    } else {
      merged = std::move(*change);
    }
    if (below.merge_key.empty() && elements == Elements::kMaps)
      return bad_patch("cannot merge lists without merge key for struct");
    TRY_ASSIGN(original[field], enforce_order(std::move(merged.as_array()), order, server_order, below.merge_key));
    patch.erase(field);
    return {};
  }

  /// The patch's elements must stand in the order list, in the same relative order.
  static Status check_order(const Value::Array& patch, const Value::Array& order, std::string_view merge_key) {
    if (order.empty() || patch.empty()) return {};
    auto check_key = [&](const Value& element) -> Status {
      if (merge_key.empty()) return {};
      if (!element.is_object()) return expected_map(element);
      return element.find(merge_key) == nullptr ? no_merge_key(element, merge_key) : Status();
    };
    size_t next = 0;
    for (const Value& element : patch) {
      if (!merge_key.empty() && !element.is_object()) return expected_map(element);
      if (element.find(kDirective) != nullptr) continue;
      TRY(check_key(element));
      for (;; ++next) {
        if (next == order.size()) {
          return bad_patch(fmt::format("The order in patch list:\n{}\n doesn't match {} list:\n{}\n", go_print(patch),
                                       kOrderPrefix, go_print(order)));
        }
        TRY(check_key(order[next]));
        if (*identity(element, merge_key) == *identity(order[next], merge_key)) break;
      }
      ++next;
    }
    return {};
  }

  /// Merges two lists of the merge strategy. `server_order` becomes the order that a $setElementOrder is held against:
  /// the remaining old elements, then as many new ones as were deleted. (Upstream appends into the memory that the
  /// deleted elements leave free in the list it compares with; the order of the result shows it.)
  Result<Value> merge_lists(Value::Array original, Value::Array patch, const Schema& schema,
                            Value::Array& server_order) {
    TRY_ASSIGN(Elements elements, element_type(original, patch));
    if (elements == Elements::kNone) return Value(std::move(original));
    if (elements == Elements::kScalars) {
      Value::Array merged = original;
      merged.insert(merged.end(), patch.begin(), patch.end());
      deduplicate(merged);
      TRY_ASSIGN(merged, enforce_order(std::move(merged), patch, original, ""));
      return Value(std::move(merged));
    }
    if (schema.merge_key.empty()) return bad_patch("cannot merge lists without merge key for struct");
    size_t old_size = original.size();
    TRY_ASSIGN(bool replaced, apply_element_directives(original, patch, schema.merge_key));
    Value::Array order = original;
    for (Value& change : patch) {
      if (change.find(schema.merge_key) == nullptr) return no_merge_key(change, schema.merge_key);
      auto found = index_in(original, change, schema.merge_key);
      if (found) {
        Value copy = change;  // enforce_order below needs the merge keys of the patch
        TRY_ASSIGN(original[*found], merge_maps(std::move(original[*found]), std::move(copy), schema));
      } else {
        original.push_back(change);
      }
    }
    if (!replaced) {
      server_order.assign(original.begin(),
                          original.begin() + static_cast<std::ptrdiff_t>(std::min(old_size, original.size())));
    }
    TRY_ASSIGN(original, enforce_order(std::move(original), patch, order, schema.merge_key));
    return Value(std::move(original));
  }

  /// Carries out the elements of `patch` that are directives and removes them. True when one was "replace".
  static Result<bool> apply_element_directives(Value::Array& original, Value::Array& patch,
                                               std::string_view merge_key) {
    Value::Array plain;
    bool replace = false;
    for (Value& element : patch) {
      const Value* directive = element.find(kDirective);
      if (directive == nullptr) {
        plain.push_back(std::move(element));
      } else if (directive->string_or_empty() == "delete") {
        if (element.find(merge_key) == nullptr) return no_merge_key(element, merge_key);
        std::erase_if(original, [&](const Value& candidate) {
          const Value* key = candidate.find(merge_key);
          return key != nullptr && *key == *element.find(merge_key);
        });
      } else if (directive->string_or_empty() == "replace") {
        replace = true;
      } else if (directive->string_or_empty() == "merge") {
        return bad_patch("merging lists cannot yet be specified in the patch");
      } else {
        return bad_patch(fmt::format("unknown patch type: {} in map: {}", go_print(*directive), go_print(element)));
      }
    }
    if (replace) {
      original = std::move(plain);
      patch.clear();
    } else {
      patch = std::move(plain);
    }
    return replace;
  }
};

}  // namespace

Result<Value> apply_strategic_merge_patch(Value document, const Value& patch, const TypeInfo& type) {
  if (!patch.is_object()) return bad_patch("invalid JSON document");
  if (document.is_null()) document = Value::object();
  if (!document.is_object()) return bad_patch("invalid JSON document");
  Schema schema;
  schema.type = &type;
  return StrategicMerge().merge_maps(std::move(document), patch, schema);
}

}  // namespace trireme::api
