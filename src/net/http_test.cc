#include "net/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/output_queue.h"

namespace trireme::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Headers, NamesCompareWithoutCase) {
  Headers headers{{"Content-Type", "a"}, {"X-Many", "1"}, {"x-many", "2"}};
  EXPECT_EQ(headers.get("content-type"), "a");
  EXPECT_THAT(headers.all("X-MANY"), ElementsAre("1", "2"));
  EXPECT_TRUE(headers.has("CONTENT-TYPE"));
  EXPECT_FALSE(headers.has("Content"));
  headers.set("x-many", "3");
  EXPECT_THAT(headers.all("X-Many"), ElementsAre("3"));
  headers.remove("X-MANY");
  EXPECT_EQ(headers.get("x-many"), "");
  EXPECT_EQ(headers.size(), 1u);
}

TEST(Request, SplitsTarget) {
  const Request request{.target = "/a/b%2F?x=1?2"};
  EXPECT_EQ(request.path(), "/a/b%2F");
  EXPECT_EQ(request.query(), "x=1?2");
  EXPECT_EQ(Request{.target = "/a"}.query(), "");
}

TEST(Query, Parses) {
  EXPECT_THAT(parse_query("a=b&c=%20+d&e&&f="),
              ElementsAre(Pair("a", "b"), Pair("c", "  d"), Pair("e", ""), Pair("f", "")));
  EXPECT_THAT(parse_query("labelSelector=a%3Db%2Cc&labelSelector=x"),
              ElementsAre(Pair("labelSelector", "a=b,c"), Pair("labelSelector", "x")));
  EXPECT_THAT(parse_query(""), IsEmpty());
  EXPECT_THAT(parse_query("a=%zz&b=%4&c;d=1&e=1"), ElementsAre(Pair("e", "1")));
}

TEST(PercentCoding, RoundTripsAndRefuses) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(*percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
  EXPECT_EQ(*percent_decode("a+b%2f"), "a+b/");
  for (const char* bad : {"%", "%1", "%g1", "a%1g"}) EXPECT_FALSE(percent_decode(bad).ok()) << bad;
}

TEST(OutputQueue, KeepsOrderAcrossPartialConsumption) {
  OutputQueue queue;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const std::string text = "piece" + std::to_string(i);
    if (i % 3 == 0) {
      queue.append(share("xx" + text), 2, text.size());
    } else {
      queue.append(text);
    }
    expected += text;
  }
  EXPECT_EQ(queue.size(), expected.size());
  std::string got;
  while (!queue.empty()) {
    char buffer[7];
    const size_t count = queue.copy(buffer, sizeof buffer);
    got.append(buffer, count);
    queue.consume(count);
  }
  EXPECT_EQ(got, expected);
  iovec slice;
  EXPECT_EQ(queue.gather(&slice, 1), 0);
}

}  // namespace
}  // namespace trireme::net
