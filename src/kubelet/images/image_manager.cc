#include "kubelet/images/image_manager.h"

#include <fmt/format.h>

#include "base/log.h"
#include "kubelet/images/credentials.h"

namespace trireme::kubelet {

using api::corev1::Container;
using api::corev1::Pod;

api::corev1::ObjectReference container_reference(const Pod& pod, const Container& container) {
  api::corev1::ObjectReference reference = client::reference_to(pod);
  bool init = std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                          [&](const Container& other) { return other.name == container.name; });
  reference.field_path = fmt::format("spec.{}{{{}}}", init ? "initContainers" : "containers", container.name);
  return reference;
}

ImageOutcome ImageManager::failed(const std::string& reason, std::string message, Duration retry_after) {
  ImageOutcome outcome;
  outcome.failure = ImageFailure{reason, std::move(message), retry_after};
  return outcome;
}

Result<std::string> ImageManager::pull(const ImageName& name, const std::vector<cri::AuthConfig>& logins,
                                       const cri::SandboxConfig& sandbox) {
  if (logins.empty()) return runtime_->pull_image(name.to_string(), nullptr, &sandbox);
  Result<std::string> result(Status::internal("no login was tried"));
  for (const cri::AuthConfig& login : logins) {
    result = runtime_->pull_image(name.to_string(), &login, &sandbox);
    if (result.ok()) break;
  }
  return result;
}

ImageOutcome ImageManager::ensure(const Pod& pod, const Container& container,
                                  const std::function<std::vector<api::corev1::Secret>()>& pull_secrets,
                                  const cri::SandboxConfig& sandbox) {
  auto reference = container_reference(pod, container);
  auto name = parse_image_name(container.image);
  if (!name.ok()) {
    events_->warning(reference, "InspectFailed", name.status().message());
    return failed("InvalidImageName", name.status().message());
  }
  std::string policy = effective_pull_policy(container.image_pull_policy, *name);
  ImageOutcome outcome;
  auto present = runtime_->image_status(name->to_string());
  if (!present.ok() && !present.status().is(Reason::kNotFound)) {
    std::string message =
        fmt::format("Failed to inspect image \"{}\": {}", container.image, present.status().message());
    events_->warning(reference, "InspectFailed", message);
    return failed("ImageInspectError", message, std::chrono::seconds(10));
  }
  std::string key = fmt::format("{}/{}", pod.metadata.uid, container.image);
  if (present.ok() && policy != "Always") {
    events_->normal(reference, "Pulled",
                    fmt::format("Container image \"{}\" already present on machine", container.image));
    outcome.ref = present->id;
    outcome.image = std::move(*present);
    return outcome;
  }
  if (policy == "Never") {
    std::string message =
        fmt::format("Container image \"{}\" is not present with pull policy of Never", container.image);
    events_->warning(reference, "ErrImageNeverPull", message);
    return failed("ErrImageNeverPull", message, std::chrono::seconds(10));
  }
  {
    std::unique_lock lock(mutex_);
    if (auto before = failed_at_.find(key); before != failed_at_.end()) {
      WallTime since = before->second;
      std::string cause = failed_with_[key];
      lock.unlock();
      if (Duration wait = backoff_.remaining(key, since); wait > Duration::zero()) {
        events_->normal(reference, "BackOff", fmt::format("Back-off pulling image \"{}\"", container.image));
        return failed("ImagePullBackOff", fmt::format("Back-off pulling image \"{}\": {}", container.image, cause),
                      wait);
      }
    }
  }
  events_->normal(reference, "Pulling", fmt::format("Pulling image \"{}\"", container.image));
  Duration started = clock_->monotonic();
  auto pulled = pull(*name, matching_credentials(pull_secrets(), *name), sandbox);
  if (!pulled.ok()) {
    std::string message = fmt::format("failed to pull image \"{}\": {}", container.image, pulled.status().message());
    backoff_.next(key, clock_->now());
    events_->warning(reference, "Failed",
                     fmt::format("Failed to pull image \"{}\": {}", container.image, pulled.status().message()));
    events_->warning(reference, "Failed", "Error: ErrImagePull");
    std::lock_guard lock(mutex_);
    failed_at_[key] = clock_->now();
    failed_with_[key] = "ErrImagePull: " + message;
    return failed("ErrImagePull", message, backoff_.delay(key));
  }
  {
    std::lock_guard lock(mutex_);
    failed_at_.erase(key);
    failed_with_.erase(key);
  }
  auto seconds = std::chrono::duration<double>(clock_->monotonic() - started).count();
  auto image = runtime_->image_status(*pulled);
  if (!image.ok()) {
    return failed("ImageInspectError", image.status().message(), std::chrono::seconds(10));
  }
  events_->normal(reference, "Pulled",
                  fmt::format("Successfully pulled image \"{}\" in {:.3f}s ({:.3f}s including waiting). Image size: {} "
                              "bytes.",
                              container.image, seconds, seconds, image->size));
  outcome.ref = image->id;
  outcome.image = std::move(*image);
  return outcome;
}

}  // namespace trireme::kubelet
