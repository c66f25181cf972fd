#include "apiserver/authn/authn.h"

#include <algorithm>

#include "apiserver/authn/bearer.h"

namespace trireme::apiserver::authn {

bool UserInfo::in_group(std::string_view group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

namespace {

class AnyOf : public Authenticator {
 public:
  explicit AnyOf(std::vector<std::shared_ptr<Authenticator>> authenticators)
      : authenticators_(std::move(authenticators)) {}

  Result<std::optional<UserInfo>> authenticate(const net::Request& request) override {
    Status failure;
    for (const auto& authenticator : authenticators_) {
      auto user = authenticator->authenticate(request);
      if (user.ok() && user->has_value()) return user;
      if (!user.ok() && failure.ok()) failure = user.status();
    }
    if (!failure.ok()) return failure;
    // Whoever sends a token means to be somebody: answered 401, not taken for an anonymous caller.
    if (bearer_token(request)) return Status::unauthorized("invalid bearer token: no authenticator knows it");
    return std::optional<UserInfo>();
  }

 private:
  const std::vector<std::shared_ptr<Authenticator>> authenticators_;
};

}  // namespace

std::shared_ptr<Authenticator> any_of(std::vector<std::shared_ptr<Authenticator>> authenticators) {
  return std::make_shared<AnyOf>(std::move(authenticators));
}

}  // namespace trireme::apiserver::authn
