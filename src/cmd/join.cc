#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "client/client.h"
#include "cmd/address_watcher.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/instance_lock.h"
#include "cmd/membership.h"
#include "cmd/node.h"
#include "cmd/node_ingress.h"
#include "cmd/progress.h"
#include "cmd/stop_signals.h"
#include "ingress/ingress_controller.h"
#include "join/bootstrap_token.h"
#include "join/cluster_info.h"
#include "join/discovery.h"
#include "join/node_certificates.h"
#include "linux/file.h"

namespace trireme::cmd {
namespace {

constexpr auto kNodeReadyTimeout = std::chrono::seconds(60);
constexpr auto kAgainReadyTimeout = std::chrono::seconds(20);
constexpr auto kServingTimeout = std::chrono::seconds(10);

struct JoinOptions {
  ClusterOptions node;
  std::string address;  ///< Empty: of the cluster joined before.
  std::string token;
  std::vector<std::string> ca_hashes;
  std::vector<std::string> lasting_flags;
};

FlagSet join_flags(JoinOptions& options) {
  FlagSet flags =
      node_flags("trireme join [ADDRESS:PORT --token ID.SECRET --ca-hash sha256:HASH] [flags]", options.node);
  flags.add("token", &options.token, "bootstrap token that `trireme token create` or `trireme server` printed");
  flags.add("ca-hash", &options.ca_hashes, "SHA-256 of the cluster's authority's public key; may be repeated");
  flags.add("discovery-token-ca-cert-hash", &options.ca_hashes, "the same by kubeadm's name");
  return flags;
}

/// A node of a cluster whose control plane runs elsewhere.
class JoinedNode {
 public:
  explicit JoinedNode(JoinOptions options)
      : options_(std::move(options)),
        network_given_(!options_.node.network.empty()),
        clock_(real_clock()),
        node_(options_.node, clock_) {}
  ~JoinedNode() { stop(); }

  Status start() {
    TRY(find_membership());
    // containerd takes longest to start: it does so while the machine joins.
    const std::string cni_config_folder = options_.node.cni_config_folder();
    std::future<Status> prepared =
        std::async(std::launch::async, [&] { return node_.prepare_runtime(cni_config_folder); });
    const bool again = !membership_.server.empty();
    Status status = again ? rejoin() : join_cluster();
    const Status runtime = step("containerd", [&] { return prepared.get(); });
    TRY(status);
    TRY(runtime);
    if (options_.node.cni_config_folder() != cni_config_folder) {
      // The cluster has said meanwhile that the network is somebody else's.
      TRY(step("containerd again", [&] { return node_.prepare_runtime(options_.node.cni_config_folder()); }));
    }
    TRY(step(node_step_name(options_.node), [&]() -> Status {
      TRY(start_node());
      Status ready = node_.wait_ready(again ? kAgainReadyTimeout : kNodeReadyTimeout);
      if (ready.ok() || !again) return ready;
      // Pods go on without an API server, and the kubelet reports when there is one.
      log::warning("The node has started, but the cluster does not call it Ready yet", {{"reason", ready}});
      return {};
    }));
    certificates_->start();
    TRY(step("serving certificate", [&]() -> Status {
      if (certificates_->wait_serving(kServingTimeout)) return {};
      log::warning("The cluster has not issued the kubelet's serving certificate yet; logs cannot be read until then",
                   {{"look", "kubectl get csr"}});
      return {};
    }));
    if (options_.node.ingress) TRY(step("ingress", [&] { return start_ingress(); }));
    return options_.node.follow_addresses ? follow_addresses() : Status();
  }

  void stop() {
    watcher_.reset();
    ingress_.reset();
    if (certificates_) certificates_->stop();
    node_.stop(options_.node.stop_pods);
  }

 private:
  std::string pki(std::string_view file) const { return options_.node.pki_folder() + "/" + std::string(file); }

  /// What an earlier join has left: then no token is needed.
  Status find_membership() {
    auto found = read_membership(options_.node.membership_file());
    if (!found.ok()) return found.status().is(Reason::kNotFound) ? Status() : found.status();
    if (!options_.address.empty()) {
      TRY_ASSIGN(found->server, join::server_url(options_.address));
    }
    membership_ = std::move(*found);
    if (!network_given_) options_.node.network = membership_.facts.network;
    return {};
  }

  void make_certificates(const join::ClusterAddress& cluster) {
    certificates_ = std::make_unique<join::NodeCertificates>(
        join::NodeCertificateOptions{options_.node.pki_folder(), options_.node.node_name, cluster}, clock_);
  }

