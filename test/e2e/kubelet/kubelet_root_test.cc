// A real kubelet, a real API server and a real containerd: what a pod's user sees.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "api/conditions.h"
#include "api/types/corev1.h"
#include "kubelet/kubelet.h"
#include "linux/file.h"
#include "net/transport.h"
#include "net/x509.h"
#include "node_suite.h"

namespace trireme {
namespace {

using api::corev1::Pod;
using std::chrono::milliseconds;
using std::chrono::seconds;

class KubeletRootTest : public test::NodeSuite {
 protected:
  void SetUp() override {
    need_containerd();
    if (IsSkipped() || HasFatalFailure()) return;
    start_server({});
    start_kubelet();
    ASSERT_TRUE(eventually([&] {
      auto node = client_->get<api::corev1::Node>("", "test-node");
      if (!node.ok()) return false;
      const auto* ready = api::find_condition(node->status.conditions, "Ready");
      return ready && ready->status == "True";
    }));
  }

  void start_kubelet() {
    make_certificates();
    kubelet::KubeletOptions options;
    options.address = "127.0.0.1";
    options.port = 0;
    options.tls_cert_file = containerd_->directory() + "/server.crt";
    options.tls_private_key_file = containerd_->directory() + "/server.key";
    options.client_ca_file = containerd_->directory() + "/ca.crt";
    NodeSuite::start_kubelet(std::move(options), raw("kubelet-test"));
  }

  void make_certificates() {
    if (!authority_.key_pem.empty()) return;
    WallTime now = std::chrono::system_clock::now();
    authority_ = *net::create_authority("test-ca", now - std::chrono::hours(1), now + std::chrono::hours(1));
    auto issue = [&](const std::string& name, const std::string& group) {
      net::CertificateSpec spec;
      spec.common_name = name;
      if (!group.empty()) spec.organizations = {group};
      spec.ip_addresses = {"127.0.0.1"};
      spec.not_before = now - std::chrono::hours(1);
      spec.not_after = now + std::chrono::hours(1);
      return *net::issue_certificate(authority_, spec);
    };
    auto server = issue("test-node", "");
    ASSERT_TRUE(linux::write_file(containerd_->directory() + "/server.crt", server.certificate_pem).ok());
    ASSERT_TRUE(linux::write_file(containerd_->directory() + "/server.key", server.key_pem).ok());
    ASSERT_TRUE(linux::write_file(containerd_->directory() + "/ca.crt", authority_.certificate_pem).ok());
    admin_ = issue("admin", "system:masters");
    nobody_ = issue("nobody", "");
  }

  /// A client of the kubelet's server; with no certificate when `identity` is null.
  std::unique_ptr<net::Transport> kubelet_transport(const net::CertifiedKey* identity) {
    net::HttpTransportOptions options;
    options.base_url = fmt::format("https://127.0.0.1:{}", kubelet_->port());
    options.tls.ca_pem = authority_.certificate_pem;
    if (identity != nullptr) {
      options.tls.certificate_pem = identity->certificate_pem;
      options.tls.key_pem = identity->key_pem;
    }
    return std::move(*net::http_transport(options));
  }
  net::Response fetch(const std::string& target, const net::CertifiedKey* identity) {
    net::Request request;
    request.target = target;
    auto response = kubelet_transport(identity)->round_trip(request);
    EXPECT_TRUE(response.ok()) << response.status().to_string();
    return response.ok() ? *response : net::Response{};
  }

  /// Bound to the node already: no scheduler runs.
  static Pod make_pod(const std::string& name, std::vector<std::string> command) {
    Pod pod = NodeSuite::make_pod(name, std::move(command));
    pod.spec.node_name = "test-node";
    return pod;
  }

  Pod create(const Pod& pod) {
    auto made = client_->create(pod);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? *made : Pod();
  }

