#include "client/reflector.h"

#include <gtest/gtest.h>

#include "api/types/corev1.h"
#include "client/informer_factory.h"
#include "client/testing/scripted_transport.h"
#include "support/virtual_clock.h"

namespace trireme::client {
namespace {

using api::corev1::Pod;

std::string pod_json(const std::string& name, const std::string& version, const std::string& uid = {}) {
  Pod pod;
  pod.metadata.namespace_ = "default";
  pod.metadata.name = name;
  pod.metadata.uid = uid.empty() ? name : uid;
  pod.metadata.resource_version = version;
  pod.metadata.managed_fields.emplace_back().manager = "somebody";
  return api::encode_json(pod);
}

net::Response list_of(const std::string& version, const std::vector<std::string>& pods) {
  std::string body =
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":")" + version + R"("},"items":[)";
  for (size_t i = 0; i < pods.size(); ++i) body += (i ? "," : "") + pods[i];
  return {200, {}, body + "]}"};
}

net::Response events(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string body;
  for (const auto& [type, object] : all) body += R"({"type":")" + type + R"(","object":)" + object + "}\n";
  return {200, {}, body};
}

class ReflectorTest : public ::testing::Test {
 protected:
  ReflectorTest() : pods_(factory_.informer<Pod>()) {
    pods_.add_index("uid", [](const Pod& pod) { return std::vector{pod.metadata.uid}; });
    pods_.add_handler([this](const auto& before, const auto& after) {
      const std::lock_guard lock(mutex_);
      log_ += (before ? before->metadata.name + "@" + before->metadata.resource_version : "") + ">" +
              (after ? after->metadata.name + "@" + after->metadata.resource_version : "") + " ";
    });
  }
  std::string take_log() {
    const std::lock_guard lock(mutex_);
    return std::exchange(log_, "");
  }

