#include <fmt/format.h>

#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/containerd.h"
#include "cmd/instance_lock.h"
#include "cmd/membership.h"
#include "cmd/node.h"
#include "cmd/node_dns.h"
#include "cmd/node_network.h"
#include "cmd/node_overlay.h"
#include "cmd/progress.h"
#include "ingress/nginx.h"
#include "linux/cgroup.h"
#include "linux/file.h"
#include "linux/mounts.h"
#include "linux/process.h"
#include "policy/kernel_table.h"
#include "proxy/proxy.h"

namespace trireme::cmd {
namespace {

constexpr auto kContainerdTimeout = std::chrono::seconds(30);

/// Removes the pods through containerd, so that sandboxes, addresses and port rules are undone by those who made them.
Status remove_pods(const ClusterOptions& options) {
  if (!linux::exists(options.containerd_folder() + "/root")) return {};
  // With the network plugin that has made them.
  TRY_ASSIGN(ContainerdOptions containerd_options, last_containerd_options(options.containerd_folder()));
  if (linux::list_dir(containerd_options.cni_config_folder).empty()) {
    // It was removed meanwhile, and without one containerd keeps pods. Links go with their namespaces.
    containerd_options.cni_config_folder = options.network_folder() + "/no-plugin";
    TRY(linux::make_dirs(containerd_options.cni_config_folder));
    TRY(linux::write_file(containerd_options.cni_config_folder + "/none.conflist",
                          R"({"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "loopback"}]})", 0644));
  }
  TRY_ASSIGN(auto containerd, Containerd::start(containerd_options));
  Status status = containerd->wait_ready(kContainerdTimeout);
  if (status.ok()) status = remove_all_pods(containerd->endpoint());
  containerd->stop();
  return status;
}

Status remove_network(const ClusterOptions& options, const NodeNetworkOptions& network) {
  TRY(proxy::remove_proxy_rules());
  TRY(remove_node_dns(options.dns_folder()));
  TRY(remove_node_overlay(options));
  TRY(remove_node_network(network));
  return policy::remove_kernel_table();
}

/// Ends what the runtime did not: shims that their containerd knows nothing of any more, and processes still in the
/// cluster's control groups. A crash in the middle of a removal can leave both.
void end_leftovers(const ClusterOptions& options, const linux::Cgroups& cgroups, const std::string& cgroup) {
  std::string address = options.containerd_folder() + "/containerd.sock";
  for (const std::string& entry : linux::list_dir("/proc")) {
    if (entry.find_first_not_of("0123456789") != std::string::npos) continue;
    auto pid = static_cast<pid_t>(std::stol(entry));
    std::vector<std::string> words = linux::command_line_of(pid);
    bool is_shim = !words.empty() && words[0].ends_with("containerd-shim-runc-v2");
    for (const std::string& word : words) {
      if (is_shim && word == address) linux::terminate_process(pid, std::chrono::seconds(1));
    }
  }
  for (pid_t pid : cgroups.processes(cgroup)) linux::terminate_process(pid, std::chrono::seconds(1));
}

Status run(const ClusterOptions& options) {
  if (!linux::exists(options.data_dir)) {
    fmt::print("There is nothing in {}\n", options.data_dir);
    return {};
  }
  // A folder that trireme did not make is not deleted, however the flag was meant.
  bool ours = linux::exists(options.pki_folder()) || linux::exists(options.data_dir + "/lock") ||
              linux::list_dir(options.data_dir).empty();
  if (!ours) {
    return Status::bad_request(
        fmt::format("{} does not look like a data folder of trireme; nothing was removed", options.data_dir));
  }
  TRY_ASSIGN(InstanceLock lock, InstanceLock::take(options.data_dir));
  Status pods = step("pods", [&] { return remove_pods(options); });
  TRY(step("control groups", [&]() -> Status {
    TRY_ASSIGN(linux::Cgroups cgroups, linux::Cgroups::detect());
    std::string cgroup = options.cgroup_root().empty() ? "/kubepods" : options.cgroup_root();
    end_leftovers(options, cgroups, cgroup);
    return cgroups.remove(cgroup);
  }));
  ingress::Nginx::end_leftover(options.ingress_folder());
  ClusterOptions joined = options;
  if (auto membership = read_membership(options.membership_file()); membership.ok()) {
    joined.cluster_cidr = membership->facts.cluster_cidr;
    joined.service_cidr = membership->facts.service_cidr;
  }
  if (linux::exists(options.network_folder())) {
    NodeNetworkOptions network = node_network_options(joined);
    for (std::string& each : remembered_networks(options)) network.networks.push_back(std::move(each));
    TRY(step("network", [&] { return remove_network(options, network); }));
  }
  TRY(step("mounts", [&] { return linux::unmount_under(options.data_dir); }));
  TRY(step("files", [&] { return linux::remove_tree(options.data_dir); }));
  return pods;
}

}  // namespace

int reset(const std::vector<std::string>& words) {
  ClusterOptions options;
  FlagSet flags = cluster_flags("trireme reset [--data-dir DIR]", options);
  auto arguments = flags.parse(words);
  if (arguments.ok() && options.help) {
    fmt::print("{}", flags.help());
    return 0;
  }
  Status status = arguments.status();
  if (status.ok()) status = complete(options);
  if (status.ok()) status = run(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "trireme: {}\n", status.message());
  return 1;
}

}  // namespace trireme::cmd
