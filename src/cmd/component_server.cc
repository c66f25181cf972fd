#include "cmd/component_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "api/status_convert.h"
#include "api/types/corev1.h"
#include "base/log.h"
#include "linux/file.h"
#include "net/x509.h"

namespace trireme::cmd {
namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kMetricsText = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kAuthenticationMap = "extension-apiserver-authentication";
constexpr std::string_view kClientCa = "client-ca-file";

void respond_text(net::Exchange& exchange, int code, std::string_view type, std::string text) {
  exchange.respond(code, {{"Content-Type", std::string(type)}}, std::move(text));
}

void respond_failure(net::Exchange& exchange, const Status& status) {
  respond_text(exchange, status.code(), kJson, api::status_json(status));
}

std::string host_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return host.data();
}

/// NAME.crt and NAME.key in `folder`: what is there, if it is good for a month, else a new self-signed pair.
Status ensure_self_signed(const std::string& folder, const std::string& name, const std::string& address, Clock& clock,
                          net::TlsServerOptions& tls) {
  tls.certificate_file = folder + "/" + name + ".crt";
  tls.key_file = folder + "/" + name + ".key";
  const WallTime now = clock.now();
  if (const auto there = linux::read_file(tls.certificate_file); there.ok()) {
    const auto info = net::parse_certificate(*there);
    if (info.ok() && info->not_after > now + std::chrono::hours(24 * 30)) return {};
  }
  const WallTime begin = now - std::chrono::hours(1), end = now + std::chrono::hours(24 * 365);
  TRY_ASSIGN(const net::CertifiedKey authority, net::create_authority(name + "-ca", begin, end));
  net::CertificateSpec spec;
  spec.common_name = name;
  spec.use = net::CertificateUse::kServer;
  spec.dns_names = {"localhost", host_name()};
  spec.ip_addresses = {"127.0.0.1", "::1"};
  if (address != "0.0.0.0" && address != "::" && address != "127.0.0.1" && address != "::1") {
    spec.ip_addresses.push_back(address);
  }
  spec.not_before = begin;
  spec.not_after = end;
  TRY_ASSIGN(const net::CertifiedKey pair, net::issue_certificate(authority, spec));
  TRY(linux::write_file(tls.key_file, pair.key_pem, 0600));
  return linux::write_file(tls.certificate_file, pair.certificate_pem + authority.certificate_pem, 0644);
}

}  // namespace

void add_serving_flags(FlagSet& flags, ServingOptions& options) {
  flags.add("bind-address", &options.bind_address, "address of the server of health and metrics");
  flags.add("secure-port", &options.secure_port, "its HTTPS port; 0: none");
  flags.add("cert-dir", &options.cert_dir, "folder of the self-signed certificate that is made when none is given");
  flags.add("tls-cert-file", &options.tls_cert_file, "the server's certificate");
  flags.add("tls-private-key-file", &options.tls_private_key_file, "its key");
  flags.add("client-ca-file", &options.client_ca_file,
            "authority of the clients' certificates; empty: the one that the API server publishes");
  flags.add("authentication-kubeconfig", &options.authentication_kubeconfig,
            "how to reach the API server that knows the tokens; empty: as --kubeconfig");
  flags.add("authorization-kubeconfig", &options.authorization_kubeconfig,
            "how to reach the API server that knows the rights; empty: as --kubeconfig");
  flags.add("authentication-tolerate-lookup-failure", &options.tolerate_lookup_failure,
            "serve without client certificates when the API server's authority cannot be read");
  flags.add("authentication-token-webhook-cache-ttl", &options.access.token_ttl, "how long a token stays known");
  flags.add("authorization-webhook-cache-authorized-ttl", &options.access.allowed_ttl, "how long a right stays known");
  flags.add("authorization-webhook-cache-unauthorized-ttl", &options.access.denied_ttl,
            "how long the lack of a right stays known");
  flags.add("authorization-always-allow-paths", &options.access.always_allowed, "paths that everybody may read");
}

Status check(const ServingOptions& options) {
  if (options.tls_cert_file.empty() != options.tls_private_key_file.empty()) {
    return Status::bad_request("flags --tls-cert-file and --tls-private-key-file go together");
  }
  if (options.secure_port < 0 || options.secure_port > 65535) {
    return Status::bad_request(fmt::format("flag --secure-port: {} is not a port", options.secure_port));
  }
  return {};
}

Result<std::unique_ptr<ComponentServer>> ComponentServer::start(const ServingOptions& options, ServedContent content,
                                                                client::Client tokens, client::Client rights,
                                                                std::shared_ptr<Clock> clock) {
  if (options.secure_port == 0) return std::unique_ptr<ComponentServer>();
  client::Client client = tokens;
  std::unique_ptr<ComponentServer> made(
      new ComponentServer(std::move(content), std::move(tokens), std::move(rights), clock, options.access));
  net::ServerOptions serving;
  serving.address = options.bind_address;
  serving.port = static_cast<uint16_t>(options.secure_port);
  serving.workers = 2;
  serving.tls.emplace();
  TRY(made->prepare(options, client, *clock, *serving.tls));
  TRY_ASSIGN(made->server_, net::Server::start(std::move(serving), *made));
  log::info("Serving health and metrics", {{"address", options.bind_address}, {"port", made->server_->port()}});
  return made;
}

