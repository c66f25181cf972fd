#include "api/yaml.h"

#include <gtest/gtest.h>

namespace trireme::api {
namespace {

struct Case {
  const char* yaml;
  const char* json;
};

TEST(YamlTest, ResolvesScalarsLikeKubectl) {
  const Case cases[] = {
      {"", "null"},
      {"# only a comment\n", "null"},
      {"~", "null"},
      {"null", "null"},
      {"a:", R"({"a":null})"},
      {"yes", "true"},
      {"On", "true"},
      {"y", "true"},
      {"TRUE", "true"},
      {"off", "false"},
      {"n", "false"},
      {"tRue", "\"tRue\""},
      {"\"yes\"", "\"yes\""},
      {"'1'", "\"1\""},
      {"12", "12"},
      {"+12", "12"},
      {"-12", "-12"},
      {"1_000", "1000"},
      {"0x1F", "31"},
      {"0777", "511"},
      {"0o17", "15"},
      {"0b101", "5"},
      {"08", "8"},
      {"0", "0"},
      {"1.10", "1.1"},
      {".5", "0.5"},
      {"1e3", "1000"},
      {"-1.5e-3", "-0.0015"},
      {"1.2.3", "\"1.2.3\""},
      {"1:30", "\"1:30\""},
      {"100m", "\"100m\""},
      {"2001-01-01", "\"2001-01-01\""},
      {"2001-12-14T21:59:43Z", "\"2001-12-14T21:59:43Z\""},
      {"9223372036854775807", "9223372036854775807"},
      {"18446744073709551615", "18446744073709552000"},
      {"!!str 12", "\"12\""},
      {"!!int 12", "12"},
      {"!!float 1", "1"},
      {"inf", "\"inf\""},
      {"-", "[null]"},
      {"- a\n- 1\n", R"(["a",1])"},
      {"a: |\n  x\n  y\nb: >\n  x\n  y\n", R"({"a":"x\ny\n","b":"x y\n"})"},
      {"1: a\ntrue: b\n1.5: c\n", R"({"1":"a","1.5":"c","true":"b"})"},
      {"{a: [1, {b: c}]}", R"({"a":[1,{"b":"c"}]})"},
      {"{\"a\":\"\\/\\u00e9\"}", "{\"a\":\"/\u00e9\"}"},
      {"---\na: 1\n---\nb: 2\n", R"({"a":1})"},
      {"a: &x {b: 1}\nc: *x\n", R"({"a":{"b":1},"c":{"b":1}})"},
      {"a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\n", R"({"a":{"b":1,"c":2},"d":{"b":3,"c":2}})"},
      {"a: &x {b: 1}\nc: &y {b: 2, e: 3}\nd:\n  f: 1\n  <<: [*x, *y]\n",
       R"({"a":{"b":1},"c":{"b":2,"e":3},"d":{"b":1,"e":3,"f":1}})"},
      {"\"<<\": 1", R"({"<<":1})"},
      {"a: \"x\\ty\"", R"({"a":"x\ty"})"},
  };
  for (const auto& [yaml, json] : cases) {
    auto result = yaml_to_json(yaml);
    ASSERT_TRUE(result.ok()) << yaml << ": " << result.status().to_string();
    EXPECT_EQ(*result, json) << yaml;
  }
}

TEST(YamlTest, RefusesBadDocuments) {
  const char* cases[] = {"a: 1\na: 2", "a: b: c",       "{a",    "[1",         "*x",    "a: .inf", ".nan",
                         "? [1]\n: 2", "? {a: 1}\n: 2", "~: 1",  "a: &x [*x]", "<<: 1", "<<: [1]", "!!int x",
                         "\t- a",      "\"a",           "a: 'b", "%YAML 9",    "@a",    "`a"};
  for (const char* yaml : cases) {
    auto result = yaml_to_json(yaml);
    EXPECT_FALSE(result.ok()) << yaml << " gave " << (result.ok() ? *result : "");
    EXPECT_TRUE(result.ok() || result.status().is(Reason::kBadRequest)) << yaml;
  }
  EXPECT_EQ(yaml_to_json("x: 1\na: 1\na: 2\n").status().message(),
            "error converting YAML to JSON: yaml: line 3: key \"a\" already set in map");
}

TEST(YamlTest, SurvivesBombs) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    std::string previous = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + previous;
    for (int j = 0; j < 9; ++j) laughs += ", " + previous;
    laughs += "]\n";
  }
  EXPECT_NE(yaml_to_json(laughs).status().message().find("excessive aliasing"), std::string::npos);
  EXPECT_FALSE(yaml_to_json(std::string(100000, '[')).ok());
  EXPECT_FALSE(yaml_to_json(std::string(100000, '{')).ok());
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += "- ";
  EXPECT_FALSE(yaml_to_json(nested).ok());
}

TEST(YamlTest, SplitsDocuments) {
  using Documents = std::vector<std::string_view>;
  EXPECT_EQ(split_yaml_documents(""), Documents());
  EXPECT_EQ(split_yaml_documents("---\n---\n# c\n---"), Documents());
  EXPECT_EQ(split_yaml_documents("a: 1\n"), Documents{"a: 1\n"});
  EXPECT_EQ(split_yaml_documents("a: 1\n---\nb: 2"), (Documents{"a: 1\n", "b: 2"}));
  EXPECT_EQ(split_yaml_documents("---\na: 1\n--- \nb: ---\n---x: 1\n"), (Documents{"a: 1\n", "b: ---\n---x: 1\n"}));
  Documents commented = split_yaml_documents("a: 1\n--- # next\nb: 2\n");
  ASSERT_EQ(commented.size(), 2u);
  EXPECT_EQ(*yaml_to_json(commented[1]), R"({"b":2})");
}

TEST(YamlTest, WritesWhatItReads) {
  const char* cases[] = {
      "null",
      "{}",
      "[]",
      R"({"a":[],"b":{},"c":null})",
      R"(["yes","1","1.5","null","~","","on","0x10","1_0",".5","<<","=","- a","a: b","# c","'","\"","x"])",
      R"({"a":"line\n","b":"two\nlines\n","c":"no end\nhere","d":" lead\n","e":"tab\t\n","f":"end\n\n"})",
      R"({"":3,"1":2,"true":1})",
      R"([1,-1,1.5,1e+21,true,false])",
      R"({"a":[{"b":[[1],[2,{"c":"d"}]]}]})",
      "{\"u\":\"\u00e4\u20ac\"}",
      R"({"c":"\u0001"})",
  };
  for (const char* json : cases) {
    auto yaml = json_to_yaml(json);
    ASSERT_TRUE(yaml.ok()) << json;
    auto back = yaml_to_json(*yaml);
    ASSERT_TRUE(back.ok()) << json << "\n" << *yaml << back.status().to_string();
    EXPECT_EQ(*back, json) << *yaml;
  }
  EXPECT_EQ(*json_to_yaml(R"({"b":{"c":"yes"},"a":1})"), "a: 1\nb:\n  c: \"yes\"\n");
  EXPECT_EQ(*json_to_yaml(R"({"at":"2026-11-24T05:20:37Z","version":"2026-alpha"})"),
            "at: \"2026-11-24T05:20:37Z\"\nversion: 2026-alpha\n");
}

}  // namespace
}  // namespace trireme::api
