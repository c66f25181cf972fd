#include "overlay/forward.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <vector>

#include "base/text.h"
#include "linux/file.h"
#include "linux/process.h"

namespace trireme::overlay {
namespace {

namespace nft = linux::nft;

constexpr std::string_view kBaseChain = "FORWARD";
/// What iptables shows behind the rules, and by which they are known again.
constexpr std::string_view kJumpComment = "pods of all nodes";

nft::Table filter_table(bool ipv6) { return {ipv6 ? nft::Family::kIp6 : nft::Family::kIp, "filter"}; }

/// Nothing: the family is off.
std::optional<IpPrefix> network_of(const NetworkConfig& config, bool ipv6) {
  if (!(ipv6 ? config.enable_ipv6 : config.enable_ipv4)) return {};
  return ipv6 ? config.ipv6_network : config.network;
}

/// The chain's own rules. Counted, as all of iptables' are.
std::vector<nft::Rule> accepting(const IpPrefix& network) {
  const bool ipv6 = network.address.is_ipv6();
  const std::string_view bytes(reinterpret_cast<const char*>(network.address.bytes.data()), network.address.size());
  const auto rule = [&](nft::Field field, std::string_view word) {
    return nft::Rule()
        .match_prefix(field, bytes, network.length)
        .counter()
        .verdict(nft::accept())
        .comment(fmt::format("{} {}", word, network.to_string()));
  };
  return {rule(ipv6 ? nft::Field::kIp6Saddr : nft::Field::kIpSaddr, "from"),
          rule(ipv6 ? nft::Field::kIp6Daddr : nft::Field::kIpDaddr, "to")};
}

/// What there is of one family.
struct Standing {
  bool has_forward = false;
  std::vector<uint64_t> jumps;  ///< Handles of FORWARD's rules that lead to the chain.
  bool has_chain = false;
  std::vector<std::string> comments;  ///< Of the chain's rules.
};

Result<Standing> look(nft::Socket& socket, const nft::Table& table, const std::string& chain) {
  Standing out;
  const auto forward = socket.chain(table, kBaseChain);
  if (!forward.ok() && !forward.status().is(Reason::kNotFound)) return forward.status();
  out.has_forward = forward.ok() && forward->hook == nft::Hook::kForward;
  if (out.has_forward) {
    TRY_ASSIGN(const auto rules, socket.rules(table, kBaseChain));
    const std::string jump = fmt::format("jump -> {} ]", chain);
    for (const nft::ListedRule& rule : rules) {
      if (rule.text.find(jump) != std::string::npos) out.jumps.push_back(rule.handle);
    }
  }
  const auto own = socket.chain(table, chain);
  if (!own.ok()) return own.status().is(Reason::kNotFound) ? Result<Standing>(out) : own.status();
  out.has_chain = true;
  TRY_ASSIGN(const auto own_rules, socket.rules(table, chain));
  for (const nft::ListedRule& rule : own_rules) out.comments.push_back(rule.comment);
  return out;
}

void remove(const nft::Table& table, const std::string& chain, const Standing& standing, nft::Batch& batch) {
  for (const uint64_t handle : standing.jumps) batch.delete_rule(table, kBaseChain, handle);
  if (!standing.has_chain) return;
  batch.flush_chain(table, chain);
  batch.delete_chain(table, chain);
}

void write(const nft::Table& table, const std::string& chain, const IpPrefix& network, const Standing& standing,
           nft::Batch& batch) {
  const std::vector<nft::Rule> rules = accepting(network);
  const bool same = std::ranges::equal(rules, standing.comments, [](const nft::Rule& rule, const std::string& comment) {
    return rule.comment() == comment;
  });
  if (same && !standing.jumps.empty()) return;
  batch.add_chain(table, {.name = chain});
  batch.flush_chain(table, chain);
  for (const nft::Rule& rule : rules) batch.add_rule(table, chain, rule);
  // In front, as kube-proxy's own chain: behind another program's last rule "reject" they would do nothing.
  if (standing.jumps.empty()) {
    batch.insert_rule(table, kBaseChain, nft::Rule().counter().verdict(nft::jump(chain)).comment(kJumpComment));
  }
}

// The older kind of iptables.

std::string legacy_program(bool ipv6, std::string_view suffix = "") {
  return fmt::format("{}-legacy{}", ipv6 ? "ip6tables" : "iptables", suffix);
}

bool legacy_table_loaded(bool ipv6) {
  const auto names =
      linux::read_file(ipv6 ? "/proc/thread-self/net/ip6_tables_names" : "/proc/thread-self/net/ip_tables_names");
  return names.ok() && std::ranges::count(split_list(*names, '\n'), "filter") > 0;
}

/// Of the command that other programs call: what they write is there sooner or later. It is a link to the program that
/// has all of its kind (before 1.8 the only one).
bool iptables_is_legacy() {
  const auto program = linux::find_program("iptables", {"/usr/sbin", "/sbin"});
  if (!program) return false;
  std::error_code error;
  const auto name = std::filesystem::canonical(*program, error).filename();
  return name == "xtables-legacy-multi" || name == "xtables-multi";
}

/// The lines of `iptables-legacy -S`. Nothing where there is no such program.
Result<std::optional<std::vector<std::string>>> legacy_rules(bool ipv6) {
  auto text = linux::run_program({legacy_program(ipv6), "-w", "5", "-S"});
  if (text.status().is(Reason::kNotFound)) return std::optional<std::vector<std::string>>();
  if (!text.ok()) return text.status();
  std::vector<std::string> lines;
  for (const std::string_view line : split_list(*text, '\n')) lines.emplace_back(line);
  return std::optional(std::move(lines));
}

/// All of the commands or nothing.
Status change_legacy_rules(bool ipv6, const std::vector<std::string>& commands) {
  std::string file = "/tmp/trireme-forward-XXXXXX";
  const int fd = ::mkstemp(file.data());
  if (fd < 0) return linux::errno_status("create", file, errno);
  ::close(fd);
  Status status = linux::write_file(file, fmt::format("*filter\n{}\nCOMMIT\n", fmt::join(commands, "\n")), 0600);
  if (status.ok()) {
    status = linux::run_program({legacy_program(ipv6, "-restore"), "-w", "5", "--noflush", file}).status();
  }
  ::unlink(file.c_str());
  return status;
}

std::string legacy_jump(const std::string& chain) {
  return fmt::format("{} -m comment --comment \"{}\" -j {}", kBaseChain, kJumpComment, chain);
}

}  // namespace

bool concerns_forwarding(const nft::Table& table) {
  return table == filter_table(false) || table == filter_table(true);
}

Status ensure_forward_rules(nft::Socket& socket, const std::string& chain, const NetworkConfig& config) {
  nft::Batch batch;
  for (const bool ipv6 : {false, true}) {
    const nft::Table table = filter_table(ipv6);
    TRY_ASSIGN(const Standing standing, look(socket, table, chain));
    if (!standing.has_forward) continue;
    if (const auto network = network_of(config, ipv6)) {
      write(table, chain, *network, standing, batch);
    } else {
      remove(table, chain, standing, batch);
    }
  }
  return socket.commit(batch).with_context("iptables' chain FORWARD");
}

Status ensure_legacy_forward_rules(const std::string& chain, const NetworkConfig& config) {
  for (const bool ipv6 : {false, true}) {
    const auto network = network_of(config, ipv6);
    if (!network || !(legacy_table_loaded(ipv6) || iptables_is_legacy())) continue;
    TRY_ASSIGN(const auto lines, legacy_rules(ipv6));
    if (!lines) continue;
    const std::vector<std::string> rules = {fmt::format("-A {} -s {} -j ACCEPT", chain, network->to_string()),
                                            fmt::format("-A {} -d {} -j ACCEPT", chain, network->to_string())};
    std::vector<std::string> standing;
    std::ranges::copy_if(*lines, std::back_inserter(standing),
                         [&](const std::string& line) { return line.starts_with("-A " + chain + " "); });
    const bool jumps = std::ranges::count(*lines, "-A " + legacy_jump(chain)) > 0;
    if (jumps && standing == rules) continue;
    // The first line makes the chain, or empties it.
    std::vector<std::string> commands = {fmt::format(":{} - [0:0]", chain), rules[0], rules[1]};
    if (!jumps) commands.push_back("-I " + legacy_jump(chain));
    TRY(change_legacy_rules(ipv6, commands));
  }
  return {};
}

Status remove_forward_rules(const std::string& chain) {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  nft::Batch batch;
  for (const bool ipv6 : {false, true}) {
    TRY_ASSIGN(const Standing standing, look(socket, filter_table(ipv6), chain));
    remove(filter_table(ipv6), chain, standing, batch);
  }
  TRY(socket.commit(batch));
  for (const bool ipv6 : {false, true}) {
    if (!legacy_table_loaded(ipv6)) continue;
    TRY_ASSIGN(const auto lines, legacy_rules(ipv6));
    if (!lines || std::ranges::count(*lines, "-N " + chain) == 0) continue;
    std::vector<std::string> commands;
    if (std::ranges::count(*lines, "-A " + legacy_jump(chain)) > 0) commands.push_back("-D " + legacy_jump(chain));
    commands.push_back("-F " + chain);
    commands.push_back("-X " + chain);
    TRY(change_legacy_rules(ipv6, commands));
  }
  return {};
}

}  // namespace trireme::overlay
