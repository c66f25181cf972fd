#include "client/client.h"

#include <gtest/gtest.h>

#include "api/types/corev1.h"
#include "client/testing/scripted_transport.h"
#include "client/watch_frames.h"

namespace trireme::client {
namespace {

class ClientTest : public ::testing::Test {
 protected:
  std::shared_ptr<ScriptedTransport> wire_ = std::make_shared<ScriptedTransport>();
  RawClient json_{wire_, "test", /*protobuf=*/false};
  RawClient proto_{wire_, "test", /*protobuf=*/true};
  const api::ResourceInfo& pods_ = api::resource_of<api::corev1::Pod>();
  const api::ResourceInfo& nodes_ = api::resource_of<api::corev1::Node>();
};

TEST_F(ClientTest, TargetsFollowTheResource) {
  const auto& leases = *api::find_resource("coordination.k8s.io", "v1", "leases");
  struct Case {
    std::function<void()> call;
    std::string method;
    std::string target;
  };
  ListOptions selected;
  selected.label_selector = "app in (a,b)";
  selected.limit = 5;
  selected.resource_version = "0";
  const Case cases[] = {
      {[&] { (void)json_.get(pods_, "default", "redis"); }, "GET", "/api/v1/namespaces/default/pods/redis"},
      {[&] { (void)json_.get(nodes_, "", "n1"); }, "GET", "/api/v1/nodes/n1"},
      {[&] { (void)json_.list(pods_, "", {}); }, "GET", "/api/v1/pods"},
      {[&] { (void)json_.list(pods_, "x", selected); }, "GET",
       "/api/v1/namespaces/x/pods?labelSelector=app%20in%20%28a%2Cb%29&resourceVersion=0&limit=5"},
      {[&] { (void)json_.create(pods_, "x", "{}"); }, "POST", "/api/v1/namespaces/x/pods"},
      {[&] { (void)json_.create(pods_, "x", "{}", "p", "binding"); }, "POST", "/api/v1/namespaces/x/pods/p/binding"},
      {[&] { (void)json_.update(leases, "x", "l", "{}", "status"); }, "PUT",
       "/apis/coordination.k8s.io/v1/namespaces/x/leases/l/status"},
      {[&] { (void)json_.remove(pods_, "x", "p"); }, "DELETE", "/api/v1/namespaces/x/pods/p"},
      {[&] {
         (void)json_.patch(pods_, "x", "p", PatchType::kApply, "{}", {}, {"me", true});
       },
       "PATCH", "/api/v1/namespaces/x/pods/p?fieldManager=me&force=true"},
  };
  for (const Case& each : cases) {
    wire_->answer({200, {}, "{}"});
    each.call();
    EXPECT_EQ(wire_->last().method, each.method);
    EXPECT_EQ(wire_->last().target, each.target);
  }
}

TEST_F(ClientTest, PatchesNameTheirKind) {
  const std::pair<PatchType, std::string_view> cases[] = {
      {PatchType::kJson, "application/json-patch+json"},
      {PatchType::kMerge, "application/merge-patch+json"},
      {PatchType::kStrategicMerge, "application/strategic-merge-patch+json"},
      {PatchType::kApply, "application/apply-patch+yaml"},
  };
  for (const auto& [type, expected] : cases) {
    wire_->answer({200, {}, "{}"});
    (void)proto_.patch(pods_, "x", "p", type, "{}");
    const net::Request sent = wire_->last();
    EXPECT_EQ(sent.headers.get("Content-Type"), expected);
  }
}

TEST_F(ClientTest, DeleteOptionsAreSent) {
  wire_->answer({200, {}, "{}"});
  DeleteOptions options;
  options.grace_period_seconds = 0;
  options.propagation_policy = "Foreground";
  options.uid = "u1";
  EXPECT_TRUE(json_.remove(pods_, "x", "p", options).ok());
  const std::string body = wire_->last().body;
  EXPECT_NE(body.find("\"gracePeriodSeconds\":0"), std::string::npos) << body;
  EXPECT_NE(body.find("\"propagationPolicy\":\"Foreground\""), std::string::npos) << body;
  EXPECT_NE(body.find("\"uid\":\"u1\""), std::string::npos) << body;
}

TEST_F(ClientTest, ErrorsBecomeTheStatusThatWasSent) {
  const std::string body =
      R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"a\" already exists",)"
      R"("reason":"AlreadyExists","details":{"name":"a","kind":"pods"},"code":409})";
  wire_->answer({409, {}, body});
  const Status status = json_.create(pods_, "x", "{}").status();
  EXPECT_EQ(status.reason(), Reason::kAlreadyExists);
  EXPECT_EQ(status.code(), 409);
  EXPECT_EQ(status.message(), "pods \"a\" already exists");
  EXPECT_EQ(status.details().name, "a");

