#include "kubelet/volumes/atomic_writer.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <set>

#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using linux::errno_status;

constexpr size_t kMaxPath = 4096;

std::string top_level(const std::string& path) { return path.substr(0, path.find('/')); }

std::string read_link(const std::string& path) {
  char buffer[kMaxPath];
  ssize_t size = ::readlink(path.c_str(), buffer, sizeof(buffer));
  return size < 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
}

mode_t file_mode(const FilePayload& file, bool group) { return group ? file.mode | 0440 : file.mode; }

/// Relative paths of all regular files below `directory`.
void collect_files(const std::string& directory, const std::string& prefix, std::set<std::string>& out) {
  for (const std::string& name : linux::list_dir(directory)) {
    std::string path = directory + "/" + name;
    if (linux::is_directory(path)) {
      collect_files(path, prefix + name + "/", out);
    } else {
      out.insert(prefix + name);
    }
  }
}

bool same_content(const std::string& directory, const Payload& payload, std::optional<gid_t> group) {
  std::set<std::string> present;
  collect_files(directory, "", present);
  if (present.size() != payload.size()) return false;
  for (const auto& [path, file] : payload) {
    if (!present.contains(path)) return false;
    std::string full = directory + "/" + path;
    struct stat info {};
    if (::stat(full.c_str(), &info) != 0 || static_cast<size_t>(info.st_size) != file.data.size()) return false;
    if ((info.st_mode & 07777) != file_mode(file, group.has_value())) return false;
    if (info.st_uid != file.owner.value_or(0)) return false;
    auto data = linux::read_file(full);
    if (!data.ok() || *data != file.data) return false;
  }
  return true;
}

std::string timestamp_name() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  return fmt::format("..{}_{:02}_{:02}_{:02}_{:02}_{:02}.{:09}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec);
}

Status write_tree(const std::string& directory, const Payload& payload, std::optional<gid_t> group) {
  for (const auto& [path, file] : payload) {
    std::string full = directory + "/" + path;
    TRY(linux::make_dirs(full.substr(0, full.find_last_of('/')), 0755));
    TRY(linux::write_file(full, file.data, file_mode(file, group.has_value())));
    if (file.owner || group) {
      if (::chown(full.c_str(), file.owner.value_or(0), group.value_or(0)) != 0)
        return errno_status("chown", full, errno);
    }
  }
  return {};
}

}  // namespace

Status check_payload_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath || path.front() == '/') {
    return Status::bad_request(fmt::format("invalid path: must be relative: \"{}\"", path));
  }
  if (path.starts_with(".."))
    return Status::bad_request(fmt::format("invalid path: must not start with '..': {}", path));
  for (size_t start = 0; start <= path.size();) {
    size_t end = std::min(path.find('/', start), path.size());
    std::string_view part = path.substr(start, end - start);
    if (part == ".." || part.empty() || part.size() > 255) {
      return Status::bad_request(fmt::format("invalid path: \"{}\"", path));
    }
    start = end + 1;
  }
  return {};
}

Result<bool> write_atomically(const std::string& directory, const Payload& payload, std::optional<gid_t> group) {
  for (const auto& [path, file] : payload) TRY(check_payload_path(path));
  std::string data_link = directory + "/..data";
  std::string old_name = read_link(data_link);
  if (!old_name.empty() && same_content(directory + "/" + old_name, payload, group)) return false;

  std::string new_name = timestamp_name();
  std::string new_directory = directory + "/" + new_name;
  TRY(linux::make_dirs(new_directory, 0755));
  if (Status status = write_tree(new_directory, payload, group); !status.ok()) {
    (void)linux::remove_tree(new_directory);
    return status;
  }
  std::string next_link = directory + "/..data_tmp";
  ::unlink(next_link.c_str());
  if (::symlink(new_name.c_str(), next_link.c_str()) != 0) return errno_status("link", next_link, errno);
  if (::rename(next_link.c_str(), data_link.c_str()) != 0) return errno_status("rename to", data_link, errno);

  std::set<std::string> wanted;
  for (const auto& [path, file] : payload) wanted.insert(top_level(path));
  for (const std::string& name : wanted) {
    std::string link = directory + "/" + name;
    std::string target = "..data/" + name;
    if (read_link(link) == target) continue;
    if (::symlink(target.c_str(), link.c_str()) != 0) return errno_status("link", link, errno);
  }
  for (const std::string& name : linux::list_dir(directory)) {
    if (name == "..data" || name == new_name || wanted.contains(name)) continue;
    TRY(linux::remove_tree(directory + "/" + name));
  }
  return true;
}

}  // namespace trireme::kubelet
