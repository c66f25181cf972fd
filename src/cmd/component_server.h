#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/flags.h"
#include "base/result.h"
#include "client/client.h"
#include "cmd/delegated.h"
#include "net/http.h"
#include "net/server.h"

namespace trireme::cmd {

/// The flags by which a component that runs as a process of its own serves its health, metrics and configuration, by
/// upstream's names and with its defaults.
struct ServingOptions {
  std::string bind_address = "0.0.0.0";
  int secure_port = 0;   ///< 0: nothing is served.
  std::string cert_dir;  ///< Where a self-signed certificate is made when none is given; empty: a temporary folder.
  std::string tls_cert_file, tls_private_key_file;
  std::string client_ca_file;  ///< Empty: the one that the API server publishes.
  bool tolerate_lookup_failure = true;
  std::string authentication_kubeconfig, authorization_kubeconfig;  ///< Empty: the component's own.
  DelegatedAccess::Options access;
};
void add_serving_flags(FlagSet& flags, ServingOptions& options);
/// BadRequest for a certificate without its key, and for a port that is none.
Status check(const ServingOptions& options);

/// What is served. The functions are called on any thread.
struct ServedContent {
  std::string component;  ///< "kube-scheduler": names the certificate.
  /// Checks of /healthz, /livez and /readyz, each also at a path of its own, besides "ping".
  std::vector<std::pair<std::string, std::function<Status()>>> checks;
  std::function<std::string()> configz;  ///< JSON.
};

/// A component's own HTTPS server: /healthz, /livez, /readyz, /metrics and /configz, for whom the API server allows it.
class ComponentServer final : public net::Handler {
 public:
  /// Serves at once. Null when the port is 0.
  static Result<std::unique_ptr<ComponentServer>> start(const ServingOptions& options, ServedContent content,
                                                        client::Client tokens, client::Client rights,
                                                        std::shared_ptr<Clock> clock);
  ~ComponentServer() override;
  uint16_t port() const { return server_->port(); }

  /// What /metrics shows; null takes it away, and returns when nobody reads it any more.
  void set_metrics(std::function<std::string()> metrics);

  void handle(std::shared_ptr<net::Exchange> exchange) override;

 private:
  ComponentServer(ServedContent content, client::Client tokens, client::Client rights, std::shared_ptr<Clock> clock,
                  const DelegatedAccess::Options& access)
      : content_(std::move(content)), access_(std::move(tokens), std::move(rights), std::move(clock), access) {}
  Status prepare(const ServingOptions& options, client::Client& client, Clock& clock, net::TlsServerOptions& tls);
  void serve(net::Exchange& exchange);

  ServedContent content_;
  DelegatedAccess access_;
  std::string temporary_folder_;
  std::mutex metrics_mutex_;
  std::function<std::string()> metrics_;
  std::unique_ptr<net::Server> server_;
};

/// Answers a health check at "/healthz" or below it as upstream does: "ok", or with `?verbose` and after a failure a
/// line for each of `checks`. False when `path` is none of `endpoint`'s.
bool respond_health(net::Exchange& exchange, std::string_view endpoint,
                    const std::vector<std::pair<std::string, std::function<Status()>>>& checks);

/// Plain HTTP with nothing but /healthz: the kubelet's --healthz-port.
class HealthPort final : public net::Handler {
 public:
  static Result<std::unique_ptr<HealthPort>> start(const std::string& address, uint16_t port);
  uint16_t port() const { return server_->port(); }
  void handle(std::shared_ptr<net::Exchange> exchange) override;

 private:
  std::unique_ptr<net::Server> server_;
};

}  // namespace trireme::cmd
