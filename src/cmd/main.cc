#include <fmt/format.h>
#include <malloc.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/version.h"
#include "cmd/commands.h"
#include "kubecfg/kubecfg.h"

namespace trireme::cmd {
namespace {

struct Command {
  std::string_view name;
  std::string_view help;
  int (*run)(const std::vector<std::string>& words);
};

int version(const std::vector<std::string>&) {
  fmt::print("trireme {}\n", kVersion);
  return 0;
}

constexpr Command kCommands[] = {
    {"up", "run a whole cluster on this machine, until Ctrl-C", up},
    {"server", "run the control plane and a node that other machines can join", server},
    {"join", "make this machine a node of a cluster that runs elsewhere", join},
    {"token", "make, list and delete the tokens by which machines join", token},
    {"reset", "remove every trace of a cluster from this machine", reset},
    {"apiserver", "the API server alone, on the embedded store", apiserver},
    {"controller-manager", "the controllers alone", controller_manager},
    {"scheduler", "the scheduler alone", scheduler},
    {"kubelet", "the node's agent alone", kubelet},
    {"overlay", "the network between nodes alone, with flanneld's flags", overlay},
    {"proxy", "the service proxy alone", proxy_command},
    {"dns", "the cluster's DNS server alone", dns},
    {"ingress", "the ingress alone", ingress},
    {"policy", "what the network policies of this machine's pods let pass and dropped", policy},
    {"simulate", "whole clusters on a virtual clock, with failures, repeatable by their seed", simulate},
    {"kubecfg", "the command line of 2014", kubecfg::run},
    {"version", "print the version", version},
};

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int print_usage(FILE* out, int code) {
  fmt::print(out, "Trireme {}: Kubernetes in one executable.\n\nUsage: trireme COMMAND [flags]\n\nCommands:\n",
             kVersion);
  for (const Command& command : kCommands) fmt::print(out, "  {:<20}{}\n", command.name, command.help);
  fmt::print(out, "\nCOMMAND --help lists a command's flags.\n");
  return code;
}

int dispatch(const std::vector<std::string>& words) {
  std::string_view program = words.at(0);
  program.remove_prefix(program.rfind('/') + 1);
  // Called by a component's name, through a link.
  if (const Command* command = find_command(program)) return command->run({words.begin() + 1, words.end()});
  if (words.size() < 2) return print_usage(stderr, 2);
  if (words[1] == "--help" || words[1] == "-h" || words[1] == "help") return print_usage(stdout, 0);
  if (words[1] == "--version") return version({});
  if (const Command* command = find_command(words[1])) return command->run({words.begin() + 2, words.end()});
  fmt::print(stderr, "trireme: unknown command \"{}\"\n\n", words[1]);
  return print_usage(stderr, 2);
}

}  // namespace
}  // namespace trireme::cmd

int main(int argc, char** argv) {
  // Many threads each with a heap of its own would keep megabytes that nobody uses.
  mallopt(M_ARENA_MAX, 2);
  std::signal(SIGPIPE, SIG_IGN);
  return trireme::cmd::dispatch({argv, argv + argc});
}
