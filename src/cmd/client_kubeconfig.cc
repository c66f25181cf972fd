#include "cmd/client_kubeconfig.h"

#include <fmt/format.h>

#include <utility>

#include "client/client.h"
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

Result<client::ClientConfig> given_client_config(const std::string& file) {
  if (file.empty()) return client::default_client_config();
  TRY_ASSIGN(const client::Kubeconfig kubeconfig, client::load_kubeconfig({file}));
  return client::client_config(kubeconfig);
}

Result<std::shared_ptr<client::RawClient>> connect_by_kubeconfig(const std::string& file,
                                                                 const std::string& user_agent) {
  TRY_ASSIGN(client::ClientConfig config, given_client_config(file));
  TRY_ASSIGN(auto transport, client::connect(std::move(config)));
  return std::make_shared<client::RawClient>(std::move(transport), user_agent);
}

}  // namespace trireme::cmd
