#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace trireme::linux {

/// Tells once, on a thread of its own, when a file's content is another than it was: written anew, replaced, or what a
/// link in its folder leads to (as a mounted ConfigMap is changed). A file that stays away for a moment counts, too.
/// Nothing runs while nothing happens in the folder.
class FileChange {
 public:
  static Result<std::unique_ptr<FileChange>> start(std::string path, std::function<void()> changed);
  /// Waits for a call that is under way.
  virtual ~FileChange() = default;
};

}  // namespace trireme::linux
