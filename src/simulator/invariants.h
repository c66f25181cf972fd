#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"
#include "client/informer_factory.h"

namespace trireme::simulator {

/// What StatefulSets, DaemonSets, Jobs and CronJobs promise of their pods, checked at every change that the server
/// tells of:
/// - a StatefulSet that is not Parallel makes a pod only when those of the lower ordinals have become ready, and takes
///   away what is too much from the highest ordinal down, one after the other;
/// - a DaemonSet never has two pods on a node, and none on a node that its node selector leaves out;
/// - a Job's counters never go back, never count more than was asked for, and in the end tell what its pods came to;
/// - a CronJob that forbids it never has two Jobs under way.
/// (That no pod of a StatefulSet runs twice is seen where pods run: HollowNodes.) Used by one thread.
class Invariants {
 public:
  Invariants(client::InformerFactory& informers, client::Client client, std::shared_ptr<Clock> clock);

  /// Compares the counters of all Jobs with what was seen of their pods; call at rest.
  void check_jobs();
  /// Jobs that the CronJob "NAMESPACE/NAME" has made so far.
  int64_t jobs_of(const std::string& cron_job) const;

  /// What went wrong so far, as text.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Pod = api::corev1::Pod;
  using Job = api::batchv1::Job;
  using JobPointer = std::shared_ptr<const Job>;
  using Owner = api::metav1::OwnerReference;

  struct Ordinal {
    std::string uid;  ///< Of the pod that is there; empty: none.
    bool terminating = false, ready = false;
    std::optional<Duration> last_ready;
  };
  using Ordinals = std::map<int32_t, Ordinal>;

  /// What the counters of a Job may be, by what was seen of its pods. Some may be counted or not: a pod that is deleted
  /// while it still runs is, unless the Job is suspended or shrinks; one without the finalizer is not, if it was let go
  /// before it ended.
  struct Tally {
    int64_t succeeded = 0, perhaps_succeeded = 0;
    int64_t failed = 0, perhaps_failed = 0;
    std::set<int32_t> indexes, perhaps_indexes;
  };
  struct Fate {
    bool succeeded = false, failed = false, deleted = false;
  };
  struct Known {
    Tally tally;
    std::unordered_map<std::string, Fate> pods;  ///< By UID, as long as they exist.
  };

  void on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after);
  void on_set_pod(const Owner& owner, const Pod& pod, bool exists);
  void on_daemon_pod(const Owner& owner, const Pod& pod, bool exists);
  void on_job_pod(const Owner& owner, const Pod& pod, bool exists);
  void on_job(const JobPointer& before, const JobPointer& after);
  void check_created(const api::appsv1::StatefulSet& set, const Pod& pod, int32_t ordinal, const Ordinals& all);
  void check_deleted(const api::appsv1::StatefulSet& set, const Pod& pod, int32_t ordinal, const Ordinals& all);
  void compare(const Job& job, const Tally& tally);
  /// The object as the server has it now, or as the cache does; null when it is gone.
  template <typename T>
  std::shared_ptr<const T> look_up(const std::string& ns, const Owner& owner);
  void violated(std::string what);

  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  client::InformerFactory& informers_;
  std::unordered_map<std::string, Ordinals> sets_;  ///< By the StatefulSet's UID.
  std::unordered_map<std::string, std::map<std::string, std::set<std::string>>> daemons_;  ///< UIDs by node.
  std::unordered_map<std::string, Known> jobs_;                                            ///< By the Job's UID.
  std::unordered_map<std::string, std::set<std::string>> under_way_;  ///< Jobs by the CronJob's UID.
  std::unordered_map<std::string, int64_t> made_;                     ///< By the CronJob's name.
  std::vector<std::string> violations_;
};

}  // namespace trireme::simulator
