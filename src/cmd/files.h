#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace trireme::cmd {

/// The whole file, or NotFound, or Internal with the cause.
Result<std::string> read_file(const std::string& path);

/// Replaces the file as one step (a reader sees the old or the new text) and makes it durable.
Status write_file(const std::string& path, std::string_view text, unsigned mode = 0644);

/// Creates the folder and its parents; the last one gets `mode`.
Status make_folder(const std::string& path, unsigned mode = 0755);

}  // namespace trireme::cmd
