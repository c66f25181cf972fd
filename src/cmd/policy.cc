#include <fmt/format.h>

#include <algorithm>

#include "base/flags.h"
#include "cmd/commands.h"
#include "policy/kernel_table.h"

namespace trireme::cmd {
namespace {

void print(const std::vector<policy::PolicyCount>& counts) {
  const size_t kGap = 3;
  size_t ns_width = std::string_view("NAMESPACE").size();
  size_t name_width = std::string_view("NAME").size();
  for (const policy::PolicyCount& count : counts) {
    ns_width = std::max(ns_width, count.ns.size());
    name_width = std::max(name_width, count.name.size());
  }
  const auto line = [&](std::string_view ns, std::string_view name, std::string_view direction,
                        std::string_view allowed, std::string_view denied) {
    fmt::print("{:<{}}{:<{}}{:<12}{:<12}{}\n", ns, ns_width + kGap, name, name_width + kGap, direction, allowed,
               denied);
  };
  line("NAMESPACE", "NAME", "DIRECTION", "ALLOWED", "DENIED");
  for (const policy::PolicyCount& count : counts) {
    line(count.ns, count.name, policy::name_of(count.direction), fmt::to_string(count.allowed),
         fmt::to_string(count.denied));
  }
}

}  // namespace

int policy(const std::vector<std::string>& words) {
  std::string ns;
  bool help = false;
  FlagSet flags(
      "trireme policy [--namespace NAMESPACE]\n\nShows what the network policies of this machine's pods have let pass "
      "and dropped.");
  flags.add("namespace", &ns, "only the policies of this namespace");
  flags.add("help", &help, "print this text");
  auto arguments = flags.parse(words);
  Status status = arguments.status();
  if (status.ok() && help) {
    fmt::print("{}", flags.help());
    return 0;
  }
  if (status.ok() && !arguments->empty())
    status = Status::bad_request("unexpected argument \"" + arguments->front() + "\"");
  Result<std::vector<policy::PolicyCount>> counts = status.ok() ? policy::policy_counts() : status;
  if (!counts.ok()) {
    fmt::print(stderr, "trireme: {}\n", counts.status().message());
    return 1;
  }
  if (!ns.empty()) std::erase_if(*counts, [&](const policy::PolicyCount& count) { return count.ns != ns; });
  if (counts->empty()) {
    fmt::print(stderr, "No network policies are in force on this machine.\n");
    return 0;
  }
  print(*counts);
  return 0;
}

}  // namespace trireme::cmd
