#include "base/base64.h"

#include <array>
#include <cstdint>

namespace trireme {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> kValues = [] {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<int8_t>(i);
  return values;
}();

Status illegal(size_t at) { return Status::bad_request("illegal base64 data at input byte " + std::to_string(at)); }

}  // namespace

void append_base64(std::string_view bytes, std::string& out) {
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  size_t i = 0;
  const auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[at])); };
  for (; i + 2 < bytes.size(); i += 3) {
    const uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const char quad[] = {kAlphabet[group >> 18], kAlphabet[group >> 12 & 63], kAlphabet[group >> 6 & 63],
                         kAlphabet[group & 63]};
    out.append(quad, sizeof quad);
  }
  if (i == bytes.size()) return;
  const bool two = i + 1 < bytes.size();
  const uint32_t group = byte(i) << 16 | (two ? byte(i + 1) << 8 : 0);
  const char quad[] = {kAlphabet[group >> 18], kAlphabet[group >> 12 & 63], two ? kAlphabet[group >> 6 & 63] : '=',
                       '='};
  out.append(quad, sizeof quad);
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  append_base64(bytes, out);
  return out;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  int digits = 0;   // of the group so far
  int padding = 0;  // '=' seen
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    if (c == '=' && digits + padding < 4 && digits >= 2) {
      ++padding;
      continue;
    }
    const int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0 || padding > 0) return illegal(i);
    group = group << 6 | static_cast<uint32_t>(value);
    if (++digits == 4) {
      const char bytes[] = {static_cast<char>(group >> 16), static_cast<char>(group >> 8), static_cast<char>(group)};
      out.append(bytes, sizeof bytes);
      group = 0;
      digits = 0;
    }
  }
  if (digits == 0 && padding == 0) return out;
  if (digits + padding != 4) return illegal(text.size());
  group <<= 6 * padding;
  out.push_back(static_cast<char>(group >> 16));
  if (padding == 1) out.push_back(static_cast<char>(group >> 8));
  return out;
}

}  // namespace trireme
