#include "kubelet/images/credentials.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>

#include "api/value.h"
#include "base/base64.h"
#include "base/text.h"

namespace trireme::kubelet {
namespace {

using api::Value;

std::string member(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found == nullptr ? std::string() : std::string(found->string_or_empty());
}

void add_logins(const Value& logins, std::map<std::string, cri::AuthConfig, std::greater<>>& out) {
  if (!logins.is_object()) return;
  for (const auto& [key, entry] : logins.as_object()) {
    if (!entry.is_object()) continue;
    cri::AuthConfig login;
    login.username = member(entry, "username");
    login.password = member(entry, "password");
    login.identity_token = member(entry, "identitytoken");
    login.registry_token = member(entry, "registrytoken");
    if (std::string pair = base64_decode(member(entry, "auth")).value_or(""); !pair.empty()) {
      size_t colon = pair.find(':');
      if (colon != std::string::npos) {
        login.username = pair.substr(0, colon);
        login.password = pair.substr(colon + 1);
      }
    }
    out.try_emplace(key, std::move(login));
  }
}

}  // namespace

bool credential_matches(std::string_view key, const ImageName& image) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  size_t slash = key.find('/');
  std::string host(key.substr(0, slash));
  std::string path(slash == std::string_view::npos ? "" : key.substr(slash + 1));
  // Docker's own index is written with its API version's path.
  if (host == "index.docker.io") host = "docker.io";
  if (path == "v1/" || path == "v2/" || path == "v1" || path == "v2") path.clear();
  while (!path.empty() && path.back() == '/') path.pop_back();

  auto port_of = [](const std::string& text) {
    size_t colon = text.rfind(':');
    return colon == std::string::npos ? std::string() : text.substr(colon);
  };
  if (port_of(host) != port_of(image.registry)) return false;
  const auto pattern = split(host, '.');
  const auto actual = split(image.registry, '.');
  if (pattern.size() != actual.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (::fnmatch(std::string(pattern[i]).c_str(), std::string(actual[i]).c_str(), 0) != 0) return false;
  }
  return path.empty() || image.repository == path || image.repository.starts_with(path);
}

std::vector<cri::AuthConfig> matching_credentials(const std::vector<api::corev1::Secret>& secrets,
                                                  const ImageName& image) {
  std::map<std::string, cri::AuthConfig, std::greater<>> logins;
  for (const auto& secret : secrets) {
    if (auto data = secret.data.find(".dockerconfigjson"); data != secret.data.end()) {
      auto config = api::parse_value(data->second);
      if (!config.ok()) continue;
      if (const Value* auths = config->find("auths")) add_logins(*auths, logins);
    } else if (auto legacy = secret.data.find(".dockercfg"); legacy != secret.data.end()) {
      auto config = api::parse_value(legacy->second);
      if (config.ok()) add_logins(*config, logins);
    }
  }
  std::vector<cri::AuthConfig> result;
  // Reverse order of keys: of two that match, the longer path is the more specific one.
  for (const auto& [key, login] : logins) {
    if (credential_matches(key, image)) result.push_back(login);
  }
  return result;
}

}  // namespace trireme::kubelet
