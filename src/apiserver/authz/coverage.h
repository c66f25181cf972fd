#pragma once

#include <string>
#include <vector>

#include "api/types/rbacv1.h"
#include "apiserver/authz/authz.h"

namespace trireme::apiserver::authz {

/// What `rules` grant beyond what `held` already gives, as upstream prints it:
/// `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. Empty when all is held. Each combination of verb, group,
/// resource and name must be held by one rule; a "*" asked for is only covered by a "*" held.
/// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
std::vector<std::string> not_covered(const UserRules& held, const std::vector<api::rbacv1::PolicyRule>& rules);

}  // namespace trireme::apiserver::authz
