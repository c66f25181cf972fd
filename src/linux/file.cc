#include "linux/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace trireme::linux {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status write_all(int fd, const std::string& path, std::string_view data) {
  while (!data.empty()) {
    ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_status("write", path, errno);
    }
    data.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

struct FtsCloser {
  void operator()(FTS* tree) const { ::fts_close(tree); }
};

std::unique_ptr<FTS, FtsCloser> open_tree(const std::string& path) {
  std::string copy = path;
  char* roots[] = {copy.data(), nullptr};
  return std::unique_ptr<FTS, FtsCloser>(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr));
}

}  // namespace

Status errno_status(std::string_view action, std::string_view path, int error) {
  std::string message = std::string(action) + " " + std::string(path) + ": " + std::strerror(error);
  switch (error) {
    case ENOENT:
      return Status::not_found(std::move(message));
    case EEXIST:
      return {Reason::kAlreadyExists, std::move(message)};
    case EACCES:
    case EPERM:
      return {Reason::kForbidden, std::move(message)};
    default:
      return Status::internal(std::move(message));
  }
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return errno_status("open", path, errno);
  std::string data;
  char buffer[16384];
  while (true) {
    ssize_t count = ::read(file.get(), buffer, sizeof(buffer));
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno_status("read", path, errno);
    }
    if (count == 0) return data;
    if (data.size() + static_cast<size_t>(count) > limit) return Status::internal("read " + path + ": file too large");
    data.append(buffer, static_cast<size_t>(count));
  }
}

Status write_file(const std::string& path, std::string_view data, mode_t mode) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (file.get() < 0) return errno_status("create", path, errno);
  if (::fchmod(file.get(), mode) != 0) return errno_status("chmod", path, errno);
  return write_all(file.get(), path, data);
}

Status write_existing(const std::string& path, std::string_view data) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return errno_status("open", path, errno);
  return write_all(file.get(), path, data);
}

Status replace_file(const std::string& path, std::string_view data, mode_t mode) {
  std::string temporary = path + ".new";
  {
    FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (file.get() < 0) return errno_status("create", temporary, errno);
    if (::fchmod(file.get(), mode) != 0) return errno_status("chmod", temporary, errno);
    TRY(write_all(file.get(), temporary, data));
    if (::fsync(file.get()) != 0) return errno_status("sync", temporary, errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_status("rename to", path, errno);
  return {};
}

Status make_dirs(const std::string& path, mode_t mode) {
  if (is_directory(path)) return {};
  size_t slash = path.find_last_of('/');
  if (slash != std::string::npos && slash > 0) TRY(make_dirs(path.substr(0, slash), mode));
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST && is_directory(path)) return {};
    return errno_status("create directory", path, errno);
  }
  if (::chmod(path.c_str(), mode) != 0) return errno_status("chmod", path, errno);
  return {};
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::string> list_dir(const std::string& path) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status remove_tree(const std::string& path) {
  if (!exists(path)) return {};
  auto tree = open_tree(path);
  if (!tree) return errno_status("open", path, errno);
  Status first_failure;
  auto note = [&](const char* name, int error) {
    if (first_failure.ok() && error != ENOENT) first_failure = errno_status("remove", name, error);
  };
  while (FTSENT* entry = ::fts_read(tree.get())) {
    switch (entry->fts_info) {
      case FTS_D:
        break;
      case FTS_DP:
        if (::rmdir(entry->fts_accpath) != 0) note(entry->fts_path, errno);
        break;
      case FTS_DNR:
      case FTS_ERR:
      case FTS_NS:
        note(entry->fts_path, entry->fts_errno);
        break;
      default:
        if (::unlink(entry->fts_accpath) != 0) note(entry->fts_path, errno);
    }
  }
  return first_failure;
}

TreeUsage tree_usage(const std::string& path) {
  TreeUsage usage;
  auto tree = open_tree(path);
  if (!tree) return usage;
  while (FTSENT* entry = ::fts_read(tree.get())) {
    if (entry->fts_info == FTS_DP || entry->fts_statp == nullptr || entry->fts_info == FTS_NS) continue;
    // A file with several names counts once per name: good enough for limits, and needs no memory.
    usage.bytes += static_cast<uint64_t>(entry->fts_statp->st_blocks) * 512;
    usage.inodes += 1;
  }
  return usage;
}

}  // namespace trireme::linux
