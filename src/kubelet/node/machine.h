#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme::kubelet {

/// What the node is made of. Read once.
struct MachineInfo {
  std::string host_name;
  std::string machine_id;
  std::string system_uuid;
  std::string boot_id;
  std::string kernel_version;
  std::string os_image;
  std::string architecture;  ///< Go's name: "amd64", "arm64"
  int cpus = 1;
  uint64_t memory_bytes = 0;
};

MachineInfo read_machine_info();

struct FilesystemSpace {
  uint64_t capacity_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t inodes = 0;
  uint64_t inodes_free = 0;
};
/// Of the file system that holds `path`; zeros when it cannot be read.
FilesystemSpace filesystem_space(const std::string& path);

uint64_t available_memory();

/// The machine's addresses to report: `wanted` when given, else that of the default route.
std::vector<std::string> node_addresses(const std::vector<std::string>& wanted);

}  // namespace trireme::kubelet