  static inline net::CertifiedKey authority_;
  static inline net::CertifiedKey admin_;
  static inline net::CertifiedKey nobody_;
};

TEST_F(KubeletRootTest, RunsAPodAndDeletesIt) {
  Pod made = create(make_pod("sleeper", {"sleep", "1000"}));
  auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_phase("sleeper", "Running"));
  auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
  RecordProperty("create_to_running_ms", static_cast<int>(took.count()));
  std::cout << "create to Running: " << took.count() << " ms\n";
  Pod pod = get("sleeper");
  EXPECT_TRUE(pod.status.pod_ip.starts_with("10.250."));
  EXPECT_EQ(pod.status.qos_class, "BestEffort");
  ASSERT_EQ(pod.status.container_statuses.size(), 1u);
  EXPECT_TRUE(pod.status.container_statuses[0].ready);
  EXPECT_TRUE(pod.status.container_statuses[0].container_id.starts_with("containerd://"));
  remove("sleeper", 1);
  EXPECT_TRUE(eventually([&] { return !client_->get<Pod>("default", "sleeper").ok(); }));
}

TEST_F(KubeletRootTest, ServesLogsAndStatisticsToTheApiServerOnly) {
  Pod pod = make_pod("talker", {"sh", "-c", "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.1; done"});
  create(pod);
  ASSERT_TRUE(wait_phase("talker", "Running"));
  EXPECT_EQ(fetch("/pods", nullptr).status, 401);
  EXPECT_EQ(fetch("/pods", &nobody_).status, 403);
  EXPECT_EQ(fetch("/healthz", &admin_).body, "ok");
  ASSERT_TRUE(
      eventually([&] { return fetch("/containerLogs/default/talker/main", &admin_).body.starts_with("line 0\n"); }));
  EXPECT_EQ(fetch("/containerLogs/default/talker/main?limitBytes=4", &admin_).body, "line");
  EXPECT_EQ(fetch("/containerLogs/default/talker/other", &admin_).status, 400);
  EXPECT_EQ(fetch("/containerLogs/default/absent/main", &admin_).status, 404);
  EXPECT_EQ(fetch("/containerLogs/default/talker/main?previous=true", &admin_).status, 400);
  EXPECT_NE(fetch("/pods", &admin_).body.find("talker"), std::string::npos);
  EXPECT_NE(fetch("/stats/summary", &admin_).body.find("\"workingSetBytes\""), std::string::npos);
  EXPECT_NE(fetch("/metrics/resource", &admin_).body.find("container_cpu_usage_seconds_total{container=\"main\""),
            std::string::npos);

  net::Request follow;
  follow.target = "/containerLogs/default/talker/main?follow=true&tailLines=1";
  auto transport = kubelet_transport(&admin_);
  auto stream = transport->open(follow);
  ASSERT_TRUE(stream.ok()) << stream.status().to_string();
  std::string text;
  while (std::count(text.begin(), text.end(), '\n') < 5) {
    auto more = (*stream)->read({}, seconds(10));
    ASSERT_TRUE(more.ok() && !more->empty()) << text;
    text += *more;
  }
  // A stream ends with its container.
  remove("talker", 1);
  while (true) {
    auto more = (*stream)->read({}, seconds(20));
    ASSERT_TRUE(more.ok()) << more.status().to_string();
    if (more->empty()) break;
  }
}

TEST_F(KubeletRootTest, CostsLittleMoreThanTheRuntimeAlone) {
  auto runtime = kubelet::cri::grpc_runtime(containerd_->endpoint());
  std::vector<long> raw, through;
  for (int round = 0; round < 4; ++round) {
    kubelet::cri::SandboxConfig sandbox;
    sandbox.metadata = {fmt::format("raw-{}", round), fmt::format("raw-uid-{}", round), "default", 0};
    sandbox.log_directory = containerd_->directory() + "/raw";
    ASSERT_TRUE(linux::make_dirs(sandbox.log_directory).ok());
    kubelet::cri::ContainerConfig config;
    config.name = "main";
    config.image = "docker.io/library/busybox:1";
    config.command = {"sleep", "1000"};
    config.log_path = "main.log";
    auto begun = std::chrono::steady_clock::now();
    auto id = runtime->run_sandbox(sandbox);
    ASSERT_TRUE(id.ok()) << id.status().to_string();
    auto container = runtime->create_container(*id, config, sandbox);
    ASSERT_TRUE(container.ok()) << container.status().to_string();
    ASSERT_TRUE(runtime->start_container(*container).ok());
    raw.push_back(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun).count());
    (void)runtime->stop_sandbox(*id);
    (void)runtime->remove_sandbox(*id);

    std::string name = fmt::format("timed-{}", round);
    begun = std::chrono::steady_clock::now();
    create(make_pod(name, {"sleep", "1000"}));
    ASSERT_TRUE(wait_phase(name, "Running"));
    through.push_back(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun).count());
    remove(name, 1);
    ASSERT_TRUE(eventually([&] { return !client_->get<Pod>("default", name).ok(); }));
  }
  std::sort(raw.begin(), raw.end());
  std::sort(through.begin(), through.end());
  fmt::print("runtime alone {} ms, through the API {} ms (best of four)\n", raw[0], through[0]);
  EXPECT_LE(through[0], raw[0] + 100);
}

