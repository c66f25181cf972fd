#include <thread>

#include "net/test_support.h"

namespace trireme::net {
namespace {

TEST(InProcessTransport, AnswersWithPeerAndBody) {
  FunctionHandler handler([](std::shared_ptr<Exchange> exchange) {
    EXPECT_EQ(exchange->request().peer.certificate->common_name, "me");
    std::string body = exchange->take_body();
    exchange->respond(201, {{"X", "y"}}, {share("got "), share(std::move(body))});
  });
  const auto transport = in_process_transport(handler, {.certificate = CertificateSubject{.common_name = "me"}});
  const auto response = transport->round_trip({.method = "POST", .target = "/x", .body = "abc"});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response.value().status, 201);
  EXPECT_EQ(response.value().headers.get("x"), "y");
  EXPECT_EQ(response.value().body, "got abc");
}

TEST(InProcessTransport, DroppedExchangeIsAnswered500) {
  FunctionHandler handler([](const std::shared_ptr<Exchange>&) {});
  const auto response = in_process_transport(handler, {})->round_trip({});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response.value().status, 500);
}

TEST(InProcessTransport, StreamsWithBackPressure) {
  std::shared_ptr<Exchange> kept;
  int drained = 0;
  bool closed = false;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->on_drained([&] { ++drained; });
    exchange->on_closed([&] { closed = true; });
    exchange->start(200, {{"A", "b"}});
    EXPECT_EQ(exchange->write(share("one")), 3u);
    EXPECT_EQ(exchange->write(share("two")), 6u);
    kept = std::move(exchange);
  });
  const auto transport = in_process_transport(handler, {});
  auto stream = transport->open({});
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ((*stream.value()).status(), 200);
  EXPECT_EQ(*stream.value()->read({}), "onetwo");
  EXPECT_EQ(drained, 1);
  std::jthread writer([&] {
    kept->write(share("three"));
    kept->finish();
  });
  std::string rest;
  for (;;) {
    auto part = stream.value()->read({});
    ASSERT_TRUE(part.ok());
    if (part.value().empty()) break;
    rest += part.value();
  }
  EXPECT_EQ(rest, "three");
  writer.join();
  EXPECT_TRUE(closed);
  EXPECT_EQ(kept->write(share("late")), 0u);
}

TEST(InProcessTransport, HangUpStopAbortAndTimeout) {
  std::shared_ptr<Exchange> kept;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->start(200, {});
    kept = std::move(exchange);
  });
  const auto transport = in_process_transport(handler, {});
  {
    const auto stream = transport->open({});
    ASSERT_TRUE(stream.ok());
    EXPECT_TRUE(stream.value()->read({}, std::chrono::milliseconds(1)).status().is(Reason::kTimeout));
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_TRUE(stream.value()->read(stop.get_token()).status().is(Reason::kTimeout));
    EXPECT_FALSE(kept->closed());
  }
  EXPECT_TRUE(kept->closed());
  bool closed = false;
  kept->on_closed([&] { closed = true; });
  EXPECT_TRUE(closed);

  const auto stream = transport->open({});
  kept->write(share("half"));
  kept->abort();
  EXPECT_EQ(*stream.value()->read({}), "half");
  EXPECT_FALSE(stream.value()->read({}).ok());
}

TEST(InProcessTransport, HandsPartsOverBehindTheBody) {
  const auto value = std::make_shared<const int>(7);
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    ASSERT_TRUE(exchange->local());
    exchange->respond_local(200, {}, {share("head")}, {{"ITEM", &value, value}});
  });
  const auto transport = in_process_transport(handler, {});
  EXPECT_TRUE(transport->local());
  const auto response = transport->round_trip({});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->body, "head");
  ASSERT_EQ(response->parts.size(), 1u);
  EXPECT_EQ(response->parts[0].label, "ITEM");
  EXPECT_EQ(response->parts[0].type, &value);
  EXPECT_EQ(response->parts[0].value, value);
}

TEST(InProcessTransport, StreamsPartsAndTellsOfThem) {
  const auto value = std::make_shared<const int>(7);
  std::shared_ptr<Exchange> kept;
  int drained = 0;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->on_drained([&] { ++drained; });
    exchange->start(200, {});
    EXPECT_EQ(exchange->write_local({"ADDED", nullptr, value}), Exchange::kLocalPartSize);
    kept = std::move(exchange);
  });
  const auto transport = in_process_transport(handler, {});
  auto stream = transport->open({});
  ASSERT_TRUE(stream.ok());
  int arrivals = 0;
  (*stream)->on_arrival([&] { ++arrivals; });
  EXPECT_EQ(arrivals, 1);
  auto parts = (*stream)->read_parts({});
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 1u);
  EXPECT_EQ((*parts)[0].value, value);
  EXPECT_EQ(drained, 1);
  auto none = (*stream)->try_read_parts();
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(*none);
  kept->write_local({"DELETED", nullptr, value});
  kept->finish();
  EXPECT_EQ(arrivals, 3);
  auto last = (*stream)->try_read_parts();
  ASSERT_TRUE(last.ok() && *last);
  EXPECT_EQ((**last)[0].label, "DELETED");
  auto end = (*stream)->try_read_parts();
  ASSERT_TRUE(end.ok() && *end);
  EXPECT_TRUE((*end)->empty());
}

TEST(InProcessTransport, AnAbortedStreamOfPartsFails) {
  std::shared_ptr<Exchange> kept;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->start(200, {});
    kept = std::move(exchange);
  });
  const auto transport = in_process_transport(handler, {});
  auto stream = transport->open({});
  ASSERT_TRUE(stream.ok());
  kept->abort();
  EXPECT_TRUE((*stream)->read_parts({}).status().is(Reason::kServiceUnavailable));
}

}  // namespace
}  // namespace trireme::net
