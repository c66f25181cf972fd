#include "api/value.h"

#include <gtest/gtest.h>

#include <limits>

#include "api/object.h"
#include "api/types/corev1.h"

namespace trireme::api {
namespace {

Value parsed(std::string_view json) {
  auto value = parse_value(json);
  EXPECT_TRUE(value.ok()) << json << ": " << value.status().to_string();
  return value.ok() ? *value : Value();
}

TEST(ValueTest, RoundTripsInGosForm) {
  const std::pair<const char*, const char*> cases[] = {
      {"null", "null"},
      {" true ", "true"},
      {"\"x\"", "\"x\""},
      {"[]", "[]"},
      {"{}", "{}"},
      {R"({"b":1,"a":[1,2.5,{"c":null}]})", R"({"a":[1,2.5,{"c":null}],"b":1})"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"9223372036854775808", "9223372036854776000"},
      {"-9223372036854775809", "-9223372036854776000"},
      {"123456789012345678901234567890", "1.2345678901234568e+29"},
      {"1.0", "1"},
      {"1e3", "1000"},
      {"1e-7", "1e-7"},
      {"0.000001", "0.000001"},
      {"1e20", "100000000000000000000"},
      {"1e21", "1e+21"},
      {"123456789012345680000", "123456789012345680000"},
      {"9007199254740993.0", "9007199254740992"},
      {"1e-10", "1e-10"},
      {"-1e300", "-1e+300"},
      {"1e-400", "0"},
      {"-0", "0"},
      {"-0.5", "-0.5"},
      {R"("\u0041\n\"\\\/<>&")", R"("A\n\"\\/<>&")"},
      {R"("\u2028\u0001\u00e9")", "\"\\u2028\\u0001\u00e9\""},
      {R"({"a":1,"a":2})", R"({"a":2})"},
  };
  for (const auto& [in, out] : cases) EXPECT_EQ(to_json(parsed(in)), out) << in;
}

TEST(ValueTest, RefusesWhatIsNoJson) {
  const char* cases[] = {"",        " ",          "{",       "}",     "[1",         "[1,]",  "{\"a\":}", "{\"a\" 1}",
                         "{a:1}",   "1 2",        "1,2",     "1],[2", "nul",        "truex", "nullx",    "01",
                         "1.",      ".5",         "+1",      "1e",    "--1",        "0x10",  "\"a",      "\"\n\"",
                         "\"\\x\"", "'a'",        "NaN",     "1e400", "{\"a\":1}}", "{} {}", "[1 2]",    "\"\xff\"",
                         "]",       "{\"a\":1,}", "[nulll]", "[1x]"};
  for (const char* text : cases) {
    auto value = parse_value(text);
    EXPECT_FALSE(value.ok()) << text;
    EXPECT_TRUE(value.status().is(Reason::kBadRequest)) << text;
  }
}

TEST(ValueTest, LimitsDepth) {
  std::string fine = std::string(200, '[') + std::string(200, ']');
  EXPECT_TRUE(parse_value(fine).ok());
  EXPECT_FALSE(parse_value(std::string(100000, '[') + std::string(100000, ']')).ok());
  std::string objects;
  for (int i = 0; i < 5000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(parse_value(objects).ok());
}

TEST(ValueTest, ComparesNumbersByValue) {
  EXPECT_EQ(Value(1), Value(1.0));
  EXPECT_NE(Value(1), Value(1.5));
  EXPECT_NE(Value(1), Value("1"));
  EXPECT_NE(Value(), Value(false));
  EXPECT_EQ(parsed(R"({"a":[1,{"b":2.0}]})"), parsed(R"({"a":[1.0,{"b":2}]})"));
  EXPECT_NE(parsed(R"({"a":null})"), parsed("{}"));
}

TEST(ValueTest, FindsAndChangesMembers) {
  Value pod = parsed(R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})");
  ASSERT_NE(pod.at_path({"spec", "containers", "1", "name"}), nullptr);
  EXPECT_EQ(pod.at_path({"spec", "containers", "1", "name"})->as_string(), "b");
  EXPECT_EQ(pod.at_path({"spec", "containers", "2"}), nullptr);
  EXPECT_EQ(pod.at_path({"spec", "containers", "x"}), nullptr);
  EXPECT_EQ(pod.at_path({"spec", "none"}), nullptr);
  pod["metadata"]["name"] = "p";
  EXPECT_EQ(to_json(pod["metadata"]), R"({"name":"p"})");
  EXPECT_TRUE(pod.erase("spec"));
  EXPECT_FALSE(pod.erase("spec"));
  EXPECT_FALSE(Value(1).erase("spec"));
}

TEST(ValueTest, CopiesDeeplyAndSurvivesSelfAssignment) {
  Value a = parsed(R"({"x":{"y":[1]}})");
  Value b = a;
  b["x"]["y"].push_back(2);
  EXPECT_EQ(to_json(a), R"({"x":{"y":[1]}})");
  a = a["x"];
  EXPECT_EQ(to_json(a), R"({"y":[1]})");
  a = std::move(a["y"]);
  EXPECT_EQ(to_json(a), "[1]");
}

TEST(ValueTest, WritesBrokenUtf8AsReplacementCharacters) {
  std::string out;
  append_json_string("a\xff\xc3", out);
  EXPECT_EQ(out, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
  out.clear();
  append_json_string("\xed\xa0\x80", out);  // a surrogate
  EXPECT_EQ(out, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(ValueTest, WritesNoInfinities) { EXPECT_EQ(to_json(Value(std::numeric_limits<double>::infinity())), "null"); }

TEST(ValueTest, StandsForObjects) {
  corev1::Pod pod;
  pod.metadata.name = "p";
  pod.spec.containers.emplace_back().name = "c";
  auto value = to_value(Object::of(pod));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->at_path({"kind"})->as_string(), "Pod");
  (*value)["spec"]["containers"].as_array()[0]["image"] = "i";
  auto back = from_value(type_info<corev1::Pod>(), *value);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->as<corev1::Pod>()->spec.containers.at(0).image, "i");
  (*value)["spec"]["containers"] = 3;
  auto wrong = from_value(type_info<corev1::Pod>(), *value);
  EXPECT_TRUE(wrong.status().is(Reason::kBadRequest));
  EXPECT_NE(wrong.status().message().find("spec.containers"), std::string::npos) << wrong.status().message();
}

}  // namespace
}  // namespace trireme::api
