#include <fmt/format.h>

#include <algorithm>

#include "api/defaults/defaults.h"
#include "api/status_convert.h"
#include "api/types/authenticationv1.h"
#include "api/types/corev1.h"
#include "apiserver/http/body.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/subresources.h"

namespace trireme::apiserver {

namespace {

/// Every verb a subresource's path could be asked for, as discovery names them.
std::string_view discovery_verb(std::string_view verb) { return verb == "deletecollection" ? "delete" : verb; }

Status not_yet(const RequestInfo& info) {
  return Status(Reason::kMethodNotAllowed,
                fmt::format("the server does not support {}/{} yet", info.resource, info.subresource))
      .with_code(501);
}

}  // namespace

void Registry::serve_subresource(const Context& context, const api::ResourceInfo& resource) {
  const RequestInfo& info = context->info;
  const std::string& name = info.subresource;
  auto known = subresources_of(resource);
  auto found = std::find_if(known.begin(), known.end(), [&](const Subresource& each) { return each.name == name; });
  if (found == known.end()) return context->fail(no_such_resource());
  bool deep = info.parts.size() > 3;
  if (deep && name != "proxy") return context->fail(no_such_resource());
  std::string_view verb = discovery_verb(info.verb);
  if (std::find(found->verbs.begin(), found->verbs.end(), verb) == found->verbs.end()) {
    return context->fail(method_not_allowed());
  }
  if (name == "scale") return scale(context, resource);
  if (name == "binding") return bind(context);
  if (name == "eviction") return evict(context);
  if (name == "token") return issue_token(context);
  if (name == "log") return pod_log(context);
  bool own_kind = found->kind == resource.kind && found->group == resource.group;
  if (!own_kind) return context->fail(not_yet(info));
  if (verb == "get") return reader_.get(*context, resource);
  if (verb == "update") return update(context, resource);
  if (verb == "patch") return patch(context, resource);
  context->fail(method_not_allowed());
}

namespace {

constexpr int64_t kMinTokenSeconds = 600;
constexpr int64_t kMaxTokenSeconds = int64_t{1} << 32;

}  // namespace

void Registry::issue_token(const Context& context) {
  using api::authenticationv1::TokenRequest;
  if (!options_.token_issuer) return context->fail(not_yet(context->info));
  auto run = [&]() -> Result<TokenRequest> {
    TRY_ASSIGN(api::Object body,
               decode_body(*context, context->exchange()->take_body(), api::type_info<TokenRequest>()));
    TRY_ASSIGN(WriteRequest admitted, write_request(context, api::resource_of<api::corev1::ServiceAccount>()));
    TRY(writer_->admit_body(admitted, body));
    TokenRequest request = std::move(*body.as<TokenRequest>());
    const std::string& ns = context->info.ns;
    TRY_ASSIGN(auto account, options_.caches->get<api::corev1::ServiceAccount>(ns, context->info.name));
    int64_t seconds = request.spec.expiration_seconds.value_or(3600);
    if (seconds < kMinTokenSeconds || seconds > kMaxTokenSeconds) {
      return api::invalid("authentication.k8s.io", "TokenRequest", context->info.name,
                          {api::field_error::invalid("spec.expirationSeconds", seconds,
                                                     seconds < kMinTokenSeconds
                                                         ? "may not specify a duration less than 10 minutes"
                                                         : "may not specify a duration larger than 2^32 seconds")});
    }
    authn::TokenParameters parameters{.ns = ns,
                                      .service_account = account->metadata.name,
                                      .service_account_uid = account->metadata.uid,
                                      .audiences = request.spec.audiences,
                                      .expiration_seconds = seconds};
    if (request.spec.bound_object_ref) {
      const auto& bound = *request.spec.bound_object_ref;
      std::string uid;
      if (bound.kind == "Pod" && bound.api_version == "v1") {
        TRY_ASSIGN(auto pod, options_.caches->get<api::corev1::Pod>(ns, bound.name));
        if (pod->spec.service_account_name != account->metadata.name) {
          return Status::bad_request(
              fmt::format("cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount "
                          "name.",
                          account->metadata.name));
        }
        uid = pod->metadata.uid;
        parameters.node_name = pod->spec.node_name;
        if (auto node = options_.caches->get<api::corev1::Node>("", pod->spec.node_name); node.ok()) {
          parameters.node_uid = (*node)->metadata.uid;
        }
      } else if (bound.kind == "Secret" && bound.api_version == "v1") {
        TRY_ASSIGN(auto secret, options_.caches->get<api::corev1::Secret>(ns, bound.name));
        uid = secret->metadata.uid;
      } else if (bound.kind == "Node" && bound.api_version == "v1") {
        TRY_ASSIGN(auto node, options_.caches->get<api::corev1::Node>("", bound.name));
        uid = node->metadata.uid;
      } else {
        return Status::bad_request(
            fmt::format("cannot bind token to object of type {}, Kind={}", bound.api_version, bound.kind));
      }
      if (!bound.uid.empty() && bound.uid != uid) {
        return api::conflict({"", "serviceaccounts"}, context->info.name,
                             fmt::format("the UID in the bound object reference ({}) does not match the UID in record. "
                                         "The object might have been deleted and then recreated",
                                         bound.uid));
      }
      parameters.bound_kind = bound.kind;
      parameters.bound_name = bound.name;
      parameters.bound_uid = uid;
    }
    TRY_ASSIGN(authn::IssuedToken issued, options_.token_issuer->issue(parameters));
    request.metadata.name = account->metadata.name;
    request.metadata.namespace_ = ns;
    request.metadata.creation_timestamp = api::Time(clock_->now());
    request.spec.audiences = issued.audiences;
    request.spec.expiration_seconds = seconds;
    request.status.token = std::move(issued.token);
    request.status.expiration_timestamp = api::Time(issued.expiration);
    return request;
  };
  auto issued = run();
  if (!issued.ok()) return context->fail(issued.status());
  context->respond_kind(201, *issued);
}

}  // namespace trireme::apiserver
