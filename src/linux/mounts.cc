#include "linux/mounts.h"

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "linux/file.h"

namespace trireme::linux {
namespace {

/// mountinfo escapes space, tab, newline and backslash as \ooo.
std::string unescape(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string> mount_points() {
  std::vector<std::string> points;
  Result<std::string> table = read_file("/proc/self/mountinfo");
  if (!table.ok()) return points;
  std::istringstream lines(*table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    if (fields >> id >> parent >> device >> root >> point) points.push_back(unescape(point));
  }
  return points;
}

}  // namespace

Status mount_tmpfs(const std::string& target, uint64_t size_bytes, mode_t mode) {
  char options[96];
  if (size_bytes > 0) {
    std::snprintf(options, sizeof(options), "mode=%o,size=%llu", static_cast<unsigned>(mode),
                  static_cast<unsigned long long>(size_bytes));
  } else {
    std::snprintf(options, sizeof(options), "mode=%o", static_cast<unsigned>(mode));
  }
  if (::mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
    return errno_status("mount tmpfs on", target, errno);
  }
  return {};
}

Status bind_mount(const std::string& source, const std::string& target) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return errno_status("bind " + source + " on", target, errno);
  }
  return {};
}

Status unmount(const std::string& target) {
  if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
  if (errno == EINVAL || errno == ENOENT) return {};
  if (errno == EBUSY && ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return {};
  return errno_status("unmount", target, errno);
}

Status make_shared_mount(const std::string& path) {
  if (!is_mount_point(path)) TRY(bind_mount(path, path));
  if (::mount(nullptr, path.c_str(), nullptr, MS_SHARED | MS_REC, nullptr) != 0) {
    return errno_status("make shared", path, errno);
  }
  return {};
}

std::vector<std::string> mounts_under(const std::string& prefix) {
  std::vector<std::string> found;
  for (std::string& point : mount_points()) {
    if (point == prefix || (point.size() > prefix.size() && point.starts_with(prefix) && point[prefix.size()] == '/')) {
      found.push_back(std::move(point));
    }
  }
  std::reverse(found.begin(), found.end());
  return found;
}

bool is_mount_point(const std::string& path) {
  std::vector<std::string> points = mount_points();
  return std::find(points.begin(), points.end(), path) != points.end();
}

Status unmount_under(const std::string& prefix) {
  Status failure;
  for (const std::string& point : mounts_under(prefix)) {
    if (Status status = unmount(point); !status.ok() && failure.ok()) failure = status;
  }
  return failure;
}

}  // namespace trireme::linux
