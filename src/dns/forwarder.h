#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dns/answer.h"
#include "dns/loop.h"
#include "dns/metrics.h"
#include "dns/relay.h"
#include "dns/upstreams.h"

namespace trireme::dns {

struct ForwardOptions {
  std::string resolv_conf = "/etc/resolv.conf";  ///< Read anew when it changes; empty: no upstream servers by it.
  std::vector<Endpoint> servers;                 ///< Instead of resolv_conf's, when not empty.
  std::vector<StubDomain> stub_domains;
  std::vector<Endpoint> own;     ///< Where this server listens: asking itself would go round.
  size_t max_concurrent = 1000;  ///< Queries under way; more are answered REFUSED, as CoreDNS does.
  size_t cache_bytes = size_t{8} << 20;
  uint32_t cache_seconds = 30;  ///< The longest time an answer is kept.
  Duration attempt_timeout = std::chrono::seconds(2);
  Duration total_timeout = std::chrono::seconds(5);
};

/// A query that is to be asked of others.
struct ForwardRequest {
  std::vector<uint8_t> packet;
  Query query;
  bool tcp = false;
  Name ask;                                   ///< The query's name, or what its CNAME leads to.
  std::vector<uint8_t> partial;               ///< With a CNAME: the answer so far.
  std::function<void(Bytes response)> reply;  ///< Called once, on the loop's thread, unless the forwarder ends before.
};

/// Asks the upstream servers. Each question goes out from a socket, a port and with a number of its own, and only once
/// however many clients wait for it; who is asked is what `UpstreamGroup` says.
class Forwarder {
 public:
  Forwarder(Loop& loop, ForwardOptions options);
  ~Forwarder();

  /// What is known already, written to `out`; 0 when it must be asked. Any thread.
  size_t from_cache(const ForwardRequest& request, std::span<uint8_t> out, Metrics& metrics);
  /// The same without a copy of the packet, for the usual query: its own name, nothing before it.
  size_t from_cache(const Query& query, Bytes packet, bool tcp, std::span<uint8_t> out, Metrics& metrics);
  /// Takes the request; false when there are too many (it is not answered then). Any thread.
  bool submit(ForwardRequest request);

  size_t in_flight() const { return in_flight_; }
  const Cache& cache() const { return cache_; }
  const Metrics& metrics() const { return metrics_; }

 private:
  struct Pending;
  void start(ForwardRequest request);
  void attempt(const std::shared_ptr<Pending>& pending);
  void attempt_udp(const std::shared_ptr<Pending>& pending);
  void attempt_tcp(const std::shared_ptr<Pending>& pending);
  void on_udp(const std::shared_ptr<Pending>& pending);
  void on_tcp(const std::shared_ptr<Pending>& pending, uint32_t events);
  void failed(const std::shared_ptr<Pending>& pending);
  void give_up(const std::shared_ptr<Pending>& pending);
  void answered(const std::shared_ptr<Pending>& pending, std::shared_ptr<const Relayed> relayed);
  void close(Pending& pending);
  void reply(ForwardRequest& request, Bytes response);
  UpstreamGroup& group_of(const Name& name);
  void read_servers();
  void check_for_loop(const std::shared_ptr<Upstream>& upstream);
  bool is_loop_token(const ForwardRequest& request);
  void probe(const std::shared_ptr<Upstream>& upstream, Duration wait);

  Loop& loop_;
  const ForwardOptions options_;
  Cache cache_;
  Metrics metrics_;  ///< Of the loop's thread.
  std::atomic<size_t> in_flight_ = 0;
  UpstreamGroup default_group_;
  std::vector<std::pair<Name, UpstreamGroup>> stub_groups_;  ///< The longest names first.
  std::unordered_map<std::string, std::shared_ptr<Pending>> pending_;
  size_t turn_ = 0;
  Duration servers_read_{-1};
  timespec servers_changed_{};
};

}  // namespace trireme::dns
