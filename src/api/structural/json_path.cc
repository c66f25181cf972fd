#include "api/structural/json_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trireme::api::structural {
namespace {

using Step = JsonPath::Step;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<Step>> parse() {
    std::vector<Step> steps;
    if (text_.empty()) return fail("is empty");
    if (text_.front() == '$') ++at_;
    while (at_ < text_.size()) {
      if (text_[at_] == '.') {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '[') continue;
        if (take("*")) {
          steps.push_back({.kind = Step::Kind::kAll, .name = {}, .where = {}, .literal = {}});
          continue;
        }
        TRY_ASSIGN(std::string name, member());
        steps.push_back({.kind = Step::Kind::kMember, .name = std::move(name), .where = {}, .literal = {}});
      } else if (text_[at_] == '[') {
        ++at_;
        TRY_ASSIGN(Step step, bracket());
        steps.push_back(std::move(step));
      } else {
        return fail("expected '.' or '['");
      }
    }
    if (steps.empty()) return fail("names nothing");
    return steps;
  }

 private:
  Status fail(std::string_view why) const {
    return Status::bad_request(fmt::format("{} (at character {} of {})", why, at_ + 1, text_));
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  /// A name up to the next '.' or '['; a backslash takes the next character as it is.
  Result<std::string> member() {
    std::string name;
    for (; at_ < text_.size() && text_[at_] != '.' && text_[at_] != '['; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      name += text_[at_];
    }
    if (name.empty()) return fail("a member's name is missing");
    return name;
  }

  Result<std::string> quoted() {
    const char quote = text_[at_++];
    std::string text;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        return text;
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      text += text_[at_];
    }
    return fail("a quote is not closed");
  }
  bool at_quote() const { return at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"'); }

  Result<Step> bracket() {
    Step step;
    if (at_quote()) {
      TRY_ASSIGN(step.name, quoted());
    } else if (take("*")) {
      step.kind = Step::Kind::kAll;
    } else if (take("?(")) {
      TRY(filter(step));
    } else {
      step.kind = Step::Kind::kIndex;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), step.index);
      if (error != std::errc()) return fail("only an index, a quoted name, * or a filter may stand in brackets");
      at_ += static_cast<size_t>(end - begin);
    }
    if (!take("]")) return fail("expected ']'");
    return step;
  }

  /// `@.type=="Ready")`
  Status filter(Step& step) {
    step.kind = Step::Kind::kWhere;
    skip_space();
    if (!take("@")) return fail("a filter begins with @");
    while (take(".")) {
      std::string name;
      while (at_ < text_.size() && std::string_view(".=! )").find(text_[at_]) == std::string_view::npos) {
        name += text_[at_++];
      }
      if (name.empty()) return fail("a member's name is missing");
      step.where.push_back(std::move(name));
    }
    skip_space();
    if (take("!=")) {
      step.equal = false;
    } else if (!take("==")) {
      return fail("only == and != are supported in filters");
    }
    skip_space();
    if (at_quote()) {
      TRY_ASSIGN(step.literal, quoted());
    } else {
      const size_t end = text_.find_first_of(" )", at_);
      if (end == std::string_view::npos) return fail("a filter is not closed");
      TRY_ASSIGN(step.literal, parse_value(text_.substr(at_, end - at_)));
      at_ = end;
    }
    skip_space();
    return take(")") ? Status() : fail("a filter is not closed");
  }

  std::string_view text_;
  size_t at_ = 0;
};

bool selected(const Value& element, const Step& step) {
  const Value* found = &element;
  for (const std::string& name : step.where) {
    if (found = found->find(name); found == nullptr) return false;
  }
  return (*found == step.literal) == step.equal;
}

void follow(const Value& value, const Step& step, std::vector<const Value*>& out) {
  switch (step.kind) {
    case Step::Kind::kMember:
      if (const Value* member = value.find(step.name)) out.push_back(member);
      return;
    case Step::Kind::kIndex: {
      if (!value.is_array()) return;
      const auto size = static_cast<int64_t>(value.as_array().size());
      const int64_t index = step.index < 0 ? size + step.index : step.index;
      if (index >= 0 && index < size) out.push_back(&value.as_array()[static_cast<size_t>(index)]);
      return;
    }
    case Step::Kind::kAll:
      if (value.is_object()) {
        for (const auto& [name, member] : value.as_object()) out.push_back(&member);
      }
      if (value.is_array()) {
        for (const Value& element : value.as_array()) out.push_back(&element);
      }
      return;
    case Step::Kind::kWhere:
      if (!value.is_array()) return;
      for (const Value& element : value.as_array()) {
        if (selected(element, step)) out.push_back(&element);
      }
      return;
  }
}

}  // namespace

Result<JsonPath> JsonPath::parse(std::string_view text) {
  JsonPath path;
  TRY_ASSIGN(path.steps_, Parser(text).parse());
  return path;
}

std::vector<const Value*> JsonPath::find(const Value& root) const {
  std::vector<const Value*> found{&root};
  for (const Step& step : steps_) {
    std::vector<const Value*> next;
    for (const Value* each : found) follow(*each, step, next);
    found = std::move(next);
  }
  return found;
}

bool JsonPath::is_simple() const {
  return std::ranges::all_of(steps_, [](const Step& step) { return step.kind == Step::Kind::kMember; });
}

bool JsonPath::set(Value& root, Value value) const {
  Value* place = &root;
  for (const Step& step : steps_) {
    if (!place->is_null() && !place->is_object()) return false;
    place = &(*place)[step.name];
  }
  *place = std::move(value);
  return true;
}

}  // namespace trireme::api::structural
