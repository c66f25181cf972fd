#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/cluster_options.h"
#include "cmd/pki.h"

namespace trireme::cmd {

/// "https://192.0.2.1:6443", "https://[2001:db8::1]:6443".
std::string server_address(const std::string& host, uint16_t port);

/// Writes DATA-DIR/NAME.kubeconfig (mode 0600): the API server on `port` of this machine, reached as `common_name` with
/// a client certificate of the cluster's authority.
Status write_client_kubeconfig(Pki& pki, const ClusterOptions& options, uint16_t port, const std::string& name,
                               const std::string& common_name, std::vector<std::string> organizations);

}  // namespace trireme::cmd
