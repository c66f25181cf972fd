#include "apiserver/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/status_convert.h"
#include "api/value.h"
#include "apiserver/authn/notices.h"
#include "apiserver/http/capture.h"
#include "apiserver/http/version.h"
#include "base/log.h"

namespace trireme::apiserver {

namespace {

constexpr std::string_view kNotFound = "the server could not find the requested resource";

/// Which header names what may be impersonated, and as which resource it is authorized.
constexpr std::string_view kImpersonateUser = "Impersonate-User";
constexpr std::string_view kImpersonateGroup = "Impersonate-Group";
constexpr std::string_view kImpersonateUid = "Impersonate-Uid";
constexpr std::string_view kImpersonateExtra = "impersonate-extra-";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)), metrics_(std::make_shared<Metrics>(options_.clock->now())) {
  if (!options_.caches) {
    options_.caches = std::make_shared<Caches>(CachesOptions{
        .store = options_.store, .clock = options_.clock, .prefix = "/registry", .sole_writer = options_.sole_writer});
  }
  if (!options_.authorizer) options_.authorizer = authz::always_allow();
  registry_ = std::make_unique<Registry>(options_, metrics_);
  health_.add("etcd", [store = options_.store] { return store->current_revision().status(); });
}

Server::~Server() {
  registry_->stop();
  options_.caches->stop();
}

Status Server::start() { return registry_->bootstrap(); }

Result<std::unique_ptr<ApiServer>> ApiServer::create(Options options) {
  auto server = std::make_unique<Server>(std::move(options));
  TRY(server->start());
  return std::unique_ptr<ApiServer>(std::move(server));
}

std::shared_ptr<RequestContext> Server::make_context(std::shared_ptr<net::Exchange> exchange) {
  auto context = std::make_shared<RequestContext>(std::move(exchange), metrics_, *options_.clock, options_.random);
  const net::Request& request = context->request();
  context->query = Query(request.query());
  context->accepted.pretty = context->query.flag("pretty");
  auto info = parse_request_info(request.method, request.path(), context->query);
  if (!info.ok()) {
    context->info.path = request.path();
    context->fail(info.status());
    return nullptr;
  }
  context->info = std::move(*info);
  return context;
}

void Server::handle(std::shared_ptr<net::Exchange> exchange) {
  auto context = make_context(std::move(exchange));
  if (!context) return;
  Status status = authenticate(*context);
  if (status.ok()) status = impersonate(*context);
  if (!status.ok()) return context->fail(status);
  route(context);
}

void Server::dispatch(std::shared_ptr<net::Exchange> exchange, const authn::UserInfo& user) {
  auto context = make_context(std::move(exchange));
  if (!context) return;
  context->user = user;
  route(context);
}

net::Response Server::call(net::Request request, const authn::UserInfo& user) {
  auto exchange = std::make_shared<CaptureExchange>(std::move(request));
  dispatch(exchange, user);
  return exchange->wait();
}

Status Server::authenticate(RequestContext& context) {
  if (options_.authenticator) {
    authn::Notices notices;
    auto user = options_.authenticator->authenticate(context.request());
    for (std::string& notice : notices.take()) context.warnings.push_back(std::move(notice));
    if (!user.ok()) {
      log::debug("Credentials refused", {{"path", context.info.path}, {"error", user.status()}});
      return api::unauthorized();
    }
    if (user->has_value()) {
      context.user = std::move(**user);
      auto& groups = context.user.groups;
      bool grouped =
          context.user.in_group(authn::kAuthenticatedGroup) || context.user.in_group(authn::kUnauthenticatedGroup);
      if (!grouped) groups.emplace_back(authn::kAuthenticatedGroup);
      return {};
    }
  }
  if (!options_.anonymous) return api::unauthorized();
  context.user.name = authn::kAnonymous;
  context.user.groups = {std::string(authn::kUnauthenticatedGroup)};
  return {};
}

