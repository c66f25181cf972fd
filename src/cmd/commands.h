#pragma once

#include <string>
#include <vector>

/// The commands of the executable; `words` are the arguments after the command's name. Each returns the exit code.
namespace trireme::cmd {

/// `trireme up`: everything in one process on one machine, until SIGINT or SIGTERM.
int up(const std::vector<std::string>& words);

/// `trireme server`: the same on an address that other machines reach, open to them.
int server(const std::vector<std::string>& words);

/// `trireme join`: this machine as a node of the cluster that runs elsewhere; without arguments, of the one joined
/// before.
int join(const std::vector<std::string>& words);

/// `trireme token`: bootstrap tokens, by which machines join.
int token(const std::vector<std::string>& words);

/// `trireme reset`: removes every trace of a data folder's cluster.
int reset(const std::vector<std::string>& words);

/// The components, each a process of its own that finds the API server by --kubeconfig. `apiserver` writes kubeconfigs
/// for the others into its data folder.
int apiserver(const std::vector<std::string>& words);
int controller_manager(const std::vector<std::string>& words);
int scheduler(const std::vector<std::string>& words);
int kubelet(const std::vector<std::string>& words);
int proxy_command(const std::vector<std::string>& words);
int overlay(const std::vector<std::string>& words);
int dns(const std::vector<std::string>& words);
int ingress(const std::vector<std::string>& words);

/// `trireme policy`: the counters of this machine's network policies.
int policy(const std::vector<std::string>& words);

/// `trireme simulate`: clusters on a virtual clock. 1: something was not as it must be; 2: the flags were wrong.
int simulate(const std::vector<std::string>& words);

}  // namespace trireme::cmd
