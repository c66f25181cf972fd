#include "api/selectors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "api/names.h"
#include "api/status_convert.h"
#include "api/types/metav1.h"

namespace trireme::api {
namespace {

using Op = SelectorOperator;

std::optional<int64_t> to_int(std::string_view text) {
  int64_t number = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string invalid_value(std::string_view path, std::string_view shown, std::string_view detail) {
  return fmt::format("{}: Invalid value: {}: {}", path, shown, detail);
}

/// One error stands alone, several in brackets, as upstream's aggregates print.
Status aggregate(const std::vector<std::string>& errors) {
  if (errors.size() == 1) return Status::bad_request(errors.front());
  return Status::bad_request(fmt::format("[{}]", fmt::join(errors, ", ")));
}

void sort_by_key(std::vector<LabelRequirement>& requirements) {
  std::stable_sort(requirements.begin(), requirements.end(),
                   [](const LabelRequirement& a, const LabelRequirement& b) { return a.key < b.key; });
}

enum class Token : uint8_t {
  kError,
  kEnd,
  kClose,
  kComma,
  kNot,
  kDoubleEquals,
  kEquals,
  kGreater,
  kIdentifier,
  kIn,
  kLess,
  kNotEquals,
  kNotIn,
  kOpen,
};

struct Item {
  Token token;
  std::string literal;
};

Token keyword(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Token>, 11> kWords{{{")", Token::kClose},
                                                                              {",", Token::kComma},
                                                                              {"!", Token::kNot},
                                                                              {"==", Token::kDoubleEquals},
                                                                              {"=", Token::kEquals},
                                                                              {">", Token::kGreater},
                                                                              {"in", Token::kIn},
                                                                              {"<", Token::kLess},
                                                                              {"!=", Token::kNotEquals},
                                                                              {"notin", Token::kNotIn},
                                                                              {"(", Token::kOpen}}};
  for (const auto& [word, token] : kWords) {
    if (word == text) return token;
  }
  return Token::kError;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_symbol(char c) { return std::string_view("=!(),><").find(c) != std::string_view::npos; }

std::vector<Item> scan(std::string_view text) {
  // A NUL ends the text, as it does upstream.
  text = text.substr(0, text.find('\0'));
  std::vector<Item> items;
  size_t i = 0;
  for (;;) {
    while (i < text.size() && is_space(text[i])) ++i;
    if (i == text.size()) break;
    size_t start = i;
    if (is_symbol(text[i])) {
      // The longest operator at the front; "=(" and the like begin with a shorter one.
      Item found{Token::kError, ""};
      size_t length = 1;
      for (; start + length <= text.size() && is_symbol(text[start + length - 1]); ++length) {
        Token token = keyword(text.substr(start, length));
        if (token == Token::kError) break;
        found = {token, std::string(text.substr(start, length))};
      }
      i = start + std::max<size_t>(found.literal.size(), 1);
      items.push_back(std::move(found));
    } else {
      while (i < text.size() && !is_space(text[i]) && !is_symbol(text[i])) ++i;
      std::string word(text.substr(start, i - start));
      Token token = keyword(word);
      items.push_back({token == Token::kError ? Token::kIdentifier : token, std::move(word)});
    }
  }
  items.push_back({Token::kEnd, ""});
  return items;
}

/// Recursive descent over the grammar of the labels page; the words "in" and "notin" are values too.
class LabelParser {
 public:
  explicit LabelParser(std::string_view text) : items_(scan(text)) {}

  Result<std::vector<LabelRequirement>> parse() {
    std::vector<LabelRequirement> requirements;
    for (;;) {
      Token token = peek();
      if (token == Token::kEnd) return requirements;
      if (token != Token::kIdentifier && token != Token::kNot)
        return failure("found '{}', expected: !, identifier, or 'end of string'", literal());
      auto requirement = parse_requirement();
      if (!requirement.ok()) return requirement.status().with_context("unable to parse requirement");
      requirements.push_back(std::move(requirement).value());
      const Item& next = take();
      if (next.token == Token::kEnd) return requirements;
      if (next.token != Token::kComma) return failure("found '{}', expected: ',' or 'end of string'", next.literal);
      if (peek() != Token::kIdentifier && peek() != Token::kNot)
        return failure("found '{}', expected: identifier after ','", literal());
    }
  }

 private:
  template <typename... Args>
  static Status failure(fmt::format_string<Args...> format, Args&&... args) {
    return Status::bad_request(fmt::format(format, std::forward<Args>(args)...));
  }

  Token peek() const { return as_value(items_[position_].token); }
  const std::string& literal() const { return items_[position_].literal; }
  const Item& take() {
    // The end token is never passed.
    return position_ + 1 < items_.size() ? items_[position_++] : items_.back();
  }
  static Token as_value(Token token) {
    return token == Token::kIn || token == Token::kNotIn ? Token::kIdentifier : token;
  }

  Result<LabelRequirement> parse_requirement() {
    bool negated = peek() == Token::kNot;
    if (negated) take();
    const Item& key = take();
    if (as_value(key.token) != Token::kIdentifier) return failure("found '{}', expected: identifier", key.literal);
    if (NameErrors errors = check_qualified_name(key.literal); !errors.empty())
      return Status::bad_request(
          invalid_value("<nil>", go_quote(key.literal), fmt::to_string(fmt::join(errors, "; "))));
    bool alone = peek() == Token::kEnd || peek() == Token::kComma;
    if (negated) return LabelRequirement::make(key.literal, Op::kDoesNotExist, {});
    if (alone) return LabelRequirement::make(key.literal, Op::kExists, {});
    TRY_ASSIGN(Op op, parse_operator());
    TRY_ASSIGN(std::set<std::string> values, op == Op::kIn || op == Op::kNotIn ? parse_values() : parse_exact_value());
    return LabelRequirement::make(key.literal, op, {values.begin(), values.end()});
  }

  Result<Op> parse_operator() {
    const Item& item = take();
    switch (item.token) {
      case Token::kIn:
        return Op::kIn;
      case Token::kNotIn:
        return Op::kNotIn;
      case Token::kEquals:
        return Op::kEquals;
      case Token::kDoubleEquals:
        return Op::kDoubleEquals;
      case Token::kNotEquals:
        return Op::kNotEquals;
      case Token::kGreater:
        return Op::kGreaterThan;
      case Token::kLess:
        return Op::kLessThan;
      default:
        return failure("found '{}', expected: in, notin, =, ==, !=, gt, lt", item.literal);
    }
  }

  Result<std::set<std::string>> parse_values() {
    if (const Item& open = take(); open.token != Token::kOpen) return failure("found '{}' expected: '('", open.literal);
    std::string first = literal();
    switch (peek()) {
      case Token::kIdentifier:
      case Token::kComma: {
        TRY_ASSIGN(std::set<std::string> values, parse_list());
        if (take().token != Token::kClose) return failure("found '{}', expected: ')'", first);
        return values;
      }
      case Token::kClose:
        take();
        return std::set<std::string>{""};
      default:
        return failure("found '{}', expected: ',', ')' or identifier", first);
    }
  }

  /// Missing values between commas are the empty string.
  Result<std::set<std::string>> parse_list() {
    std::set<std::string> values;
    for (;;) {
      const Item& item = take();
      if (as_value(item.token) == Token::kIdentifier) {
        values.insert(item.literal);
        if (peek() == Token::kComma) continue;
        if (peek() == Token::kClose) return values;
        return failure("found '{}', expected: ',' or ')'", literal());
      }
      if (item.token != Token::kComma) return failure("found '{}', expected: ',', or identifier", item.literal);
      if (values.empty()) values.insert("");
      if (peek() == Token::kClose) {
        values.insert("");
        return values;
      }
      if (peek() == Token::kComma) {
        take();
        values.insert("");
      }
    }
  }

  Result<std::set<std::string>> parse_exact_value() {
    if (peek() == Token::kEnd || peek() == Token::kComma) return std::set<std::string>{""};
    const Item& item = take();
    if (as_value(item.token) == Token::kIdentifier) return std::set<std::string>{item.literal};
    return failure("found '{}', expected: identifier", item.literal);
  }

  std::vector<Item> items_;
  size_t position_ = 0;
};

bool is_field_escapable(char c) { return c == '\\' || c == ',' || c == '='; }

Result<std::string> unescape_field_value(std::string_view text) {
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\\') {
      if (i + 1 == text.size()) return Status::bad_request("invalid field selector: invalid escape sequence: \\");
      if (!is_field_escapable(text[i + 1]))
        return Status::bad_request(fmt::format("invalid field selector: invalid escape sequence: \\{}", text[i + 1]));
      value += text[++i];
    } else if (c == ',' || c == '=') {
      return Status::bad_request(
          fmt::format("invalid field selector: unescaped character in value: {}", static_cast<int>(c)));
    } else {
      value += c;
    }
  }
  return value;
}

std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> terms;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ',') {
      terms.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  terms.push_back(text.substr(start));
  return terms;
}

}  // namespace

