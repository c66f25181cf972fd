#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "client/client.h"
#include "cmd/address_watcher.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/control_plane.h"
#include "cmd/instance_lock.h"
#include "cmd/node.h"
#include "cmd/node_dns.h"
#include "cmd/node_ingress.h"
#include "cmd/node_overlay.h"
#include "cmd/pki.h"
#include "cmd/progress.h"
#include "cmd/stop_signals.h"
#include "ingress/ingress_controller.h"
#include "join/bootstrap_token.h"
#include "join/cluster_info.h"
#include "linux/file.h"
#include "linux/own_addresses.h"
#include "net/x509.h"

namespace trireme::cmd {
namespace {

constexpr auto kNodeReadyTimeout = std::chrono::seconds(60);
constexpr auto kCertificateLook = std::chrono::hours(12);

/// Everything that `trireme up` and `trireme server` run, in the order of its start.
class Cluster {
 public:
  explicit Cluster(ClusterOptions options) : options_(std::move(options)), clock_(real_clock()) {}
  ~Cluster() { stop(); }

  Status start() {
    TRY(step("certificates", [&] { return make_certificates(); }));
    // containerd takes longest to start: it does so while the control plane comes up.
    std::future<Status> node_prepared;
    if (!options_.no_node) {
      node_ = std::make_unique<Node>(options_, clock_);
      node_prepared = std::async(std::launch::async, [&]() -> Status {
        TRY(node_->prepare_network());
        return node_->prepare_runtime(options_.cni_config_folder());
      });
    }
    Status status = step("API server", [&]() -> Status {
      TRY_ASSIGN(control_plane_, ControlPlane::start(options_, *pki_, clock_));
      return {};
    });
    if (status.ok()) {
      status = write_client_kubeconfig(*pki_, options_, control_plane_->port(), "admin", "kubernetes-admin",
                                       {"system:masters"});
    }
    if (status.ok()) status = step("controllers", [&] { return control_plane_->start_controllers(); });
    if (status.ok()) status = step("scheduler", [&] { return control_plane_->start_scheduler(); });
    if (node_prepared.valid()) {
      Status prepared =
          status.ok() ? step("containerd and node network", [&] { return node_prepared.get(); }) : node_prepared.get();
      if (status.ok()) status = prepared;
    }
    TRY(status);
    if (!options_.dns_addresses().empty() && (node_ || options_.many_machines)) {
      // Another service may have the address: names are served all the same.
      Status service = ensure_dns_service(admin(), options_.dns_addresses(), *clock_);
      if (!service.ok()) log::warning("The service kube-dns could not be made", {{"error", service}});
    }
    if (node_) {
      TRY(step(node_step_name(options_), [&]() -> Status {
        TRY_ASSIGN(const NodeIdentity identity, local_identity(options_, *pki_, *control_plane_));
        TRY(node_->start(identity));
        return node_->wait_ready(kNodeReadyTimeout);
      }));
    }
    if (options_.many_machines) TRY(step("open to other machines", [&] { return open_to_others(); }));
    if (node_ && options_.ingress) TRY(step("ingress", [&] { return start_ingress(); }));
    if (options_.follow_addresses) TRY(follow_addresses());
    renewer_ = std::jthread([this](std::stop_token stop) { keep_certificates(stop); });
    return {};
  }

  /// By which another machine joins, with a token that is made for it.
  Result<std::string> new_join_command() {
    const join::BootstrapToken token = join::BootstrapToken::generate();
    join::TokenSettings settings;
    settings.description = "made by trireme server at its start";
    TRY_ASSIGN(const auto secret, join::token_secret(token, settings, clock_->now()));
    TRY(admin().create(secret).status());
    TRY_ASSIGN(const std::string hash, net::public_key_fingerprint(pki_->authority_pem()));
    return join::join_command(cluster_address().server, token, hash);
  }

  void stop() {
    watcher_.reset();
    renewer_ = {};
    ingress_.reset();
    if (node_) node_->stop(options_.stop_pods);
    node_.reset();
    if (control_plane_) control_plane_->stop();
    control_plane_.reset();
  }

 private:
  Status start_ingress() {
    TRY_ASSIGN(ingress_, start_node_ingress(options_, control_plane_->transport("system:trireme-ingress", {}), clock_));
    return {};
  }

  Status make_certificates() {
    TRY_ASSIGN(Pki pki, Pki::open(options_.pki_folder(), *clock_));
    pki_ = std::make_unique<Pki>(std::move(pki));
    return {};
  }

  client::Client admin() {
    return client::Client(std::make_shared<client::RawClient>(
        control_plane_->transport("kubernetes-admin", {"system:masters"}), "trireme-server"));
  }

  join::ClusterAddress cluster_address() const {
    return {server_address(options_.advertise_address, control_plane_->port()), pki_->authority_pem()};
  }

  Status open_to_others() {
    join::ClusterFacts facts{options_.cluster_cidr,
                             options_.service_cidr,
                             options_.cluster_domain,
                             fmt::format("{}", fmt::join(options_.cluster_dns, ",")),
                             {}};
    TRY_ASSIGN(facts.network, network_fact(options_));
    return join::open_cluster(admin(), cluster_address(), facts);
  }

  Status follow_addresses() {
    TRY_ASSIGN(watcher_, AddressWatcher::start({options_.node_addresses(), options_.cluster_cidr},
                                               [this](const auto& addresses) { return addresses_changed(addresses); }));
    return {};
  }

