#include "kubelet/node/machine.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "linux/file.h"
#include "linux/route.h"

namespace trireme::kubelet {
namespace {

std::string first_line(const std::string& path) {
  auto text = linux::read_file(path);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

/// The value of `key` in lines of "key<separator>value"; quotes are removed.
std::string value_of(const std::string& path, std::string_view key, char separator) {
  auto text = linux::read_file(path);
  if (!text.ok()) return {};
  for (size_t start = 0; start < text->size();) {
    size_t end = std::min(text->find('\n', start), text->size());
    std::string_view line(text->data() + start, end - start);
    start = end + 1;
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != separator) continue;
    line.remove_prefix(key.size() + 1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '"')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == '"' || line.back() == ' ')) line.remove_suffix(1);
    return std::string(line);
  }
  return {};
}

uint64_t kilobytes(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value * 1024;
}

std::string go_architecture(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine == "i686" || machine == "i386") return "386";
  if (machine.starts_with("arm")) return "arm";
  return machine;
}

}  // namespace

MachineInfo read_machine_info() {
  MachineInfo info;
  utsname names{};
  ::uname(&names);
  info.host_name = names.nodename;
  std::transform(info.host_name.begin(), info.host_name.end(), info.host_name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  info.kernel_version = names.release;
  info.architecture = go_architecture(names.machine);
  info.machine_id = first_line("/etc/machine-id");
  info.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  if (info.system_uuid.empty()) info.system_uuid = info.machine_id;
  info.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  info.os_image = value_of("/etc/os-release", "PRETTY_NAME", '=');
  info.cpus = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  info.memory_bytes = kilobytes(value_of("/proc/meminfo", "MemTotal", ':'));
  return info;
}

FilesystemSpace filesystem_space(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return {};
  FilesystemSpace space;
  space.capacity_bytes = static_cast<uint64_t>(info.f_blocks) * info.f_frsize;
  space.available_bytes = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  space.inodes = info.f_files;
  space.inodes_free = info.f_ffree;
  return space;
}

uint64_t available_memory() { return kilobytes(value_of("/proc/meminfo", "MemAvailable", ':')); }

std::vector<std::string> node_addresses(const std::vector<std::string>& wanted) {
  if (!wanted.empty()) return wanted;
  return {linux::primary_address()};
}

}  // namespace trireme::kubelet
