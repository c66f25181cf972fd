#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <memory>

#include "base/log.h"
#include "client/client.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/control_plane.h"
#include "cmd/instance_lock.h"
#include "cmd/node.h"
#include "cmd/node_dns.h"
#include "cmd/pki.h"
#include "cmd/progress.h"
#include "cmd/stop_signals.h"
#include "ingress/ingress_controller.h"
#include "linux/file.h"

namespace trireme::cmd {
namespace {

constexpr auto kNodeReadyTimeout = std::chrono::seconds(60);

/// Everything that `trireme up` runs, in the order of its start.
class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options) : options_(options), clock_(real_clock()) {}
  ~Cluster() { stop(); }

  Status start() {
    TRY(step("certificates", [&] { return make_certificates(); }));
    // containerd takes longest to start: it does so while the control plane comes up.
    std::future<Status> node_prepared;
    if (!options_.no_node) {
      node_ = std::make_unique<Node>(options_, clock_);
      node_prepared = std::async(std::launch::async, [&] { return node_->prepare(); });
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
    if (!node_) return {};
    if (!options_.cluster_dns.empty()) {
      // Another service may have the address: names are served all the same.
      auto raw = std::make_shared<client::RawClient>(control_plane_->transport("kubernetes-admin", {"system:masters"}),
                                                     "trireme-addons");
      Status service = ensure_dns_service(client::Client(raw), options_.cluster_dns, *clock_);
      if (!service.ok()) log::warning("The service kube-dns could not be made", {{"error", service}});
    }
    TRY(step(fmt::format("node {} Ready", options_.node_name), [&]() -> Status {
      TRY(node_->start(*pki_, *control_plane_));
      return node_->wait_ready(kNodeReadyTimeout);
    }));
    return options_.ingress ? step("ingress", [&] { return start_ingress(); }) : Status();
  }

  void stop() {
    ingress_.reset();
    if (node_) node_->stop(options_.stop_pods);
    node_.reset();
    if (control_plane_) control_plane_->stop();
    control_plane_.reset();
  }

 private:
  Status start_ingress() {
    ingress::IngressOptions ingress;
    ingress.folder = options_.ingress_folder();
    ingress.http_port = options_.ingress_http_port;
    ingress.https_port = options_.ingress_https_port;
    ingress.published = split_list(options_.node_ip);
    auto own =
        std::make_shared<client::RawClient>(control_plane_->transport("system:trireme-ingress", {}), "trireme-ingress");
    TRY_ASSIGN(ingress_, ingress::IngressController::start(std::move(ingress), {own, clock_}));
    return {};
  }

  Status make_certificates() {
    TRY_ASSIGN(Pki pki, Pki::open(options_.pki_folder(), *clock_));
    pki_ = std::make_unique<Pki>(std::move(pki));
    return {};
  }

  const ClusterOptions& options_;
  std::shared_ptr<Clock> clock_;
  std::unique_ptr<Pki> pki_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<ingress::IngressController> ingress_;
};

int fail(const Status& status) {
  fmt::print(stderr, "trireme: {}\n", status.message());
  return 1;
}

Status run(const ClusterOptions& options, const sigset_t& signals) {
  ::umask(0022);
  TRY(linux::make_dirs(options.data_dir, 0700));
  TRY_ASSIGN(InstanceLock lock, InstanceLock::take(options.data_dir));
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

int up(const std::vector<std::string>& words) {
  ClusterOptions options;
  FlagSet flags = cluster_flags("trireme up [flags]", options);
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
  if (!status.ok()) return fail(status);
  if (options.verbosity >= 2) log::set_level(log::Level::kDebug);
  if (!options.ready_file.empty()) ::unlink(options.ready_file.c_str());

  sigset_t signals = block_stop_signals();
  status = run(options, signals);
  return status.ok() ? 0 : fail(status);
}

}  // namespace trireme::cmd
