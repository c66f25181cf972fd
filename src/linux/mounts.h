#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

/// Mounts of this process's mount namespace. Needs CAP_SYS_ADMIN.
namespace trireme::linux {

/// A tmpfs on `target`, which must exist. `size_bytes` 0: the kernel's default of half the memory.
Status mount_tmpfs(const std::string& target, uint64_t size_bytes, mode_t mode);
Status bind_mount(const std::string& source, const std::string& target);
/// Unmounts; detaches a busy mount so that it goes when its last user does. OK when nothing is mounted there.
Status unmount(const std::string& target);
/// Makes the mount that holds `path` shared, so that Bidirectional volumes propagate; binds `path` onto itself first
/// when it is no mount point.
Status make_shared_mount(const std::string& path);

/// Mount points at or below `prefix`, innermost first.
std::vector<std::string> mounts_under(const std::string& prefix);
bool is_mount_point(const std::string& path);
/// Unmounts everything at or below `prefix`; the first failure, after trying all.
Status unmount_under(const std::string& prefix);

}  // namespace trireme::linux
