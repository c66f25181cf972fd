#pragma once

#include <string>

#include "controllers/certificates/request_checks.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Approves the client certificates that kubelets ask for, when the asking user may have them: a
/// SubjectAccessReview on certificatesigningrequests/selfnodeclient (renewing its own) or nodeclient (a bootstrap
/// token's first). Keys are names of requests.
/// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#approval
class CsrApprovingController final : public Controller {
 public:
  explicit CsrApprovingController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  Result<bool> may(const api::certificatesv1::CertificateSigningRequestSpec& spec, std::string_view subresource);

  client::Informer<api::certificatesv1::CertificateSigningRequest>& requests_;
};

/// Signs approved requests for the four signers of the cluster itself, with the cluster's authority. A request that its
/// signer cannot serve gets the condition Failed. Keys are names of requests.
/// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
class CsrSigningController final : public Controller {
 public:
  explicit CsrSigningController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  Status fail(const api::certificatesv1::CertificateSigningRequest& request, std::string message);

  client::Informer<api::certificatesv1::CertificateSigningRequest>& requests_;
};

/// Deletes requests when they have served their time (`clean_up_at`). Keys are names of requests.
class CsrCleanerController final : public Controller {
 public:
  explicit CsrCleanerController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::certificatesv1::CertificateSigningRequest>& requests_;
};

}  // namespace trireme::controllers
