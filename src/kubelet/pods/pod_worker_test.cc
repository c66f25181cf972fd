// Pods' whole lives on a hollow runtime and a virtual clock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "kubelet/cri/hollow_runtime.h"
#include "kubelet/pods/pod_manager.h"
#include "linux/file.h"
#include "net/transport.h"
#include "support/virtual_clock.h"

namespace trireme::kubelet {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;

/// An API server that knows no objects: what the workers decide is read from the workers.
class EmptyApi final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    exchange->respond(404, {{"Content-Type", "application/json"}},
                      std::string(R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound",)"
                                  R"("message":"not found","code":404})"));
  }
};

class PodWorkerTest : public testing::Test {
 protected:
  PodWorkerTest() {
    options_.pod_logs_dir = options_.root_dir + "/logs";
    options_.container_logs_dir = "";
    services_.node.pod_logs_dir = options_.pod_logs_dir;
    runtime_->add_image("docker.io/library/redis:7");
    watcher_ = std::jthread([this](std::stop_token stop) {
      (void)runtime_->watch_exits(
          stop, [] {},
          [this](const std::string& id) {
            if (worker_) worker_->exited(id);
          });
    });
  }
  ~PodWorkerTest() override {
    watcher_.request_stop();
    watcher_.join();
    if (worker_) worker_->stop();
    probes_.stop();
    statuses_.stop();
    pool_.shut_down();
    (void)linux::remove_tree(options_.root_dir);
  }

  Pod make_pod(const std::string& policy = "Always") {
    Pod pod;
    pod.metadata.name = "redis";
    pod.metadata.namespace_ = "default";
    pod.metadata.uid = "u1";
    pod.spec.restart_policy = policy;
    auto& container = pod.spec.containers.emplace_back();
    container.name = "main";
    container.image = "redis:7";
    return pod;
  }

  void run(const Pod& pod) {
    worker_ = std::make_shared<PodWorker>(services_, std::make_shared<Pod>(pod),
                                          [this](const std::string&) { gone_ = true; });
    worker_->wake();
  }

