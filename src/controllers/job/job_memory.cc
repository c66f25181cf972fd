#include "controllers/job/job_memory.h"

#include "controllers/job/tracking.h"
#include "controllers/support/recent_writes.h"

namespace trireme::controllers {

std::shared_ptr<const api::batchv1::Job> JobMemory::newest(std::shared_ptr<const api::batchv1::Job> cached,
                                                           uint64_t cache_version) {
  if (job_ && version_number(job_->metadata.resource_version) <= cache_version) job_.reset();
  return job_ ? job_ : cached;
}

void JobMemory::wrote(api::corev1::Pod pod) {
  std::string uid = pod.metadata.uid;
  written_.insert_or_assign(std::move(uid), std::make_shared<const api::corev1::Pod>(std::move(pod)));
}

std::vector<PodPointer> JobMemory::newest(std::vector<PodPointer> cached, uint64_t cache_version) {
  std::erase_if(written_, [&](const auto& entry) {
    return version_number(entry.second->metadata.resource_version) <= cache_version;
  });
  std::map<std::string, PodPointer> known;
  for (PodPointer& pod : cached) {
    PodPointer& newest = known[pod->metadata.uid];
    const auto written = written_.find(pod->metadata.uid);
    const bool newer = written != written_.end() && version_number(written->second->metadata.resource_version) >
                                                        version_number(pod->metadata.resource_version);
    newest = newer ? written->second : std::move(pod);
  }
  for (const auto& [uid, pod] : written_) known.emplace(uid, pod);
  const auto seen = [&](const std::string& uid, const auto& shows) {
    const auto found = known.find(uid);
    return found == known.end() || shows(*found->second);
  };
  std::erase_if(released_, [&](const std::string& uid) {
    return seen(uid, [](const auto& pod) { return !has_tracking_finalizer(pod); });
  });
  std::erase_if(deleted_, [&](const std::string& uid) {
    return seen(uid, [](const auto& pod) { return pod.metadata.deletion_timestamp.has_value(); });
  });
  std::vector<PodPointer> out;
  out.reserve(known.size());
  for (auto& [uid, pod] : known) out.push_back(std::move(pod));
  return out;
}

JobPod JobMemory::describe(PodPointer pod) const {
  JobPod out = job_pod(std::move(pod));
  const std::string& uid = out.pod->metadata.uid;
  out.tracked = out.tracked && !released_.contains(uid);
  out.deleted = deleted_.contains(uid);
  return out;
}

}  // namespace trireme::controllers
