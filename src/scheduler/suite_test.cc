// The scheduler on the real API server, in this process, over the memory store.

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "apiserver/api_server.h"
#include "client/retry.h"
#include "net/transport.h"
#include "scheduler/scheduler.h"
#include "scheduler/testing.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::scheduler {
namespace {

using api::corev1::Event;
using api::corev1::Node;
using api::corev1::Pod;
using api::corev1::PodCondition;
using std::chrono::seconds;
using testing::asking;
using testing::from_yaml;
using ::testing::HasSubstr;
using testing::make_node;

/// Lets everything through but, while it is closed, bindings.
class Gate final : public net::Transport {
 public:
  explicit Gate(std::unique_ptr<net::Transport> inner) : inner_(std::move(inner)) {}
  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop) override {
    if (closed && request.path().ends_with("/binding")) {
      ++refused;
      return Status::unavailable("the gate is closed");
    }
    return inner_->round_trip(request, stop);
  }
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop) override {
    return inner_->open(request, stop);
  }
  std::atomic<bool> closed = false;
  std::atomic<int> refused = 0;

 private:
  std::unique_ptr<net::Transport> inner_;
};

class SchedulerSuite : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = store::memory_store(real_clock());
    apiserver::Options options;
    options.store = store_;
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    client_.emplace(raw("test"));
    watched_ = std::make_unique<client::InformerFactory>(raw("test"), real_clock());
    const auto wake = [this](const auto&, const auto&) {
      { const std::lock_guard lock(mutex_); }
      changed_.notify_all();
    };
    watched_->informer<Pod>().add_handler(wake);
    watched_->informer<Event>().add_handler(wake);
    watched_->start();
    ASSERT_TRUE(watched_->wait_synced());
  }
  void TearDown() override {
    scheduler_.reset();
    watched_.reset();
    if (server_) server_->begin_shutdown();
  }

  std::shared_ptr<client::RawClient> raw(std::string agent) {
    return std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               std::move(agent));
  }
  void start_scheduler(SchedulerOptions options = {}) {
    gate_ = std::make_shared<Gate>(net::in_process_transport(*server_, {}));
    auto own = std::make_shared<client::RawClient>(gate_, "kube-scheduler");
    events_ = std::make_shared<client::EventBroadcaster>(client::Client(own), real_clock());
    options.random_seed = 1;
    scheduler_ = Scheduler::create(
        {client::Client(own), std::make_shared<client::InformerFactory>(own, real_clock()), events_, clock_, options});
    ASSERT_TRUE(scheduler_->start().ok());
  }

  void create_node(const NodePointer& node) {
    auto made = client_->create(*node);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    made->status = node->status;
    const auto written = client_->update_status(*made);
    ASSERT_TRUE(written.ok()) << written.status().to_string();
  }
  void create_pod(const std::string& name, const std::string& spec) {
    const auto made = client_->create(*from_yaml<Pod>(
        "{metadata: {name: '" + name + "', namespace: default, labels: {app: web}}, spec: " + spec + "}"));
    ASSERT_TRUE(made.ok()) << made.status().to_string();
  }
  template <typename T>
  void change(const std::string& ns, const std::string& name, const std::function<void(T&)>& edit) {
    const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
      TRY_ASSIGN(T fresh, client_->get<T>(ns, name));
      edit(fresh);
      return client_->update(fresh).status();
    });
    EXPECT_TRUE(done.ok()) << done.to_string();
  }

  std::shared_ptr<const Pod> pod(const std::string& name) { return watched_->informer<Pod>().get("default", name); }
  std::string node_of(const std::string& name) {
    const auto found = pod(name);
    return found ? found->spec.node_name : std::string();
  }
  PodCondition scheduled_condition(const std::string& name) {
    const auto found = pod(name);
    for (const PodCondition& condition : found ? found->status.conditions : std::vector<PodCondition>()) {
      if (condition.type == api::corev1::kPodScheduled) return condition;
    }
    return {};
  }
  std::string event_message(const std::string& about, const std::string& reason) {
    for (const auto& event : watched_->informer<Event>().list("default")) {
      if (event->involved_object.name == about && event->reason == reason) return event->message;
    }
    return {};
  }
  /// Waits for what was watched to hold; driven by changes, not by the clock.
  [[nodiscard]] bool until(const std::function<bool()>& holds, Duration limit = seconds(20)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, holds);
  }
  /// The same for what no watch tells of: looks again now and then.
  [[nodiscard]] static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 2000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  [[nodiscard]] bool bound(const std::string& name) {
    return until([&] { return !node_of(name).empty(); });
  }

  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<client::InformerFactory> watched_;
  std::shared_ptr<client::EventBroadcaster> events_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerSuite, BindsPodsAndSaysSo) {
  create_node(make_node("n1"));
  create_pod("before", asking("{cpu: 1}"));
  start_scheduler();
  create_pod("after", asking("{cpu: 1}"));
  ASSERT_TRUE(bound("before"));
  ASSERT_TRUE(bound("after"));
  EXPECT_EQ(node_of("after"), "n1");
  EXPECT_EQ(scheduled_condition("after").status, "True");
  ASSERT_TRUE(until([&] { return !event_message("after", "Scheduled").empty(); }));
  EXPECT_EQ(event_message("after", "Scheduled"), "Successfully assigned default/after to n1");
  scheduler_->stop();
  EXPECT_THAT(scheduler_->metrics(),
              HasSubstr("scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"scheduled\"}"));
}

