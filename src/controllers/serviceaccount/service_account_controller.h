#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/types/corev1.h"
#include "base/metrics.h"
#include "client/reflector.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Keeps a service account "default" in every active namespace. Keys are names of namespaces.
/// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-controller
class ServiceAccountController final : public Controller {
 public:
  explicit ServiceAccountController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::Namespace>& namespaces_;
  client::Informer<api::corev1::ServiceAccount>& accounts_;
};

/// Publishes the cluster's CA certificate to every active namespace, as config map kube-root-ca.crt, from where pods
/// project it. Keys are names of namespaces.
/// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume
class RootCaPublisher final : public Controller, public metrics::Source {
 public:
  explicit RootCaPublisher(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  client::Informer<api::corev1::Namespace>& namespaces_;
  Status publish(const std::string& ns);

  std::shared_ptr<client::Reflector> maps_;  ///< Metadata only: the content of all config maps is not worth caching.
  metrics::Counters syncs_;
  metrics::Histograms duration_;
  std::mutex mutex_;
  std::map<std::string, std::string> verified_;  ///< By namespace: the version of the map that was seen to be right.
};

}  // namespace trireme::controllers
