#include "apiserver/authz/authz.h"

#include <fmt/format.h>

#include "api/status_convert.h"

namespace trireme::apiserver::authz {

namespace {

class UnionOf : public Authorizer {
 public:
  explicit UnionOf(std::vector<std::shared_ptr<Authorizer>> authorizers) : authorizers_(std::move(authorizers)) {}

  Decision authorize(const Attributes& attributes) override {
    std::string reasons;
    for (const auto& authorizer : authorizers_) {
      Decision decision = authorizer->authorize(attributes);
      if (decision.verdict != Decision::Verdict::kNoOpinion) return decision;
      if (decision.reason.empty()) continue;
      if (!reasons.empty()) reasons += ", ";
      reasons += decision.reason;
    }
    return Decision::no_opinion(std::move(reasons));
  }

  UserRules rules_for(const authn::UserInfo& user, std::string_view ns) override {
    UserRules all;
    for (const auto& authorizer : authorizers_) {
      UserRules rules = authorizer->rules_for(user, ns);
      for (auto& rule : rules.resources) all.resources.push_back(std::move(rule));
      for (auto& rule : rules.paths) all.paths.push_back(std::move(rule));
      all.incomplete |= rules.incomplete;
      if (!rules.evaluation_error.empty()) {
        if (!all.evaluation_error.empty()) all.evaluation_error += ", ";
        all.evaluation_error += rules.evaluation_error;
      }
    }
    return all;
  }

 private:
  const std::vector<std::shared_ptr<Authorizer>> authorizers_;
};

class AlwaysAllow : public Authorizer {
 public:
  Decision authorize(const Attributes&) override { return Decision::allow(); }
  UserRules rules_for(const authn::UserInfo&, std::string_view) override {
    UserRules rules;
    rules.resources.push_back({.verbs = {"*"}, .groups = {"*"}, .resources = {"*"}, .names = {}});
    rules.paths.push_back({.verbs = {"*"}, .paths = {"*"}});
    return rules;
  }
};

}  // namespace

std::shared_ptr<Authorizer> union_of(std::vector<std::shared_ptr<Authorizer>> authorizers) {
  return std::make_shared<UnionOf>(std::move(authorizers));
}

std::shared_ptr<Authorizer> always_allow() { return std::make_shared<AlwaysAllow>(); }

std::string forbidden_message(const Attributes& attributes) {
  const std::string user = api::go_quote(attributes.user.name);
  if (!attributes.is_resource) {
    return fmt::format("User {} cannot {} path {}", user, attributes.verb, api::go_quote(attributes.path));
  }
  std::string resource = attributes.resource;
  if (!attributes.subresource.empty()) resource += "/" + attributes.subresource;
  std::string message = fmt::format("User {} cannot {} resource {} in API group {}", user, attributes.verb,
                                    api::go_quote(resource), api::go_quote(attributes.group));
  if (attributes.namespace_.empty()) return message + " at the cluster scope";
  return message + " in the namespace " + api::go_quote(attributes.namespace_);
}

Status forbidden(const Attributes& attributes, std::string_view reason) {
  std::string message = forbidden_message(attributes);
  if (!reason.empty()) message.append(": ").append(reason);
  if (!attributes.is_resource) return {Reason::kForbidden, "forbidden: " + message};
  return api::forbidden({attributes.group, attributes.resource}, attributes.name, message);
}

}  // namespace trireme::apiserver::authz