Status Server::impersonate(RequestContext& context) {
  const net::Headers& headers = context.request().headers;
  std::string_view name = headers.get(kImpersonateUser);
  authn::UserInfo target;
  target.name = name;
  std::vector<authz::Attributes> needed;
  auto need = [&](std::string group, std::string resource, std::string subresource, std::string_view ns,
                  std::string_view what) {
    authz::Attributes attributes;
    attributes.user = context.user;
    attributes.verb = "impersonate";
    attributes.group = std::move(group);
    attributes.version = "v1";
    attributes.resource = std::move(resource);
    attributes.subresource = std::move(subresource);
    attributes.namespace_ = ns;
    attributes.name = what;
    attributes.is_resource = true;
    needed.push_back(std::move(attributes));
  };
  bool others = headers.has(kImpersonateGroup) || headers.has(kImpersonateUid);
  for (std::string_view group : headers.all(kImpersonateGroup)) {
    target.groups.emplace_back(group);
    need("", "groups", "", "", group);
  }
  if (std::string_view uid = headers.get(kImpersonateUid); !uid.empty()) {
    target.uid = uid;
    need("authentication.k8s.io", "uids", "", "", uid);
  }
  for (const auto& [header, value] : headers) {
    std::string key = lower(header);
    if (!key.starts_with(kImpersonateExtra)) continue;
    others = true;
    TRY_ASSIGN(std::string extra, net::percent_decode(key.substr(kImpersonateExtra.size())));
    target.extra[extra].push_back(value);
    need("authentication.k8s.io", "userextras", extra, "", value);
  }
  if (name.empty()) {
    if (!others) return {};
    return Status::bad_request("requested groups, uid or extra without impersonating a user");
  }
  constexpr std::string_view kServiceAccount = "system:serviceaccount:";
  size_t colon = name.find(':', kServiceAccount.size());
  if (name.starts_with(kServiceAccount) && colon != std::string_view::npos) {
    std::string_view ns = name.substr(kServiceAccount.size(), colon - kServiceAccount.size());
    need("", "serviceaccounts", "", ns, name.substr(colon + 1));
    if (target.groups.empty()) {
      target.groups = {"system:serviceaccounts", "system:serviceaccounts:" + std::string(ns)};
    }
  } else {
    need("", "users", "", "", name);
  }
  for (const authz::Attributes& attributes : needed) TRY(authorize(attributes));
  if (name != authn::kAnonymous && !target.in_group(authn::kAuthenticatedGroup)) {
    target.groups.emplace_back(authn::kAuthenticatedGroup);
  }
  if (name == authn::kAnonymous && target.groups.empty()) {
    target.groups.emplace_back(authn::kUnauthenticatedGroup);
  }
  context.user = std::move(target);
  return {};
}

Status Server::authorize(const authz::Attributes& attributes) {
  authz::Decision decision = options_.authorizer->authorize(attributes);
  if (decision.allowed()) return {};
  return authz::forbidden(attributes, decision.reason);
}

const Server::PathEntry* Server::find_path(std::string_view path) const {
  if (paths_.empty()) return nullptr;
  for (std::string_view prefix = path; !prefix.empty(); prefix = prefix.substr(0, prefix.rfind('/'))) {
    if (auto found = paths_.find(prefix); found != paths_.end()) return &found->second;
    if (prefix.rfind('/') == std::string_view::npos) break;
  }
  return nullptr;
}

void Server::add_path(std::string path, std::shared_ptr<PathHandler> handler, bool authorize) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  paths_[std::move(path)] = {std::move(handler), authorize};
}

void Server::route(const std::shared_ptr<RequestContext>& context) {
  RequestInfo& info = context->info;
  if (const PathEntry* entry = find_path(info.path)) {
    if (entry->authorize) {
      authz::Attributes attributes = attributes_of(info, context->user);
      attributes.is_resource = false;
      attributes.verb = lower(context->request().method);
      if (Status status = authorize(attributes); !status.ok()) return context->fail(status);
    }
    return entry->handler->handle({context->exchange(), context->user});
  }
  if (Status status = authorize(attributes_of(info, context->user)); !status.ok()) {
    if (auto accepted = negotiate(context->request().headers.get("Accept"), {.views = true}); accepted.ok()) {
      context->accepted.media = accepted->media;
    }
    return context->fail(status);
  }
  if (info.is_resource) return registry_->serve(context);
  serve_path(*context);
}

Result<std::shared_ptr<const Published>> Server::published() {
  TRY_ASSIGN(auto served, registry_->definitions().served());
  const std::scoped_lock lock(published_mutex_);
  if (!published_ || published_->served() != served) {
    published_ = std::make_shared<const Published>(
        fmt::format("{}:{}", options_.advertise_address, options_.advertise_port), std::move(served));
  }
  return published_;
}

void Server::serve_path(RequestContext& context) {
  const std::string& method = context.request().method;
  bool reading = method == "GET" || method == "HEAD";
  const std::string& path = context.info.path;
  if (!reading) {
    return context.fail(Status(Reason::kMethodNotAllowed,
                               "the server does not allow this method on the requested "
                               "resource"));
  }
  if (path == "/version" || path == "/version/") {
    return context.respond(200, kJsonMedia, version_document());
  }
  if (path == "/metrics") {
    return context.respond(200, "text/plain; version=0.0.4; charset=utf-8", metrics_->text());
  }
  if (health_.serve(context)) return;
  auto published = this->published();
  if (!published.ok()) return context.fail(published.status());
  const Discovery& discovery = (*published)->discovery();
  if (discovery.serve(context) || (*published)->openapi().serve(context)) return;
  if (path == "/") {
    std::vector<std::string> all = discovery.paths();
    for (std::string& each : health_.paths()) all.push_back(std::move(each));
    for (const auto& [prefix, entry] : paths_) all.push_back(prefix);
    for (std::string_view each : {"/metrics", "/openapi/v2", "/openapi/v3", "/version"}) all.emplace_back(each);
    std::sort(all.begin(), all.end());
    api::metav1::RootPaths document;
    document.paths = std::move(all);
    return context.respond_kind(200, document);
  }
  context.fail(Status(Reason::kNotFound, std::string(kNotFound)));
}

}  // namespace trireme::apiserver