  /// The workers' threads are real; only their clock is not.
  template <typename Condition>
  bool eventually(Condition condition) {
    auto end = std::chrono::steady_clock::now() + seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  /// Lets virtual seconds pass until the condition holds.
  template <typename Condition>
  bool passing_time(Condition condition) {
    return eventually([&] {
      if (condition()) return true;
      clock_->advance(seconds(1));
      return false;
    });
  }
  api::corev1::PodStatus status() { return worker_->pod_with_status().status; }
  bool phase_is(std::string_view phase) {
    return eventually([&] { return status().phase == phase; });
  }
  bool waits_with(const std::string& reason) {
    return eventually([&] {
      auto now = status();
      return !now.container_statuses.empty() && now.container_statuses[0].state.waiting &&
             now.container_statuses[0].state.waiting->reason == reason;
    });
  }
  int starts() {
    auto calls = runtime_->calls();
    return static_cast<int>(std::count(calls.begin(), calls.end(), "start:main"));
  }

  static KubeletOptions in_temporary_directory() {
    char name[] = "/tmp/trireme-worker-XXXXXX";
    KubeletOptions options;
    options.root_dir = ::mkdtemp(name);
    return options;
  }

  KubeletOptions options_ = in_temporary_directory();
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  std::shared_ptr<cri::HollowRuntime> runtime_ = std::make_shared<cri::HollowRuntime>(clock_);
  EmptyApi api_;
  std::shared_ptr<client::RawClient> raw_ =
      std::make_shared<client::RawClient>(net::in_process_transport(api_, {}), "kubelet-test", false);
  client::Client client_{raw_};
  client::EventBroadcaster broadcaster_{client_, clock_};
  client::EventRecorder events_ = broadcaster_.recorder("kubelet", "n1");
  TaskPool pool_{32};
  RuntimeObserver observer_{runtime_};
  ImageManager images_{runtime_, clock_, &events_};
  ObjectSource objects_{client_, clock_, [](const std::string&) {}};
  TokenSource tokens_{client_, clock_};
  VolumeManager volumes_{options_.root_dir, objects_, tokens_};
  ProbeResults results_;
  std::shared_ptr<PodWorker> worker_;
  ProbeManager probes_{runtime_, clock_, pool_, &events_, results_, [this](const std::string&) { worker_->wake(); }};
  StatusManager statuses_{client_, clock_, pool_};
  Backoff restarts_{clock_, seconds(10), std::chrono::minutes(5)};
  NodeServices services_{
      options_, clock_,   runtime_, pool_,   &events_,  nullptr,   observer_,    images_,
      objects_, volumes_, results_, probes_, statuses_, restarts_, std::nullopt, std::vector<std::string>{"127.0.0.1"},
      "hollow", {},       {}};
  std::atomic<bool> gone_ = false;
  std::jthread watcher_;
};

TEST_F(PodWorkerTest, RunsWaitsOutItsBackOffAndEnds) {
  run(make_pod());
  ASSERT_TRUE(phase_is("Running"));
  EXPECT_THAT(runtime_->calls(), ElementsAre("run_sandbox", "create:main", "start:main"));

  runtime_->exit(runtime_->container_id("main"), 1);
  ASSERT_TRUE(eventually([&] { return starts() == 2; }));
  ASSERT_TRUE(phase_is("Running"));
  runtime_->exit(runtime_->container_id("main"), 1);
  ASSERT_TRUE(waits_with("CrashLoopBackOff"));
  EXPECT_EQ(starts(), 2);
  clock_->advance(seconds(9));
  EXPECT_EQ(starts(), 2);
  ASSERT_TRUE(passing_time([&] { return starts() == 3; }));
  EXPECT_TRUE(eventually([&] { return status().container_statuses[0].restart_count == 2; }));

  worker_->removed();
  EXPECT_TRUE(eventually([&] { return gone_.load(); }));
  EXPECT_TRUE(runtime_->list_sandboxes({})->empty());
}

TEST_F(PodWorkerTest, AJobSucceedsAndStays) {
  run(make_pod("Never"));
  ASSERT_TRUE(phase_is("Running"));
  runtime_->exit(runtime_->container_id("main"), 0);
  ASSERT_TRUE(phase_is("Succeeded"));
  EXPECT_EQ(starts(), 1);
  EXPECT_FALSE(gone_);
  EXPECT_FALSE(runtime_->container_id("main").empty());
}

TEST_F(PodWorkerTest, ImagesAreTriedAgainWithBackOff) {
  Pod pod = make_pod();
  pod.spec.containers[0].image = "absent:1";
  runtime_->set_registry({"docker.io/library/other:1"});
  run(pod);
  ASSERT_TRUE(waits_with("ErrImagePull"));
  auto pulls = [&] {
    auto calls = runtime_->calls();
    return std::count(calls.begin(), calls.end(), "pull:docker.io/library/absent:1");
  };
  EXPECT_EQ(pulls(), 1);
  worker_->wake();
  ASSERT_TRUE(waits_with("ImagePullBackOff"));
  EXPECT_EQ(pulls(), 1);
  runtime_->set_registry({});
  ASSERT_TRUE(passing_time([&] { return status().phase == "Running"; }));
  EXPECT_EQ(pulls(), 2);
}

TEST_F(PodWorkerTest, BadNamesAndMissingReferencesAreNamed) {
  Pod pod = make_pod();
  pod.spec.containers[0].image = "Bad Name";
  run(pod);
  EXPECT_TRUE(waits_with("InvalidImageName"));
  worker_->removed();
  ASSERT_TRUE(eventually([&] { return gone_.load(); }));

  pod = make_pod();
  pod.metadata.uid = "u2";
  pod.spec.containers[0].env_from.emplace_back().config_map_ref.emplace().local_object_reference.name = "absent";
  run(pod);
  EXPECT_TRUE(waits_with("CreateContainerConfigError"));
}

TEST_F(PodWorkerTest, SandboxTroubleIsTriedAgain) {
  std::atomic<int> left = 2;
  runtime_->set_fault([&](const std::string& operation) {
    return operation == "run_sandbox" && left-- > 0 ? Status::internal("no network") : Status();
  });
  run(make_pod());
  EXPECT_TRUE(passing_time([&] { return status().phase == "Running"; }));
  EXPECT_LT(left, 0);
}

TEST_F(PodWorkerTest, WithoutANetworkThereIsNoSandboxButTheHosts) {
  std::atomic<bool> ready = false;
  std::atomic<int> asked = 0;
  services_.network.ready = [&] {
    ++asked;
    return ready ? Status() : Status::unavailable("no plugin");
  };
  Pod pod = make_pod();
  run(pod);
  EXPECT_TRUE(passing_time([&] { return asked > 2; }));
  EXPECT_TRUE(runtime_->calls().empty());
  ready = true;
  EXPECT_TRUE(passing_time([&] { return status().phase == "Running"; }));
  worker_->removed();
  ASSERT_TRUE(passing_time([&] { return gone_.load(); }));
  ready = false;
  pod.metadata.uid = "u2";
  pod.spec.host_network = true;
  run(pod);
  EXPECT_TRUE(passing_time([&] { return status().phase == "Running"; }));
}

TEST_F(PodWorkerTest, NothingStartsBeforeTheNetworkIsReady) {
  std::atomic<int> left = 2;
  std::atomic<bool> early = false;
  std::atomic<bool> forgotten = false;
  services_.network.admit = [&](const auto& pod, const auto&) {
    const auto calls = runtime_->calls();
    early = early || pod->metadata.uid != "u1" || calls.empty() || calls.back() != "run_sandbox";
    return left-- > 0 ? Status::internal("no rules") : Status();
  };
  services_.network.forget = [&](const auto&) { forgotten = true; };
  run(make_pod());
  EXPECT_TRUE(passing_time([&] { return status().phase == "Running"; }));
  EXPECT_FALSE(early);
  EXPECT_EQ(left, -1) << "once for a sandbox that was let pass";
  const auto calls = runtime_->calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "run_sandbox"), 1) << "the sandbox was kept";
  worker_->removed();
  EXPECT_TRUE(passing_time([&] { return gone_.load(); }));
  EXPECT_TRUE(forgotten);
}

TEST_F(PodWorkerTest, ADeadlineEndsThePod) {
  Pod pod = make_pod();
  pod.spec.active_deadline_seconds = 30;
  run(pod);
  ASSERT_TRUE(phase_is("Running"));
  ASSERT_TRUE(passing_time([&] { return status().phase == "Failed"; }));
  EXPECT_EQ(status().reason, "DeadlineExceeded");
  EXPECT_THAT(runtime_->calls(), Contains("stop:main"));
}

TEST_F(PodWorkerTest, AFailedLivenessProbeRestartsTheContainer) {
  std::atomic<int> code = 0;
  runtime_->set_exec([&](const auto&) { return cri::ExecResult{"", "", code}; });
  Pod pod = make_pod();
  auto& probe = pod.spec.containers[0].liveness_probe.emplace();
  probe.probe_handler.exec.emplace().command = {"check"};
  probe.period_seconds = 1;
  probe.failure_threshold = 2;
  run(pod);
  ASSERT_TRUE(phase_is("Running"));
  code = 1;
  EXPECT_TRUE(passing_time([&] { return starts() >= 2; }));
  EXPECT_THAT(runtime_->calls(), Contains("stop:main"));
}

}  // namespace
}  // namespace trireme::kubelet