ComponentServer::~ComponentServer() {
  server_.reset();
  if (!temporary_folder_.empty()) (void)linux::remove_tree(temporary_folder_);
}

Status ComponentServer::prepare(const ServingOptions& options, client::Client& client, Clock& clock,
                                net::TlsServerOptions& tls) {
  const auto temporary = [this]() -> Result<std::string> {
    if (!temporary_folder_.empty()) return temporary_folder_;
    std::string pattern = "/tmp/" + content_.component + "-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return Status::internal("cannot make a folder below /tmp");
    temporary_folder_ = pattern;
    return temporary_folder_;
  };
  tls.certificate_file = options.tls_cert_file;
  tls.key_file = options.tls_private_key_file;
  if (tls.certificate_file.empty()) {
    std::string folder = options.cert_dir;
    if (folder.empty()) {
      TRY_ASSIGN(folder, temporary());
    } else {
      TRY(linux::make_dirs(folder, 0755));
    }
    TRY(ensure_self_signed(folder, content_.component, options.bind_address, clock, tls));
  }
  tls.client_ca_file = options.client_ca_file;
  if (!tls.client_ca_file.empty()) return {};
  const auto map = client.get<api::corev1::ConfigMap>("kube-system", kAuthenticationMap);
  if (!map.ok() && !options.tolerate_lookup_failure) return map.status();
  const auto authority = map.ok() ? map->data.find(kClientCa) : decltype(map->data.find(kClientCa))();
  if (!map.ok() || authority == map->data.end()) {
    log::warning("The authority of client certificates is not known: only tokens prove who somebody is",
                 {{"error", map.status()}});
    return {};
  }
  TRY_ASSIGN(const std::string folder, temporary());
  tls.client_ca_file = folder + "/client-ca.crt";
  return linux::write_file(tls.client_ca_file, authority->second, 0644);
}

void ComponentServer::set_metrics(std::function<std::string()> metrics) {
  const std::lock_guard lock(metrics_mutex_);
  metrics_ = std::move(metrics);
}

void ComponentServer::handle(std::shared_ptr<net::Exchange> exchange) {
  const net::Request& request = exchange->request();
  const auto user = access_.authenticate(request);
  if (!user.ok()) return respond_failure(*exchange, user.status());
  if (const Status may = access_.authorize(*user, request); !may.ok()) return respond_failure(*exchange, may);
  serve(*exchange);
}

void ComponentServer::serve(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  if (request.method != "GET" && request.method != "HEAD") {
    return respond_text(exchange, 405, kText, "Method Not Allowed\n");
  }
  for (const std::string_view endpoint : {"healthz", "livez", "readyz"}) {
    if (respond_health(exchange, endpoint, content_.checks)) return;
  }
  const std::string_view path = request.path();
  if (path == "/metrics") {
    const std::lock_guard lock(metrics_mutex_);
    return respond_text(exchange, 200, kMetricsText, metrics_ ? metrics_() : std::string());
  }
  if (path == "/configz" && content_.configz) return respond_text(exchange, 200, kJson, content_.configz());
  respond_text(exchange, 404, kText, "404 page not found\n");
}

bool respond_health(net::Exchange& exchange, std::string_view endpoint,
                    const std::vector<std::pair<std::string, std::function<Status()>>>& checks) {
  std::string_view path = exchange.request().path();
  if (!path.starts_with('/') || !path.substr(1).starts_with(endpoint)) return false;
  path.remove_prefix(1 + endpoint.size());
  if (!path.empty() && !path.starts_with('/')) return false;
  const std::string_view only = path.empty() ? path : path.substr(1);
  const auto query = net::parse_query(exchange.request().query());
  const auto asked = [&](std::string_view key, std::string_view value) {
    return std::ranges::any_of(
        query, [&](const auto& each) { return each.first == key && (value.empty() || each.second == value); });
  };
  std::string report;
  bool healthy = true, found = only.empty();
  const auto run = [&](const std::string& name, const std::function<Status()>& check) {
    if (!only.empty() && only != name) return;
    found = true;
    if (asked("exclude", name)) {
      report += fmt::format("[+]{} excluded: ok\n", name);
      return;
    }
    const bool good = check().ok();
    healthy = healthy && good;
    report += good ? fmt::format("[+]{} ok\n", name) : fmt::format("[-]{} failed: reason withheld\n", name);
  };
  run("ping", [] { return Status(); });
  for (const auto& [name, check] : checks) run(name, check);
  if (!found) return false;
  if (!healthy) {
    respond_text(exchange, 500, kText, fmt::format("{}{} check failed\n", report, endpoint));
  } else if (only.empty() && asked("verbose", "")) {
    respond_text(exchange, 200, kText, fmt::format("{}{} check passed\n", report, endpoint));
  } else {
    respond_text(exchange, 200, kText, "ok");
  }
  return true;
}

Result<std::unique_ptr<HealthPort>> HealthPort::start(const std::string& address, uint16_t port) {
  auto made = std::make_unique<HealthPort>();
  net::ServerOptions options;
  options.address = address;
  options.port = port;
  options.workers = 1;
  TRY_ASSIGN(made->server_, net::Server::start(std::move(options), *made));
  return made;
}

void HealthPort::handle(std::shared_ptr<net::Exchange> exchange) {
  if (!respond_health(*exchange, "healthz", {})) respond_text(*exchange, 404, kText, "404 page not found\n");
}

}  // namespace trireme::cmd