  std::shared_ptr<ScriptedTransport> wire_ = std::make_shared<ScriptedTransport>();
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  std::mutex mutex_;
  std::string log_;
  InformerFactory factory_{std::make_shared<RawClient>(wire_, "test", false), clock_};
  Informer<Pod>& pods_;
};

TEST_F(ReflectorTest, ListsThenFollows) {
  wire_->answer(list_of("5", {pod_json("a", "3"), pod_json("b", "4")}));
  EXPECT_FALSE(pods_.synced());
  factory_.start();
  ASSERT_TRUE(factory_.wait_synced());
  EXPECT_EQ(take_log(), ">a@3 >b@4 ");
  EXPECT_EQ(pods_.version(), 5u);
  ASSERT_TRUE(pods_.get("default", "a"));
  EXPECT_TRUE(pods_.get("default/a")->metadata.managed_fields.empty());

  wire_->answer(events({{"MODIFIED", pod_json("a", "6")},
                        {"ADDED", pod_json("c", "7")},
                        {"DELETED", pod_json("b", "8")},
                        {"BOOKMARK", R"({"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"20"}})"}}));
  // The watch ends; the next resumes where it was, without another list.
  ASSERT_TRUE(wire_->wait_for_requests(3));
  EXPECT_EQ(take_log(), "a@3>a@6 >c@7 b@8> ");
  const auto requests = wire_->requests();
  EXPECT_EQ(requests[0].target, "/api/v1/pods");
  EXPECT_NE(requests[1].target.find("watch=true&allowWatchBookmarks=true&resourceVersion=5&"), std::string::npos);
  EXPECT_NE(requests[2].target.find("watch=true&allowWatchBookmarks=true&resourceVersion=20&"), std::string::npos);
  EXPECT_EQ(pods_.version(), 20u);
  EXPECT_EQ(pods_.list().size(), 2u);
  EXPECT_EQ(pods_.list("default").size(), 2u);
  EXPECT_TRUE(pods_.list("defaul").empty());
  EXPECT_EQ(pods_.by_index("uid", "c").size(), 1u);
  EXPECT_TRUE(pods_.by_index("uid", "b").empty());
}

TEST_F(ReflectorTest, AnExpiredVersionMeansListingAnew) {
  wire_->answer(
      list_of("5", {pod_json("a", "3"), pod_json("b", "4"), pod_json("same", "2"), pod_json("again", "2", "old")}));
  wire_->answer(
      events({{"ERROR", R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410})"}}));
  wire_->answer(
      list_of("50", {pod_json("b", "44"), pod_json("c", "45"), pod_json("same", "2"), pod_json("again", "46", "new")}));
  factory_.start();
  ASSERT_TRUE(factory_.wait_synced());
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  take_log();
  // The back-off is 0.8 s with up to as much jitter.
  clock_->advance(std::chrono::milliseconds(799));
  EXPECT_EQ(wire_->requests().size(), 2u);
  clock_->advance(std::chrono::milliseconds(801));
  ASSERT_TRUE(wire_->wait_for_requests(4));
  EXPECT_EQ(wire_->requests()[2].target, "/api/v1/pods");
  EXPECT_EQ(take_log(), "b@4>b@44 >c@45 again@2> >again@46 a@3> ");
}

TEST_F(ReflectorTest, AnUnreachableServerIsTriedAgainWithoutListing) {
  wire_->answer(list_of("5", {pod_json("a", "3")}));
  wire_->answer({503, {}, "gone for lunch"});
  wire_->answer(events({{"ADDED", pod_json("b", "9")}}));
  factory_.start();
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(std::chrono::seconds(2));
  ASSERT_TRUE(wire_->wait_for_requests(4));
  for (const size_t i : {1, 2, 3}) EXPECT_NE(wire_->requests()[i].target.find("watch=true"), std::string::npos);
  EXPECT_TRUE(pods_.get("default", "b"));
}

TEST_F(ReflectorTest, LateHandlersHearOfWhatIsThere) {
  wire_->answer(list_of("5", {pod_json("a", "3")}));
  factory_.start();
  ASSERT_TRUE(factory_.wait_synced());
  std::string heard;
  pods_.add_handler([&](const auto& before, const auto& after) {
    EXPECT_FALSE(before);
    heard += after->metadata.name;
  });
  EXPECT_EQ(heard, "a");
}

TEST_F(ReflectorTest, OneInformerPerKindAndScope) {
  EXPECT_EQ(&factory_.informer<Pod>(), &pods_);
  Scope scope;
  scope.field_selector = "spec.nodeName=n1";
  EXPECT_NE(&factory_.informer<Pod>(scope), &pods_);
  const auto shared = factory_.metadata(api::resource_of<Pod>());
  EXPECT_FALSE(shared->scope().metadata_only);
  EXPECT_TRUE(factory_.metadata(api::resource_of<api::corev1::Secret>())->scope().metadata_only);
}

TEST_F(ReflectorTest, StopsWhileWaiting) {
  factory_.start();
  ASSERT_TRUE(wire_->wait_for_requests(1));
  factory_.stop();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(factory_.wait_synced(stop.get_token()));
}

/// A server in this process: one list, and watches that the test writes to.
class ListAndWatch final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    targets.push_back(exchange->request().target);
    if (targets.back().find("watch=true") == std::string::npos) {
      exchange->respond(200, {}, list_of("5", {pod_json("a", "3")}).body);
      return;
    }
    if (refuse) return exchange->respond(503, {}, std::string("away"));
    exchange->start(200, {});
    watch = std::move(exchange);
  }
  void send(const std::string& type, const std::string& object) { watch->write(share(events({{type, object}}).body)); }
  std::vector<std::string> targets;
  std::shared_ptr<net::Exchange> watch;
  bool refuse = false;
};

TEST(SteppedFactoryTest, MovesOnlyWhenPumped) {
  ListAndWatch server;
  auto clock = std::make_shared<VirtualClock>(VirtualClock::kDefaultStart, VirtualClock::Sleep::kAdvances);
  std::shared_ptr<net::Transport> transport = net::in_process_transport(server, {});
  InformerFactory factory(std::make_shared<RawClient>(transport, "test", false), clock, InformerFactory::Stepped{7});
  Informer<Pod>& pods = factory.informer<Pod>();
  EXPECT_FALSE(factory.pump()) << "not started";
  factory.start();
  EXPECT_FALSE(pods.synced());
  ASSERT_TRUE(factory.wait_synced());
  EXPECT_TRUE(pods.get("default", "a"));
  EXPECT_EQ(server.targets.size(), 2u);
  EXPECT_FALSE(factory.pump());

  server.send("ADDED", pod_json("b", "6"));
  server.send("DELETED", pod_json("a", "7"));
  EXPECT_FALSE(pods.get("default", "b"));
  EXPECT_TRUE(factory.pump());
  EXPECT_TRUE(pods.get("default", "b"));
  EXPECT_FALSE(pods.get("default", "a"));
  EXPECT_FALSE(factory.pump());

  // The watch ends in order: the next begins where it was, at once.
  server.watch->finish();
  EXPECT_TRUE(factory.pump());
  ASSERT_EQ(server.targets.size(), 3u);
  EXPECT_NE(server.targets[2].find("resourceVersion=7&"), std::string::npos);
  EXPECT_EQ(factory.next_due(), std::nullopt);

  // It breaks, and the server is away: again after a back-off, by the clock.
  server.refuse = true;
  server.watch->abort();
  EXPECT_TRUE(factory.pump());
  ASSERT_TRUE(factory.next_due());
  const size_t before = server.targets.size();
  clock->advance(*factory.next_due() - clock->monotonic() - Duration(1));
  EXPECT_FALSE(factory.pump());
  EXPECT_EQ(server.targets.size(), before);
  server.refuse = false;
  clock->advance(Duration(1));
  EXPECT_TRUE(factory.pump());
  EXPECT_EQ(server.targets.size(), before + 1);
  EXPECT_EQ(factory.next_due(), std::nullopt);
  server.watch.reset();
}

}  // namespace
}  // namespace trireme::client
