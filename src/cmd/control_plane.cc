#include "cmd/control_plane.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "apiserver/admission/plugins.h"
#include "apiserver/api_server.h"
#include "apiserver/authn/as_server.h"
#include "apiserver/authn/bearer.h"
#include "apiserver/authn/bootstrap_token.h"
#include "apiserver/authn/service_account.h"
#include "apiserver/authn/x509.h"
#include "apiserver/authz/bootstrap_policy.h"
#include "apiserver/authz/node.h"
#include "apiserver/authz/rbac.h"
#include "apiserver/legacy/handler.h"
#include "base/ip_address.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cluster_options.h"
#include "controllers/all.h"
#include "controllers/runtime/manager.h"
#include "linux/file.h"
#include "net/server.h"
#include "scheduler/scheduler.h"
#include "store/sqlite_store.h"

namespace trireme::cmd {
namespace {

// Old history is forgotten this often, as upstream's API server has etcd do, so that the store does not grow.
constexpr auto kCompactionInterval = std::chrono::minutes(5);

/// A port that was free a moment ago: the server's certificate-independent settings need it before it listens.
Result<uint16_t> free_port(const std::string& address) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(sockaddr_in);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&bound);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&bound);
  if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    bound.ss_family = AF_INET;
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    bound.ss_family = AF_INET6;
    size = sizeof(sockaddr_in6);
  }
  int socket = ::socket(bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool found = ::bind(socket, reinterpret_cast<sockaddr*>(&bound), size) == 0 &&
               ::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) == 0;
  ::close(socket);
  if (!found) return Status::internal(fmt::format("no free port on {}", address));
  return ntohs(bound.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

class InProcessControlPlane final : public ControlPlane {
 public:
  InProcessControlPlane(const ClusterOptions& options, std::shared_ptr<Clock> clock)
      : options_(options), clock_(std::move(clock)) {}
  ~InProcessControlPlane() override { stop(); }

  Status start(Pki& pki) {
    TRY_ASSIGN(store_, store::sqlite_store({.path = options_.database_file(), .clock = clock_}));
    auto port = static_cast<uint16_t>(options_.https_port);
    if (port == 0) {
      TRY_ASSIGN(port, free_port(options_.bind_address));
    }
    TRY(renew_certificates(pki));
    TRY(create_server(pki, port));

    net::ServerOptions server_options;
    server_options.address = options_.bind_address;
    server_options.port = port;
    server_options.tls =
        net::TlsServerOptions{pki.path("apiserver.crt"), pki.path("apiserver.key"), pki.path("ca.crt")};
    TRY_ASSIGN(listener_, net::Server::start(std::move(server_options), *api_));
    background_ = std::jthread([this](std::stop_token stop) { run_background(stop); });
    return {};
  }

  Status renew_certificates(Pki& pki) override {
    TRY(ensure_server_certificate(options_, pki));
    TRY_ASSIGN(net::CertifiedKey pair, pki.ensure({.name = "apiserver-kubelet-client",
                                                   .common_name = "kube-apiserver-kubelet-client",
                                                   .organizations = {},
                                                   .use = net::CertificateUse::kClient,
                                                   .dns_names = {},
                                                   .ip_addresses = {}}));
    const std::lock_guard lock(components_mutex_);
    kubelet_client_ = std::move(pair);
    return {};
  }

  uint16_t port() const override { return listener_->port(); }

  std::shared_ptr<net::Transport> transport(std::string common_name, std::vector<std::string> organizations) override {
    net::Peer peer;
    peer.certificate = net::CertificateSubject{std::move(common_name), std::move(organizations)};
    return net::in_process_transport(*api_, std::move(peer));
  }

  Status start_controllers() override {
    roles_settled_.wait(false);  // without their roles components would only be refused
    std::string selection = fmt::format("{}", fmt::join(options_.controllers, ","));
    TRY_ASSIGN(auto selected, controllers::select_controllers(controllers::all_controllers(), selection));
    auto raw =
        std::make_shared<client::RawClient>(transport("system:kube-controller-manager", {}), "kube-controller-manager");
    controllers::ControllerContext context{client::Client(raw),
                                           std::make_shared<client::InformerFactory>(raw, clock_),
                                           std::make_shared<client::EventBroadcaster>(client::Client(raw), clock_),
                                           clock_,
                                           {}};
    context.options.allocate_node_cidrs = options_.allocate_node_cidrs;
    for (const std::string_view range : split_list(options_.cluster_cidr)) {
      context.options.cluster_cidrs.emplace_back(range);
    }
    context.options.node_cidr_mask_size_ipv4 = options_.node_cidr_mask_size;
    context.options.node_cidr_mask_size_ipv6 = options_.node_cidr_mask_size_ipv6;
    context.options.node_monitor_grace_period = options_.node_monitor_grace_period;
    context.options.cluster_signing_duration = options_.cluster_signing_duration;
    context.options.legacy_service_account_token_clean_up_period =
        options_.legacy_service_account_token_clean_up_period;
    context.options.root_ca_pem = authority_.certificate_pem;
    context.options.cluster_signing_certificate_pem = authority_.certificate_pem;
    context.options.cluster_signing_key_pem = authority_.key_pem;
    context.options.service_account_key_pem = service_account_key_pem_;
    auto manager = std::make_unique<controllers::Manager>(std::move(context));
    for (const auto* descriptor : selected) manager->add(*descriptor);
    {
      const std::lock_guard lock(components_mutex_);
      controllers_ = std::move(manager);
    }
    return controllers_->start();
  }

  Status start_scheduler() override {
    auto raw = std::make_shared<client::RawClient>(transport("system:kube-scheduler", {}), "kube-scheduler");
    auto created =
        scheduler::Scheduler::create({client::Client(raw),
                                      std::make_shared<client::InformerFactory>(raw, clock_),
                                      std::make_shared<client::EventBroadcaster>(client::Client(raw), clock_),
                                      clock_,
                                      {}});
    {
      const std::lock_guard lock(components_mutex_);
      scheduler_ = std::move(created);
    }
    return scheduler_->start();
  }

  void stop() override {
    if (api_) api_->begin_shutdown();
    background_.request_stop();
    if (background_.joinable()) background_.join();
    if (scheduler_) scheduler_->stop();
    if (controllers_) controllers_->stop();
    {
      const std::lock_guard lock(components_mutex_);
      scheduler_.reset();
      controllers_.reset();
    }
    if (listener_) listener_->shutdown(std::chrono::seconds(2));
    listener_.reset();
    api_.reset();
    caches_.reset();
    store_.reset();
  }

 private:
  Status create_server(Pki& pki, uint16_t port) {
    authority_ = pki.authority();
    service_account_key_pem_ = pki.service_account_key_pem();
    caches_ = std::make_shared<apiserver::Caches>(apiserver::CachesOptions{.store = store_, .clock = clock_});
    apiserver::authn::ServiceAccountOptions tokens;
    tokens.signing_key_pem = pki.service_account_key_pem();
    tokens.clock = clock_;
    tokens.label_secret = [this](const auto&... words) { return apiserver::authn::label_secret(*api_, words...); };

    apiserver::Options server;
    server.store = store_;
    server.clock = clock_;
    server.caches = caches_;
    std::vector<std::shared_ptr<apiserver::authn::Authenticator>> authenticators;
    authenticators.push_back(std::make_shared<apiserver::authn::X509Authenticator>());
    if (!options_.token_auth_file.empty()) {
      TRY_ASSIGN(std::string text, linux::read_file(options_.token_auth_file));
      TRY_ASSIGN(auto static_tokens, apiserver::authn::TokenFileAuthenticator::parse(text));
      authenticators.push_back(std::move(static_tokens));
    }
    TRY_ASSIGN(auto account_tokens, apiserver::authn::ServiceAccountAuthenticator::create(tokens, caches_));
    authenticators.push_back(std::move(account_tokens));
    authenticators.push_back(std::make_shared<apiserver::authn::BootstrapTokenAuthenticator>(caches_, clock_));
    server.authenticator = apiserver::authn::any_of(std::move(authenticators));
    server.authorizer = apiserver::authz::union_of({apiserver::authz::masters_authorizer(),
                                                    std::make_shared<apiserver::authz::NodeAuthorizer>(caches_),
                                                    std::make_shared<apiserver::authz::RbacAuthorizer>(caches_)});
    TRY_ASSIGN(const auto admission, apiserver::admission::read_configuration(
                                         {options_.enable_admission_plugins, options_.disable_admission_plugins,
                                          options_.admission_control_config_file}));
    server.admission = apiserver::admission::default_chain(caches_, server.authorizer, api::system_random, admission);
    TRY_ASSIGN(server.token_issuer, apiserver::authn::service_account_issuer(tokens));
    server.service_cidr = options_.service_cidr;
    server.advertise_address = options_.advertise_address;
    server.advertise_port = port;
    server.kubelet_transport = [this](const std::string& base_url) {
      net::HttpTransportOptions transport_options;
      transport_options.base_url = base_url;
      transport_options.tls.ca_pem = authority_.certificate_pem;
      {
        const std::lock_guard lock(components_mutex_);
        transport_options.tls.certificate_pem = kubelet_client_.certificate_pem;
        transport_options.tls.key_pem = kubelet_client_.key_pem;
      }
      return net::http_transport(std::move(transport_options));
    };
    TRY_ASSIGN(api_, apiserver::ApiServer::create(std::move(server)));
    auto legacy = apiserver::legacy::make_handler(*api_);
    api_->add_path("/api/v1beta1", legacy, /*authorize=*/false);
    api_->add_path("/api/v1beta2", legacy, /*authorize=*/false);
    api_->add_metrics([this](std::string& out) {
      const std::lock_guard lock(components_mutex_);
      if (controllers_) out += controllers_->metrics();
      if (scheduler_) out += scheduler_->metrics();
    });
    api_->add_check("poststarthook/rbac/bootstrap-roles", [this] {
      return roles_ready_ ? Status() : Status::unavailable("the default roles are being written");
    });
    return {};
  }

  /// What other servers must know and the default roles first, then compaction now and then.
  void run_background(std::stop_token stop) {
    const Status published = apiserver::authn::publish_client_authority(*api_, authority_.certificate_pem);
    if (!published.ok()) log::warning("The authority of client certificates is not published", {{"error", published}});
    Status status = apiserver::authz::reconcile_bootstrap_policy(*api_, stop);
    while (!status.ok() && !stop.stop_requested()) {
      log::error("Writing the default roles failed; trying again", {{"error", status}});
      clock_->sleep_for(std::chrono::seconds(1), stop);
      status = apiserver::authz::reconcile_bootstrap_policy(*api_, stop);
    }
    roles_ready_ = status.ok();
    roles_settled_ = true;
    roles_settled_.notify_all();
    track_tokens();
    store::Revision previous = 0;
    while (clock_->sleep_for(kCompactionInterval, stop)) {
      track_tokens();
      auto revision = store_->current_revision();
      if (!revision.ok()) continue;
      // What was current one interval ago: clients that read slower than that start again.
      if (previous > 0 && previous < *revision) {
        Status compacted = store_->compact(previous);
        if (!compacted.ok() && !compacted.is(Reason::kExpired)) {
          log::warning("Compaction failed", {{"revision", previous}, {"error", compacted}});
        }
      }
      // What the last interval's work has freed goes back to the system.
      if (previous != *revision) ::malloc_trim(0);
      previous = *revision;
    }
  }

  void track_tokens() {
    const Status kept = apiserver::authn::keep_token_tracking(*api_, clock_->now());
    if (!kept.ok()) log::warning("Since when tokens are tracked could not be noted", {{"error", kept}});
  }

  const ClusterOptions& options_;
  std::shared_ptr<Clock> clock_;
  net::CertifiedKey authority_;
  std::string service_account_key_pem_;
  net::CertifiedKey kubelet_client_;
  std::shared_ptr<store::Store> store_;
  std::shared_ptr<apiserver::Caches> caches_;
  std::unique_ptr<apiserver::ApiServer> api_;
  std::unique_ptr<net::Server> listener_;
  std::mutex components_mutex_;  ///< What a server's threads read: the components (/metrics), kubelet_client_.
  std::unique_ptr<controllers::Manager> controllers_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::atomic<bool> roles_ready_ = false;
  std::atomic<bool> roles_settled_ = false;  ///< Ready, or given up because of a stop.
  std::jthread background_;
};

}  // namespace

Status ensure_server_certificate(const ClusterOptions& options, Pki& pki) {
  TRY_ASSIGN(std::string service_address, first_address(options.service_cidr));
  Pki::Identity identity{.name = "apiserver",
                         .common_name = "kube-apiserver",
                         .organizations = {},
                         .use = net::CertificateUse::kServer,
                         .dns_names = {"kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                       "kubernetes.default.svc.cluster.local", "localhost", options.node_name},
                         .ip_addresses = {"127.0.0.1", "::1", service_address}};
  const auto add = [&](const std::string& name) {
    auto& names = IpAddress::parse(name) ? identity.ip_addresses : identity.dns_names;
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  add(options.advertise_address);
  for (const std::string& address : options.node_addresses()) add(address);
  for (const std::string& name : options.extra_names) add(name);
  return pki.ensure(identity).status();
}

Result<std::unique_ptr<ControlPlane>> ControlPlane::start(const ClusterOptions& options, Pki& pki,
                                                          std::shared_ptr<Clock> clock) {
  auto plane = std::make_unique<InProcessControlPlane>(options, std::move(clock));
  TRY(plane->start(pki));
  return std::unique_ptr<ControlPlane>(std::move(plane));
}

}  // namespace trireme::cmd
