#include "node_suite.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "linux/cgroup.h"
#include "linux/file.h"
#include "linux/mounts.h"
#include "net/transport.h"
#include "store/memory_store.h"

namespace trireme::test {

void NodeSuite::SetUpTestSuite() {
  if (ContainerdInstance::why_not()) return;
  auto started = ContainerdInstance::start();
  ASSERT_TRUE(started.ok()) << started.status().to_string();
  containerd_ = std::move(*started);
}

void NodeSuite::TearDownTestSuite() { containerd_.reset(); }

void NodeSuite::need_containerd() {
  if (auto reason = ContainerdInstance::why_not()) GTEST_SKIP() << *reason;
  ASSERT_NE(containerd_, nullptr);
}

void NodeSuite::start_server(apiserver::Options options) {
  if (!options.clock) options.clock = real_clock();
  if (!options.store) options.store = store::memory_store(options.clock);
  auto server = apiserver::ApiServer::create(std::move(options));
  ASSERT_TRUE(server.ok()) << server.status().to_string();
  server_ = std::move(*server);
  client_.emplace(raw("admin", {"system:masters"}));
}

std::shared_ptr<client::RawClient> NodeSuite::raw(const std::string& user, std::vector<std::string> groups) {
  net::Peer peer;
  peer.certificate = net::CertificateSubject{user, std::move(groups)};
  return std::make_shared<client::RawClient>(
      std::shared_ptr<net::Transport>(net::in_process_transport(*server_, std::move(peer))), user);
}

void NodeSuite::start_kubelet(kubelet::KubeletOptions options, std::shared_ptr<client::RawClient> as) {
  options.node_name = "test-node";
  options.root_dir = root();
  options.pod_logs_dir = containerd_->directory() + "/logs";
  options.container_logs_dir = "";
  options.container_runtime_endpoint = containerd_->endpoint();
  options.node_ip = {"127.0.0.1"};
  options.cgroup_root = cgroup_root();
  auto kubelet = kubelet::Kubelet::start(std::move(options), {std::move(as), real_clock(), nullptr, {}});
  ASSERT_TRUE(kubelet.ok()) << kubelet.status().to_string();
  kubelet_ = std::move(*kubelet);
}

std::string NodeSuite::cgroup_root() { return fmt::format("/trireme-test-{}", ::getpid()); }

void NodeSuite::TearDown() {
  if (kubelet_) {
    auto pods = client_->list<Pod, api::corev1::PodList>("");
    if (pods.ok()) {
      for (const Pod& pod : pods->items) remove(pod.metadata.name, 1);
    }
    EXPECT_TRUE(eventually([&] { return kubelet_->pod_count() == 0; }));
  }
  stop_components();
  if (kubelet_) {
    kubelet_.reset();
    auto cgroups = linux::Cgroups::detect();
    if (cgroups.ok()) {
      EXPECT_TRUE(cgroups->remove(cgroup_root()).ok());
    }
    EXPECT_TRUE(linux::unmount_under(root()).ok());
    EXPECT_TRUE(linux::list_dir(root() + "/pods").empty());
  }
  server_.reset();
}

NodeSuite::Pod NodeSuite::make_pod(const std::string& name, std::vector<std::string> command) {
  Pod pod;
  pod.metadata.name = name;
  pod.metadata.namespace_ = "default";
  pod.spec.termination_grace_period_seconds = 1;
  auto& container = pod.spec.containers.emplace_back();
  container.name = "main";
  container.image = "busybox:1";
  container.command = std::move(command);
  return pod;
}

NodeSuite::Pod NodeSuite::get(const std::string& name) {
  auto pod = client_->get<Pod>("default", name);
  return pod.ok() ? *pod : Pod();
}

void NodeSuite::remove(const std::string& name, int64_t grace) {
  client::DeleteOptions options;
  options.grace_period_seconds = grace;
  (void)client_->remove<Pod>("default", name, options);
}

bool NodeSuite::wait_phase(const std::string& name, std::string_view phase) {
  if (eventually([&] { return get(name).status.phase == phase; })) return true;
  ADD_FAILURE() << name << " is " << api::encode_json(get(name).status);
  auto events = client_->list<api::corev1::Event, api::corev1::EventList>("default");
  for (const auto& event : events.ok() ? events->items : std::vector<api::corev1::Event>()) {
    std::cout << event.involved_object.name << " " << event.reason << ": " << event.message << "\n";
  }
  return false;
}

std::string NodeSuite::log_of(const Pod& pod, const std::string& container, int attempt) {
  auto text = linux::read_file(fmt::format("{}/logs/default_{}_{}/{}/{}.log", containerd_->directory(),
                                           pod.metadata.name, pod.metadata.uid, container, attempt));
  return text.ok() ? *text : text.status().to_string();
}

}  // namespace trireme::test
