#include "apiserver/authz/authz.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace trireme::apiserver::authz {
namespace {

class UnionOf final : public Authorizer {
 public:
  explicit UnionOf(std::vector<std::shared_ptr<Authorizer>> members) : members_(std::move(members)) {}

  Decision authorize(const Attributes& attributes) override {
    std::string reasons;
    for (const auto& member : members_) {
      Decision decision = member->authorize(attributes);
      if (decision.verdict != Decision::Verdict::kNoOpinion) return decision;
      if (decision.reason.empty()) continue;
      if (!reasons.empty()) reasons += ", ";
      reasons += decision.reason;
    }
    return Decision::no_opinion(std::move(reasons));
  }

  UserRules rules_for(const authn::UserInfo& user, std::string_view ns) override {
    UserRules all;
    for (const auto& member : members_) {
      UserRules rules = member->rules_for(user, ns);
      std::move(rules.resources.begin(), rules.resources.end(), std::back_inserter(all.resources));
      std::move(rules.paths.begin(), rules.paths.end(), std::back_inserter(all.paths));
      all.incomplete = all.incomplete || rules.incomplete;
      if (all.evaluation_error.empty()) all.evaluation_error = std::move(rules.evaluation_error);
    }
    return all;
  }

 private:
  std::vector<std::shared_ptr<Authorizer>> members_;
};

class AlwaysAllow final : public Authorizer {
 public:
  Decision authorize(const Attributes&) override { return Decision::allow(); }

  UserRules rules_for(const authn::UserInfo&, std::string_view) override {
    UserRules rules;
    rules.resources.push_back({{"*"}, {"*"}, {"*"}, {}});
    rules.paths.push_back({{"*"}, {"*"}});
    return rules;
  }
};

}  // namespace

std::shared_ptr<Authorizer> union_of(std::vector<std::shared_ptr<Authorizer>> authorizers) {
  return std::make_shared<UnionOf>(std::move(authorizers));
}

std::shared_ptr<Authorizer> always_allow() { return std::make_shared<AlwaysAllow>(); }

std::string forbidden_message(const Attributes& attributes) {
  std::string user = attributes.user.name.empty() ? "" : fmt::format("User \"{}\" ", attributes.user.name);
  if (!attributes.is_resource) return fmt::format("{}cannot {} path \"{}\"", user, attributes.verb, attributes.path);
  std::string resource = attributes.resource;
  if (!attributes.subresource.empty()) resource += "/" + attributes.subresource;
  std::string scope = attributes.namespace_.empty() ? "at the cluster scope"
                                                    : fmt::format("in the namespace \"{}\"", attributes.namespace_);
  return fmt::format("{}cannot {} resource \"{}\" in API group \"{}\" {}", user, attributes.verb, resource,
                     attributes.group, scope);
}

Status forbidden(const Attributes& attributes, std::string_view reason) {
  std::string message = forbidden_message(attributes);
  if (!reason.empty()) message += fmt::format(": {}", reason);
  StatusDetails details;
  if (!attributes.is_resource) return {Reason::kForbidden, "forbidden: " + message};
  details.name = attributes.name;
  details.group = attributes.group;
  details.kind = attributes.resource;
  std::string subject = attributes.resource;
  if (!attributes.group.empty()) subject += "." + attributes.group;
  if (!attributes.name.empty()) subject += fmt::format(" \"{}\"", attributes.name);
  return {Reason::kForbidden, fmt::format("{} is forbidden: {}", subject, message), std::move(details)};
}

}  // namespace trireme::apiserver::authz
