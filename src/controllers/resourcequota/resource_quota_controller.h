#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/quota/evaluator.h"
#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/custom_kinds.h"

namespace trireme::controllers {

/// Recounts what the objects of a namespace use of its quotas, and writes it to their status. Admission charges in
/// between; this finds what was deleted, finished, or charged and then not written.
///
/// Keys are quotas. A recount happens at once when something goes or changes what it costs, within seconds of other
/// changes, and every --resource-quota-sync-period.
/// https://kubernetes.io/docs/concepts/policy/resource-quotas/
class ResourceQuotaController final : public Controller {
 public:
  explicit ResourceQuotaController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  /// Asks what is served besides the built-in resources.
  void begin() override;

 private:
  /// A resource whose objects quotas count.
  struct Counted {
    api::quota::Evaluator evaluator;
    bool by_content = false;  ///< The cache holds the objects themselves, and what they cost depends on them.
    bool pods = false;
    std::shared_ptr<client::Reflector> objects;
  };
  void follow(const std::shared_ptr<client::Reflector>& reflector);
  Status discover();
  /// Every quota that counts such objects is counted anew.
  void recount(const api::quota::Evaluator& evaluator);
  void on_quota(const std::shared_ptr<const api::corev1::ResourceQuota>& before,
                const std::shared_ptr<const api::corev1::ResourceQuota>& after);
  void on_object(const Counted& counted, const void* before, const void* after, const std::string& ns);
  /// Adds up what `quota` counts now; `due` is lowered to when that changes by time alone.
  api::ResourceList count(const api::corev1::ResourceQuota& quota, WallTime now, Duration& due) const;

  client::Informer<api::corev1::ResourceQuota>& quotas_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Counted>> counted_;
  CustomKinds custom_;
};

}  // namespace trireme::controllers
