#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Small file operations whose failures say what was tried, on which path, and why.
namespace trireme::linux {

/// A Status for `errno`: ENOENT is NotFound, EACCES and EPERM are Forbidden, EEXIST AlreadyExists, else InternalError.
Status errno_status(std::string_view action, std::string_view path, int error);

/// The whole file; fails beyond `limit` bytes.
Result<std::string> read_file(const std::string& path, size_t limit = size_t{16} << 20);
/// Creates or truncates; `mode` applies whatever the umask.
Status write_file(const std::string& path, std::string_view data, mode_t mode = 0600);
/// Writes to an existing file in one call, without creating it: cgroup and proc files.
Status write_existing(const std::string& path, std::string_view data);
/// Replaces `path` in one step, durably, through a temporary file beside it.
Status replace_file(const std::string& path, std::string_view data, mode_t mode = 0600);

/// Like mkdir -p; new directories get `mode`, existing ones keep theirs.
Status make_dirs(const std::string& path, mode_t mode = 0755);
bool exists(const std::string& path);
bool is_directory(const std::string& path);
/// Names in a directory, sorted, without "." and "..". Empty when there is no such directory.
std::vector<std::string> list_dir(const std::string& path);
/// Deletes a tree without following links and without entering other file systems. OK when absent.
Status remove_tree(const std::string& path);

/// What a tree takes on disk, links not followed, other file systems not entered.
struct TreeUsage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};
TreeUsage tree_usage(const std::string& path);

}  // namespace trireme::linux
