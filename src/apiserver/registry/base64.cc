#include "apiserver/registry/base64.h"

#include <openssl/evp.h>

#include <vector>

namespace trireme::apiserver {

std::string base64url_encode(std::string_view bytes) {
  std::vector<unsigned char> out(4 * ((bytes.size() + 2) / 3) + 1);
  int size =
      EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  std::string text(reinterpret_cast<char*>(out.data()), static_cast<size_t>(size));
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  while (text.ends_with('=')) text.pop_back();
  return text;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  constexpr size_t kMax = 1 << 20;
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() > kMax || text.size() % 4 == 1) return std::nullopt;
  std::string padded;
  for (char c : text) padded += c == '-' ? '+' : c == '_' ? '/' : c;
  size_t padding = (4 - padded.size() % 4) % 4;
  padded.append(padding, '=');
  std::vector<unsigned char> out(padded.size() / 4 * 3 + 1);
  int size = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(padded.data()),
                             static_cast<int>(padded.size()));
  if (size < 0) return std::nullopt;
  return std::string(reinterpret_cast<char*>(out.data()), static_cast<size_t>(size) - padding);
}

}  // namespace trireme::apiserver
