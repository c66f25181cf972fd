#pragma once

#include <string>

#include "api/types/corev1.h"
#include "base/result.h"

namespace trireme::apiserver {

/// Where the node's kubelet listens: "https://10.0.0.5:10250", by its internal address, else its external one, else its
/// host name. InternalError when it has told none.
Result<std::string> kubelet_url(const api::corev1::Node& node);

}  // namespace trireme::apiserver
