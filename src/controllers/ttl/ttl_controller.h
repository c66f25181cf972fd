#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Where a cluster stands on the ladder of sizes, by which kubelets keep secrets and config maps for longer the more
/// of them ask. Steps up and down lie apart, so that a cluster at a border does not flap.
class TtlLadder {
 public:
  /// Takes the number of nodes; true when the step changed.
  bool set_nodes(size_t nodes);
  int seconds() const;

 private:
  size_t step_ = 0;
};

/// Writes the annotation node.alpha.kubernetes.io/ttl. Keys are names of nodes.
class TtlController final : public Controller {
 public:
  explicit TtlController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::Node>& nodes_;
  size_t count_ = 0;  ///< Only the informer's thread's, like the ladder.
  TtlLadder ladder_;
  std::atomic<int> seconds_ = 0;
};

}  // namespace trireme::controllers
