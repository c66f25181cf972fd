#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/options.h"

namespace trireme::kubelet {

/// Rotates the logs of running containers that have outgrown --container-log-max-size. Quiet when there is nothing.
void rotate_logs(cri::Runtime& runtime, const KubeletOptions& options);

/// Renames `path` to "<path>.<timestamp>", keeps at most `max_files` files in all (the current one counts), and calls
/// `reopen`; the rename is undone when that fails.
Status rotate_log(const std::string& path, const std::string& timestamp, int max_files,
                  const std::function<Status()>& reopen);

}  // namespace trireme::kubelet
