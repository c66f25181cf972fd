// Kinds that are asked, not stored: who am I, may I, whose token is this.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access

#include "api/defaults/defaults.h"
#include "api/status_convert.h"
#include "api/types/authenticationv1.h"
#include "api/types/authorizationv1.h"
#include "api/types/corev1.h"
#include "apiserver/http/body.h"
#include "apiserver/registry/registry.h"

namespace trireme::apiserver {

namespace {

namespace authorizationv1 = api::authorizationv1;
namespace authenticationv1 = api::authenticationv1;

template <typename Extra>
authn::UserInfo user_of(const std::string& name, const std::string& uid, const std::vector<std::string>& groups,
                        const Extra& extra) {
  authn::UserInfo user;
  user.name = name;
  user.uid = uid;
  user.groups = groups;
  for (const auto& [key, values] : extra) user.extra[key] = values;
  return user;
}

authenticationv1::UserInfo wire_user(const authn::UserInfo& user) {
  authenticationv1::UserInfo wire;
  wire.username = user.name;
  wire.uid = user.uid;
  wire.groups = user.groups;
  for (const auto& [key, values] : user.extra) wire.extra[key] = values;
  return wire;
}

/// Any of the access reviews' specs as what an authorizer is asked.
template <typename Spec>
Result<authz::Attributes> asked(const Spec& spec, authn::UserInfo user) {
  if (static_cast<bool>(spec.resource_attributes) == static_cast<bool>(spec.non_resource_attributes)) {
    return Status::bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified");
  }
  authz::Attributes attributes;
  attributes.user = std::move(user);
  if (spec.resource_attributes) {
    const auto& wanted = *spec.resource_attributes;
    attributes.is_resource = true;
    attributes.verb = wanted.verb;
    attributes.group = wanted.group;
    attributes.version = wanted.version;
    attributes.resource = wanted.resource;
    attributes.subresource = wanted.subresource;
    attributes.namespace_ = wanted.namespace_;
    attributes.name = wanted.name;
  } else {
    attributes.verb = spec.non_resource_attributes->verb;
    attributes.path = spec.non_resource_attributes->path;
  }
  return attributes;
}

void answer(const authz::Decision& decision, authorizationv1::SubjectAccessReviewStatus& status) {
  status.allowed = decision.allowed();
  status.denied = decision.verdict == authz::Decision::Verdict::kDeny;
  status.reason = decision.reason;
}

Status review_subject(authorizationv1::SubjectAccessReviewSpec& spec,
                      authorizationv1::SubjectAccessReviewStatus& status, authz::Authorizer& authorizer) {
  if (spec.user.empty() && spec.groups.empty()) {
    return Status::bad_request("at least one of user or group must be specified");
  }
  TRY_ASSIGN(auto attributes, asked(spec, user_of(spec.user, spec.uid, spec.groups, spec.extra)));
  answer(authorizer.authorize(attributes), status);
  return {};
}

void review_rules(authorizationv1::SelfSubjectRulesReview& review, const authn::UserInfo& user,
                  authz::Authorizer& authorizer) {
  authz::UserRules rules = authorizer.rules_for(user, review.spec.namespace_);
  for (authz::ResourceRule& rule : rules.resources) {
    authorizationv1::ResourceRule wire;
    wire.verbs = std::move(rule.verbs);
    wire.api_groups = std::move(rule.groups);
    wire.resources = std::move(rule.resources);
    wire.resource_names = std::move(rule.names);
    review.status.resource_rules.push_back(std::move(wire));
  }
  for (authz::PathRule& rule : rules.paths) {
    authorizationv1::NonResourceRule wire;
    wire.verbs = std::move(rule.verbs);
    wire.non_resource_urls = std::move(rule.paths);
    review.status.non_resource_rules.push_back(std::move(wire));
  }
  review.status.incomplete = rules.incomplete;
  review.status.evaluation_error = std::move(rules.evaluation_error);
}

void review_token(authenticationv1::TokenReview& review, authn::Authenticator* authenticator) {
  if (authenticator == nullptr) return;
  net::Request request;
  request.headers.add("Authorization", "Bearer " + review.spec.token);
  auto user = authenticator->authenticate(request);
  if (!user.ok()) {
    review.status.error = user.status().message();
    return;
  }
  if (!user->has_value()) return;
  review.status.authenticated = true;
  if (!(*user)->in_group(authn::kAuthenticatedGroup)) (*user)->groups.emplace_back(authn::kAuthenticatedGroup);
  review.status.user = wire_user(**user);
}

}  // namespace

void Registry::review(const Context& context, const api::ResourceInfo& resource) {
  if (resource.type == &api::type_info<api::corev1::Binding>()) return bind(context);
  authz::Authorizer& authorizer = *options_.authorizer;
  auto run = [&]() -> Result<api::Object> {
    TRY_ASSIGN(api::Object body, decode_body(*context, context->exchange()->take_body(), *resource.type));
    body.metadata().creation_timestamp = api::Time();
    if (auto* self = body.as<authorizationv1::SelfSubjectAccessReview>()) {
      TRY_ASSIGN(auto attributes, asked(self->spec, context->user));
      answer(authorizer.authorize(attributes), self->status);
    } else if (auto* subject = body.as<authorizationv1::SubjectAccessReview>()) {
      TRY(review_subject(subject->spec, subject->status, authorizer));
    } else if (auto* local = body.as<authorizationv1::LocalSubjectAccessReview>()) {
      if (!local->spec.resource_attributes || local->spec.resource_attributes->namespace_ != context->info.ns) {
        return Status::bad_request("spec.resourceAttributes.namespace must match the namespace of the request");
      }
      TRY(review_subject(local->spec, local->status, authorizer));
    } else if (auto* rules = body.as<authorizationv1::SelfSubjectRulesReview>()) {
      if (rules->spec.namespace_.empty()) return Status::bad_request("no namespace on request");
      review_rules(*rules, context->user, authorizer);
    } else if (auto* who = body.as<authenticationv1::SelfSubjectReview>()) {
      who->metadata.creation_timestamp = api::Time(clock_->now());
      who->status.user_info = wire_user(context->user);
    } else if (auto* token = body.as<authenticationv1::TokenReview>()) {
      if (token->spec.token.empty()) return Status::bad_request("token is required for TokenReview in authentication");
      review_token(*token, options_.authenticator.get());
    } else {
      return no_such_resource();
    }
    return body;
  };
  auto reviewed = run();
  if (!reviewed.ok()) return context->fail(reviewed.status());
  context->respond_object(201, *reviewed);
}

}  // namespace trireme::apiserver
