#include "cmd/client_kubeconfig.h"

#include <fmt/format.h>

#include <utility>

#include "client/kubeconfig.h"
#include "linux/file.h"

namespace trireme::cmd {

std::string server_address(const std::string& host, uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("https://{}:{}", host, port)
                                             : fmt::format("https://[{}]:{}", host, port);
}

Status write_client_kubeconfig(Pki& pki, const ClusterOptions& options, uint16_t port, const std::string& name,
                               const std::string& common_name, std::vector<std::string> organizations) {
  TRY_ASSIGN(net::CertifiedKey pair, pki.ensure({.name = name,
                                                 .common_name = common_name,
                                                 .organizations = std::move(organizations),
                                                 .use = net::CertificateUse::kClient,
                                                 .dns_names = {},
                                                 .ip_addresses = {}}));
  client::KubeconfigCluster cluster;
  bool everywhere = options.bind_address == "0.0.0.0" || options.bind_address == "::";
  cluster.server = server_address(everywhere ? "127.0.0.1" : options.bind_address, port);
  cluster.ca_pem = pki.authority_pem();
  client::KubeconfigUser user;
  user.certificate_pem = pair.certificate_pem;
  user.key_pem = pair.key_pem;
  return linux::replace_file(fmt::format("{}/{}.kubeconfig", options.data_dir, name),
                             client::kubeconfig_text("trireme", common_name, cluster, user));
}

}  // namespace trireme::cmd
