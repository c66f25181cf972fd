#include "cmd/node_ingress.h"

#include <fmt/format.h>

#include <utility>

#include "api/types/networkingv1.h"
#include "client/client.h"
#include "cmd/cluster_options.h"
#include "ingress/ingress_controller.h"

namespace trireme::cmd {

Result<std::unique_ptr<ingress::IngressController>> start_node_ingress(const ClusterOptions& options,
                                                                       std::shared_ptr<net::Transport> transport,
                                                                       std::shared_ptr<Clock> clock) {
  ingress::IngressOptions ingress;
  ingress.folder = options.ingress_folder();
  ingress.http_port = options.ingress_http_port;
  ingress.https_port = options.ingress_https_port;
  ingress.published = options.node_addresses();
  auto raw = std::make_shared<client::RawClient>(std::move(transport), "trireme-ingress");
  return ingress::IngressController::start(std::move(ingress), {std::move(raw), std::move(clock)});
}

std::string missing_ingress_grant(const ClusterOptions& options, std::shared_ptr<net::Transport> transport) {
  client::Client client(std::make_shared<client::RawClient>(std::move(transport), "trireme-ingress"));
  client::ListOptions one;
  one.limit = 1;
  const auto listed = client.list<api::networkingv1::Ingress, api::networkingv1::IngressList>("", one);
  if (!listed.status().is(Reason::kForbidden)) return {};
  return fmt::format(
      "kubectl create clusterrolebinding trireme-ingress:{0} --clusterrole=system:trireme-ingress "
      "--user=system:node:{0}",
      options.node_name);
}

}  // namespace trireme::cmd
