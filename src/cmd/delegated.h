#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "client/client.h"
#include "net/http.h"

namespace trireme::cmd {

/// Who calls a component's own server, and whether they may, by asking the API server: tokens by TokenReview, rights by
/// SubjectAccessReview. Client certificates are verified by the listener. Answers are kept for a while. Thread-safe.
/// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
class DelegatedAccess {
 public:
  struct Options {
    Duration token_ttl = std::chrono::seconds(10);
    Duration allowed_ttl = std::chrono::seconds(10), denied_ttl = std::chrono::seconds(10);
    std::vector<std::string> always_allowed = {"/healthz", "/readyz", "/livez"};  ///< "/x/*": all below it, too.
  };
  struct User {
    std::string name, uid;
    std::vector<std::string> groups;
    std::map<std::string, std::vector<std::string>> extra;
    auto operator<=>(const User&) const = default;
  };

  DelegatedAccess(client::Client tokens, client::Client rights, std::shared_ptr<Clock> clock, Options options);

  /// Unauthorized for a token that the API server does not know; without credentials system:anonymous.
  Result<User> authenticate(const net::Request& request);
  /// Forbidden, in upstream's words; another failure when the API server cannot be asked.
  Status authorize(const User& user, const net::Request& request);

 private:
  template <typename Answer>
  struct Kept {
    Answer answer;
    Duration until;
  };
  /// Beyond so many answers of a kind all are forgotten.
  static constexpr size_t kMostKept = 4096;

  Result<User> review_token(const std::string& token);
  bool is_always_allowed(std::string_view path) const;

  client::Client tokens_, rights_;
  const std::shared_ptr<Clock> clock_;
  const Options options_;
  std::mutex mutex_;
  std::map<std::string, Kept<Result<User>>> known_tokens_;  ///< By the token.
  struct Question {
    User user;
    std::string verb, path;
    auto operator<=>(const Question&) const = default;
  };
  std::map<Question, Kept<Status>> known_rights_;
};

}  // namespace trireme::cmd
