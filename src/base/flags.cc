#include "base/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/duration.h"
#include "base/text.h"

namespace trireme {
namespace {

template <typename Number>
Status parse_number(std::string_view text, Number* value, std::string_view what = "a whole number") {
  Number parsed{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status::bad_request(fmt::format("\"{}\" is not {}", text, what));
  }
  *value = parsed;
  return {};
}

/// `same_name("etcd_servers", "etcd-servers")`
bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x == '_' ? '-' : x) == (y == '_' ? '-' : y); });
}

}  // namespace

void FlagSet::insert(Flag flag) { flags_.push_back(std::move(flag)); }

void FlagSet::add(std::string name, std::string* value, std::string help) {
  insert({std::move(name), std::move(help), *value, false, false, [value](std::string_view text) {
            *value = text;
            return Status();
          }});
}

void FlagSet::add(std::string name, bool* value, std::string help) {
  insert({std::move(name), std::move(help), *value ? "true" : "", true, false, [value](std::string_view text) {
            if (text == "true" || text == "1" || text == "t") {
              *value = true;
            } else if (text == "false" || text == "0" || text == "f") {
              *value = false;
            } else {
              return Status::bad_request(fmt::format("\"{}\" is neither true nor false", text));
            }
            return Status();
          }});
}

void FlagSet::add(std::string name, int* value, std::string help) {
  insert({std::move(name), std::move(help), fmt::to_string(*value), false, false,
          [value](std::string_view text) { return parse_number(text, value); }});
}

void FlagSet::add(std::string name, int64_t* value, std::string help) {
  insert({std::move(name), std::move(help), fmt::to_string(*value), false, false,
          [value](std::string_view text) { return parse_number(text, value); }});
}

void FlagSet::add(std::string name, double* value, std::string help) {
  insert({std::move(name), std::move(help), fmt::to_string(*value), false, false,
          [value](std::string_view text) { return parse_number(text, value, "a number"); }});
}

void FlagSet::add(std::string name, Duration* value, std::string help) {
  insert({std::move(name), std::move(help), format_duration(*value), false, false, [value](std::string_view text) {
            auto parsed = parse_duration(text);
            if (!parsed.ok()) return parsed.status();
            *value = *parsed;
            return Status();
          }});
}

void FlagSet::add(std::string name, std::vector<std::string>* value, std::string help) {
  auto is_default = std::make_shared<bool>(true);
  insert({std::move(name), std::move(help), fmt::format("{}", fmt::join(*value, ",")), false, false,
          [value, is_default](std::string_view text) {
            if (*is_default) value->clear();
            *is_default = false;
            for (const std::string_view part : split(text, ',')) {
              if (!part.empty()) value->emplace_back(part);
            }
            return Status();
          }});
}

void FlagSet::add_ignored(std::string name) {
  insert({std::move(name), "", "", false, true, [](std::string_view) { return Status(); }});
}

FlagSet::Flag* FlagSet::find(std::string_view name) {
  for (Flag& flag : flags_) {
    if (same_name(flag.name, name)) return &flag;
  }
  return nullptr;
}

Result<std::vector<std::string>> FlagSet::parse(const std::vector<std::string>& words) {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (word == "--") {
      arguments.insert(arguments.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      if (stop_at_first_argument_) {
        arguments.insert(arguments.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
        break;
      }
      arguments.emplace_back(word);
      continue;
    }
    word.remove_prefix(word[1] == '-' ? 2 : 1);
    size_t equals = word.find('=');
    std::string_view name = word.substr(0, equals);
    Flag* flag = find(name);
    if (flag == nullptr) {
      return Status::bad_request(fmt::format("unknown flag --{}; --help lists the flags", name));
    }
    std::string_view value;
    if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    } else if (flag->boolean) {
      value = "true";
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return Status::bad_request(fmt::format("flag --{} needs a value", name));
    }
    TRY(flag->set(value).with_context(fmt::format("flag --{}", name)));
  }
  return arguments;
}

std::string FlagSet::help() const {
  std::string text = "Usage: " + usage_ + "\n\nFlags:\n";
  size_t width = 0;
  for (const Flag& flag : flags_) {
    if (!flag.hidden) width = std::max(width, flag.name.size());
  }
  for (const Flag& flag : flags_) {
    if (flag.hidden) continue;
    text += fmt::format("  --{:<{}}  {}", flag.name, width, flag.help);
    if (!flag.default_text.empty()) text += fmt::format(" (default {})", flag.default_text);
    text += '\n';
  }
  return text;
}

}  // namespace trireme