TEST_F(KubeletRootTest, IsQuietWhenNothingHappens) {
  for (int i = 0; i < 5; ++i) create(make_pod(fmt::format("idle-{}", i), {"sleep", "1000"}));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(wait_phase(fmt::format("idle-{}", i), "Running"));
  auto cpu = [] {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
  };
  std::this_thread::sleep_for(seconds(2));
  double before = cpu();
  std::this_thread::sleep_for(seconds(20));  // what is measured is the passing of time
  double percent = (cpu() - before) / 20 * 100;
  fmt::print("idle: {:.2f} % of a core, kubelet and API server with five pods\n", percent);
  EXPECT_LT(percent, 0.5);
}

TEST_F(KubeletRootTest, RestartsAContainerThatEnds) {
  create(make_pod("crasher", {"sh", "-c", "echo words > /dev/termination-log; exit 3"}));
  ASSERT_TRUE(eventually([&] {
    Pod pod = get("crasher");
    return !pod.status.container_statuses.empty() && pod.status.container_statuses[0].restart_count == 1 &&
           pod.status.container_statuses[0].state.waiting &&
           pod.status.container_statuses[0].state.waiting->reason == "CrashLoopBackOff";
  })) << api::encode_json(get("crasher").status);
  Pod pod = get("crasher");
  ASSERT_TRUE(pod.status.container_statuses[0].last_state.terminated);
  EXPECT_EQ(pod.status.container_statuses[0].last_state.terminated->exit_code, 3);
  EXPECT_EQ(pod.status.container_statuses[0].last_state.terminated->message, "words\n");
  EXPECT_EQ(pod.status.phase, "Running");
}

