#include "linux/bridge_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/log.h"
#include "base/text.h"
#include "linux/file.h"
#include "linux/process.h"

namespace trireme::linux {
namespace {

constexpr const char* kFolder = "/proc/sys/net/bridge";
constexpr const char* kSwitches[] = {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"};

std::string path_of(std::string_view name) { return fmt::format("{}/{}", kFolder, name); }

}  // namespace

Status enable_bridge_filter() {
  if (!exists(kFolder)) {
    Status loaded = run_program({"modprobe", "br_netfilter"}).status();
    if (!exists(kFolder)) {
      return Status::not_found("the kernel has no br_netfilter" +
                               (loaded.ok() ? std::string() : ": " + loaded.message()));
    }
  }
  return keep_bridge_filter();
}

Status keep_bridge_filter() {
  for (const char* name : kSwitches) {
    const auto before = read_file(path_of(name));
    if (!before.ok() || before->starts_with('1')) continue;
    log::info("Bridged packets go through netfilter from now on", {{"switch", name}});
    TRY(write_existing(path_of(name), "1\n"));
  }
  return {};
}

Status remember_bridge_filter(const std::string& file) {
  if (exists(file)) return {};
  std::string text;
  for (const char* name : kSwitches) {
    if (const auto value = read_file(path_of(name)); value.ok()) text += fmt::format("{} {}\n", name, trimmed(*value));
  }
  return replace_file(file, text, 0644);
}

Status restore_bridge_filter(const std::string& file) {
  const auto text = read_file(file);
  if (!text.ok()) return {};
  for (const std::string_view line : split_list(*text, '\n')) {
    const size_t blank = line.find(' ');
    const auto* known = std::ranges::find(kSwitches, line.substr(0, blank));
    if (known == std::end(kSwitches) || blank == std::string_view::npos || !exists(path_of(*known))) continue;
    TRY(write_existing(path_of(*known), fmt::format("{}\n", line.substr(blank + 1))));
  }
  return {};
}

}  // namespace trireme::linux
