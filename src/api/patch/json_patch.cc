#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "api/patch/patch.h"
#include "api/status_convert.h"

namespace trireme::api {
namespace {

using Pointer = std::vector<std::string>;

/// Upstream's 422 says only that there was an error; the cause tells which.
Status does_not_apply(const std::string& why) {
  StatusDetails details;
  details.causes.push_back({"", why, ""});
  return {Reason::kInvalid, "the server rejected our request due to an error in our request", std::move(details)};
}

Status missing(std::string_view operation, std::string_view path) {
  return does_not_apply(fmt::format("{} operation does not apply: doc is missing path: {}", operation, go_quote(path)));
}

Result<Pointer> parse_pointer(std::string_view text) {
  Pointer pointer;
  if (text.empty()) return pointer;
  if (text.front() != '/') return does_not_apply("invalid JSON pointer " + go_quote(text));
  for (size_t start = 1;;) {
    size_t slash = text.find('/', start);
    std::string step;
    std::string_view raw = text.substr(start, slash - start);
    for (size_t i = 0; i < raw.size(); ++i) {
      bool escaped = raw[i] == '~' && i + 1 < raw.size() && (raw[i + 1] == '0' || raw[i + 1] == '1');
      step += escaped ? (raw[++i] == '0' ? '~' : '/') : raw[i];
    }
    pointer.push_back(std::move(step));
    if (slash == std::string_view::npos) return pointer;
    start = slash + 1;
  }
}

/// The index that `step` names in an array of `size` elements; negative ones count from the end.
std::optional<size_t> index_of(std::string_view step, size_t size) {
  int64_t index = 0;
  auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (error != std::errc() || end != step.data() + step.size()) return std::nullopt;
  if (index < 0) index += static_cast<int64_t>(size);
  if (index < 0 || index >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(index);
}

Value* child(Value& parent, std::string_view step) {
  if (parent.is_object()) return parent.find(step);
  if (!parent.is_array()) return nullptr;
  auto index = index_of(step, parent.as_array().size());
  return index ? &parent.as_array()[*index] : nullptr;
}

/// The value `depth` steps down; null when the way breaks off.
Value* follow(Value& document, const Pointer& pointer, size_t depth) {
  Value* at = &document;
  for (size_t i = 0; i < depth && at != nullptr; ++i) at = child(*at, pointer[i]);
  return at;
}

class JsonPatch {
 public:
  explicit JsonPatch(Value document) : document_(std::move(document)) {}

  Status apply(const Value& operation) {
    if (!operation.is_object()) return Status::bad_request("a JSON patch must be an array of operations");
    std::string_view op = text_of(operation, "op");
    const Value* path = operation.find("path");
    if (path == nullptr || !path->is_string())
      return does_not_apply(fmt::format("{} operation: missing or invalid path", op));
    TRY_ASSIGN(Pointer pointer, parse_pointer(path->as_string()));
    path_ = path->as_string();
    if (op == "add" || op == "replace" || op == "test") {
      const Value* value = operation.find("value");
      if (value == nullptr && op != "test") return does_not_apply(fmt::format("{} operation: missing value", op));
      if (op == "add") return add(pointer, *value);
      if (op == "replace") return replace(pointer, *value);
      return test(pointer, value == nullptr ? Value() : *value);
    }
    if (op == "remove") return remove(pointer);
    if (op == "move" || op == "copy") {
      const Value* from = operation.find("from");
      if (from == nullptr || !from->is_string()) return does_not_apply(fmt::format("{} operation: missing from", op));
      TRY_ASSIGN(Pointer source, parse_pointer(from->as_string()));
      return op == "move" ? move(source, pointer, from->as_string()) : copy(source, pointer, from->as_string());
    }
    return does_not_apply("Unexpected kind: " + std::string(op));
  }

  Value take() { return std::move(document_); }

 private:
  static std::string_view text_of(const Value& operation, std::string_view key) {
    const Value* member = operation.find(key);
    return member == nullptr ? std::string_view() : member->string_or_empty();
  }

  Status add(const Pointer& pointer, Value value) {
    if (pointer.empty()) {
      document_ = std::move(value);
      return {};
    }
    Value* parent = follow(document_, pointer, pointer.size() - 1);
    const std::string& last = pointer.back();
    if (parent != nullptr && parent->is_object()) {
      (*parent)[last] = std::move(value);
      return {};
    }
    if (parent == nullptr || !parent->is_array()) return missing("add", path_);
    Value::Array& elements = parent->as_array();
    if (last == "-") {
      elements.push_back(std::move(value));
      return {};
    }
    auto index = index_of(last, elements.size() + 1);
    if (!index)
      return does_not_apply(fmt::format("add operation does not apply: invalid array index {}", go_quote(last)));
    elements.insert(elements.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
    return {};
  }

  Status replace(const Pointer& pointer, Value value) {
    Value* target = follow(document_, pointer, pointer.size());
    if (target == nullptr) return missing("replace", path_);
    *target = std::move(value);
    return {};
  }

  Status remove(const Pointer& pointer) {
    if (pointer.empty()) return does_not_apply("remove operation does not apply to the whole document");
    Value* parent = follow(document_, pointer, pointer.size() - 1);
    if (parent == nullptr || child(*parent, pointer.back()) == nullptr) return missing("remove", path_);
    if (parent->is_object()) {
      parent->erase(pointer.back());
    } else {
      Value::Array& elements = parent->as_array();
      elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(*index_of(pointer.back(), elements.size())));
    }
    return {};
  }

  Status test(const Pointer& pointer, const Value& expected) {
    const Value* actual = follow(document_, pointer, pointer.size());
    // A member that is not there counts as null.
    if (actual == nullptr ? expected.is_null() : *actual == expected) return {};
    return does_not_apply(fmt::format("testing value {} failed", path_));
  }

  Status move(const Pointer& source, const Pointer& target, std::string_view from) {
    if (source == target) return follow(document_, source, source.size()) ? Status() : missing("move", from);
    Value* value = follow(document_, source, source.size());
    if (value == nullptr) return missing("move", from);
    if (source.size() < target.size() && std::equal(source.begin(), source.end(), target.begin()))
      return does_not_apply("move operation does not apply: the target lies inside the source");
    Value moved = std::move(*value);
    TRY(remove(source));
    return add(target, std::move(moved));
  }

  Status copy(const Pointer& source, const Pointer& target, std::string_view from) {
    const Value* value = follow(document_, source, source.size());
    if (value == nullptr) return missing("copy", from);
    copied_bytes_ += to_json(*value).size();
    if (copied_bytes_ > kMaxJsonPatchCopyBytes)
      return does_not_apply(
          fmt::format("Unable to complete the copy, the accumulated size increase of copy is {}, "
                      "exceeding the limit {}",
                      copied_bytes_, kMaxJsonPatchCopyBytes));
    return add(target, Value(*value));
  }

  Value document_;
  std::string path_;
  size_t copied_bytes_ = 0;
};

}  // namespace

Result<Value> apply_json_patch(Value document, const Value& patch) {
  if (!patch.is_array()) return Status::bad_request("a JSON patch must be an array of operations");
  const Value::Array& operations = patch.as_array();
  if (operations.size() > kMaxJsonPatchOperations) {
    return request_entity_too_large(fmt::format("The allowed maximum operations in a JSON patch is {}, got {}",
                                                kMaxJsonPatchOperations, operations.size()));
  }
  JsonPatch applied(std::move(document));
  for (const Value& operation : operations) TRY(applied.apply(operation));
  return applied.take();
}

}  // namespace trireme::api
