#pragma once

#include <string>

#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Ends namespaces that are being deleted: empties them, then takes the finalizer "kubernetes" away.
/// Keys are names of namespaces.
/// https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
class NamespaceController final : public Controller {
 public:
  explicit NamespaceController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  Status finalize(api::corev1::Namespace ns);

  client::Informer<api::corev1::Namespace>& namespaces_;
  client::Informer<api::corev1::Pod>& pods_;
};

}  // namespace trireme::controllers
