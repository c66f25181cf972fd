// A real kubelet, a real API server and a real containerd: what a pod's user sees.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "api/types/corev1.h"
#include "apiserver/api_server.h"
#include "client/client.h"
#include "containerd_instance.h"
#include "kubelet/kubelet.h"
#include "linux/cgroup.h"
#include "linux/file.h"
#include "linux/mounts.h"
#include "net/transport.h"
#include "store/memory_store.h"

namespace trireme {
namespace {

using api::corev1::Pod;
using std::chrono::milliseconds;
using std::chrono::seconds;

class KubeletRootTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (test::ContainerdInstance::why_not()) return;
    auto started = test::ContainerdInstance::start();
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    containerd_ = started->release();
  }
  static void TearDownTestSuite() {
    delete containerd_;
    containerd_ = nullptr;
  }

  void SetUp() override {
    if (auto reason = test::ContainerdInstance::why_not()) GTEST_SKIP() << *reason;
    ASSERT_NE(containerd_, nullptr);
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    raw_ = std::make_shared<client::RawClient>(net::in_process_transport(*server_, {}), "kubelet-test");
    client_ = std::make_unique<client::Client>(raw_);
    start_kubelet();
    ASSERT_TRUE(eventually([&] {
      auto node = client_->get<api::corev1::Node>("", "test-node");
      if (!node.ok()) return false;
      for (const auto& condition : node->status.conditions) {
        if (condition.type == "Ready") return condition.status == "True";
      }
      return false;
    }));
  }

  void TearDown() override {
    if (!kubelet_) return;
    auto pods = client_->list<Pod, api::corev1::PodList>("");
    if (pods.ok()) {
      for (const Pod& pod : pods->items) remove(pod.metadata.name, 1);
    }
    EXPECT_TRUE(eventually([&] { return kubelet_->pod_count() == 0; }));
    kubelet_.reset();
    auto cgroups = linux::Cgroups::detect();
    if (cgroups.ok()) {
      EXPECT_TRUE(cgroups->remove(cgroup_root()).ok());
    }
    EXPECT_TRUE(linux::unmount_under(root()).ok());
    EXPECT_TRUE(linux::list_dir(root() + "/pods").empty());
    server_.reset();
  }

  std::string root() const { return containerd_->directory() + "/kubelet"; }
  std::string cgroup_root() const { return fmt::format("/trireme-test-{}", ::getpid()); }

  void start_kubelet() {
    kubelet::KubeletOptions options;
    options.node_name = "test-node";
    options.root_dir = root();
    options.pod_logs_dir = containerd_->directory() + "/logs";
    options.container_logs_dir = "";
    options.container_runtime_endpoint = containerd_->endpoint();
    options.node_ip = {"127.0.0.1"};
    options.cgroup_root = cgroup_root();
    options.enable_server = false;
    auto kubelet = kubelet::Kubelet::start(options, {raw_, real_clock(), nullptr});
    ASSERT_TRUE(kubelet.ok()) << kubelet.status().to_string();
    kubelet_ = std::move(*kubelet);
  }

  /// Waits for a condition of the real world, which no clock of ours drives.
  template <typename Condition>
  static bool eventually(Condition condition, seconds limit = seconds(30)) {
    auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }

  Pod make_pod(const std::string& name, std::vector<std::string> command) {
    Pod pod;
    pod.metadata.name = name;
    pod.metadata.namespace_ = "default";
    pod.spec.node_name = "test-node";
    pod.spec.termination_grace_period_seconds = 1;
    auto& container = pod.spec.containers.emplace_back();
    container.name = "main";
    container.image = "busybox:1";
    container.command = std::move(command);
    return pod;
  }

  Pod create(const Pod& pod) {
    auto made = client_->create(pod);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? *made : Pod();
  }

  Pod get(const std::string& name) {
    auto pod = client_->get<Pod>("default", name);
    return pod.ok() ? *pod : Pod();
  }

  void remove(const std::string& name, int64_t grace) {
    client::DeleteOptions options;
    options.grace_period_seconds = grace;
    (void)client_->remove<Pod>("default", name, options);
  }

  bool wait_phase(const std::string& name, std::string_view phase) {
    bool reached = eventually([&] { return get(name).status.phase == phase; });
    if (!reached) ADD_FAILURE() << name << " is " << api::encode_json(get(name).status);
    return reached;
  }

  std::string log_of(const Pod& pod, const std::string& container = "main", int attempt = 0) {
    auto text = linux::read_file(fmt::format("{}/logs/default_{}_{}/{}/{}.log", containerd_->directory(),
                                             pod.metadata.name, pod.metadata.uid, container, attempt));
    return text.ok() ? *text : text.status().to_string();
  }

  static inline test::ContainerdInstance* containerd_ = nullptr;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<client::RawClient> raw_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<kubelet::Kubelet> kubelet_;
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
  EXPECT_TRUE(eventually([&] {
    auto sandboxes = runtime->list_sandboxes({{}, {{"io.kubernetes.pod.uid", pod.metadata.uid}}});
    return sandboxes.ok() && sandboxes->empty();
  }, seconds(45)));
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

}  // namespace
}  // namespace trireme