TEST_F(SchedulerSuite, NeverOvercommits) {
  for (int i = 0; i < 5; ++i) create_node(make_node("n" + std::to_string(i)));
  start_scheduler();
  // Four CPUs on five nodes: room for forty halves, and one too many.
  for (int i = 0; i < 41; ++i) create_pod("p" + std::to_string(i), asking("{cpu: 500m}", ""));
  std::map<std::string, int> by_node;
  ASSERT_TRUE(until([&] {
    by_node.clear();
    int refused = 0;
    for (const auto& each : watched_->informer<Pod>().list("default")) {
      if (!each->spec.node_name.empty()) ++by_node[each->spec.node_name];
      if (scheduled_condition(each->metadata.name).reason == "Unschedulable") ++refused;
    }
    int total = 0;
    for (const auto& [node, count] : by_node) total += count;
    return total == 40 && refused == 1;
  }));
  for (const auto& [node, count] : by_node) EXPECT_EQ(count, 8) << node;
}

TEST_F(SchedulerSuite, TellsWhyAPodWaitsAndBindsItOnceSomethingHelps) {
  create_node(make_node("n1", "{}", "{taints: [{key: a, value: b, effect: NoSchedule}]}"));
  create_node(make_node("n2"));
  start_scheduler();
  create_pod("p",
             "{nodeSelector: {disk: ssd}, tolerations: [{key: a, operator: Exists}], containers: [{name: c, image: "
             "i}]}");
  create_pod("q", asking("{cpu: 40}"));
  const std::string reason =
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. "
      "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
  ASSERT_TRUE(until([&] { return scheduled_condition("p").reason == "Unschedulable"; }));
  EXPECT_EQ(scheduled_condition("p").status, "False");
  EXPECT_EQ(scheduled_condition("p").message, reason);
  ASSERT_TRUE(until([&] { return !event_message("p", "FailedScheduling").empty(); }));
  EXPECT_EQ(event_message("p", "FailedScheduling"), reason);
  ASSERT_TRUE(until([&] { return scheduled_condition("q").reason == "Unschedulable"; }));
  EXPECT_EQ(
      scheduled_condition("q").message,
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {a: b}. preemption: 0/2 nodes "
      "are available: 2 Preemption is not helpful for scheduling.");
  // The back-off is over before the change, so that nothing but the change moves the pod.
  clock_->advance(seconds(2));
  change<Node>("", "n1", [](Node& node) { node.metadata.labels.emplace("disk", "ssd"); });
  ASSERT_TRUE(bound("p"));
  EXPECT_EQ(node_of("p"), "n1");
  EXPECT_EQ(node_of("q"), "");
}

