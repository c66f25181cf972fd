// The enforcer on the real API server, with a table of the test's own in place of the kernel's.
#include "policy/enforcer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "apiserver/api_server.h"
#include "client/client.h"
#include "client/informer_factory.h"
#include "net/transport.h"
#include "policy/testing/objects.h"
#include "policy/testing/table.h"
#include "store/memory_store.h"

namespace trireme::policy {
namespace {

using std::chrono::seconds;
using ::testing::IsEmpty;

/// What the enforcer has put in force, for others to look at while it works.
class SharedTable {
 public:
  template <typename Look>
  auto look(Look&& look) {
    const std::lock_guard lock(mutex_);
    return look(table_);
  }
  template <typename Condition>
  bool until(Condition&& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return condition(table_); });
  }
  Status change(const Changes* changes, bool anew) {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (fail_ > 0) {
      --fail_;
      changed_.notify_all();
      return Status::internal("the kernel does not want to");
    }
    if (anew) table_ = Table();
    there_ = changes != nullptr;
    const std::vector<std::string> refused = changes != nullptr ? table_.apply(*changes) : std::vector<std::string>();
    EXPECT_THAT(refused, IsEmpty());
    changed_.notify_all();
    return {};
  }
  std::atomic<int> fail_ = 0;
  std::atomic<int> calls_ = 0;
  std::atomic<bool> there_ = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Table table_;
};

class TestApplier final : public Applier {
 public:
  explicit TestApplier(SharedTable& table) : table_(table) {}
  Status replace(const Changes& everything) override { return table_.change(&everything, true); }
  Status apply(const Changes& changes) override { return table_.change(&changes, false); }
  Status remove() override { return table_.change(nullptr, true); }

 private:
  SharedTable& table_;
};

class EnforcerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    raw_ = std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               "test");
    client_.emplace(raw_);
    create(*make_namespace("a", "team=red"));
    create(*make_namespace("b", "team=blue"));
  }
  void TearDown() override {
    enforcer_.reset();
    factory_.reset();
    if (server_) server_->begin_shutdown();
  }

  void start() {
    factory_ = std::make_shared<client::InformerFactory>(raw_, real_clock());
    auto started = Enforcer::start({.node_name = "node-1", .admit_timeout = seconds(20)},
                                   {*factory_, raw_, real_clock(), std::make_unique<TestApplier>(table_)});
    ASSERT_TRUE(started.ok());
    enforcer_ = std::move(*started);
  }

  template <typename T>
  T create(T object) {
    object.metadata.uid.clear();
    object.metadata.resource_version.clear();
    auto made = client_->create(object);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? *made : T();
  }
  std::shared_ptr<const api::corev1::Pod> run_pod(const PodSpec& spec) {
    auto wanted = *make_pod(spec);
    wanted.spec.containers[0].image = "busybox";
    const auto status = wanted.status;
    auto pod = create(wanted);
    pod.status = status;
    auto updated = client_->update_status(pod);
    EXPECT_TRUE(updated.ok()) << updated.status().to_string();
    return std::make_shared<const api::corev1::Pod>(updated.ok() ? *updated : pod);
  }

  static Packet packet(const char* from, const char* to, uint16_t port = 80) {
    return {Address::parse(from).value(), Address::parse(to).value(), 6, port};
  }
  bool comes_to(const Packet& packet, bool allowed) {
    return table_.until([&](const Table& table) { return table.allows(packet) == allowed; });
  }
  bool allows(const Packet& packet) {
    return table_.look([&](const Table& table) { return table.allows(packet); });
  }

  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<client::RawClient> raw_;
  std::optional<client::Client> client_;
  std::shared_ptr<client::InformerFactory> factory_;
  SharedTable table_;
  std::unique_ptr<Enforcer> enforcer_;
};

