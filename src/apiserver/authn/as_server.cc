#include "apiserver/authn/as_server.h"

#include <fmt/format.h>

#include <functional>

#include "api/legacy_tokens.h"
#include "api/types/corev1.h"
#include "api/value.h"

namespace trireme::apiserver::authn {
namespace {

constexpr std::string_view kNamespace = "kube-system";

UserInfo server_itself() {
  UserInfo user;
  user.name = "system:apiserver";
  user.groups = {std::string(kMastersGroup), std::string(kAuthenticatedGroup)};
  return user;
}

Status send(ApiServer& server, const std::string& method, const std::string& target, const std::string& media,
            const api::Value& body) {
  net::Request request;
  request.method = method;
  request.target = target;
  request.headers.set("Accept", "application/json");
  request.headers.set("Content-Type", media);
  request.body = api::to_json(body);
  const net::Response answer = server.call(std::move(request), server_itself());
  if (answer.status < 300) return {};
  return Status::internal(fmt::format("{} {} was answered {}: {}", method, target, answer.status, answer.body));
}

/// Writes `value` unless what is there is `good`.
Status keep_map(ApiServer& server, std::string_view name, std::string_view key, const std::string& value,
                const std::function<bool(const std::string&)>& good) {
  const std::string collection = fmt::format("/api/v1/namespaces/{}/configmaps", kNamespace);
  const auto map = server.caches().get<api::corev1::ConfigMap>(kNamespace, name);
  if (map.ok()) {
    const auto there = (*map)->data.find(key);
    if (there != (*map)->data.end() && good(there->second)) return {};
  } else if (!map.status().is(Reason::kNotFound)) {
    return map.status();
  }
  api::Value body = api::Value::object();
  body["data"][key] = value;
  if (map.ok()) {
    return send(server, "PATCH", fmt::format("{}/{}", collection, name), "application/merge-patch+json", body);
  }
  body["metadata"]["name"] = name;
  return send(server, "POST", collection, "application/json", body);
}

}  // namespace

Status publish_client_authority(ApiServer& server, const std::string& pem) {
  return keep_map(server, "extension-apiserver-authentication", "client-ca-file", pem,
                  [&](const std::string& there) { return there == pem; });
}

Status keep_token_tracking(ApiServer& server, WallTime now) {
  return keep_map(server, api::kLegacyTokenTrackingMap, api::kLegacyTokenSince, api::day_of(now),
                  [](const std::string& day) { return api::parse_day(day).ok(); });
}

Status label_secret(ApiServer& server, const std::string& ns, const std::string& name, const std::string& uid,
                    const std::string& label, const std::string& value) {
  api::Value body = api::Value::object();
  body["metadata"]["uid"] = uid;
  body["metadata"]["labels"][label] = value;
  return send(server, "PATCH", fmt::format("/api/v1/namespaces/{}/secrets/{}", ns, name),
              "application/merge-patch+json", body);
}

}  // namespace trireme::apiserver::authn
