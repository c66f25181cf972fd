#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "kubelet/cri/types.h"
#include "kubelet/images/image_name.h"

/// Registry credentials from image pull secrets. Pure functions.
namespace trireme::kubelet {

/// Logins that fit `image`, most specific first, from secrets of type kubernetes.io/dockerconfigjson and
/// kubernetes.io/dockercfg. Secrets that cannot be read are skipped, as upstream does.
/// Source: the page "Images", section "Interpretation of config.json" (globs per host part, prefixes per path).
std::vector<cri::AuthConfig> matching_credentials(const std::vector<api::corev1::Secret>& secrets,
                                                  const ImageName& image);

/// Whether a config.json key ("https://*.example.com/team") covers the image.
bool credential_matches(std::string_view key, const ImageName& image);

}  // namespace trireme::kubelet
