#include "kubelet/images/image_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace trireme::kubelet {
namespace {

constexpr size_t kMaxRepository = 255;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// One or more lower-case words joined by ".", "_", "__" or dashes.
bool valid_component(std::string_view text) {
  if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (is_lower_or_digit(c)) continue;
    if (c != '.' && c != '_' && c != '-') return false;
    if (c == '.' && !is_lower_or_digit(text[i + 1])) return false;
    if (c == '_' && text[i + 1] == '_' && (text[i + 2] == '_' || text[i + 2] == '.' || text[i + 2] == '-'))
      return false;
    if (c == '_' && (text[i + 1] == '.' || text[i + 1] == '-')) return false;
    if (c == '-' && (text[i + 1] == '.' || text[i + 1] == '_')) return false;
  }
  return true;
}

bool valid_registry(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

bool valid_tag(std::string_view text) {
  if (text.empty() || text.size() > 128 || text.front() == '.' || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool valid_digest(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() - colon - 1 < 32) return false;
  std::string_view hex = text.substr(colon + 1);
  return std::all_of(hex.begin(), hex.end(), [](unsigned char c) { return std::isxdigit(c); });
}

}  // namespace

std::string ImageName::to_string() const {
  std::string text = registry + "/" + repository;
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

Result<ImageName> parse_image_name(std::string_view text) {
  auto invalid = [&] {
    return Status::bad_request(
        fmt::format("Failed to apply default image tag \"{}\": couldn't parse image name \"{}\": invalid reference "
                    "format",
                    text, text));
  };
  ImageName name;
  std::string_view rest = text;
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    name.digest = rest.substr(at + 1);
    if (!valid_digest(name.digest)) return invalid();
    rest = rest.substr(0, at);
  }
  size_t slash = rest.rfind('/');
  size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = rest.substr(colon + 1);
    if (!valid_tag(name.tag)) return invalid();
    rest = rest.substr(0, colon);
  }
  size_t first = rest.find('/');
  std::string_view head = rest.substr(0, first);
  if (first != std::string_view::npos &&
      (head.find_first_of(".:") != std::string_view::npos || head == "localhost" ||
       std::any_of(head.begin(), head.end(), [](unsigned char c) { return std::isupper(c); }))) {
    name.registry = head;
    if (!valid_registry(name.registry)) return invalid();
    rest = rest.substr(first + 1);
  } else {
    name.registry = "docker.io";
  }
  if (rest.empty() || rest.size() > kMaxRepository) return invalid();
  for (size_t start = 0; start <= rest.size();) {
    size_t end = std::min(rest.find('/', start), rest.size());
    if (!valid_component(rest.substr(start, end - start))) return invalid();
    start = end + 1;
  }
  name.repository = rest;
  if (name.registry == "index.docker.io") name.registry = "docker.io";
  if (name.registry == "docker.io" && name.repository.find('/') == std::string::npos) {
    name.repository = "library/" + name.repository;
  }
  if (name.tag.empty() && name.digest.empty()) name.tag = "latest";
  return name;
}

std::string effective_pull_policy(std::string_view policy, const ImageName& name) {
  if (!policy.empty()) return std::string(policy);
  return name.tag == "latest" && name.digest.empty() ? "Always" : "IfNotPresent";
}

}  // namespace trireme::kubelet
