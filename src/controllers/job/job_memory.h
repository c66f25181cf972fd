#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controllers/job/job_sync.h"

namespace trireme::controllers {

/// What the controller has written for one job and its caches may not show yet, and the job's back-off.
///
/// Not a truth of its own: an entry counts only until the cache has caught up with it. What is lost in a restart is
/// read back from the server; the back-off is then estimated from the pods that are still there. Not synchronised: one
/// pass at a time works on a job.
class JobMemory {
 public:
  void wrote(api::batchv1::Job job) { job_ = std::make_shared<const api::batchv1::Job>(std::move(job)); }
  /// `cached`, or the newer version that was written. `cache_version` must have been read before `cached`.
  std::shared_ptr<const api::batchv1::Job> newest(std::shared_ptr<const api::batchv1::Job> cached,
                                                  uint64_t cache_version);

  /// A pod as the server answered to its creation or change.
  void wrote(api::corev1::Pod pod);
  void released(const std::string& uid) { released_.insert(uid); }
  void tracked_again(const std::string& uid) { released_.erase(uid); }
  void deleted(const std::string& uid) { deleted_.insert(uid); }
  bool is_deleted(const std::string& uid) const { return deleted_.contains(uid); }

  /// The pods of the cache as new as they are known, with those that it does not show yet.
  std::vector<PodPointer> newest(std::vector<PodPointer> cached, uint64_t cache_version);
  JobPod describe(PodPointer pod) const;

  std::optional<Backoff> backoff;

 private:
  std::shared_ptr<const api::batchv1::Job> job_;
  std::map<std::string, PodPointer> written_;
  std::set<std::string> released_;  ///< Their finalizer is gone.
  std::set<std::string> deleted_;
};

}  // namespace trireme::controllers
