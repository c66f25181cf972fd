#include "apiserver/authn/authn.h"

#include <algorithm>
#include <utility>

namespace trireme::apiserver::authn {
namespace {

class AnyOf final : public Authenticator {
 public:
  explicit AnyOf(std::vector<std::shared_ptr<Authenticator>> members) : members_(std::move(members)) {}

  Result<std::optional<UserInfo>> authenticate(const net::Request& request) override {
    Status failure;
    for (const auto& member : members_) {
      auto user = member->authenticate(request);
      if (!user.ok()) {
        failure = user.status();
      } else if (user->has_value()) {
        return user;
      }
    }
    if (!failure.ok()) return failure;
    return std::optional<UserInfo>();
  }

 private:
  std::vector<std::shared_ptr<Authenticator>> members_;
};

}  // namespace

bool UserInfo::in_group(std::string_view group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

std::shared_ptr<Authenticator> any_of(std::vector<std::shared_ptr<Authenticator>> authenticators) {
  return std::make_shared<AnyOf>(std::move(authenticators));
}

}  // namespace trireme::apiserver::authn
