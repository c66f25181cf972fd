#include "kubelet/volumes/token_source.h"

#include <algorithm>

#include "api/types/authenticationv1.h"
#include "base/log.h"

namespace trireme::kubelet {

Result<TokenSource::Token> TokenSource::token(const api::corev1::Pod& pod, const std::string& audience,
                                              int64_t expiration_seconds) {
  Key key{pod.metadata.uid, audience, expiration_seconds};
  std::optional<Token> held;
  {
    std::lock_guard lock(mutex_);
    if (auto found = tokens_.find(key); found != tokens_.end()) held = found->second;
  }
  WallTime now = clock_->now();
  if (held && now < held->renew_at) return *held;

  api::authenticationv1::TokenRequest request;
  if (!audience.empty()) request.spec.audiences.push_back(audience);
  request.spec.expiration_seconds = expiration_seconds;
  auto& bound = request.spec.bound_object_ref.emplace();
  bound.kind = "Pod";
  bound.api_version = "v1";
  bound.name = pod.metadata.name;
  bound.uid = pod.metadata.uid;
  client::RawClient& raw = client_.raw();
  std::string account = pod.spec.service_account_name.empty() ? "default" : pod.spec.service_account_name;
  auto body = raw.create(api::resource_of<api::corev1::ServiceAccount>(), pod.metadata.namespace_,
                         raw.protobuf() ? api::encode_proto(request) : api::encode_json(request), account, "token");
  auto answer = body.ok() ? (raw.protobuf() ? api::decode_proto<api::authenticationv1::TokenRequest>(*body)
                                            : api::decode_json<api::authenticationv1::TokenRequest>(*body))
                          : Result<api::authenticationv1::TokenRequest>(body.status());
  if (!answer.ok()) {
    if (held && now < held->expires_at) {
      log::warning("Could not renew a service account token; the old one serves on",
                   {{"pod", pod.metadata.name}, {"namespace", pod.metadata.namespace_}, {"error", answer.status()}});
      return *held;
    }
    return answer.status().with_context("failed to fetch token");
  }
  Token token;
  token.text = answer->status.token;
  token.expires_at = answer->status.expiration_timestamp ? answer->status.expiration_timestamp.wall()
                                                         : now + std::chrono::seconds(expiration_seconds);
  auto life = token.expires_at - now;
  token.renew_at = now + std::min<WallTime::duration>(life * 4 / 5, std::chrono::hours(24));
  std::lock_guard lock(mutex_);
  tokens_[key] = token;
  return token;
}

void TokenSource::forget_pod(const std::string& pod_uid) {
  std::lock_guard lock(mutex_);
  std::erase_if(tokens_, [&](const auto& entry) { return std::get<0>(entry.first) == pod_uid; });
}

}  // namespace trireme::kubelet
