#pragma once

#include <string_view>
#include <vector>

namespace trireme {

/// The parts of `text` between the separators, empty ones too: one more than there are separators. The parts point into
/// `text`.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// `text` without the blanks (and tabs and line ends) around it.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// The parts without blanks around them, and without the empty ones: how lists in flags and annotations are read.
inline std::vector<std::string_view> split_list(std::string_view text, char separator = ',') {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(text, separator)) {
    if (const std::string_view word = trimmed(part); !word.empty()) parts.push_back(word);
  }
  return parts;
}

}  // namespace trireme
