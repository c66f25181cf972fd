#pragma once

#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "controllers/certificates/request_checks.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Whether a kubelet may have a serving certificate for the names in `info`: DNS names are the node's own name or names
/// that its status has, addresses are those of its status, no other node's, and none of `reserved` (addresses of
/// services and of the API server, for which a node must never be able to speak). The failure tells why not. Pure.
Status check_serving_names(const net::CertificateInfo& info, const api::corev1::Node& node,
                           const std::vector<std::shared_ptr<const api::corev1::Node>>& nodes,
                           const std::vector<std::string>& reserved);

/// Approves the serving certificates that kubelets ask for, when the node asks for itself and `check_serving_names`
/// holds. Upstream leaves this signer's approval to people or to an add-on; without it no log of a joined node could be
/// read before somebody ran `kubectl certificate approve`. What does not fit stays undecided: the node's status may
/// follow, and people may decide otherwise. Keys are names of requests.
/// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation
class ServingApprovingController final : public Controller {
 public:
  explicit ServingApprovingController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  Result<std::vector<std::string>> reserved_addresses();

  client::Informer<api::certificatesv1::CertificateSigningRequest>& requests_;
  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::corev1::Service>& services_;
};

}  // namespace trireme::controllers