bool LabelRequirement::matches(const std::string* value) const {
  auto listed = [&] { return std::find(values.begin(), values.end(), *value) != values.end(); };
  switch (op) {
    case Op::kEquals:
    case Op::kDoubleEquals:
    case Op::kIn:
      return value != nullptr && listed();
    case Op::kNotEquals:
    case Op::kNotIn:
      return value == nullptr || !listed();
    case Op::kExists:
      return value != nullptr;
    case Op::kDoesNotExist:
      return value == nullptr;
    case Op::kGreaterThan:
    case Op::kLessThan: {
      if (value == nullptr || values.size() != 1) return false;
      auto have = to_int(*value);
      auto bound = to_int(values.front());
      return have && bound && (op == Op::kGreaterThan ? *have > *bound : *have < *bound);
    }
  }
  return false;
}

std::string LabelRequirement::to_string() const {
  std::vector<std::string> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  std::string joined = fmt::to_string(fmt::join(sorted, ","));
  switch (op) {
    case Op::kEquals:
      return key + "=" + joined;
    case Op::kDoubleEquals:
      return key + "==" + joined;
    case Op::kNotEquals:
      return key + "!=" + joined;
    case Op::kIn:
      return key + " in (" + joined + ")";
    case Op::kNotIn:
      return key + " notin (" + joined + ")";
    case Op::kExists:
      return key;
    case Op::kDoesNotExist:
      return "!" + key;
    case Op::kGreaterThan:
      return key + ">" + joined;
    case Op::kLessThan:
      return key + "<" + joined;
  }
  return key;
}

