#include "linux/bridge_filter.h"

#include "linux/file.h"
#include "linux/process.h"

namespace trireme::linux {
namespace {

constexpr const char* kFolder = "/proc/sys/net/bridge";

}  // namespace

Status enable_bridge_filter() {
  if (!exists(kFolder)) {
    Status loaded = run_program({"modprobe", "br_netfilter"}).status();
    if (!exists(kFolder)) {
      return Status::not_found("the kernel has no br_netfilter" +
                               (loaded.ok() ? std::string() : ": " + loaded.message()));
    }
  }
  for (const char* name : {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}) {
    const std::string path = std::string(kFolder) + "/" + name;
    TRY_ASSIGN(const std::string before, read_file(path));
    if (!before.starts_with('1')) TRY(write_existing(path, "1\n"));
  }
  return {};
}

}  // namespace trireme::linux
