#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/cluster_options.h"
#include "cmd/pki.h"

namespace trireme::client {
struct ClientConfig;
class RawClient;
}  // namespace trireme::client

namespace trireme::cmd {

/// "https://192.0.2.1:6443", "https://[2001:db8::1]:6443".
std::string server_address(const std::string& host, uint16_t port);

/// Writes DATA-DIR/NAME.kubeconfig (mode 0600): the API server on `port` of this machine, reached as `common_name` with
/// a client certificate of the cluster's authority.
Status write_client_kubeconfig(Pki& pki, const ClusterOptions& options, uint16_t port, const std::string& name,
                               const std::string& common_name, std::vector<std::string> organizations);

/// How to reach the API server as the flag --kubeconfig says: by `file`, or, when it is empty, as kubectl would.
Result<client::ClientConfig> given_client_config(const std::string& file);
Result<std::shared_ptr<client::RawClient>> connect_by_kubeconfig(const std::string& file,
                                                                 const std::string& user_agent);

}  // namespace trireme::cmd