TEST_F(SchedulerSuite, LeavesGatedForeignAndDoomedPodsAlone) {
  create_node(make_node("n1"));
  start_scheduler();
  create_pod("gated", "{schedulingGates: [{name: example.com/wait}], containers: [{name: c, image: i}]}");
  create_pod("foreign", "{schedulerName: another, containers: [{name: c, image: i}]}");
  create_pod("plain", "{containers: [{name: c, image: i}]}");
  ASSERT_TRUE(bound("plain"));
  EXPECT_EQ(node_of("gated"), "");
  EXPECT_EQ(node_of("foreign"), "");
  change<Pod>("default", "gated", [](Pod& pod) { pod.spec.scheduling_gates.clear(); });
  ASSERT_TRUE(bound("gated"));
  EXPECT_EQ(node_of("foreign"), "");
}

TEST_F(SchedulerSuite, TriesAgainAfterAFailedBinding) {
  create_node(make_node("n1"));
  start_scheduler();
  gate_->closed = true;
  create_pod("p", asking("{cpu: 1}"));
  ASSERT_TRUE(until([&] { return scheduled_condition("p").reason == "SchedulerError"; }));
  EXPECT_EQ(scheduled_condition("p").message, "running Bind plugin \"DefaultBinder\": the gate is closed");
  gate_->closed = false;
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  EXPECT_EQ(gate_->refused, 1);
  clock_->advance(seconds(1));
  ASSERT_TRUE(bound("p"));
}

TEST_F(SchedulerSuite, PreemptsLessImportantPods) {
  create_node(make_node("n1"));
  start_scheduler();
  create_pod("low", asking("{cpu: 3}", ", priority: 1"));
  ASSERT_TRUE(bound("low"));
  create_pod("high", asking("{cpu: 3}", ", priority: 100"));
  ASSERT_TRUE(until([&] {
    const auto high = pod("high");
    const auto low = pod("low");
    return high && high->status.nominated_node_name == "n1" && low && low->metadata.deletion_timestamp;
  }));
  EXPECT_EQ(scheduled_condition("high").message, "0/1 nodes are available: 1 Insufficient cpu.");
  ASSERT_TRUE(until([&] { return !event_message("low", "Preempted").empty(); }));
  EXPECT_EQ(event_message("low", "Preempted"), "Preempted by pod " + pod("high")->metadata.uid + " on node n1");
  // No kubelet here: the test ends the victim.
  clock_->advance(seconds(2));
  client::DeleteOptions now;
  now.grace_period_seconds = 0;
  ASSERT_TRUE(client_->remove<Pod>("default", "low", now).ok());
  ASSERT_TRUE(bound("high"));
}

TEST_F(SchedulerSuite, ServesSeveralProfilesFromOneQueue) {
  create_node(make_node("n1"));
  create_node(make_node("n2", "{}", "{}", "{cpu: 8, memory: 16Gi, pods: 10}"));
  SchedulerOptions options;
  options.profiles.emplace_back();
  ProfileConfig& packing = options.profiles.emplace_back();
  packing.scheduler_name = "packing";
  packing.args.fit.strategy = FitArgs::Strategy::kMostAllocated;
  auto& scores = packing.plugins[static_cast<size_t>(ConfigPoint::kScore)];
  scores.disabled = {"*"};
  scores.enabled = {{"NodeResourcesFit"}};
  start_scheduler(options);
  create_pod("spread", asking("{cpu: 1}"));
  ASSERT_TRUE(bound("spread"));
  EXPECT_EQ(node_of("spread"), "n2");
  create_pod("packed", asking("{cpu: 1}", ", schedulerName: packing"));
  ASSERT_TRUE(bound("packed"));
  EXPECT_EQ(node_of("packed"), "n1") << "2 of 8 CPUs are taken there, 1 of 4 here and one more";
  create_pod("foreign", asking("{cpu: 1}", ", schedulerName: another"));
  create_pod("last", asking("{cpu: 1}"));
  ASSERT_TRUE(bound("last"));
  EXPECT_EQ(node_of("foreign"), "");
}

