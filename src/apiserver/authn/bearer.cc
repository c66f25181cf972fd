#include "apiserver/authn/bearer.h"

#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "net/jwt.h"

namespace trireme::apiserver::authn {
namespace {

constexpr std::string_view kScheme = "bearer ";
constexpr std::string_view kWebSocketPrefix = "base64url.bearer.authorization.k8s.io.";

std::string digest(std::string_view token) {
  std::string result(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(result.data()));
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

/// The fields of one comma-separated line, of which some are quoted; none at all when a quote is not closed.
std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return {};
  for (std::string& field : fields) field = trim(field);
  return fields;
}

}  // namespace

std::optional<std::string> bearer_token(const net::Request& request) {
  std::string_view header = trim(request.headers.get("Authorization"));
  if (header.size() > kScheme.size() &&
      std::equal(kScheme.begin(), kScheme.end(), header.begin(), [](char a, char b) { return a == (b | 0x20); })) {
    std::string_view token = trim(header.substr(kScheme.size()));
    return token.empty() ? std::nullopt : std::optional(std::string(token));
  }
  // Browsers cannot set headers on a WebSocket: the token travels as one of the protocols offered.
  for (std::string_view list : request.headers.all("Sec-WebSocket-Protocol")) {
    for (const std::string_view protocol : split_list(list)) {
      if (!protocol.starts_with(kWebSocketPrefix)) continue;
      auto token = net::base64url_decode(protocol.substr(kWebSocketPrefix.size()));
      if (token.ok()) return *token;
    }
  }
  return std::nullopt;
}

Result<std::shared_ptr<TokenFileAuthenticator>> TokenFileAuthenticator::parse(std::string_view text) {
  auto authenticator = std::make_shared<TokenFileAuthenticator>();
  int number = 0;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string> fields = fields_of(line);
    if (fields.size() < 3 || fields[0].empty() || fields[1].empty()) {
      return Status::bad_request("token file line " + std::to_string(number) +
                                 ": expected token,user,uid and optionally \"group,group\"");
    }
    UserInfo user;
    user.name = fields[1];
    user.uid = fields[2];
    if (fields.size() > 3) user.groups = fields_of(fields[3]);
    authenticator->users_[digest(fields[0])] = std::move(user);
  }
  return authenticator;
}

Result<std::optional<UserInfo>> TokenFileAuthenticator::authenticate(const net::Request& request) {
  auto token = bearer_token(request);
  if (!token) return std::optional<UserInfo>();
  auto found = users_.find(digest(*token));
  if (found == users_.end()) return std::optional<UserInfo>();
  return std::optional(found->second);
}

}  // namespace trireme::apiserver::authn