  /// Those of the API server and of this machine's node; joined nodes see to their own.
  void keep_certificates(std::stop_token stop) {
    while (clock_->sleep_for(kCertificateLook, stop)) {
      const std::lock_guard lock(mutex_);
      Status status = control_plane_->renew_certificates(*pki_);
      if (status.ok() && node_) status = local_identity(options_, *pki_, *control_plane_).status();
      if (!status.ok()) log::error("Renewing certificates failed; trying again later", {{"error", status}});
    }
  }

  /// The node, both servers' certificates and what tells others where the API server is. On the watcher's thread.
  Status addresses_changed(const std::vector<std::string>& addresses) {
    const std::lock_guard lock(mutex_);
    const bool advertised = options_.advertise_address == options_.node_addresses().front();
    options_.node_ip = fmt::format("{}", fmt::join(addresses, ","));
    if (advertised) options_.advertise_address = addresses.front();
    TRY(ensure_server_certificate(options_, *pki_));
    if (node_) {
      TRY(local_identity(options_, *pki_, *control_plane_).status());
      node_->set_addresses(addresses);
    }
    if (ingress_) ingress_->set_published(addresses);
    if (!advertised) return {};
    TRY(advertise(admin(), options_.advertise_address, control_plane_->port()));
    return options_.many_machines ? join::update_cluster_address(admin(), cluster_address()) : Status();
  }

  std::mutex mutex_;  ///< Between the watcher and the renewer.
  ClusterOptions options_;
  std::shared_ptr<Clock> clock_;
  std::unique_ptr<Pki> pki_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<AddressWatcher> watcher_;
  std::jthread renewer_;
  std::unique_ptr<ingress::IngressController> ingress_;
};

int fail(const Status& status) {
  fmt::print(stderr, "trireme: {}\n", status.message());
  return 1;
}

/// A token is a secret: it is printed where somebody looks, and when the cluster is new, but not into a service's log
/// at each of its starts.
Status print_join_command(Cluster& cluster, bool first_start) {
  if (!first_start && ::isatty(STDOUT_FILENO) == 0) {
    fmt::print("Other machines join by what `trireme token create --print-join-command` prints.\n\n");
    return {};
  }
  TRY_ASSIGN(const std::string command, cluster.new_join_command());
  fmt::print("On another machine, within 24 hours:\n\n  {}\n\n", command);
  return {};
}

Status run(const ClusterOptions& options, const sigset_t& signals) {
  ::umask(0022);
  TRY(linux::make_dirs(options.data_dir, 0700));
  TRY_ASSIGN(InstanceLock lock, InstanceLock::take(options.data_dir));
  const bool first_start = !linux::exists(options.database_file());
  fmt::print("Starting Trireme in {}\n", options.data_dir);
  auto started = std::chrono::steady_clock::now();
  Cluster cluster(options);
  TRY(cluster.start());
  auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  fmt::print("Ready after {} ms. In another terminal:\n\n  export KUBECONFIG={}\n  kubectl get nodes\n\n{}\n",
             taken.count(), options.kubeconfig_file(),
             options.no_node || options.stop_pods
                 ? "Ctrl-C stops it."
                 : "Ctrl-C stops it; containers go on until the next start finds them.");
  if (options.many_machines) TRY(print_join_command(cluster, first_start));
  std::fflush(stdout);
  if (!options.ready_file.empty()) TRY(linux::write_file(options.ready_file, "", 0644));
  int signal = 0;
  sigwait(&signals, &signal);
  if (!options.ready_file.empty()) ::unlink(options.ready_file.c_str());
  fmt::print("Stopping\n");
  std::fflush(stdout);
  return step("everything stopped", [&] {
    cluster.stop();
    return Status();
  });
}

}  // namespace

namespace {

int run_command(std::string usage, ClusterOptions options, const std::vector<std::string>& words) {
  if (linux::has_ipv6()) options.bind_address = "::";
  FlagSet flags = cluster_flags(std::move(usage), options);
  auto arguments = flags.parse(words);
  if (arguments.ok() && options.help) {
    fmt::print("{}", flags.help());
    return 0;
  }
  Status status = arguments.status();
  if (status.ok() && !arguments->empty())
    status = Status::bad_request("unexpected argument \"" + arguments->front() + "\"");
  if (status.ok()) status = complete(options);
  if (status.ok() && !options.no_node && ::geteuid() != 0) {
    status = Status(Reason::kForbidden, "a node needs root to start containers; run as root, or with --no-node");
  }
  if (status.ok() && linux::exists(options.membership_file())) {
    status =
        Status::bad_request(fmt::format("{} belongs to a node that has joined another cluster: `trireme join` "
                                        "starts it, `trireme reset` removes it",
                                        options.data_dir));
  }
  if (!status.ok()) return fail(status);
  if (options.verbosity >= 2) log::set_level(log::Level::kDebug);
  if (!options.ready_file.empty()) ::unlink(options.ready_file.c_str());

  sigset_t signals = block_stop_signals();
  status = run(options, signals);
  return status.ok() ? 0 : fail(status);
}

}  // namespace

int up(const std::vector<std::string>& words) { return run_command("trireme up [flags]", {}, words); }

int server(const std::vector<std::string>& words) {
  ClusterOptions options;
  options.many_machines = true;
  return run_command("trireme server [flags]", std::move(options), words);
}

}  // namespace trireme::cmd