TEST_F(SchedulerSuite, LeavesTheOthersPodsToAnotherScheduler) {
  create_node(make_node("n1"));
  start_scheduler();
  SchedulerOptions options;
  options.scheduler_name = "other";
  options.random_seed = 1;
  auto own = raw("kube-scheduler");
  const auto second = Scheduler::create(
      {client::Client(own), std::make_shared<client::InformerFactory>(own, real_clock()),
       std::make_shared<client::EventBroadcaster>(client::Client(own), real_clock()), clock_, options});
  ASSERT_TRUE(second->start().ok());
  // Neither gives away what the other has taken: four CPUs in all.
  for (int i = 0; i < 2; ++i) {
    create_pod("a" + std::to_string(i), asking("{cpu: 1}"));
    create_pod("b" + std::to_string(i), asking("{cpu: 1}", ", schedulerName: other"));
    ASSERT_TRUE(bound("a" + std::to_string(i)));
    ASSERT_TRUE(bound("b" + std::to_string(i)));
  }
  ASSERT_TRUE(until([&] { return !event_message("b1", "Scheduled").empty(); }));
  create_pod("too-much", asking("{cpu: 1}", ", schedulerName: other"));
  ASSERT_TRUE(until([&] { return scheduled_condition("too-much").reason == "Unschedulable"; }));
  second->stop();
}

TEST_F(SchedulerSuite, RefusesToStartWithAProfileThatCannotWork) {
  SchedulerOptions options;
  options.profiles.emplace_back().plugins[static_cast<size_t>(ConfigPoint::kBind)].disabled = {"*"};
  auto own = raw("kube-scheduler");
  const auto scheduler = Scheduler::create(
      {client::Client(own), std::make_shared<client::InformerFactory>(own, real_clock()),
       std::make_shared<client::EventBroadcaster>(client::Client(own), real_clock()), clock_, options});
  EXPECT_THAT(scheduler->start().message(), HasSubstr("at least one bind plugin"));
}

/// Reserves, waits for permission and for a claim's annotation, and keeps a diary.
class Careful final : public Plugin {
 public:
  explicit Careful(const PluginContext& context)
      : waiting(context.waiting), claims(context.informers->informer<api::corev1::PersistentVolumeClaim>()) {}

  class Held final : public Reservation {
   public:
    explicit Held(Careful& plugin) : plugin_(plugin) {}
    Result<Progress> pre_bind() override {
      plugin_.note("pre_bind");
      if (plugin_.fails) return Status::unavailable("no disk");
      return Progress{.done = plugin_.claims.get("default", "claim") != nullptr};
    }
    void unreserve() override { plugin_.note("unreserve"); }
    void post_bind() override { plugin_.note("post_bind"); }

   private:
    Careful& plugin_;
  };

  std::string_view name() const override { return "Careful"; }
  uint32_t points() const override { return point_bit(Point::kReserve) | point_bit(Point::kPermit); }
  Result<std::unique_ptr<Reservation>> reserve(const PodInfo&, const NodeInfo& node, const Cache&) override {
    note("reserve " + node.name);
    return std::unique_ptr<Reservation>(std::make_unique<Held>(*this));
  }
  Permission permit(const PodInfo&, const NodeInfo&) override {
    if (!permits) return {Permission::Answer::kWait, seconds(30)};
    return {};
  }
  uint32_t changes() const override { return kClaimAdded; }

