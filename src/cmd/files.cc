#include "cmd/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace trireme::cmd {
namespace {

Status system_error(std::string_view what, const std::string& path) {
  return Status::internal(fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return Status::not_found(path + " does not exist");
    return system_error("open", path);
  }
  std::string text;
  char buffer[16384];
  ssize_t got;
  while ((got = ::read(file, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
  ::close(file);
  if (got < 0) return system_error("read", path);
  return text;
}

Status write_file(const std::string& path, std::string_view text, unsigned mode) {
  std::string temporary = path + ".new";
  int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (file < 0) return system_error("create", temporary);
  bool written = ::fchmod(file, mode) == 0;
  while (written && !text.empty()) {
    ssize_t count = ::write(file, text.data(), text.size());
    if (count < 0) {
      written = errno == EINTR;
      continue;
    }
    text.remove_prefix(static_cast<size_t>(count));
  }
  written = written && ::fsync(file) == 0;
  Status status = written ? Status() : system_error("write", temporary);
  ::close(file);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("rename", temporary);
  return {};
}

Status make_folder(const std::string& path, unsigned mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Status::internal(fmt::format("create folder {}: {}", path, error.message()));
  if (::chmod(path.c_str(), mode) != 0) return system_error("chmod", path);
  return {};
}

}  // namespace trireme::cmd