Result<LabelRequirement> LabelRequirement::make(std::string key, SelectorOperator op, std::vector<std::string> values,
                                                std::string_view path) {
  std::vector<std::string> errors;
  std::string prefix = path.empty() ? "" : std::string(path) + ".";
  std::string values_path = prefix + "values";
  if (NameErrors wrong = check_qualified_name(key); !wrong.empty())
    errors.push_back(invalid_value(prefix + "key", go_quote(key), fmt::to_string(fmt::join(wrong, "; "))));
  auto wrong_count = [&](std::string_view detail) {
    std::vector<std::string> quoted;
    for (const std::string& value : values) quoted.push_back(go_quote(value));
    errors.push_back(invalid_value(values_path, fmt::format("[]string{{{}}}", fmt::join(quoted, ", ")), detail));
  };
  switch (op) {
    case Op::kIn:
    case Op::kNotIn:
      if (values.empty()) wrong_count("for 'in', 'notin' operators, values set can't be empty");
      break;
    case Op::kEquals:
    case Op::kDoubleEquals:
    case Op::kNotEquals:
      if (values.size() != 1) wrong_count("exact-match compatibility requires one single value");
      break;
    case Op::kExists:
    case Op::kDoesNotExist:
      if (!values.empty()) wrong_count("values set must be empty for exists and does not exist");
      break;
    case Op::kGreaterThan:
    case Op::kLessThan:
      if (values.size() != 1) wrong_count("for 'Gt', 'Lt' operators, exactly one value is required");
      for (size_t i = 0; i < values.size(); ++i) {
        if (!to_int(values[i]))
          errors.push_back(invalid_value(fmt::format("{}[{}]", values_path, i), go_quote(values[i]),
                                         "for 'Gt', 'Lt' operators, the value must be an integer"));
      }
      break;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (NameErrors wrong = check_label_value(values[i]); !wrong.empty())
      errors.push_back(invalid_value(fmt::format("{}[{}][{}]", values_path, i, key), go_quote(values[i]),
                                     fmt::to_string(fmt::join(wrong, "; "))));
  }
  if (!errors.empty()) return aggregate(errors);
  return LabelRequirement{std::move(key), op, std::move(values)};
}

