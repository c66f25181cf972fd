#include "cmd/node_network.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <vector>

#include "cmd/cluster_options.h"
#include "linux/file.h"
#include "linux/nat_tables.h"
#include "linux/process.h"
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

/// The portmap plugin leaves its chains behind when the last port is gone. Other users of it keep theirs: the chains go
/// only when no pod's port is in them.
Status remove_idle_portmap_chains() {
  constexpr std::string_view kPortChain = "CNI-HOSTPORT-DNAT";
  auto rules = linux::run_program({"iptables", "-w", "-t", "nat", "-S"});
  if (!rules.ok()) return rules.status().is(Reason::kNotFound) ? Status() : rules.status();
  std::vector<std::vector<std::string>> jumps;
  std::vector<std::string> chains;
  std::istringstream lines(*rules);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> rule;
    for (std::string word; words >> std::quoted(word);) rule.push_back(word);
    if (rule.size() < 2) continue;
    if (rule[0] == "-N" && rule[1].starts_with("CNI-HOSTPORT-")) chains.push_back(rule[1]);
    if (rule[0] != "-A") continue;
    if (rule[1] == kPortChain) return {};
    if (!rule[1].starts_with("CNI-") && rule.back().starts_with("CNI-HOSTPORT-")) jumps.push_back(rule);
  }
  auto change = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"iptables", "-w", "-t", "nat"});
    return linux::run_program(arguments).status();
  };
  for (std::vector<std::string>& jump : jumps) {
    jump[0] = "-D";
    TRY(change(jump));
  }
  for (const std::string& chain : chains) TRY(change({"-F", chain}));
  for (const std::string& chain : chains) TRY(change({"-X", chain}));
  return {};
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
  TRY(linux::remember_nat_tables(options.folder + "/nat_tables.before"));
  TRY(linux::write_existing(kForwarding, "1\n"));
  TRY(linux::add_unreachable_route(options.cluster_cidr));
  for (const std::string& range : service_ranges(options.service_cidr)) TRY(linux::add_unreachable_route(range));
  return {};
}

Status remove_node_network(const NodeNetworkOptions& options) {
  TRY(linux::delete_link(bridge_name(options.folder)));
  TRY(remove_idle_portmap_chains());
  TRY(linux::remove_new_nat_tables(options.folder + "/nat_tables.before"));
  TRY(linux::remove_unreachable_route(options.cluster_cidr));
  for (const std::string& range : service_ranges(options.service_cidr)) TRY(linux::remove_unreachable_route(range));
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
