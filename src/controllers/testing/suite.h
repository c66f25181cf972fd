#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/types/corev1.h"
#include "apiserver/api_server.h"
#include "client/informer_factory.h"
#include "client/retry.h"
#include "controllers/all.h"
#include "net/transport.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

/// What the suites of controllers share: the controllers on the real API server, in the test's own process, over the
/// memory store.
namespace trireme::controllers {

/// Waits for the server's objects of one kind to look as expected: driven by a watch, not by the clock.
template <typename T>
class Watched {
 public:
  using Pointer = std::shared_ptr<const T>;
  explicit Watched(std::shared_ptr<client::RawClient> raw) : factory_(std::move(raw), real_clock()) {
    factory_.informer<T>().add_handler([this](const auto&, const auto&) {
      { const std::lock_guard lock(mutex_); }
      changed_.notify_all();
    });
    factory_.start();
    EXPECT_TRUE(factory_.wait_synced());
  }
  std::vector<Pointer> list(std::string_view ns = {}) { return factory_.informer<T>().list(ns); }
  Pointer get(std::string_view ns, std::string_view name) { return factory_.informer<T>().get(ns, name); }

  [[nodiscard]] bool until(const std::function<bool()>& holds, Duration limit = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, holds);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  client::InformerFactory factory_;
};

/// Refuses pods while it is closed, as a quota would.
class Gate final : public apiserver::admission::Plugin {
 public:
  std::string_view name() const override { return "Gate"; }
  Status admit(apiserver::admission::Attributes& attributes) override {
    const bool pod = attributes.resource->resource == "pods" && attributes.subresource.empty();
    if (!closed || !pod || attributes.operation != apiserver::admission::Operation::kCreate) return {};
    return apiserver::admission::forbidden(attributes, "the gate is closed");
  }
  std::atomic<bool> closed = false;
};

/// The API server on the real clock, the controllers that `run` selects on a virtual one, which by itself moves
/// at a fifth of the real one's speed.
class ControllersSuite : public ::testing::Test {
 protected:
  using Node = api::corev1::Node;
  using Pod = api::corev1::Pod;
  using ReplicationController = api::corev1::ReplicationController;

  void SetUp() override {
    store_ = store::memory_store(real_clock());
    apiserver::Options options;
    options.store = store_;
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    options.admission.add(gate_);
    configure(options);
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    client_.emplace(raw());
  }
  /// What a suite's server has more: admission plugins, kubelets.
  virtual void configure(apiserver::Options& /*options*/) {}
  void TearDown() override {
    heart_ = {};
    manager_.reset();
    if (server_) server_->begin_shutdown();
  }

  std::shared_ptr<client::RawClient> raw(std::string agent = "test") {
    return std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               std::move(agent));
  }
  void run(std::string_view selection, ControllerOptions options = {}) {
    auto own = raw("kube-controller-manager");
    auto selected = select_controllers(all_controllers(), selection);
    ASSERT_TRUE(selected.ok());
    ControllerContext context{client::Client(own), std::make_shared<client::InformerFactory>(own, clock_),
                              std::make_shared<client::EventBroadcaster>(client::Client(own), clock_), clock_,
                              std::move(options)};
    events_ = context.events;
    manager_ = std::make_unique<Manager>(std::move(context));
    for (const auto* descriptor : *selected) manager_->add(*descriptor);
    ASSERT_TRUE(manager_->start().ok());
    // Time goes on, slowly: a write that lost a race comes back after its back-off without the test's doing.
    heart_ = std::jthread([clock = clock_](std::stop_token stop) {
      while (real_clock()->sleep_for(std::chrono::milliseconds(5), stop)) clock->advance(std::chrono::milliseconds(1));
    });
  }
  client::Client& client() { return *client_; }