TEST_F(KubeletRootTest, InitContainersVolumesAndEnvironment) {
  api::corev1::ConfigMap map;
  map.metadata.name = "settings";
  map.metadata.namespace_ = "default";
  map.data["color"] = "green";
  ASSERT_TRUE(client_->create(map).ok());
  api::corev1::Secret secret;
  secret.metadata.name = "password";
  secret.metadata.namespace_ = "default";
  secret.data["word"] = "sesame";
  ASSERT_TRUE(client_->create(secret).ok());

  Pod pod = make_pod("reader", {"sh", "-c",
                                "cat /shared/made /settings/color /password/word; echo; echo $COLOR $(NAME) $IP; "
                                "id -u; cat /etc/hosts"});
  pod.spec.restart_policy = "Never";
  pod.spec.security_context.emplace().run_as_user = 1234;
  auto& init = pod.spec.init_containers.emplace_back();
  init.name = "maker";
  init.image = "busybox:1";
  init.command = {"sh", "-c", "echo from-init > /shared/made"};
  auto add_volume = [&](const std::string& name, const std::string& path, bool in_init) {
    auto& volume = pod.spec.volumes.emplace_back();
    volume.name = name;
    auto& mount = pod.spec.containers[0].volume_mounts.emplace_back();
    mount.name = name;
    mount.mount_path = path;
    if (in_init) pod.spec.init_containers[0].volume_mounts.push_back(mount);
    return &pod.spec.volumes.back().volume_source;
  };
  add_volume("shared", "/shared", true)->empty_dir.emplace();
  add_volume("settings", "/settings", false)->config_map.emplace().local_object_reference.name = "settings";
  add_volume("password", "/password", false)->secret.emplace().secret_name = "password";
  auto& color = pod.spec.containers[0].env.emplace_back();
  color.name = "COLOR";
  auto& key = color.value_from.emplace().config_map_key_ref.emplace();
  key.local_object_reference.name = "settings";
  key.key = "color";
  auto& name = pod.spec.containers[0].env.emplace_back();
  name.name = "NAME";
  name.value_from.emplace().field_ref.emplace().field_path = "metadata.name";
  auto& ip = pod.spec.containers[0].env.emplace_back();
  ip.name = "IP";
  ip.value_from.emplace().field_ref.emplace().field_path = "status.podIP";
  Pod made = create(pod);
  ASSERT_TRUE(wait_phase("reader", "Succeeded"));
  std::string log = log_of(made);
  Pod done = get("reader");
  EXPECT_NE(log.find("from-init"), std::string::npos) << log;
  EXPECT_NE(log.find("greensesame"), std::string::npos) << log;
  EXPECT_NE(log.find("green reader " + done.status.pod_ip), std::string::npos) << log;
  EXPECT_NE(log.find(" 1234"), std::string::npos) << log;
  EXPECT_NE(log.find(done.status.pod_ip + "\treader"), std::string::npos) << log;
  EXPECT_EQ(done.status.init_container_statuses[0].state.terminated->reason, "Completed");
}

TEST_F(KubeletRootTest, VolumesFollowTheirObjectsAndLimits) {
  api::corev1::ConfigMap map;
  map.metadata.name = "live";
  map.metadata.namespace_ = "default";
  map.data["value"] = "before";
  ASSERT_TRUE(client_->create(map).ok());
  Pod pod = make_pod("watcher", {"sh", "-c",
                                 "while [ \"$(cat /live/value)\" != after ]; do sleep 0.1; done; echo seen; "
                                 "head -c 3000000 /dev/zero > /scratch/big; sleep 1000"});
  auto add = [&](const char* name) {
    auto& mount = pod.spec.containers[0].volume_mounts.emplace_back();
    mount.name = name;
    mount.mount_path = std::string("/") + name;
    auto& volume = pod.spec.volumes.emplace_back();
    volume.name = name;
    return &volume.volume_source;
  };
  add("live")->config_map.emplace().local_object_reference.name = "live";
  add("scratch")->empty_dir.emplace().size_limit = Quantity::of(1'000'000);
  Pod made = create(pod);
  ASSERT_TRUE(wait_phase("watcher", "Running"));
  auto current = client_->get<api::corev1::ConfigMap>("default", "live");
  ASSERT_TRUE(current.ok());
  current->data["value"] = "after";
  ASSERT_TRUE(client_->update(*current).ok());
  EXPECT_TRUE(eventually([&] { return log_of(made).find("seen") != std::string::npos; }));
  ASSERT_TRUE(wait_phase("watcher", "Failed"));
  EXPECT_EQ(get("watcher").status.reason, "Evicted");
}

TEST_F(KubeletRootTest, ANewKubeletTouchesNothingThatRuns) {
  create(make_pod("steady", {"sleep", "1000"}));
  ASSERT_TRUE(wait_phase("steady", "Running"));
  Pod before = get("steady");
  kubelet_.reset();
  start_kubelet();
  std::this_thread::sleep_for(milliseconds(500));
  Pod after = get("steady");
  EXPECT_EQ(api::encode_json(after.status), api::encode_json(before.status));
}

