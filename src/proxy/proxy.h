#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"
#include "proxy/applier.h"
#include "proxy/rules.h"

namespace trireme::proxy {

struct ProxyOptions {
  std::string node_name;
  Options rules;
  bool ip4 = true;
  bool ip6 = true;  ///< Where the kernel has it.
  /// Of /healthz and /livez; none: off. All IPv4 addresses stand for all addresses, here and below, as to a Go program.
  std::optional<HostPort> healthz;
  /// Of /metrics, /proxyMode, /configz and /healthz; none: off.
  std::optional<HostPort> metrics;
  /// A port of these two that is taken fails the start; else it is logged.
  bool hard_fail = false;
  /// What /configz shows: JSON; empty: nothing.
  std::string configz;
  /// On which the health check node ports listen.
  std::string health_check_address = "0.0.0.0";
  /// The rules are written at most once in this time, after the first two writes at once.
  Duration min_sync_period = std::chrono::milliseconds(100);
  /// A change that has waited twice as long makes the proxy unhealthy.
  Duration sync_period = std::chrono::seconds(30);
};

struct ProxyDependencies {
  /// Must outlive the proxy; may be shared.
  client::InformerFactory& informers;
  std::shared_ptr<Clock> clock;
  /// Null: nftables in the network namespace of the thread that starts the proxy.
  std::unique_ptr<Applier> applier;
  /// For events; null: none.
  std::shared_ptr<client::EventBroadcaster> events;
};

/// The service proxy of a node: makes the kernel send what is for services to their endpoints. It takes over the rules
/// of an earlier run, and leaves them standing when it stops.
class Proxy {
 public:
  /// Returns once the thread runs; the rules stand when the informers have their first lists. Fails on bad options and
  /// without the right to change rules.
  static Result<std::unique_ptr<Proxy>> start(ProxyOptions options, ProxyDependencies dependencies);
  virtual ~Proxy() = default;

  /// Waits until everything that had been reported when it was called stands in the rules. False: not in that time.
  virtual bool wait_applied(Duration timeout) = 0;
  /// Prometheus text, by kube-proxy's names.
  virtual std::string metrics() const = 0;
  /// Of the servers; 0 when they are off.
  virtual uint16_t healthz_port() const = 0;
  virtual uint16_t metrics_port() const = 0;
};

/// Removes everything that the proxy leaves in the kernel.
Status remove_proxy_rules();

/// The flags' texts: "10.244.0.0/16,fd00::/56"; "primary" or a list for node ports. BadRequest when they are none.
Result<std::vector<Prefix>> parse_prefixes(const std::vector<std::string>& texts, std::string_view flag);
Status parse_nodeport_addresses(const std::vector<std::string>& texts, Options& options);

}  // namespace trireme::proxy
