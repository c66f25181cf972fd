#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/authn/authn.h"

/// May the caller do this? The decision before every request.
namespace trireme::apiserver::authz {

/// One request as authorizers see it: authorization.k8s.io's ResourceAttributes or NonResourceAttributes.
struct Attributes {
  authn::UserInfo user;
  std::string verb;  ///< "get", "list", "watch", "create", …; for paths the lower-case HTTP method.
  std::string group;
  std::string version;
  std::string resource;
  std::string subresource;
  std::string namespace_;
  std::string name;
  std::string path;  ///< Of a request that names no resource: "/healthz".
  bool is_resource = false;
};

struct Decision {
  enum class Verdict { kNoOpinion, kAllow, kDeny };
  Verdict verdict = Verdict::kNoOpinion;
  std::string reason;

  bool allowed() const { return verdict == Verdict::kAllow; }
  static Decision allow(std::string reason = {}) { return {Verdict::kAllow, std::move(reason)}; }
  static Decision deny(std::string reason = {}) { return {Verdict::kDeny, std::move(reason)}; }
  static Decision no_opinion(std::string reason = {}) { return {Verdict::kNoOpinion, std::move(reason)}; }
};

struct ResourceRule {
  std::vector<std::string> verbs;
  std::vector<std::string> groups;
  std::vector<std::string> resources;
  std::vector<std::string> names;
};

struct PathRule {
  std::vector<std::string> verbs;
  std::vector<std::string> paths;
};

/// What a user may do in a namespace, for SelfSubjectRulesReview.
struct UserRules {
  std::vector<ResourceRule> resources;
  std::vector<PathRule> paths;
  bool incomplete = false;
  std::string evaluation_error;
};

/// Thread-safe; called for every request.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual Decision authorize(const Attributes& attributes) = 0;
  virtual UserRules rules_for(const authn::UserInfo& user, std::string_view ns) = 0;
};

/// The first allow or deny of several authorizers; their no-opinion reasons joined with ", " otherwise.
std::shared_ptr<Authorizer> union_of(std::vector<std::shared_ptr<Authorizer>> authorizers);
/// Allows everything (`--authorization-mode=AlwaysAllow`, and tests).
std::shared_ptr<Authorizer> always_allow();

/// Upstream's words for a refusal: `User "x" cannot list resource "pods" in API group "" in the namespace "y"`, to
/// which the pipeline puts `pods is forbidden: ` in front.
std::string forbidden_message(const Attributes& attributes);
/// The whole 403 Status.
Status forbidden(const Attributes& attributes, std::string_view reason);

}  // namespace trireme::apiserver::authz