TEST_F(KubeletRootTest, EndsContainersOfPodsThatAreGone) {
  Pod pod = create(make_pod("orphan", {"sleep", "1000"}));
  ASSERT_TRUE(wait_phase("orphan", "Running"));
  kubelet_.reset();
  remove("orphan", 0);
  start_kubelet();
  auto runtime = kubelet::cri::grpc_runtime(containerd_->endpoint());
  EXPECT_TRUE(eventually(
      [&] {
        auto sandboxes = runtime->list_sandboxes({{}, {{"io.kubernetes.pod.uid", pod.metadata.uid}}});
        return sandboxes.ok() && sandboxes->empty();
      },
      seconds(45)));
}

TEST_F(KubeletRootTest, LivenessAndReadinessProbes) {
  Pod pod = make_pod("probed", {"sh", "-c", "touch /tmp/alive; sleep 1000"});
  auto& liveness = pod.spec.containers[0].liveness_probe.emplace();
  liveness.probe_handler.exec.emplace().command = {"cat", "/tmp/alive"};
  liveness.period_seconds = 1;
  liveness.failure_threshold = 1;
  auto& readiness = pod.spec.containers[0].readiness_probe.emplace();
  readiness.probe_handler.exec.emplace().command = {"cat", "/tmp/ready"};
  readiness.period_seconds = 1;
  create(pod);
  ASSERT_TRUE(wait_phase("probed", "Running"));
  EXPECT_FALSE(get("probed").status.container_statuses[0].ready);
  auto runtime = kubelet::cri::grpc_runtime(containerd_->endpoint());
  auto exec = [&](std::vector<std::string> command) {
    std::string id = get("probed").status.container_statuses[0].container_id.substr(13);
    return runtime->exec_sync(id, command, seconds(5)).ok();
  };
  ASSERT_TRUE(exec({"touch", "/tmp/ready"}));
  EXPECT_TRUE(eventually([&] { return get("probed").status.container_statuses[0].ready; }));
  ASSERT_TRUE(exec({"rm", "/tmp/alive"}));
  EXPECT_TRUE(eventually([&] { return get("probed").status.container_statuses[0].restart_count == 1; }));
}

TEST_F(KubeletRootTest, RefusesAPodWhosePortIsTaken) {
  const auto on_port = [&](const std::string& name) {
    Pod pod = make_pod(name, {"sleep", "1000"});
    pod.spec.host_network = true;
    auto& port = pod.spec.containers[0].ports.emplace_back();
    port.container_port = port.host_port = 18080;
    port.protocol = "TCP";
    return pod;
  };
  create(on_port("first"));
  ASSERT_TRUE(wait_phase("first", "Running"));
  create(on_port("second"));
  ASSERT_TRUE(wait_phase("second", "Failed"));
  EXPECT_EQ(get("second").status.reason, "NodePorts");
  EXPECT_EQ(get("first").status.phase, "Running");
  // Once the port is free, it may.
  remove("second", 0);
  remove("first", 0);
  ASSERT_TRUE(eventually([&] { return !client_->get<Pod>("default", "first").ok(); }));
  create(on_port("third"));
  EXPECT_TRUE(wait_phase("third", "Running"));
}

TEST_F(KubeletRootTest, CapacitiesThatOthersGiveBecomeAllocatable) {
  const auto give = [&](const std::string& amount) {
    return client_
        ->patch<api::corev1::Node>("", "test-node", client::PatchType::kMerge,
                                   R"({"status":{"capacity":{"example.com/dongle":)" + amount + "}}}", "status")
        .ok();
  };
  const auto allocatable = [&] {
    auto node = client_->get<api::corev1::Node>("", "test-node");
    return node.ok() ? node->status.allocatable.get("example.com/dongle").to_string() : "";
  };
  ASSERT_TRUE(give("\"4\""));
  EXPECT_TRUE(eventually([&] { return allocatable() == "4"; }));
  ASSERT_TRUE(give("\"2\""));
  EXPECT_TRUE(eventually([&] { return allocatable() == "2"; }));
  ASSERT_TRUE(give("null"));
  EXPECT_TRUE(eventually([&] { return allocatable() == "0"; }));
}

}  // namespace
}  // namespace trireme