  Status join_cluster() {
    if (options_.address.empty()) {
      return Status::bad_request(
          fmt::format("this machine has not joined a cluster yet ({} does not exist): `trireme token create "
                      "--print-join-command` on the server prints the command",
                      options_.node.membership_file()));
    }
    if (options_.token.empty() || options_.ca_hashes.empty()) {
      return Status::bad_request("joining needs --token and --ca-hash, as the server printed them");
    }
    join::DiscoveryOptions discovery;
    discovery.address = options_.address;
    TRY_ASSIGN(discovery.token, join::BootstrapToken::parse(options_.token));
    for (const std::string& hash : options_.ca_hashes) {
      TRY_ASSIGN(std::string normal, join::normal_ca_hash(hash));
      discovery.ca_hashes.push_back(std::move(normal));
    }
    join::ClusterAddress cluster;
    TRY(step("cluster found", [&]() -> Status {
      TRY_ASSIGN(cluster, join::discover(discovery, *clock_));
      return {};
    }));
    return step("client certificate", [&]() -> Status {
      TRY_ASSIGN(client::Client bootstrap, join::bootstrap_client(cluster, discovery.token));
      TRY_ASSIGN(const std::string version, bootstrap.raw().get_path("/version"));
      TRY(join::check_version(version));
      TRY(join::check_name_is_free(bootstrap, options_.node.node_name));
      TRY(linux::make_dirs(options_.node.pki_folder(), 0700));
      TRY(linux::replace_file(pki("ca.crt"), cluster.ca_pem, 0644));
      make_certificates(cluster);
      TRY(certificates_->obtain(bootstrap));
      membership_.server = cluster.server;
      membership_.node_name = options_.node.node_name;
      membership_.flags = options_.lasting_flags;
      return learn_facts(/*needed=*/true);
    });
  }

  Status rejoin() {
    TRY_ASSIGN(const std::string ca_pem, linux::read_file(pki("ca.crt")));
    make_certificates({membership_.server, ca_pem});
    Status loaded = certificates_->load();
    const bool lost = loaded.is(Reason::kExpired) || loaded.is(Reason::kNotFound);
    if (lost && !options_.token.empty() && !options_.address.empty()) {
      certificates_.reset();
      return join_cluster();
    }
    TRY(loaded);
    return learn_facts(/*needed=*/false);
  }

  /// The cluster's ranges of addresses, remembered for a start without the API server.
  Status learn_facts(bool needed) {
    client::Client client(std::make_shared<client::RawClient>(certificates_->transport(), "trireme-join"));
    auto map = client.get<api::corev1::ConfigMap>(join::kSystemNamespace, join::kClusterFacts);
    if (map.ok()) {
      membership_.facts = join::read_facts(*map);
      TRY(write_membership(options_.node.membership_file(), membership_));
    } else if (needed) {
      return map.status().with_context("the cluster's ranges of addresses");
    } else {
      log::warning("The API server cannot be asked; starting with what it said before", {{"error", map.status()}});
    }
    options_.node.cluster_cidr = membership_.facts.cluster_cidr;
    options_.node.service_cidr = membership_.facts.service_cidr;
    if (!network_given_) options_.node.network = membership_.facts.network;
    // Servers from before the cluster's DNS say nothing of it.
    if (!membership_.facts.cluster_domain.empty()) options_.node.cluster_domain = membership_.facts.cluster_domain;
    const std::string& dns = membership_.facts.cluster_dns;
    if (options_.node.cluster_dns.empty()) {
      for (const std::string_view address : split_list(dns)) options_.node.cluster_dns.emplace_back(address);
    }
    return {};
  }

  Status start_node() {
    TRY(node_.prepare_network());
    TRY(certificates_->prepare_serving(options_.node.node_addresses()));
    NodeIdentity identity;
    identity.transport = certificates_->transport();
    identity.serving_certificate_file = identity.serving_key_file = certificates_->serving_file();
    identity.client_ca_file = pki("ca.crt");
    return node_.start(identity);
  }

  /// As the node itself: an administrator says which nodes may read the certificates that Ingresses name.
  Status start_ingress() {
    if (const std::string grant = missing_ingress_grant(options_.node, certificates_->transport()); !grant.empty()) {
      fmt::print("This node serves Ingresses as soon as an administrator lets it:\n\n  {}\n\n", grant);
    }
    TRY_ASSIGN(ingress_, start_node_ingress(options_.node, certificates_->transport(), clock_));
    return {};
  }

