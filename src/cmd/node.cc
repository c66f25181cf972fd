#include "cmd/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "api/types/corev1.h"
#include "base/log.h"
#include "base/text.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"
#include "cmd/cluster_options.h"
#include "cmd/control_plane.h"
#include "cmd/node_dns.h"
#include "cmd/node_network.h"
#include "cmd/node_overlay.h"
#include "cmd/node_proxy.h"
#include "cmd/policy_hooks.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/kubelet.h"
#include "linux/bridge_filter.h"
#include "linux/file.h"
#include "linux/own_addresses.h"
#include "overlay/overlay.h"
#include "proxy/announcer.h"
#include "proxy/proxy.h"

namespace trireme::cmd {
namespace {

constexpr auto kContainerdTimeout = std::chrono::seconds(30);
constexpr auto kReadyPoll = std::chrono::milliseconds(10);
constexpr auto kPluginPatience = std::chrono::seconds(5);

/// Null: the node has not said yet.
const api::corev1::NodeCondition* readiness(const api::corev1::Node& node) {
  for (const auto& condition : node.status.conditions) {
    if (condition.type == "Ready") return &condition;
  }
  return nullptr;
}

/// As the runtime reports it, alone: other problems stand before or behind it with a comma between.
bool lacks_only_a_network_plugin(const std::string& message) {
  return message.starts_with("container runtime network not ready: ") &&
         message.find("reason:NetworkPluginNotReady ") != std::string::npos &&
         message.find(", container runtime") == std::string::npos;
}

std::string networks_file(const ClusterOptions& options) { return options.network_folder() + "/networks"; }

Status remember_networks(const ClusterOptions& options, const std::vector<std::string>& networks) {
  const std::vector<std::string> before = remembered_networks(options);
  std::vector<std::string> all = before;
  for (const std::string& network : networks) {
    if (std::ranges::find(all, network) == all.end()) all.push_back(network);
  }
  if (all == before) return {};
  TRY(linux::make_dirs(options.network_folder()));
  return linux::replace_file(networks_file(options), fmt::format("{}\n", fmt::join(all, "\n")), 0644);
}

}  // namespace

std::vector<std::string> remembered_networks(const ClusterOptions& options) {
  const std::string text = linux::read_file(networks_file(options)).value_or("");
  const auto lines = split_list(text, '\n');
  return {lines.begin(), lines.end()};
}

Node::Node(const ClusterOptions& options, std::shared_ptr<Clock> clock) : options_(options), clock_(std::move(clock)) {}

Node::~Node() = default;

Status Node::prepare_network() {
  const NodeNetworkOptions network = node_network_options(options_);
  TRY(remember_networks(options_, network.networks));
  TRY(set_up_node_network(network));
  if (Status status = linux::enable_bridge_filter(); !status.ok()) {
    log::error("Network policies do not hold, and services do not work, between pods of this machine",
               {{"error", status}});
  }
  return {};
}

Status Node::prepare_runtime(const std::string& cni_config_folder) {
  endpoint_ = options_.container_runtime_endpoint;
  if (!endpoint_.empty()) return {};

  ContainerdOptions containerd;
  containerd.folder = options_.containerd_folder();
  containerd.cni_config_folder = cni_config_folder;
  TRY_ASSIGN(containerd.cni_program_folder, cni_program_folder(options_.cni_bin_dir));
  containerd.sandbox_image = options_.sandbox_image;
  TRY_ASSIGN(containerd.registry_mirrors, parse_mirrors(options_.registry_mirrors));
  TRY_ASSIGN(containerd_, Containerd::start(containerd));
  endpoint_ = containerd_->endpoint();
  return containerd_->wait_ready(kContainerdTimeout);
}

Result<NodeIdentity> local_identity(const ClusterOptions& options, Pki& pki, ControlPlane& control_plane) {
  std::string common_name = "system:node:" + options.node_name;
  std::vector<std::string> addresses = options.node_addresses();
  addresses.emplace_back("127.0.0.1");
  TRY(pki.ensure({.name = "kubelet-server",
                  .common_name = common_name,
                  .organizations = {"system:nodes"},
                  .use = net::CertificateUse::kServer,
                  .dns_names = {options.node_name, "localhost"},
                  .ip_addresses = std::move(addresses)})
          .status());
  return NodeIdentity{.transport = control_plane.transport(common_name, {"system:nodes"}),
                      .serving_certificate_file = pki.path("kubelet-server.crt"),
                      .serving_key_file = pki.path("kubelet-server.key"),
                      .client_ca_file = pki.path("ca.crt")};
}

Status Node::start(const NodeIdentity& identity) {
  kubelet::KubeletOptions kubelet;
  kubelet.node_name = options_.node_name;
  kubelet.root_dir = options_.kubelet_folder();
  kubelet.local_path_dir = options_.local_path_folder();
  kubelet.pod_logs_dir = options_.data_dir + "/logs/pods";
  kubelet.container_logs_dir = "";
  kubelet.seccomp_profile_root = options_.kubelet_folder() + "/seccomp";
  kubelet.container_runtime_endpoint = endpoint_;
  kubelet.node_ip = options_.node_addresses();
  kubelet.node_lease_duration_seconds = options_.node_lease_duration_seconds;
  kubelet.cgroup_root = options_.cgroup_root();
  kubelet.address = kubelet.node_ip.front();
  // Where the node's address may change, or get a second one, a server on the first would be left behind.
  if (options_.many_machines || options_.follow_addresses) kubelet.address = linux::has_ipv6() ? "::" : "0.0.0.0";
  kubelet.port = static_cast<uint16_t>(options_.kubelet_port);
  kubelet.tls_cert_file = identity.serving_certificate_file;
  kubelet.tls_private_key_file = identity.serving_key_file;
  kubelet.client_ca_file = identity.client_ca_file;
  client_ = std::make_shared<client::RawClient>(identity.transport, "kubelet");
  kubelet.cluster_dns = options_.dns_addresses();
  kubelet.cluster_domain = options_.cluster_domain;
  kubelet.resolv_conf = options_.resolv_conf;
  informers_ = std::make_unique<client::InformerFactory>(client_, clock_);
  TRY(start_dns());
  TRY_ASSIGN(policies_, policy::Enforcer::start({.node_name = options_.node_name}, {*informers_, client_, clock_, {}}));
  TRY_ASSIGN(overlay_, start_node_overlay(options_, client_, *informers_, clock_));
  TRY_ASSIGN(proxy_, start_node_proxy(options_, *informers_, clock_));
  events_ = std::make_shared<client::EventBroadcaster>(client::Client(client_), clock_);
  TRY_ASSIGN(announcer_, proxy::Announcer::start(options_.node_name, {*informers_, clock_, events_}));
  informers_->start();
  TRY_ASSIGN(kubelet_,
             kubelet::Kubelet::start(std::move(kubelet), {client_, clock_, nullptr, policy_hooks(*policies_)}));
  return {};
}

void Node::set_addresses(const std::vector<std::string>& addresses) {
  if (kubelet_) kubelet_->set_addresses(addresses);
  if (overlay_) overlay_->set_interface({.iface = addresses, .iface_regex = {}, .iface_can_reach = {}});
}

Status Node::start_dns() {
  if (options_.dns_addresses().empty()) return {};
  NodeDnsOptions dns;
  dns.folder = options_.dns_folder();
  dns.addresses = options_.dns_addresses();
  dns.domain = options_.cluster_domain;
  for (const std::string* list : {&options_.service_cidr, &options_.cluster_cidr}) {
    for (const std::string_view range : split_list(*list)) dns.ranges.emplace_back(range);
  }
  dns.resolv_conf = options_.resolv_conf;
  dns.upstreams = options_.dns_upstreams;
  dns.stub_domains = options_.dns_stub_domains;
  TRY_ASSIGN(dns_, NodeDns::start(dns, *informers_, clock_));
  return {};
}

Status Node::wait_ready(Duration timeout) {
  client::Client client(client_);
  Duration deadline = clock_->monotonic() + timeout;
  while (clock_->monotonic() < deadline) {
    auto node = client.get<api::corev1::Node>("", options_.node_name);
    const auto* ready = node.ok() ? readiness(*node) : nullptr;
    if (ready != nullptr && ready->status == "True") return {};
    // The runtime may not have read yet what is there.
    const bool configured = !linux::list_dir(options_.cni_config_folder()).empty();
    const bool long_enough = clock_->monotonic() > deadline - timeout + kPluginPatience;
    if (ready != nullptr && options_.network == "none" && lacks_only_a_network_plugin(ready->message) &&
        (!configured || long_enough)) {
      fmt::print("  {} is not Ready before a network plugin is configured in {}\n", options_.node_name,
                 options_.cni_config_folder());
      return {};
    }
    std::this_thread::sleep_for(kReadyPoll);
  }
  return Status::timeout(fmt::format("node {} did not become Ready; kubectl describe node {} tells why",
                                     options_.node_name, options_.node_name));
}

std::string node_step_name(const ClusterOptions& options) {
  return fmt::format("node {} {}", options.node_name, options.network == "none" ? "started" : "Ready");
}

void Node::stop(bool remove_pods) {
  kubelet_.reset();
  announcer_.reset();
  proxy_.reset();
  overlay_.reset();
  policies_.reset();
  dns_.reset();
  if (informers_) informers_->stop();
  if (remove_pods && !endpoint_.empty()) {
    Status removed = remove_all_pods(endpoint_);
    if (!removed.ok()) log::error("Removing the pods failed", {{"error", removed}});
  }
  if (containerd_) containerd_->stop();
  containerd_.reset();
}

Status remove_all_pods(const std::string& endpoint) {
  auto runtime = kubelet::cri::grpc_runtime(endpoint);
  // A containerd that has just started accepts calls before its CRI part can answer them.
  auto listed = runtime->list_sandboxes({});
  for (auto waited = kReadyPoll; !listed.ok() && waited < kContainerdTimeout; waited += kReadyPoll) {
    std::this_thread::sleep_for(kReadyPoll);
    listed = runtime->list_sandboxes({});
  }
  TRY_ASSIGN(auto sandboxes, std::move(listed));
  Status first;
  for (const auto& sandbox : sandboxes) {
    Status status = runtime->stop_sandbox(sandbox.id);
    if (status.ok()) status = runtime->remove_sandbox(sandbox.id);
    if (!status.ok() && first.ok()) first = status.with_context("pod sandbox " + sandbox.id);
  }
  return first;
}

}  // namespace trireme::cmd
