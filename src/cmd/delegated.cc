#include "cmd/delegated.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/status_convert.h"
#include "api/types/authenticationv1.h"
#include "api/types/authorizationv1.h"

namespace trireme::cmd {
namespace {

constexpr std::string_view kMasters = "system:masters";
constexpr std::string_view kAuthenticated = "system:authenticated";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return out;
}

std::string bearer(const net::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view header = request.headers.get("Authorization");
  if (header.size() <= kScheme.size() || lower(header.substr(0, kScheme.size())) != kScheme) return {};
  return std::string(header.substr(kScheme.size()));
}

}  // namespace

DelegatedAccess::DelegatedAccess(client::Client tokens, client::Client rights, std::shared_ptr<Clock> clock,
                                 Options options)
    : tokens_(std::move(tokens)), rights_(std::move(rights)), clock_(std::move(clock)), options_(std::move(options)) {}

Result<DelegatedAccess::User> DelegatedAccess::authenticate(const net::Request& request) {
  User user;
  if (const auto& certificate = request.peer.certificate; certificate && !certificate->common_name.empty()) {
    user.name = certificate->common_name;
    user.groups = certificate->organizations;
    user.groups.emplace_back(kAuthenticated);
    return user;
  }
  const std::string token = bearer(request);
  if (!token.empty()) return review_token(token);
  user.name = "system:anonymous";
  user.groups = {"system:unauthenticated"};
  return user;
}

Result<DelegatedAccess::User> DelegatedAccess::review_token(const std::string& token) {
  {
    const std::lock_guard lock(mutex_);
    const auto kept = known_tokens_.find(token);
    if (kept != known_tokens_.end() && kept->second.until > clock_->monotonic()) return kept->second.answer;
  }
  api::authenticationv1::TokenReview review;
  review.spec.token = token;
  // Not kept when the server cannot be asked.
  TRY_ASSIGN(review, tokens_.create(review));
  Result<User> answer = api::unauthorized();
  if (review.status.authenticated) {
    User user;
    user.name = review.status.user.username;
    user.uid = review.status.user.uid;
    user.groups = review.status.user.groups;
    for (const auto& [key, values] : review.status.user.extra) user.extra[key] = values;
    answer = std::move(user);
  }
  const std::lock_guard lock(mutex_);
  if (known_tokens_.size() >= kMostKept) known_tokens_.clear();
  known_tokens_.insert_or_assign(token, Kept<Result<User>>{answer, clock_->monotonic() + options_.token_ttl});
  return answer;
}

bool DelegatedAccess::is_always_allowed(std::string_view path) const {
  return std::ranges::any_of(options_.always_allowed, [&](std::string_view each) {
    if (!each.ends_with("/*")) return path == each;
    each.remove_suffix(1);
    return path.starts_with(each);
  });
}

Status DelegatedAccess::authorize(const User& user, const net::Request& request) {
  Question question{user, lower(request.method), std::string(request.path())};
  if (is_always_allowed(question.path) || std::ranges::find(user.groups, kMasters) != user.groups.end()) return {};
  {
    const std::lock_guard lock(mutex_);
    const auto kept = known_rights_.find(question);
    if (kept != known_rights_.end() && kept->second.until > clock_->monotonic()) return kept->second.answer;
  }
  api::authorizationv1::SubjectAccessReview review;
  review.spec.user = user.name;
  review.spec.uid = user.uid;
  review.spec.groups = user.groups;
  for (const auto& [key, values] : user.extra) review.spec.extra[key] = values;
  auto& attributes = review.spec.non_resource_attributes.emplace();
  attributes.path = question.path;
  attributes.verb = question.verb;
  TRY_ASSIGN(review, rights_.create(review));
  Status answer;
  if (!review.status.allowed) {
    answer = Status(Reason::kForbidden, fmt::format("forbidden: User {} cannot {} path {}{}", api::go_quote(user.name),
                                                    question.verb, api::go_quote(question.path),
                                                    review.status.reason.empty() ? "" : ": " + review.status.reason));
  }
  const std::lock_guard lock(mutex_);
  if (known_rights_.size() >= kMostKept) known_rights_.clear();
  const Duration ttl = review.status.allowed ? options_.allowed_ttl : options_.denied_ttl;
  known_rights_.insert_or_assign(std::move(question), Kept<Status>{answer, clock_->monotonic() + ttl});
  return answer;
}

}  // namespace trireme::cmd