  Status follow_addresses() {
    TRY_ASSIGN(watcher_, AddressWatcher::start({options_.node.node_addresses(), options_.node.cluster_cidr},
                                               [this](const std::vector<std::string>& addresses) -> Status {
                                                 node_.set_addresses(addresses);
                                                 certificates_->set_addresses(addresses);
                                                 if (ingress_) ingress_->set_published(addresses);
                                                 return {};
                                               }));
    return {};
  }

  JoinOptions options_;
  const bool network_given_;  ///< By a flag; else the cluster says it.
  std::shared_ptr<Clock> clock_;
  Membership membership_;
  std::unique_ptr<join::NodeCertificates> certificates_;
  Node node_;
  std::unique_ptr<ingress::IngressController> ingress_;
  std::unique_ptr<AddressWatcher> watcher_;
};

Status run(const JoinOptions& options, const sigset_t& signals) {
  ::umask(0022);
  const ClusterOptions& node = options.node;
  TRY(linux::make_dirs(node.data_dir, 0700));
  TRY_ASSIGN(InstanceLock lock, InstanceLock::take(node.data_dir));
  fmt::print("Joining as node {}, state in {}\n", node.node_name, node.data_dir);
  auto started = std::chrono::steady_clock::now();
  JoinedNode joined(options);
  TRY(joined.start());
  auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  fmt::print(
      "Ready after {} ms. `trireme join` without arguments starts this node again. {}\n", taken.count(),
      node.stop_pods ? "Ctrl-C stops it." : "Ctrl-C stops it; containers go on until the next start finds them.");
  std::fflush(stdout);
  if (!node.ready_file.empty()) TRY(linux::write_file(node.ready_file, "", 0644));
  int signal = 0;
  sigwait(&signals, &signal);
  if (!node.ready_file.empty()) ::unlink(node.ready_file.c_str());
  fmt::print("Stopping\n");
  std::fflush(stdout);
  return step("everything stopped", [&] {
    joined.stop();
    return Status();
  });
}

/// Reads the command line; the flags of an earlier join come first, so that what is given now counts for more.
Result<JoinOptions> read_options(const std::vector<std::string>& words) {
  JoinOptions options;
  options.node.many_machines = true;
  FlagSet flags = join_flags(options);
  TRY_ASSIGN(auto arguments, flags.parse(words));
  if (options.node.help) {
    fmt::print("{}", flags.help());
    return options;
  }
  if (arguments.size() > 1) return Status::bad_request("unexpected argument \"" + arguments[1] + "\"");
  const std::string address = arguments.empty() ? "" : arguments.front();
  const std::string asked_name = options.node.node_name;
  TRY(complete(options.node));

  auto before = read_membership(options.node.membership_file());
  if (before.ok()) {
    if (!asked_name.empty() && asked_name != before->node_name) {
      return Status::bad_request(
          fmt::format("{} belongs to node {}; `trireme reset` lets the machine join by another name",
                      options.node.data_dir, before->node_name));
    }
    JoinOptions again;
    again.node.many_machines = true;
    FlagSet all = join_flags(again);
    TRY(all.parse(before->flags).status().with_context(options.node.membership_file()));
    TRY(all.parse(words).status());
    again.node.node_name = before->node_name;
    TRY(complete(again.node));
    options = std::move(again);
  } else if (linux::exists(options.node.database_file())) {
    return Status::bad_request(
        fmt::format("{} holds a cluster of this machine's own; `trireme reset` removes it", options.node.data_dir));
  }
  options.address = address;
  options.lasting_flags = lasting_flags(words, address);
  return options;
}

}  // namespace

int join(const std::vector<std::string>& words) {
  auto options = read_options(words);
  Status status = options.status();
  if (status.ok() && options->node.help) return 0;
  if (status.ok() && ::geteuid() != 0) {
    status = Status(Reason::kForbidden, "a node needs root to start containers");
  }
  if (status.ok()) {
    if (options->node.verbosity >= 2) log::set_level(log::Level::kDebug);
    if (!options->node.ready_file.empty()) ::unlink(options->node.ready_file.c_str());
    sigset_t signals = block_stop_signals();
    status = run(*options, signals);
  }
  if (status.ok()) return 0;
  fmt::print(stderr, "trireme: {}\n", status.message());
  return 1;
}

}  // namespace trireme::cmd
