#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

/// Image references as users write them.
namespace trireme::kubelet {

struct ImageName {
  std::string registry;    ///< "docker.io"
  std::string repository;  ///< "library/redis"
  std::string tag;         ///< "latest" unless there is a digest
  std::string digest;      ///< "sha256:…", or empty

  /// "docker.io/library/redis:latest"
  std::string to_string() const;
};

/// BadRequest when `text` is no image reference ("couldn't parse image name").
/// Source: the grammar of the OCI distribution reference, with Docker's defaults for registry, library and tag.
Result<ImageName> parse_image_name(std::string_view text);

/// The pull policy that applies: the container's, else Always for ":latest" and IfNotPresent for others.
std::string effective_pull_policy(std::string_view policy, const ImageName& name);

}  // namespace trireme::kubelet
