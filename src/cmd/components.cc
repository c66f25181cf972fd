// The components as processes of their own, for classic deployments: each finds the API server by a kubeconfig.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "base/flags.h"
#include "base/log.h"
#include "client/informer_factory.h"
#include "client/leader_election.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "cmd/component.h"
#include "cmd/component_server.h"
#include "cmd/configz.h"
#include "cmd/control_plane.h"
#include "cmd/instance_lock.h"
#include "cmd/leading.h"
#include "cmd/node_dns.h"
#include "cmd/pki.h"
#include "cmd/policy_hooks.h"
#include "cmd/stop_signals.h"
#include "controllers/all.h"
#include "controllers/runtime/flags.h"
#include "controllers/runtime/manager.h"
#include "ingress/ingress_controller.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/machine.h"
#include "linux/file.h"
#include "scheduler/scheduler.h"

namespace trireme::cmd {
namespace {

/// The component's own server; null when it is off. `raw` serves where no kubeconfig of its own is given.
Result<std::unique_ptr<ComponentServer>> serve(const ServingOptions& options, ServedContent content,
                                               const std::shared_ptr<client::RawClient>& raw,
                                               const std::shared_ptr<Clock>& clock) {
  TRY(check(options));
  const auto other = [&](const std::string& file) -> Result<std::shared_ptr<client::RawClient>> {
    if (file.empty()) return raw;
    return connect_by_kubeconfig(file, raw->user_agent());
  };
  TRY_ASSIGN(auto tokens, other(options.authentication_kubeconfig));
  TRY_ASSIGN(auto rights, other(options.authorization_kubeconfig));
  return ComponentServer::start(options, std::move(content), client::Client(std::move(tokens)),
                                client::Client(std::move(rights)), clock);
}

/// Shows the metrics of what works now, as long as it exists.
class ShownMetrics {
 public:
  ShownMetrics(ComponentServer* server, std::function<std::string()> metrics) : server_(server) {
    if (server_ != nullptr) server_->set_metrics(std::move(metrics));
  }
  ~ShownMetrics() {
    if (server_ != nullptr) server_->set_metrics(nullptr);
  }
  ShownMetrics(const ShownMetrics&) = delete;
  ShownMetrics& operator=(const ShownMetrics&) = delete;

