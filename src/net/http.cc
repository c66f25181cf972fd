#include "net/http.h"

#include <algorithm>
#include <iterator>

namespace trireme::net {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Appends `text` decoded to `out`; false at a malformed escape.
bool decode_into(std::string_view text, bool plus_is_space, std::string& out) {
  out.reserve(out.size() + text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return true;
}

}  // namespace

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) return value;
  }
  return {};
}

bool Headers::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const auto& field) { return same_name(field.first, name); });
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) values.emplace_back(value);
  }
  return values;
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  fields_.emplace_back(std::string(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return same_name(field.first, name); });
}

std::string_view Request::path() const {
  const std::string_view all(target);
  return all.substr(0, all.find('?'));
}

std::string_view Request::query() const {
  const std::string_view all(target);
  const size_t mark = all.find('?');
  return mark == std::string_view::npos ? std::string_view() : all.substr(mark + 1);
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    std::string key;
    std::string value;
    // As upstream's server: a pair that cannot be decoded, or that holds the once-separator ';', is dropped.
    if (part.find(';') != std::string_view::npos) continue;
    if (!decode_into(part.substr(0, equals), true, key)) continue;
    if (equals < part.size() && !decode_into(part.substr(equals + 1), true, value)) continue;
    pairs.emplace_back(std::move(key), std::move(value));
  }
  return pairs;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  if (!decode_into(text, false, out)) {
    return Status::bad_request("malformed percent-escape in \"" + std::string(text) + "\"");
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return out;
}

void Exchange::respond_local(int status, Headers headers, std::vector<SharedBytes> body, std::vector<LocalPart>) {
  respond(status, std::move(headers), std::move(body));
}

size_t Exchange::write_local(LocalPart) { return 0; }

void Exchange::respond(int status, Headers headers, std::string body) {
  std::vector<SharedBytes> pieces;
  if (!body.empty()) pieces.push_back(share(std::move(body)));
  respond(status, std::move(headers), std::move(pieces));
}

}  // namespace trireme::net
