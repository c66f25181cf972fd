#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/names.h"
#include "apiserver/admission/admission.h"
#include "apiserver/authn/authn.h"
#include "apiserver/authz/authz.h"
#include "apiserver/watch/caches.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "net/transport.h"
#include "store/store.h"

namespace trireme::apiserver {

struct Options {
  std::shared_ptr<store::Store> store;
  std::shared_ptr<Clock> clock;
  /// Shared with authenticators, authorizers and admission plugins that read objects; made from `store` when null.
  std::shared_ptr<Caches> caches;
  std::shared_ptr<authn::Authenticator> authenticator;  ///< Null: every caller is anonymous.
  std::shared_ptr<authz::Authorizer> authorizer;        ///< Null: everything is allowed.
  admission::Chain admission;
  std::shared_ptr<authn::TokenIssuer> token_issuer;  ///< Null: serviceaccounts/token is answered 501.
  bool anonymous = true;                             ///< Callers without credentials become system:anonymous, else 401.

  std::string service_cidr = "10.96.0.0/16";
  uint16_t first_node_port = 30000;
  uint16_t last_node_port = 32767;
  std::string advertise_address = "127.0.0.1";  ///< The endpoint of the service default/kubernetes.
  uint16_t advertise_port = 6443;
  Duration event_ttl = std::chrono::hours(1);
  bool sole_writer = true;  ///< See CachesOptions.
  /// For uids, generated names, addresses of services and the ends of watches. Called from any worker thread.
  api::RandomSource random = api::system_random;

  /// Opens a connection to a kubelet ("https://10.0.0.5:10250") with the server's client certificate, for logs.
  /// Null: such subresources are answered 501.
  std::function<Result<std::unique_ptr<net::Transport>>(const std::string& base_url)> kubelet_transport;
};

/// A request that has been authenticated, on its way to a registered path.
struct Call {
  std::shared_ptr<net::Exchange> exchange;
  authn::UserInfo user;  ///< After impersonation.
};

/// Serves a path of its own below the API server (the 2014 API, aggregated APIs). Called on worker threads.
class PathHandler {
 public:
  virtual ~PathHandler() = default;
  virtual void handle(Call call) = 0;
};

/// The whole API server as an HTTP handler: authentication, authorization, admission, registry, watch caches,
/// discovery. Thread-safe. Destruction ends watches and streams and waits for them.
class ApiServer : public net::Handler {
 public:
  /// Reads the store, and creates what every cluster has: the namespaces default, kube-system, kube-public and
  /// kube-node-lease, and the service default/kubernetes.
  static Result<std::unique_ptr<ApiServer>> create(Options options);

  /// The whole pipeline.
  void handle(std::shared_ptr<net::Exchange> exchange) override = 0;
  /// The pipeline from authorization on, for a user known already: how registered paths call the API. The exchange
  /// may be of the caller's own making (to translate answers and watches).
  virtual void dispatch(std::shared_ptr<net::Exchange> exchange, const authn::UserInfo& user) = 0;
  /// `dispatch` of one request whose answer is not a stream; blocks until it is complete.
  virtual net::Response call(net::Request request, const authn::UserInfo& user) = 0;

  /// Serves `path` and everything below it ("/api/v1beta1" also takes "/api/v1beta1/pods") by `handler`. With
  /// `authorize` the path is authorized as a non-resource URL first; without, the handler must see to that.
  /// The registration functions are called before serving starts.
  virtual void add_path(std::string path, std::shared_ptr<PathHandler> handler, bool authorize) = 0;
  /// A check of /livez and /readyz: OK, or what is wrong. Quick.
  virtual void add_check(std::string name, std::function<Status()> check) = 0;
  /// Appends Prometheus text to /metrics.
  virtual void add_metrics(std::function<void(std::string& out)> collect) = 0;

  virtual Caches& caches() = 0;
  /// From now on /readyz fails; requests are still answered (graceful termination).
  virtual void begin_shutdown() = 0;
};

}  // namespace trireme::apiserver