  void note(const std::string& entry) {
    const std::lock_guard lock(mutex);
    diary.push_back(entry);
  }
  std::vector<std::string> read() {
    const std::lock_guard lock(mutex);
    return diary;
  }
  WaitingPods* waiting;
  client::Informer<api::corev1::PersistentVolumeClaim>& claims;
  std::atomic<bool> permits = true;
  std::atomic<bool> fails = false;
  std::mutex mutex;
  std::vector<std::string> diary;
};

class CarefulSuite : public SchedulerSuite {
 protected:
  void start_careful(bool permits, bool fails) {
    create_node(make_node("n1"));
    SchedulerOptions options;
    options.more_plugins.push_back({"Careful", 0, true, [=, this](const PluginContext& context) {
                                      plugin_ = std::make_shared<Careful>(context);
                                      plugin_->permits = permits;
                                      plugin_->fails = fails;
                                      return plugin_;
                                    }});
    start_scheduler(options);
  }
  void create_claim() {
    ASSERT_TRUE(client_
                    ->create(*from_yaml<api::corev1::PersistentVolumeClaim>(
                        "{metadata: {name: claim, namespace: default}, spec: {accessModes: [ReadWriteOnce], resources: "
                        "{requests: {storage: 1Gi}}}}"))
                    .ok());
  }
  std::shared_ptr<Careful> plugin_;
};

TEST_F(CarefulSuite, PreparationsMayWaitForTheClusterWithoutHoldingOthersUp) {
  start_careful(true, false);
  create_pod("p", asking("{cpu: 1}"));
  ASSERT_TRUE(eventually([&] { return plugin_->read().size() >= 2; }));
  EXPECT_THAT(plugin_->read(), ::testing::ElementsAre("reserve n1", "pre_bind"));
  EXPECT_EQ(node_of("p"), "");
  create_claim();
  ASSERT_TRUE(bound("p"));
  ASSERT_TRUE(eventually([&] { return plugin_->read().back() == "post_bind"; }));
}

TEST_F(CarefulSuite, WhatFailsToPrepareIsGivenBack) {
  start_careful(true, true);
  create_pod("p", asking("{cpu: 1}"));
  ASSERT_TRUE(until([&] { return scheduled_condition("p").reason == "SchedulerError"; }));
  EXPECT_EQ(scheduled_condition("p").message, "running PreBind plugin \"Careful\": no disk");
  EXPECT_THAT(plugin_->read(), ::testing::ElementsAre("reserve n1", "pre_bind", "unreserve"));
  plugin_->fails = false;
  create_claim();
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(1));
  ASSERT_TRUE(bound("p"));
}

TEST_F(CarefulSuite, PermissionIsWaitedForOnlySoLong) {
  start_careful(false, false);
  create_claim();
  create_pod("p", asking("{cpu: 1}"));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(30));
  ASSERT_TRUE(until([&] { return scheduled_condition("p").reason == "Unschedulable"; }));
  EXPECT_EQ(scheduled_condition("p").message,
            "0/1 nodes are available: 1 rejected due to timeout after waiting 30s at plugin Careful.");
  create_pod("q", asking("{cpu: 1}"));
  ASSERT_TRUE(eventually([&] { return plugin_->read().size() >= 3; }));
  EXPECT_EQ(node_of("q"), "");
  plugin_->waiting->allow(pod("q")->metadata.uid, "Careful");
  ASSERT_TRUE(bound("q"));
}

TEST_F(SchedulerSuite, IdlesWithoutTimers) {
  create_node(make_node("n1"));
  start_scheduler();
  create_pod("p", asking("{cpu: 1}"));
  ASSERT_TRUE(bound("p"));
  EXPECT_EQ(clock_->timers(), 0U) << "no pod waits for a time";
  EXPECT_EQ(clock_->sleepers(), 0U);
}

}  // namespace
}  // namespace trireme::scheduler
