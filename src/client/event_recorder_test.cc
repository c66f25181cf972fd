#include "client/event_recorder.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>

#include "api/codec.h"
#include "api/value.h"

namespace trireme::client {
namespace {

/// Takes events and, unless it only counts them, remembers what it was told of each object, in order; the first writes
/// wait until it is opened.
class Sink final : public net::Transport {
 public:
  Result<net::Response> round_trip(const net::Request& request, std::stop_token) override {
    std::unique_lock lock(mutex_);
    ++under_way_;
    most_ = std::max(most_, under_way_);
    opened_.wait(lock, [this] { return open_; });
    --under_way_;
    net::Response answer;
    answer.status = 201;
    answer.body = request.body;
    if (request.method == "POST") ++written_;
    if (!looks_inside) return answer;
    if (request.method == "POST") {
      const auto event = api::decode_json<api::corev1::Event>(request.body);
      EXPECT_TRUE(event.ok());
      told_[event->involved_object.name].push_back(event->message);
    } else {
      answer.status = 200;
      api::Value patched = api::parse_value(request.body).value_or(api::Value::object());
      patched["metadata"]["name"] = request.path().substr(request.path().rfind('/') + 1);
      answer.body = api::to_json(patched);
      ++patched_;
    }
    return answer;
  }
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request&, std::stop_token) override {
    return Status::internal("no streams");
  }
  void let_through() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    opened_.notify_all();
  }
  std::map<std::string, std::vector<std::string>> told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  int most_at_a_time() {
    const std::lock_guard lock(mutex_);
    return most_;
  }
  size_t written() {
    const std::lock_guard lock(mutex_);
    return written_;
  }
  int patched() {
    const std::lock_guard lock(mutex_);
    return patched_;
  }

  bool looks_inside = true;

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
  int under_way_ = 0, most_ = 0, patched_ = 0;
  size_t written_ = 0;
  std::map<std::string, std::vector<std::string>> told_;
};

class EventRecorderTest : public ::testing::Test {
 protected:
  static api::corev1::ObjectReference about(const std::string& name) {
    api::corev1::ObjectReference reference;
    reference.kind = "Pod";
    reference.namespace_ = "default";
    reference.name = name;
    reference.uid = "uid of " + name;
    return reference;
  }
  std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
  EventBroadcaster broadcaster_{Client(std::make_shared<RawClient>(sink_, "test", /*protobuf=*/false)), real_clock()};
  EventRecorder events_ = broadcaster_.recorder("test");
};

TEST_F(EventRecorderTest, ABurstIsWrittenWholeThoughTheServerIsSlow) {
  for (int i = 0; i < 10'000; ++i) events_.normal(about("pod-" + std::to_string(i)), "Scheduled", "assigned");
  sink_->let_through();
  broadcaster_.flush();
  EXPECT_EQ(sink_->told().size(), 10'000u);
  EXPECT_GT(sink_->most_at_a_time(), 1);
  EXPECT_LE(sink_->most_at_a_time(), 4);
}

TEST_F(EventRecorderTest, WhatIsTooMuchIsDropped) {
  sink_->looks_inside = false;
  for (int i = 0; i < 40'000; ++i) events_.normal(about("pod-" + std::to_string(i)), "Scheduled", "assigned");
  sink_->let_through();
  broadcaster_.flush();
  EXPECT_GE(sink_->written(), 20'000u);
  EXPECT_LE(sink_->written(), 21'100u);
}

TEST_F(EventRecorderTest, WhatIsAboutOneObjectStaysInOrder) {
  for (int i = 0; i < 8; ++i) {
    for (int pod = 0; pod < 50; ++pod) events_.normal(about(std::to_string(pod)), "Step", std::to_string(i));
  }
  sink_->let_through();
  broadcaster_.flush();
  const auto told = sink_->told();
  ASSERT_EQ(told.size(), 50u);
  for (const auto& [pod, messages] : told) {
    EXPECT_EQ(messages, (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7"})) << pod;
  }
}

TEST_F(EventRecorderTest, WhatIsToldAgainIsCounted) {
  for (int i = 0; i < 5; ++i) events_.normal(about("pod"), "BackOff", "again");
  sink_->let_through();
  broadcaster_.flush();
  EXPECT_EQ(sink_->told()["pod"].size(), 1u);
  EXPECT_EQ(sink_->patched(), 4) << "each after the one before it";
}

}  // namespace
}  // namespace trireme::client