TEST_F(EnforcerTest, PoliciesComeIntoForceAndGo) {
  run_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.1"}});
  run_pod({.key = "b/job", .labels = "app=job", .node = "node-2", .addresses = {"10.0.0.2"}});
  start();
  // Leftovers of an earlier run are looked for, and then there is nothing to do.
  ASSERT_TRUE(table_.until([&](const Table&) { return table_.calls_ == 1; }));
  EXPECT_FALSE(table_.there_);
  EXPECT_FALSE(enforcer_->active());

  create(
      *make_policy("a/p", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}"));
  EXPECT_TRUE(comes_to(packet("10.0.0.9", "10.0.0.1"), false));
  EXPECT_TRUE(allows(packet("10.0.0.2", "10.0.0.1")));
  EXPECT_TRUE(enforcer_->active());
  run_pod({.key = "b/new", .node = "node-2", .addresses = {"10.0.0.9"}});
  EXPECT_TRUE(comes_to(packet("10.0.0.9", "10.0.0.1"), true));
  auto ns = client_->get<api::corev1::Namespace>("", "b");
  ASSERT_TRUE(ns.ok());
  ns->metadata.labels["team"] = "green";
  ASSERT_TRUE(client_->update(*ns).ok());
  EXPECT_TRUE(comes_to(packet("10.0.0.2", "10.0.0.1"), false));

  ASSERT_TRUE(client_->remove<api::networkingv1::NetworkPolicy>("a", "p").ok());
  ASSERT_TRUE(table_.until([&](const Table&) { return !table_.there_; }));
  EXPECT_FALSE(enforcer_->active());
  // And once more from nothing.
  create(*make_policy("a/p", "{podSelector: {}}"));
  EXPECT_TRUE(comes_to(packet("10.0.0.9", "10.0.0.1"), false));
}

TEST_F(EnforcerTest, RulesHoldBeforeAPodRuns) {
  start();
  // The policy is written just before the pod starts; whether its event has come does not matter.
  create(*make_policy("a/deny", "{podSelector: {}}"));
  auto pod = run_pod({.key = "a/web"});
  ASSERT_TRUE(enforcer_->admit(pod, {"10.0.0.1", "fd00::1"}).ok());
  EXPECT_FALSE(allows(packet("10.0.0.9", "10.0.0.1")));
  EXPECT_FALSE(allows(packet("fd00::9", "fd00::1")));
  create(*make_policy("b/deny", "{podSelector: {}}"));
  auto other = run_pod({.key = "b/web"});
  ASSERT_TRUE(enforcer_->admit(other, {"10.0.0.2"}).ok());
  EXPECT_FALSE(allows(packet("10.0.0.9", "10.0.0.2")));
  // A pod on the host's network is nobody's.
  ASSERT_TRUE(enforcer_->admit(make_pod({.key = "b/host", .host_network = true}), {"192.0.2.1"}).ok());
  EXPECT_TRUE(allows(packet("10.0.0.9", "192.0.2.1")));
}

TEST_F(EnforcerTest, APodThatTheServerForgotIsForgotten) {
  create(*make_policy("a/deny", "{podSelector: {}}"));
  start();
  auto pod = run_pod({.key = "a/web"});
  ASSERT_TRUE(client_->remove<api::corev1::Pod>("a", "web", {.grace_period_seconds = 0}).ok());
  ASSERT_TRUE(enforcer_->admit(pod, {"10.0.0.1"}).ok());
  EXPECT_FALSE(allows(packet("10.0.0.9", "10.0.0.1")));
  enforcer_->forget(*pod);
  EXPECT_TRUE(comes_to(packet("10.0.0.9", "10.0.0.1"), true));
}

TEST_F(EnforcerTest, WhatFailsIsTriedAgain) {
  start();
  ASSERT_TRUE(table_.until([&](const Table&) { return table_.calls_ == 1; }));
  table_.fail_ = 2;
  create(*make_policy("a/deny", "{podSelector: {}}"));
  auto pod = run_pod({.key = "a/web"});
  while (!enforcer_->admit(pod, {"10.0.0.1"}).ok()) {
  }
  EXPECT_FALSE(allows(packet("10.0.0.9", "10.0.0.1")));
  // A change that fails leads to everything being made anew.
  table_.fail_ = 1;
  create(*make_policy("a/allow", "{podSelector: {}, ingress: [{}]}"));
  EXPECT_TRUE(comes_to(packet("10.0.0.9", "10.0.0.1"), true));
}

TEST_F(EnforcerTest, TheNextRunTakesOver) {
  create(*make_policy("a/deny", "{podSelector: {}}"));
  run_pod({.key = "a/web", .addresses = {"10.0.0.1"}});
  start();
  ASSERT_TRUE(comes_to(packet("10.0.0.9", "10.0.0.1"), false));
  enforcer_.reset();
  EXPECT_FALSE(allows(packet("10.0.0.9", "10.0.0.1"))) << "rules stay";
  ASSERT_TRUE(client_->remove<api::networkingv1::NetworkPolicy>("a", "deny").ok());
  start();
  EXPECT_TRUE(table_.until([&](const Table&) { return !table_.there_; })) << "what an earlier run left is removed";
}

}  // namespace
}  // namespace trireme::policy