 private:
  ComponentServer* const server_;
};

/// This process ends when it does not lead any longer.
std::pair<std::string, std::function<Status()>> leading_check() {
  return {"leaderElection", [] { return Status(); }};
}

Status serve_api(const ClusterOptions& options) {
  sigset_t signals = block_stop_signals();
  TRY(linux::make_dirs(options.data_dir, 0700));
  TRY_ASSIGN(InstanceLock lock, InstanceLock::take(options.data_dir));
  auto clock = real_clock();
  TRY_ASSIGN(Pki pki, Pki::open(options.pki_folder(), *clock));
  TRY_ASSIGN(auto control_plane, ControlPlane::start(options, pki, clock));
  uint16_t port = control_plane->port();
  TRY(write_client_kubeconfig(pki, options, port, "admin", "kubernetes-admin", {"system:masters"}));
  TRY(write_client_kubeconfig(pki, options, port, "controller-manager", "system:kube-controller-manager", {}));
  TRY(write_client_kubeconfig(pki, options, port, "scheduler", "system:kube-scheduler", {}));
  TRY(write_client_kubeconfig(pki, options, port, "kubelet", "system:node:" + options.node_name, {"system:nodes"}));
  TRY(write_client_kubeconfig(pki, options, port, "ingress", "system:trireme-ingress", {}));
  log::info("Serving the API", {{"address", options.bind_address}, {"port", port}, {"kubeconfigs", options.data_dir}});
  if (!options.ready_file.empty()) TRY(linux::write_file(options.ready_file, "", 0644));
  int signal = 0;
  sigwait(&signals, &signal);
  control_plane->stop();
  return {};
}

}  // namespace

int apiserver(const std::vector<std::string>& words) {
  ClusterOptions options;
  FlagSet flags = cluster_flags("apiserver [flags]", options);
  flags.add_ignored("logtostderr");
  auto arguments = flags.parse(words);
  if (arguments.ok() && options.help) {
    fmt::print("{}", flags.help());
    return 0;
  }
  Status status = arguments.status();
  if (status.ok()) status = complete(options);
  if (status.ok()) status = serve_api(options);
  return status.ok() ? 0 : fail("apiserver", status);
}

int controller_manager(const std::vector<std::string>& words) {
  CommonOptions options;
  FlagSet flags = common_flags("controller-manager --kubeconfig FILE [flags]", options);
  std::string root_ca_file;
  std::string signing_certificate_file;
  std::string signing_key_file;
  std::string service_account_key_file;
  std::vector<std::string> selection = {"*"};
  controllers::ControllerOptions controller_options;
  flags.add("root-ca-file", &root_ca_file, "certificate authority published to every namespace");
  flags.add("controllers", &selection, "controllers to run: * for all, name, -name; empty for none");
  flags.add("cluster-signing-cert-file", &signing_certificate_file, "authority that signs certificate requests");
  flags.add("cluster-signing-key-file", &signing_key_file, "its key");
  flags.add("service-account-private-key-file", &service_account_key_file,
            "key that signs the tokens of service account secrets");
  controllers::add_flags(flags, controller_options);
  Leadership leadership;
  add_leadership_flags(flags, leadership, "kube-controller-manager");
  ServingOptions serving;
  serving.secure_port = 10257;
  add_serving_flags(flags, serving);
  int code = 0;
  if (!parse(flags, words, options, "controller-manager", code)) return code;

  Status status = run_until_signal([&](std::stop_token stop) -> Status {
    TRY(check(leadership));
    const auto read = [](const std::string& file, std::string& text) -> Status {
      if (file.empty()) return {};
      TRY_ASSIGN(text, linux::read_file(file));
      return {};
    };
    TRY(read(root_ca_file, controller_options.root_ca_pem));
    TRY(read(signing_certificate_file, controller_options.cluster_signing_certificate_pem));
    TRY(read(signing_key_file, controller_options.cluster_signing_key_pem));
    TRY(read(service_account_key_file, controller_options.service_account_key_pem));
    TRY_ASSIGN(auto selected, controllers::select_controllers(controllers::all_controllers(),
                                                              fmt::format("{}", fmt::join(selection, ","))));
    TRY_ASSIGN(auto raw, connect_by_kubeconfig(options.kubeconfig, "kube-controller-manager"));
    auto clock = real_clock();
    const auto configz = [&] { return controllers_configz(controller_options, leadership, selection); };
    TRY_ASSIGN(const auto server, serve(serving, {"kube-controller-manager", {leading_check()}, configz}, raw, clock));
    return run_as_leader(leadership, raw, clock, stop, [&](std::stop_token leading) -> Status {
      controllers::Manager manager(controllers::ControllerContext{
          client::Client(raw), std::make_shared<client::InformerFactory>(raw, clock),
          std::make_shared<client::EventBroadcaster>(client::Client(raw), clock), clock, controller_options});
      for (const auto* descriptor : selected) manager.add(*descriptor);
      const ShownMetrics shown(server.get(), [&manager] { return manager.metrics(); });
      TRY(manager.start(leading));
      wait_for_stop(std::move(leading));
      manager.stop();
      return {};
    });
  });
  return status.ok() ? 0 : fail("controller-manager", status);
}

namespace {

/// The scheduler's configuration: the file's, with the flags that were given in its place.
Result<scheduler::Configuration> scheduler_configuration(const std::string& file) {
  if (file.empty()) return scheduler::Configuration();
  TRY_ASSIGN(const std::string text, linux::read_file(file));
  auto parsed = scheduler::parse_configuration(text);
  if (!parsed.ok()) return parsed.status().with_context(file);
  return parsed;
}

}  // namespace

int scheduler(const std::vector<std::string>& words) {
  // Twice: the first reading finds the file, whose settings are then the flags' defaults.
  CommonOptions options;
  std::string config_file;
  std::string scheduler_name;
  scheduler::Configuration config;
  Leadership leadership;
  scheduler::SchedulerOptions defaults;
  Duration unschedulable_timeout = defaults.unschedulable_timeout;
  ServingOptions serving;
  serving.secure_port = 10259;
  const auto make_flags = [&] {
    FlagSet flags = common_flags("scheduler --kubeconfig FILE [flags]", options);
    flags.add("config", &config_file, "a KubeSchedulerConfiguration; flags count for more");
    flags.add("scheduler-name", &scheduler_name, "with one profile: the schedulerName it serves");
    flags.add("pod-max-in-unschedulable-pods-duration", &unschedulable_timeout,
              "an unschedulable pod is tried again after this long, whatever happened");
    add_leadership_flags(flags, leadership, config.leader_election.name);
    add_serving_flags(flags, serving);
    for (const char* ignored :
         {"kube-api-qps", "kube-api-burst", "kube-api-content-type", "profiling", "contention-profiling"}) {
      flags.add_ignored(ignored);
    }
    return flags;
  };
  int code = 0;
  {
    FlagSet flags = make_flags();
    if (!parse(flags, words, options, "scheduler", code)) return code;
  }
  auto read = scheduler_configuration(config_file);
  if (!read.ok()) return fail("scheduler", read.status());
  config = std::move(*read);
  leadership.elect = config.leader_elect;
  leadership.options = config.leader_election;
  {
    FlagSet flags = make_flags();
    if (!parse(flags, words, options, "scheduler", code)) return code;
  }
  if (options.kubeconfig.empty()) options.kubeconfig = config.kubeconfig;
  if (!scheduler_name.empty() && config.profiles.size() == 1) config.profiles[0].scheduler_name = scheduler_name;
  scheduler::SchedulerOptions scheduler_options = scheduler::options_of(config);
  scheduler_options.unschedulable_timeout = unschedulable_timeout;

  Status status = run_until_signal([&](std::stop_token stop) -> Status {
    TRY(check(leadership));
    TRY_ASSIGN(auto raw, connect_by_kubeconfig(options.kubeconfig, "kube-scheduler"));
    auto clock = real_clock();
    const auto configz = [&] { return scheduler_configz(config, leadership); };
    TRY_ASSIGN(const auto server, serve(serving, {"kube-scheduler", {leading_check()}, configz}, raw, clock));
    return run_as_leader(leadership, raw, clock, stop, [&](std::stop_token leading) -> Status {
      const auto running = trireme::scheduler::Scheduler::create(
          {client::Client(raw), std::make_shared<client::InformerFactory>(raw, clock),
           std::make_shared<client::EventBroadcaster>(client::Client(raw), clock), clock, scheduler_options});
      const ShownMetrics shown(server.get(), [&running] { return running->metrics(); });
      TRY(running->start(leading));
      wait_for_stop(std::move(leading));
      running->stop();
      return {};
    });
  });
  return status.ok() ? 0 : fail("scheduler", status);
}

int kubelet(const std::vector<std::string>& words) {
  CommonOptions options;
  FlagSet flags = common_flags("kubelet --kubeconfig FILE [flags]", options);
  trireme::kubelet::KubeletOptions kubelet_options;
  bool network_policy = true;
  int port = kubelet_options.port;
  flags.add("hostname-override", &kubelet_options.node_name, "name of this node (default: the host's name)");
  flags.add("node-ip", &kubelet_options.node_ip, "addresses of this node");
  flags.add("root-dir", &kubelet_options.root_dir, "folder of the pods' volumes and other state");
  flags.add("local-path-dir", &kubelet_options.local_path_dir,
            "folder of the local-path volumes; empty: below root-dir");
  flags.add("pod-logs-dir", &kubelet_options.pod_logs_dir, "folder of the containers' logs");
  flags.add("container-runtime-endpoint", &kubelet_options.container_runtime_endpoint, "containerd's socket");
  flags.add("cluster-dns", &kubelet_options.cluster_dns, "addresses of the cluster's DNS server");
  flags.add("cluster-domain", &kubelet_options.cluster_domain, "domain of the cluster");
  flags.add("resolv-conf", &kubelet_options.resolv_conf,
            "resolver configuration of pods with dnsPolicy Default, and the end of every pod's search path");
  flags.add("max-pods", &kubelet_options.max_pods, "pods that may run here");
  flags.add("cgroup-root", &kubelet_options.cgroup_root, "control group below which kubepods is made");
  flags.add("address", &kubelet_options.address, "address the server listens on");
  flags.add("port", &port, "port of the server; 0 picks a free one");
  flags.add("tls-cert-file", &kubelet_options.tls_cert_file, "the server's certificate");
  flags.add("tls-private-key-file", &kubelet_options.tls_private_key_file, "its key");
  flags.add("client-ca-file", &kubelet_options.client_ca_file, "authority of the clients' certificates");
  int health_port = 10248;
  std::string health_address = "127.0.0.1";
  flags.add("healthz-port", &health_port, "port of plain /healthz; 0: none");
  flags.add("healthz-bind-address", &health_address, "its address");
  flags.add("register-node", &kubelet_options.register_node, "create the Node object");
  flags.add("network-policy", &network_policy, "keep network policies in force for this node's pods");
  flags.add("register-with-taints", &kubelet_options.register_with_taints, "taints of a new node: key=value:Effect");
  int code = 0;
  if (!parse(flags, words, options, "kubelet", code)) return code;
  kubelet_options.port = static_cast<uint16_t>(port);

  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<policy::Enforcer> policies;
  std::unique_ptr<trireme::kubelet::Kubelet> running;
  std::unique_ptr<HealthPort> health;
  Status status = run_until_signal([&](std::stop_token) -> Status {
    TRY_ASSIGN(auto raw, connect_by_kubeconfig(options.kubeconfig, "kubelet"));
    trireme::kubelet::NetworkHooks hooks;
    if (network_policy) {
      // The name that the kubelet will choose, too.
      if (kubelet_options.node_name.empty()) {
        kubelet_options.node_name = trireme::kubelet::read_machine_info().host_name;
      }
      informers = std::make_unique<client::InformerFactory>(raw, real_clock());
      TRY_ASSIGN(policies, policy::Enforcer::start({.node_name = kubelet_options.node_name},
                                                   {*informers, raw, real_clock(), nullptr}));
      hooks = policy_hooks(*policies);
    }
    TRY_ASSIGN(running, trireme::kubelet::Kubelet::start(std::move(kubelet_options),
                                                         {raw, real_clock(), nullptr, std::move(hooks)}));
    if (health_port != 0) {
      TRY_ASSIGN(health, HealthPort::start(health_address, static_cast<uint16_t>(health_port)));
    }
    return {};
  });
  health.reset();
  running.reset();
  return status.ok() ? 0 : fail("kubelet", status);
}

int dns(const std::vector<std::string>& words) {
  CommonOptions options;
  FlagSet flags = common_flags("dns --kubeconfig FILE [flags]", options);
  NodeDnsOptions dns_options;
  dns_options.folder = "/var/lib/trireme/dns";
  dns_options.addresses = {"10.96.0.10"};
  dns_options.ranges = {"10.96.0.0/16", "10.244.0.0/16"};
  bool remove = false;
  flags.add("cluster-dns", &dns_options.addresses, "addresses to serve; they are put on the loopback interface");
  flags.add("cluster-domain", &dns_options.domain, "domain of the cluster");
  flags.add("reverse-ranges", &dns_options.ranges, "networks of services and pods");
  flags.add("resolv-conf", &dns_options.resolv_conf, "file that names the servers for all other names");
  flags.add("dns-upstream", &dns_options.upstreams, "ask these servers instead");
  flags.add("dns-stub-domain", &dns_options.stub_domains, "DOMAIN=ADDRESS[,ADDRESS]; may be repeated");
  flags.add("state-dir", &dns_options.folder, "folder that remembers which addresses were put up");
  flags.add("remove", &remove, "take the addresses away again, and end");
  int code = 0;
  if (!parse(flags, words, options, "dns", code)) return code;
  if (remove) {
    Status removed = remove_node_dns(dns_options.folder);
    return removed.ok() ? 0 : fail("dns", removed);
  }
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<NodeDns> running;
  Status status = run_until_signal([&](std::stop_token) -> Status {
    TRY_ASSIGN(auto raw, connect_by_kubeconfig(options.kubeconfig, "trireme-dns"));
    informers = std::make_unique<client::InformerFactory>(raw, real_clock());
    TRY_ASSIGN(running, NodeDns::start(dns_options, *informers, real_clock()));
    informers->start();
    return {};
  });
  running.reset();
  informers.reset();
  return status.ok() ? 0 : fail("dns", status);
}

int ingress(const std::vector<std::string>& words) {
  CommonOptions options;
  FlagSet flags = common_flags("ingress --kubeconfig FILE [flags]", options);
  trireme::ingress::IngressOptions ingress_options;
  ingress_options.folder = "/var/lib/trireme/ingress";
  flags.add("http-port", &ingress_options.http_port, "port for HTTP");
  flags.add("https-port", &ingress_options.https_port, "port for HTTPS");
  flags.add("address", &ingress_options.address, "address to listen on (default: all)");
  flags.add("publish-address", &ingress_options.published, "addresses for the Ingresses' status");
  flags.add("state-dir", &ingress_options.folder, "folder of nginx's configuration, certificates and log");
  int code = 0;
  if (!parse(flags, words, options, "ingress", code)) return code;
  std::unique_ptr<trireme::ingress::IngressController> running;
  Status status = run_until_signal([&](std::stop_token) -> Status {
    TRY_ASSIGN(auto raw, connect_by_kubeconfig(options.kubeconfig, "trireme-ingress"));
    TRY_ASSIGN(running, trireme::ingress::IngressController::start(ingress_options, {raw, real_clock()}));
    return {};
  });
  running.reset();
  return status.ok() ? 0 : fail("ingress", status);
}

}  // namespace trireme::cmd
