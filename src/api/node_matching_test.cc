#include "api/node_matching.h"

#include <gtest/gtest.h>

namespace trireme::api {
namespace {

TEST(ToleratesTest, FollowsOperatorKeyValueAndEffect) {
  struct Case {
    std::string key, op, value, effect;
    bool expected;
  };
  const Case cases[] = {
      {"k", "Exists", "", "", true},  {"k", "Exists", "", "NoExecute", true}, {"k", "Exists", "", "NoSchedule", false},
      {"x", "Exists", "", "", false}, {"", "Exists", "", "", true},           {"k", "Equal", "v", "", true},
      {"k", "", "v", "", true},       {"k", "Equal", "w", "", false},         {"", "Equal", "v", "", true},
      {"k", "Weird", "v", "", false},
  };
  corev1::Taint taint;
  taint.key = "k";
  taint.value = "v";
  taint.effect = "NoExecute";
  for (const Case& each : cases) {
    corev1::Toleration toleration;
    toleration.key = each.key;
    toleration.operator_ = each.op;
    toleration.value = each.value;
    toleration.effect = each.effect;
    EXPECT_EQ(tolerates(toleration, taint), each.expected) << each.key << each.op << each.value;
  }
}

TEST(MatchesTermTest, FieldsAndExpressionsMustAllHold) {
  corev1::Node node;
  node.metadata.name = "n1";
  node.metadata.labels = {{"zone", "a"}, {"size", "10"}};
  const auto term = [](std::string key, std::string_view op, std::vector<std::string> values, bool field = false) {
    corev1::NodeSelectorTerm out;
    auto& requirement = (field ? out.match_fields : out.match_expressions).emplace_back();
    requirement.key = std::move(key);
    requirement.operator_ = op;
    requirement.values = std::move(values);
    return out;
  };
  EXPECT_FALSE(matches_term({}, node)) << "an empty term matches nothing";
  EXPECT_TRUE(matches_term(term("zone", "In", {"a", "b"}), node));
  EXPECT_FALSE(matches_term(term("zone", "NotIn", {"a"}), node));
  EXPECT_TRUE(matches_term(term("other", "NotIn", {"a"}), node));
  EXPECT_TRUE(matches_term(term("size", "Gt", {"9"}), node));
  EXPECT_FALSE(matches_term(term("size", "Lt", {"9"}), node));
  EXPECT_TRUE(matches_term(term("other", "DoesNotExist", {}), node));
  EXPECT_TRUE(matches_term(term("metadata.name", "In", {"n1"}, true), node));
  EXPECT_FALSE(matches_term(term("metadata.name", "In", {"n2"}, true), node));
  corev1::NodeSelectorTerm both = term("metadata.name", "In", {"n1"}, true);
  both.match_expressions = term("zone", "In", {"b"}).match_expressions;
  EXPECT_FALSE(matches_term(both, node));
}

}  // namespace
}  // namespace trireme::api