  wire_->answer({409, {}, api::encode_proto(*api::decode_json<api::metav1::Status>(body))});
  EXPECT_EQ(proto_.create(pods_, "x", "{}").status().reason(), Reason::kAlreadyExists);

  wire_->answer({502, {}, "<html>Bad gateway</html>"});
  const Status proxy = json_.get(pods_, "x", "a").status();
  EXPECT_EQ(proxy.code(), 502);
  EXPECT_NE(proxy.message().find("Bad gateway"), std::string::npos);
}

std::string frame(std::string_view type, const std::string& object) {
  const auto field = [](int number, const std::string& bytes) {
    std::string out(1, static_cast<char>(number << 3 | 2));
    size_t length = bytes.size();
    for (; length >= 0x80; length >>= 7) out += static_cast<char>(length | 0x80);
    out += static_cast<char>(length);
    return out + bytes;
  };
  const std::string event = field(1, std::string(type)) + field(2, field(1, object));
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(event.size() >> shift);
  return out + event;
}

TEST_F(ClientTest, WatchesReadBothFormsInAnyPieces) {
  api::corev1::Pod pod;
  pod.metadata.name = "redis";
  pod.metadata.annotations.insert_or_assign("long", std::string(300, 'x'));
  const std::string proto = api::encode_proto(pod);
  const std::string json = api::encode_json(pod);
  for (const size_t step : {size_t{1}, size_t{3}, size_t{100}, size_t{100'000}}) {
    wire_->set_step(step);
    for (const bool protobuf : {true, false}) {
      net::Response answer;
      if (protobuf) {
        answer.headers.add("Content-Type", "application/vnd.kubernetes.protobuf;stream=watch");
        answer.body = frame("ADDED", proto) + frame("BOOKMARK", proto);
      } else {
        answer.headers.add("Content-Type", "application/json");
        answer.body =
            R"({"type":"ADDED","object":)" + json + "}\n\n" + R"({"object":)" + json + R"(,"type":"BOOKMARK"})" + "\n";
      }
      wire_->answer(answer);
      std::vector<RawWatchEvent> events;
      ListOptions options;
      options.allow_watch_bookmarks = true;
      options.resource_version = "7";
      EXPECT_TRUE((protobuf ? proto_ : json_)
                      .watch(pods_, "", options, {},
                             [&](RawWatchEvent event) {
                               events.push_back(std::move(event));
                               return true;
                             })
                      .ok());
      ASSERT_EQ(events.size(), 2u);
      EXPECT_EQ(events[0].type, "ADDED");
      EXPECT_EQ(events[1].type, "BOOKMARK");
      const auto decoded = protobuf ? api::decode_proto<api::corev1::Pod>(events[1].object)
                                    : api::decode_json<api::corev1::Pod>(events[1].object);
      ASSERT_TRUE(decoded.ok());
      EXPECT_EQ(decoded->metadata.name, "redis");
      EXPECT_EQ(wire_->last().target, "/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=7");
    }
  }
}

TEST(WatchFramesTest, BrokenStreamsFailAndNeverCrash) {
  const std::string_view broken[] = {
      "{\"type\":1}\n",
      "nonsense\n",
      "{\"type\":\"ADDED\"}\n",
      "{\"type\":\"ADDED\",\"object\":5}\n",
  };
  for (const std::string_view text : broken) {
    WatchFrames frames(WatchFrames::Format::kJson);
    frames.append(text);
    EXPECT_FALSE(frames.next().ok()) << text;
  }
  WatchFrames huge(WatchFrames::Format::kProtobuf);
  huge.append(std::string("\xff\xff\xff\xff", 4));
  EXPECT_FALSE(huge.next().ok());
  WatchFrames cut(WatchFrames::Format::kProtobuf);
  cut.append(std::string("\x00\x00\x00\x02\x0a\x7f", 6));
  EXPECT_FALSE(cut.next().ok());
  WatchFrames waiting(WatchFrames::Format::kProtobuf);
  waiting.append(std::string("\x00\x00\x00\x09", 4));
  ASSERT_TRUE(waiting.next().ok());
  EXPECT_FALSE(waiting.next()->has_value());
}

}  // namespace
}  // namespace trireme::client
