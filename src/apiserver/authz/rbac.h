#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/types/rbacv1.h"
#include "apiserver/authz/authz.h"
#include "apiserver/watch/caches.h"

namespace trireme::apiserver::authz {

/// True when `rule` covers the request, by RBAC's rules for wildcards, subresources and names.
bool rule_allows(const api::rbacv1::PolicyRule& rule, const Attributes& attributes);

/// Role-based access control on the roles and bindings in the watch caches. An index from users and groups to their
/// rules is rebuilt when one of the four resources has changed, not per request.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
class RbacAuthorizer final : public Authorizer {
 public:
  explicit RbacAuthorizer(std::shared_ptr<Caches> caches) : caches_(std::move(caches)) {}

  Decision authorize(const Attributes& attributes) override;
  UserRules rules_for(const authn::UserInfo& user, std::string_view ns) override;

 private:
  /// One binding as one of its subjects sees it.
  struct Grant {
    std::string binding;     ///< For reasons: `ClusterRoleBinding "x"`.
    std::string role;        ///< `ClusterRole "y"`
    std::string subject;     ///< `User "z"`
    std::string namespace_;  ///< Empty: everywhere.
    std::shared_ptr<const std::vector<api::rbacv1::PolicyRule>> rules;
  };
  using GrantPointer = std::shared_ptr<const Grant>;
  /// Grants of one subject, cluster-wide ones under the empty namespace.
  using GrantsBySubject = std::unordered_map<std::string, std::unordered_map<std::string, std::vector<GrantPointer>>>;
  struct Index {
    std::array<store::Revision, 4> built_at{};
    GrantsBySubject users;  ///< Service accounts too, by their user name.
    GrantsBySubject groups;
  };

  Result<std::shared_ptr<const Index>> index();
  Result<std::shared_ptr<const Index>> build(std::array<store::Revision, 4> revisions);
  template <typename Visit>
  static bool visit_grants(const Index& index, const authn::UserInfo& user, std::string_view ns, Visit visit);

  std::shared_ptr<Caches> caches_;
  std::mutex mutex_;
  std::shared_ptr<const Index> index_;
};

/// Members of system:masters may do everything, whatever the roles say: the way back in.
std::shared_ptr<Authorizer> masters_authorizer();

}  // namespace trireme::apiserver::authz
