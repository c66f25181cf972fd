#pragma once

#include <optional>
#include <string>

#include "api/types/batchv1.h"
#include "base/metrics.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// When a job with ttlSecondsAfterFinished may be deleted; nothing when it never may (yet).
std::optional<WallTime> expiry(const api::batchv1::Job& job);

/// Deletes jobs some time after they have ended.
/// https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/
class TtlAfterFinishedController final : public Controller, public metrics::Source {
 public:
  explicit TtlAfterFinishedController(const ControllerContext& context);

  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override { deletion_latency_.print(out); }

 private:
  client::Informer<api::batchv1::Job>& jobs_;
  metrics::Histograms deletion_latency_;
};

}  // namespace trireme::controllers