LabelSelector LabelSelector::nothing() {
  LabelSelector selector;
  selector.nothing_ = true;
  return selector;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  LabelSelector selector;
  TRY_ASSIGN(selector.requirements_, LabelParser(text).parse());
  sort_by_key(selector.requirements_);
  return selector;
}

Result<LabelSelector> LabelSelector::from(const metav1::LabelSelector& source) {
  LabelSelector selector;
  for (const auto& [key, value] : source.match_labels) {
    TRY_ASSIGN(LabelRequirement requirement, LabelRequirement::make(key, Op::kEquals, {value}));
    selector.requirements_.push_back(std::move(requirement));
  }
  for (const auto& expression : source.match_expressions) {
    Op op;
    if (expression.operator_ == "In") {
      op = Op::kIn;
    } else if (expression.operator_ == "NotIn") {
      op = Op::kNotIn;
    } else if (expression.operator_ == "Exists") {
      op = Op::kExists;
    } else if (expression.operator_ == "DoesNotExist") {
      op = Op::kDoesNotExist;
    } else {
      return Status::bad_request(go_quote(expression.operator_) + " is not a valid label selector operator");
    }
    TRY_ASSIGN(LabelRequirement requirement, LabelRequirement::make(expression.key, op, expression.values));
    selector.requirements_.push_back(std::move(requirement));
  }
  sort_by_key(selector.requirements_);
  return selector;
}

std::string LabelSelector::to_string() const {
  std::string text;
  for (const LabelRequirement& requirement : requirements_) {
    if (!text.empty()) text += ',';
    text += requirement.to_string();
  }
  return text;
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector selector;
  std::vector<std::string_view> terms = split_terms(text);
  std::sort(terms.begin(), terms.end());
  for (std::string_view term : terms) {
    if (term.empty()) continue;
    size_t at = term.find_first_of("!=");
    // A "!" that begins no "!=" belongs to the field's name.
    while (at != std::string_view::npos && term[at] == '!' && term.substr(at, 2) != "!=")
      at = term.find_first_of("!=", at + 1);
    if (at == std::string_view::npos)
      return Status::bad_request(fmt::format("invalid selector: '{}'; can't understand '{}'", text, term));
    bool two = term.substr(at, 2) == "!=" || term.substr(at, 2) == "==";
    TRY_ASSIGN(std::string value, unescape_field_value(term.substr(at + (two ? 2 : 1))));
    selector.requirements_.push_back({std::string(term.substr(0, at)), term[at] != '!', std::move(value)});
  }
  return selector;
}

FieldSelector FieldSelector::equals(std::string field, std::string value) {
  FieldSelector selector;
  selector.requirements_.push_back({std::move(field), true, std::move(value)});
  return selector;
}

bool FieldSelector::matches(const std::function<std::string(std::string_view)>& value_of) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const FieldRequirement& requirement) {
    return (value_of(requirement.field) == requirement.value) == requirement.equals;
  });
}

const std::string* FieldSelector::exact(std::string_view field) const {
  for (const FieldRequirement& requirement : requirements_) {
    if (requirement.equals && requirement.field == field) return &requirement.value;
  }
  return nullptr;
}

std::string FieldSelector::to_string() const {
  std::string text;
  for (const FieldRequirement& requirement : requirements_) {
    if (!text.empty()) text += ',';
    text += requirement.field + (requirement.equals ? "=" : "!=");
    for (char c : requirement.value) {
      if (is_field_escapable(c)) text += '\\';
      text += c;
    }
  }
  return text;
}

}  // namespace trireme::api
