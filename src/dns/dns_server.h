#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace trireme::client {
class InformerFactory;
}

namespace trireme::dns {

struct DnsOptions {
  std::vector<std::string> addresses;            ///< --cluster-dns: what it listens on; need not be assigned yet.
  uint16_t port = 53;                            ///< 0: any free port; see DnsServer::port.
  std::string domain = "cluster.local";          ///< --cluster-domain
  std::vector<std::string> reverse_ranges;       ///< Of services and pods: "10.96.0.0/16".
  std::string resolv_conf = "/etc/resolv.conf";  ///< Names the upstream servers; empty: none.
  std::vector<std::string> upstreams;            ///< Instead of resolv_conf's: "10.0.0.1", "10.0.0.1:5353".
  std::vector<std::string> stub_domains;         ///< "corp.example=10.0.0.1,10.0.0.2"
  size_t max_concurrent = 1000;                  ///< Forwarded queries under way.
  size_t cache_bytes = size_t{8} << 20;
  size_t max_tcp_connections = 512;
  int workers = 0;          ///< UDP threads for each address; 0: one a processor, at most four.
  int metrics_port = 9153;  ///< Of /metrics, /health and /ready on the first address; 0: any free; negative: none.
};

struct DnsDeps {
  client::InformerFactory* informers = nullptr;  ///< Services, EndpointSlices and Namespaces; started by its owner.
  std::shared_ptr<Clock> clock;
};

/// The cluster's DNS server: UDP and TCP on its own threads, following Services, EndpointSlices and Namespaces.
/// Before the first lists have come, names of the cluster are answered SERVFAIL, so that nobody takes them for absent.
/// Thread-safe. Destruction stops the threads and closes the sockets; the informers' handlers stay behind, without
/// effect.
class DnsServer {
 public:
  /// BadRequest for options that cannot be read; InternalError when an address cannot be listened on.
  static Result<std::unique_ptr<DnsServer>> start(DnsOptions options, DnsDeps deps);
  virtual ~DnsServer() = default;

  virtual uint16_t port() const = 0;
  virtual uint16_t metrics_port() const = 0;
  /// In Prometheus' text format, by CoreDNS's names.
  virtual std::string metrics() const = 0;
  virtual bool synced() const = 0;
};

}  // namespace trireme::dns
