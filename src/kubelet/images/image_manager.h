#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/event_recorder.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/images/image_name.h"
#include "kubelet/pods/backoff.h"

namespace trireme::kubelet {

/// Why an image is not there: `reason` is what the container waits with (ErrImagePull, ImagePullBackOff, …).
struct ImageFailure {
  std::string reason;
  std::string message;
  Duration retry_after{};
};

struct ImageOutcome {
  cri::Image image;
  std::string ref;  ///< To create the container with.
  std::optional<ImageFailure> failure;
};

/// Makes sure that images are on the node, by pull policy and with back-off (10 s doubling to 5 min). Thread-safe;
/// calls block for as long as a pull takes. `pull_secrets` is asked only when there is something to pull.
class ImageManager {
 public:
  ImageManager(std::shared_ptr<cri::Runtime> runtime, std::shared_ptr<Clock> clock, client::EventRecorder* events)
      : runtime_(std::move(runtime)),
        clock_(clock),
        events_(events),
        backoff_(clock, std::chrono::seconds(10), std::chrono::minutes(5)) {}

  ImageOutcome ensure(const api::corev1::Pod& pod, const api::corev1::Container& container,
                      const std::function<std::vector<api::corev1::Secret>()>& pull_secrets,
                      const cri::SandboxConfig& sandbox);
  void forget_pod(const std::string& pod_uid) { backoff_.forget_prefix(pod_uid + "/"); }

 private:
  Result<std::string> pull(const ImageName& name, const std::vector<cri::AuthConfig>& logins,
                           const cri::SandboxConfig& sandbox);
  ImageOutcome failed(const std::string& reason, std::string message, Duration retry_after = {});

  const std::shared_ptr<cri::Runtime> runtime_;
  const std::shared_ptr<Clock> clock_;
  client::EventRecorder* const events_;
  Backoff backoff_;
  std::mutex mutex_;
  std::map<std::string, WallTime> failed_at_;  // by back-off key
  std::map<std::string, std::string> failed_with_;
};

/// What events about one container refer to: the pod, with the container's field path.
api::corev1::ObjectReference container_reference(const api::corev1::Pod& pod, const api::corev1::Container& container);

}  // namespace trireme::kubelet
