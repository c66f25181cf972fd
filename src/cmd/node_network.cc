#include "cmd/node_network.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>

#include "linux/file.h"
#include "linux/route.h"

namespace trireme::cmd {
namespace {

constexpr const char* kForwarding = "/proc/sys/net/ipv4/ip_forward";

std::string configuration(const NodeNetworkOptions& options) {
  std::string mtu = options.mtu > 0 ? fmt::format("\n      \"mtu\": {},", options.mtu) : "";
  return fmt::format(R"({{
  "cniVersion": "0.4.0",
  "name": "trireme",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "{bridge}",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,{mtu}
      "ipam": {{
        "type": "host-local",
        "dataDir": "{leases}",
        "ranges": [[{{"subnet": "{subnet}"}}]],
        "routes": [{{"dst": "0.0.0.0/0"}}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
)",
                     fmt::arg("bridge", bridge_name(options.folder)), fmt::arg("mtu", mtu),
                     fmt::arg("leases", options.folder + "/leases"), fmt::arg("subnet", options.pod_cidr));
}

}  // namespace

std::string bridge_name(const std::string& folder) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (unsigned char c : folder) hash = (hash ^ c) * 16777619U;
  return fmt::format("tri{:08x}", hash);
}

Status set_up_node_network(const NodeNetworkOptions& options) {
  TRY(linux::make_dirs(options.folder + "/conf"));
  TRY(linux::replace_file(options.folder + "/conf/10-trireme.conflist", configuration(options), 0644));
  std::string remembered = options.folder + "/ip_forward.before";
  if (::access(remembered.c_str(), F_OK) != 0) {
    TRY_ASSIGN(std::string before, linux::read_file(kForwarding));
    TRY(linux::replace_file(remembered, before, 0644));
  }
  TRY(linux::write_existing(kForwarding, "1\n"));
  TRY(linux::add_unreachable_route(options.cluster_cidr));
  return linux::add_unreachable_route(options.service_cidr);
}

Status remove_node_network(const NodeNetworkOptions& options) {
  TRY(linux::delete_link(bridge_name(options.folder)));
  TRY(linux::remove_unreachable_route(options.cluster_cidr));
  TRY(linux::remove_unreachable_route(options.service_cidr));
  if (auto before = linux::read_file(options.folder + "/ip_forward.before"); before.ok()) {
    TRY(linux::write_existing(kForwarding, *before));
  }
  return {};
}

Result<std::string> cni_program_folder() {
  for (const char* folder : {"/usr/lib/cni", "/opt/cni/bin"}) {
    if (std::filesystem::exists(std::string(folder) + "/bridge")) return std::string(folder);
  }
  return Status::not_found("the CNI plugins are not installed; on Debian: apt-get install containernetworking-plugins");
}

}  // namespace trireme::cmd
