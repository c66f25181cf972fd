#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace trireme::kubelet {

struct FilePayload {
  std::string data;
  mode_t mode = 0644;
  std::optional<uid_t> owner;  ///< Root when not set.
};

/// Relative paths ("config/app.yaml") to contents.
using Payload = std::map<std::string, FilePayload>;

/// Projects files into `directory` so that readers see either all old or all new ones: the files stand in a
/// time-stamped directory, `..data` links to it, and each top-level name links through `..data`. One rename switches.
/// Nothing is touched when the contents are the same already. `group` (a pod's fsGroup) owns what is written and may
/// read it. Returns whether anything changed. Used by one thread per directory.
Result<bool> write_atomically(const std::string& directory, const Payload& payload, std::optional<gid_t> group);

/// BadRequest unless `path` is relative, stays inside and does not use names that the writer reserves.
Status check_payload_path(std::string_view path);

}  // namespace trireme::kubelet
