#include "cmd/node_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <vector>

#include "base/hash.h"
#include "cmd/cluster_options.h"
#include "linux/bridge_filter.h"
#include "linux/file.h"
#include "linux/nat_tables.h"
#include "linux/process.h"
#include "linux/route.h"

namespace trireme::cmd {
namespace {

/// A switch of the kernel's, and the file that remembers how it was.
struct Forwarding {
  bool ipv6;
  const char* sysctl;
  const char* remembered;
};
constexpr Forwarding kForwarding[] = {
    {false, "/proc/sys/net/ipv4/ip_forward", "/ip_forward.before"},
    {true, "/proc/sys/net/ipv6/conf/all/forwarding", "/ip6_forward.before"},
};

/// The words of every line of iptables' nat table; none where there is no iptables.
Result<std::vector<std::vector<std::string>>> nat_rules() {
  auto text = linux::run_program({"iptables", "-w", "-t", "nat", "-S"});
  std::vector<std::vector<std::string>> rules;
  if (!text.ok()) return text.status().is(Reason::kNotFound) ? rules : Result<decltype(rules)>(text.status());
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> rule;
    for (std::string word; words >> std::quoted(word);) rule.push_back(word);
    if (rule.size() >= 2) rules.push_back(std::move(rule));
  }
  return rules;
}

/// Deletes rules, then the chains to which they led.
Status delete_rules(std::vector<std::vector<std::string>> rules, const std::vector<std::string>& chains) {
  const auto change = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"iptables", "-w", "-t", "nat"});
    return linux::run_program(arguments).status();
  };
  for (std::vector<std::string>& rule : rules) {
    rule[0] = "-D";
    TRY(change(rule));
  }
  for (const std::string& chain : chains) TRY(change({"-F", chain}));
  for (const std::string& chain : chains) TRY(change({"-X", chain}));
  return {};
}

/// The portmap plugin leaves its chains behind when the last port is gone. Other users of it keep theirs: the chains go
/// only when no pod's port is in them.
Status remove_idle_portmap_chains() {
  constexpr std::string_view kPortChain = "CNI-HOSTPORT-DNAT";
  TRY_ASSIGN(const auto rules, nat_rules());
  std::vector<std::vector<std::string>> jumps;
  std::vector<std::string> chains;
  for (const std::vector<std::string>& rule : rules) {
    if (rule[0] == "-N" && rule[1].starts_with("CNI-HOSTPORT-")) chains.push_back(rule[1]);
    if (rule[0] != "-A") continue;
    if (rule[1] == kPortChain) return {};
    if (!rule[1].starts_with("CNI-") && rule.back().starts_with("CNI-HOSTPORT-")) jumps.push_back(rule);
  }
  return delete_rules(std::move(jumps), chains);
}

/// Earlier releases had the bridge plugin masquerade each pod, with a rule that would hide its address from pods of
/// other nodes, and that the plugin no longer knows of when the pod goes.
Status remove_bridge_masquerading(const std::string& conflist) {
  const auto text = linux::read_file(conflist);
  if (!text.ok() || text->find("\"ipMasq\": true") == std::string::npos) return {};
  TRY_ASSIGN(const auto rules, nat_rules());
  std::vector<std::vector<std::string>> jumps;
  std::vector<std::string> chains;
  for (const std::vector<std::string>& rule : rules) {
    const bool ours =
        rule[0] == "-A" && rule[1] == "POSTROUTING" && rule.back().starts_with("CNI-") &&
        std::ranges::any_of(rule, [](const std::string& word) { return word.starts_with("name: \"trireme\" id: "); });
    if (!ours) continue;
    jumps.push_back(rule);
    chains.push_back(rule.back());
  }
  return delete_rules(std::move(jumps), chains);
}

}  // namespace

std::string bridge_name(const std::string& folder) { return fmt::format("tri{:08x}", fnv1a_32(folder)); }

Status set_up_node_network(const NodeNetworkOptions& options) {
  TRY(linux::make_dirs(options.folder + "/conf"));
  TRY(linux::remember_nat_tables(options.folder + "/nat_tables.before"));
  TRY(linux::remember_bridge_filter(options.folder + "/bridge_filter.before"));
  TRY(remove_bridge_masquerading(options.folder + "/conf/10-trireme.conflist"));
  for (const Forwarding& each : kForwarding) {
    const bool needed = std::ranges::any_of(options.networks, [&](const std::string& network) {
      return (network.find(':') != std::string::npos) == each.ipv6;
    });
    if (!needed) continue;
    const std::string remembered = options.folder + each.remembered;
    if (!linux::exists(remembered)) {
      TRY_ASSIGN(const std::string before, linux::read_file(each.sysctl));
      TRY(linux::replace_file(remembered, before, 0644));
    }
    TRY(linux::write_existing(each.sysctl, "1\n"));
  }
  for (const std::string& network : options.networks) TRY(linux::add_unreachable_route(network));
  return {};
}

Status remove_node_network(const NodeNetworkOptions& options) {
  TRY(linux::delete_link(bridge_name(options.folder)));
  TRY(remove_idle_portmap_chains());
  TRY(linux::remove_new_nat_tables(options.folder + "/nat_tables.before"));
  for (const std::string& network : options.networks) TRY(linux::remove_unreachable_route(network));
  for (const Forwarding& each : kForwarding) {
    const auto before = linux::read_file(options.folder + each.remembered);
    if (before.ok()) TRY(linux::write_existing(each.sysctl, *before));
  }
  return linux::restore_bridge_filter(options.folder + "/bridge_filter.before");
}

Result<std::string> cni_program_folder(const std::string& given) {
  if (!given.empty()) return given;
  for (const char* folder : {"/usr/lib/cni", "/opt/cni/bin"}) {
    if (std::filesystem::exists(std::string(folder) + "/bridge")) return std::string(folder);
  }
  return Status::not_found("the CNI plugins are not installed; on Debian: apt-get install containernetworking-plugins");
}

}  // namespace trireme::cmd
