#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/types/corev1.h"
#include "base/result.h"
#include "kubelet/pods/environment.h"
#include "kubelet/volumes/atomic_writer.h"

/// The files of config map, secret, downward API and projected volumes. Pure but for the look-ups passed in.
namespace trireme::kubelet {

struct PayloadSources {
  EnvironmentSources objects;
  std::function<Result<std::string>(const std::string& audience, int64_t expiration_seconds)> token;
  DownwardContext downward;
};

/// Whether the volume's content is made of API objects, so that `make_payload` knows it.
bool is_projected_volume(const api::corev1::Volume& volume);

/// NotFound names the object or key that is missing.
Result<Payload> make_payload(const api::corev1::Pod& pod, const api::corev1::Volume& volume,
                             const PayloadSources& sources);

}  // namespace trireme::kubelet
