#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"
#include "join/cluster_info.h"
#include "join/switching_transport.h"
#include "net/x509.h"

namespace trireme::join {

struct NodeCertificateOptions {
  std::string folder;  ///< Of kubelet-client.pem and kubelet-server.pem, certificate and key in one file each, 0600.
  std::string node_name;
  ClusterAddress cluster;
};

/// A joined node's two certificates: how it proves itself to the API server, and what its own server shows. Both are
/// renewed by requests to the cluster before they end, and the serving certificate also when the node's addresses
/// change. Who uses them need not be started again: the transport goes over to the new certificate, and TLS servers
/// read their files again when they change. Thread-safe.
class NodeCertificates {
 public:
  NodeCertificates(NodeCertificateOptions options, std::shared_ptr<Clock> clock);
  ~NodeCertificates() { stop(); }

  /// Reads the client certificate that an earlier run has obtained. NotFound when there is none, Expired when its time
  /// is over (only a bootstrap token helps then).
  Status load();
  /// Obtains the first client certificate, as a holder of a bootstrap token.
  Status obtain(client::Client bootstrap);

  /// To the API server, as this node. After `load` or `obtain`.
  std::shared_ptr<net::Transport> transport() const { return transport_; }

  std::string serving_file() const { return options_.folder + "/kubelet-server.pem"; }
  /// Makes sure that there is a serving certificate to start with: what an earlier run has left, or, until the cluster
  /// has issued one, one signed by nobody.
  Status prepare_serving(const std::vector<std::string>& addresses);
  /// Begins to renew both when they are due. The Node object should exist: the cluster compares addresses with it.
  void start();
  void stop();
  /// The node's addresses have changed. When one has gone, what is under way to the API server begins anew: its
  /// connections may have come from there.
  void set_addresses(std::vector<std::string> addresses);
  /// Until the cluster has issued a serving certificate for the present addresses; false after `timeout`.
  bool wait_serving(Duration timeout);

 private:
  struct Held {
    net::CertificateInfo info;
    WallTime renew_at;
  };
  static Result<net::CertifiedKey> read_pair(const std::string& file);
  Result<std::shared_ptr<net::Transport>> connect(const net::CertifiedKey& pair) const;
  Status use_client(const net::CertifiedKey& pair);
  Held held(const net::CertificateInfo& info) const;
  bool serving_fits(const std::vector<std::string>& addresses) const;
  Status renew_client(std::stop_token stop);
  Status renew_serving(const std::vector<std::string>& addresses, std::stop_token stop);
  void run(std::stop_token stop);

  const NodeCertificateOptions options_;
  const std::shared_ptr<Clock> clock_;
  std::shared_ptr<SwitchingTransport> transport_;
  std::optional<client::Client> client_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::string> addresses_;
  uint64_t generation_ = 0;  ///< Of the addresses.
  bool due_ = false;
  std::stop_source interrupt_;  ///< Of a request for addresses that no longer hold.
  std::optional<Held> client_held_;
  std::optional<Held> serving_held_;
  std::jthread thread_;
};

}  // namespace trireme::join