  template <typename T>
  T create(const T& object) {
    Result<T> made = client().create(object);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? *made : T();
  }
  /// One request as it goes over the wire, for what has no type here.
  net::Response send(std::string method, std::string target, std::string body = "") {
    net::Request request{.method = std::move(method), .target = std::move(target), .body = std::move(body)};
    request.headers = {{"Content-Type", "application/json"}};
    apiserver::authn::UserInfo user;
    user.name = "system:admin";
    user.groups = {"system:masters"};
    return server_->call(std::move(request), user);
  }
  /// A server may lose the race against a controller's write of the same object.
  template <typename T>
  Status remove(std::string_view ns, std::string_view name, const client::DeleteOptions& options = {}) {
    return client::retry_on_conflict(*real_clock(), [&] { return client().remove<T>(ns, name, options); });
  }
  template <typename T>
  void change(const std::string& ns, const std::string& name, const std::function<void(T&)>& edit,
              bool status = false) {
    const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
      TRY_ASSIGN(T fresh, client().get<T>(ns, name));
      edit(fresh);
      return (status ? client().update_status(fresh) : client().update(fresh)).status();
    });
    EXPECT_TRUE(done.ok()) << done.to_string();
  }

  /// Until no controller has had anything to do for a tenth of a second.
  [[nodiscard]] bool until_quiet() {
    const auto busy = [](const auto& each) {
      return each->queue().size() > 0 || each->queue().under_way().longest > Duration::zero();
    };
    for (int looks = 0, quiet = 0; looks < 1000; ++looks) {
      quiet = std::ranges::any_of(manager_->controllers(), busy) ? 0 : quiet + 1;
      if (quiet == 10) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  /// Moves the controllers' time on in steps until `holds`; each step waits a moment for its consequences. `alive`:
  /// meanwhile the node of that name goes on reporting.
  template <typename T>
  [[nodiscard]] bool advance_until(Watched<T>& watched, Duration step, const std::function<bool()>& holds,
                                   bool alive = false) {
    for (int i = 0; i < 100; ++i) {
      if (watched.until(holds, std::chrono::milliseconds(100))) return true;
      if (alive) set_ready("alive", "True");
      clock_->advance(step);
    }
    return false;
  }

  static Pod pod(const std::string& name, const std::string& ns = "default") {
    Pod out;
    out.metadata.namespace_ = ns;
    out.metadata.name = name;
    out.metadata.labels.insert_or_assign("app", "redis");
    auto& container = out.spec.containers.emplace_back();
    container.name = "main";
    container.image = "redis";
    auto& port = container.ports.emplace_back();
    port.name = "redis";
    port.container_port = 6379;
    return out;
  }
  static ReplicationController controller(int32_t replicas, const std::string& ns = "default") {
    ReplicationController out;
    out.metadata.namespace_ = ns;
    out.metadata.name = "redis";
    out.spec.replicas = replicas;
    out.spec.selector.insert_or_assign("app", "redis");
    auto& pod_template = out.spec.template_.emplace();
    pod_template.metadata.labels = pod("x").metadata.labels;
    pod_template.spec = pod("x").spec;
    return out;
  }
  static Node node(const std::string& name) {
    Node out;
    out.metadata.name = name;
    return out;
  }
  void set_ready(const std::string& name, std::string_view ready) {
    change<Node>(
        "", name,
        [&](Node& node) {
          node.status.conditions.clear();
          auto& condition = node.status.conditions.emplace_back();
          condition.type = "Ready";
          condition.status = ready;
          condition.last_heartbeat_time = api::Time(clock_->now());
          condition.last_transition_time = api::Time(clock_->now());
        },
        true);
  }
  void set_running(const std::string& name, const std::string& ip, bool ready = true) {
    change<Pod>(
        "default", name,
        [&](Pod& pod) {
          pod.status.phase = "Running";
          pod.status.pod_ip = ip;
          pod.status.pod_ips.clear();
          pod.status.pod_ips.emplace_back().ip = ip;
          pod.status.conditions.clear();
          auto& condition = pod.status.conditions.emplace_back();
          condition.type = "Ready";
          condition.status = ready ? "True" : "False";
          condition.last_transition_time = api::Time(clock_->now());
        },
        true);
  }

  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>(std::chrono::system_clock::now());
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;
  std::shared_ptr<client::EventBroadcaster> events_;
  std::unique_ptr<Manager> manager_;
  std::jthread heart_;
};

}  // namespace trireme::controllers
