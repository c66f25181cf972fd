#include "api/json_text.h"

#include <array>
#include <charconv>

namespace trireme::api {
namespace {

/// What to write for each ASCII byte: 0 as it is, 'u' as \u00xx, else a backslash and this letter.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> escapes{};
  for (int c = 0; c < 0x20; ++c) escapes[c] = 'u';
  escapes['\b'] = 'b';
  escapes['\f'] = 'f';
  escapes['\n'] = 'n';
  escapes['\r'] = 'r';
  escapes['\t'] = 't';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  escapes['<'] = escapes['>'] = escapes['&'] = 'u';
  for (int c = 0x80; c < 0x100; ++c) escapes[c] = '8';  // part of a longer sequence
  return escapes;
}();

/// The length of the valid UTF-8 sequence at the front, or 0.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto continues = [&](size_t i, int low = 0x80, int high = 0xBF) { return byte(i) >= low && byte(i) <= high; };
  const int first = byte(0);
  if (first < 0xC2) return 0;
  if (first < 0xE0) return continues(1) ? 2 : 0;
  if (first < 0xF0) {
    const bool second = continues(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
    return second && continues(2) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  const bool second = continues(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
  return second && continues(2) && continues(3) ? 4 : 0;
}

}  // namespace

void append_escaped_string(std::string_view text, std::string& out) {
  out.push_back('"');
  size_t plain = 0;  // where the run of bytes begins that is copied as it is
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const char escape = kEscapes[c];
    if (escape == 0) {
      ++i;
      continue;
    }
    size_t length = 1;
    if (escape == '8') {
      length = utf8_length(text.substr(i));
      // U+2028 and U+2029 end lines in JavaScript.
      const std::string_view sequence = text.substr(i, length);
      const bool line_end = sequence == "\u2028" || sequence == "\u2029";
      if (length > 0 && !line_end) {
        i += length;
        continue;
      }
      out.append(text, plain, i - plain);
      out += length == 0 ? "\\ufffd" : sequence == "\u2028" ? "\\u2028" : "\\u2029";
      if (length == 0) length = 1;
    } else {
      out.append(text, plain, i - plain);
      out.push_back('\\');
      out.push_back(escape);
      if (escape == 'u') {
        constexpr std::string_view kHex = "0123456789abcdef";
        const char digits[] = {'0', '0', kHex[c >> 4], kHex[c & 15]};
        out.append(digits, sizeof digits);
      }
    }
    i += length;
    plain = i;
  }
  out.append(text, plain, text.size() - plain);
  out.push_back('"');
}

void append_json_integer(int64_t value, std::string& out) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, std::end(buffer), value).ptr);
}

}  // namespace trireme::api
