#include <fmt/format.h>

#include <atomic>
#include <thread>
#include <utility>

#include "api/codec.h"
#include "api/scheme.h"
#include "apiserver/api_server.h"
#include "apiserver/authz/bootstrap_policy.h"

namespace trireme::apiserver::authz {
namespace {

using api::rbacv1::PolicyRule;
using api::rbacv1::Subject;

constexpr std::string_view kAutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";

template <typename T>
std::string url(const T& object, bool with_name) {
  const api::ResourceInfo& resource = api::resource_of<T>();
  std::string path = "/apis/" + resource.api_version();
  if (resource.namespaced) path += "/namespaces/" + object.metadata.namespace_;
  path += "/" + resource.resource;
  if (with_name) path += "/" + object.metadata.name;
  return path;
}

/// Adds to `current` what `wanted` has and it has not; true when something was added.
template <typename Item>
bool add_missing(std::vector<Item>& current, const std::vector<Item>& wanted) {
  bool added = false;
  for (const Item& item : wanted) {
    std::string text = api::encode_json(item);
    bool present = false;
    for (const Item& existing : current) present = present || api::encode_json(existing) == text;
    if (!present) current.push_back(item);
    added = added || !present;
  }
  return added;
}

template <typename Role>
auto& content(Role& object) {
  if constexpr (requires { object.rules; }) {
    return object.rules;
  } else {
    return object.subjects;
  }
}

class Reconciler {
 public:
  Reconciler(ApiServer& server, std::stop_token stop) : server_(server), stop_(std::move(stop)) {
    user_.name = "system:apiserver";
    user_.groups = {std::string(authn::kMastersGroup)};
  }

  template <typename T>
  Status ensure(const std::vector<T>& wanted) {
    for (const T& object : wanted) {
      if (stop_.stop_requested()) return Status::unavailable("the server is stopping");
      auto existing = server_.caches().get<T>(object.metadata.namespace_, object.metadata.name);
      if (!existing.ok() && !existing.status().is(Reason::kNotFound)) return existing.status();
      if (!existing.ok()) {
        TRY(send("POST", url(object, false), object));
        continue;
      }
      auto automatic = (*existing)->metadata.annotations.find(std::string(kAutoUpdate));
      if (automatic != (*existing)->metadata.annotations.end() && automatic->second == "false") continue;
      T updated = **existing;
      if (add_missing(content(updated), content(object))) TRY(send("PUT", url(object, true), updated));
    }
    return {};
  }

 private:
  template <typename T>
  Status send(std::string method, std::string target, const T& object) {
    net::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.set("Content-Type", "application/vnd.kubernetes.protobuf");
    request.body = api::encode_proto(object);
    net::Response response = server_.call(std::move(request), user_);
    // Another server of the same cluster may have been quicker.
    if (response.status < 300 || response.status == 409) return {};
    return Status::internal(fmt::format("{}: status {}: {}", object.metadata.name, response.status, response.body));
  }

  ApiServer& server_;
  std::stop_token stop_;
  authn::UserInfo user_;
};

}  // namespace

Status reconcile_bootstrap_policy(ApiServer& server, std::stop_token stop) {
  // The store commits waiting writes together: several writers at once make a first start several times faster.
  Reconciler reconciler(server, std::move(stop));
  Status statuses[2];
  {
    std::jthread bindings([&] {
      statuses[1] = reconciler.ensure(bootstrap_cluster_role_bindings());
      if (statuses[1].ok()) statuses[1] = reconciler.ensure(bootstrap_role_bindings());
    });
    statuses[0] = reconciler.ensure(bootstrap_cluster_roles());
    if (statuses[0].ok()) statuses[0] = reconciler.ensure(bootstrap_roles());
  }
  TRY(statuses[0]);
  return statuses[1];
}

}  // namespace trireme::apiserver::authz
