#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/value.h"
#include "net/transport.h"
#include "scheduler/config.h"
#include "scheduler/cycle.h"

namespace trireme::scheduler {

/// A process that is asked over HTTP for its opinion on nodes. Blocking; thread-safe.
/// https://github.com/kubernetes/design-proposals-archive/blob/main/scheduling/scheduler_extender.md
class Extender {
 public:
  /// BadRequest for a bad URL or certificate.
  static Result<std::unique_ptr<Extender>> create(ExtenderConfig config);
  /// With another way to reach it (tests).
  Extender(ExtenderConfig config, std::shared_ptr<net::Transport> transport, std::string base_path);

  const ExtenderConfig& config() const { return config_; }
  /// Whether it wants to be asked about the pod.
  bool interested(const api::corev1::Pod& pod) const;

  /// Takes those nodes out of `feasible` that it refuses, and notes why.
  Status filter(const PodInfo& pod, std::vector<const NodeInfo*>& feasible, Refusal& refusal) const;
  /// Adds its weighted scores; nothing when it fails, as scores are wishes only.
  void prioritize(const PodInfo& pod, std::span<const NodeInfo* const> nodes, std::span<int64_t> totals) const;

  struct Victims {
    std::vector<PodInfoPointer> pods;
    int64_t violations = 0;
  };
  using Candidates = std::map<const NodeInfo*, Victims>;
  /// Which of the candidates it agrees with, perhaps with other victims.
  Result<Candidates> preempt(const PodInfo& pod, const Candidates& candidates, const Cache& cache) const;

  Status bind(const api::corev1::Pod& pod, const std::string& node) const;

 private:
  Result<api::Value> call(const std::string& verb, std::string body) const;
  std::string arguments(const PodInfo& pod, std::span<const NodeInfo* const> nodes) const;

  ExtenderConfig config_;
  std::shared_ptr<net::Transport> transport_;
  std::string base_path_;
};
using Extenders = std::vector<std::unique_ptr<Extender>>;

/// Binds by the extender that does, when it is interested in the pod; nothing otherwise.
std::optional<Status> bind_by_extender(const Extenders& extenders, const api::corev1::Pod& pod,
                                       const std::string& node);

}  // namespace trireme::scheduler
