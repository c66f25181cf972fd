#include "api/selectors.h"

#include <gtest/gtest.h>

#include <map>

#include "api/types/metav1.h"

namespace trireme::api {
namespace {

using Labels = std::map<std::string, std::string, std::less<>>;

struct ParseCase {
  const char* text;
  const char* printed;
};

TEST(LabelSelectorTest, ParsesAndPrints) {
  const ParseCase cases[] = {
      {"", ""},
      {"x=a", "x=a"},
      {"x==a", "x==a"},
      {"x!=a", "x!=a"},
      {" x = a , y=b ", "x=a,y=b"},
      {"y=b,x=a", "x=a,y=b"},
      {"x", "x"},
      {"!x", "!x"},
      {"! x", "!x"},
      {"x in (b,a)", "x in (a,b)"},
      {"x in(a)", "x in (a)"},
      {"x notin (a,b)", "x notin (a,b)"},
      {"x in ()", "x in ()"},
      {"x in (a,,b)", "x in (,a,b)"},
      {"x in (,a)", "x in (,a)"},
      {"x in (a,)", "x in (,a)"},
      {"x in (in,notin)", "x in (in,notin)"},
      {"in in (in)", "in in (in)"},
      {"x=", "x="},
      {"x=,y=b", "x=,y=b"},
      {"x>1", "x>1"},
      {"x<1", "x<1"},
      {"example.com/name=v", "example.com/name=v"},
      {"x in (a),y,!z", "x in (a),y,!z"},
  };
  for (const auto& [text, printed] : cases) {
    auto selector = LabelSelector::parse(text);
    ASSERT_TRUE(selector.ok()) << text << ": " << selector.status().to_string();
    EXPECT_EQ(selector->to_string(), printed) << text;
    auto again = LabelSelector::parse(selector->to_string());
    ASSERT_TRUE(again.ok()) << printed;
    EXPECT_EQ(*again, *selector);
  }
}

TEST(LabelSelectorTest, SaysWhatIsWrong) {
  const ParseCase cases[] = {
      {"x in a", "unable to parse requirement: found 'a' expected: '('"},
      {"x in (a", "unable to parse requirement: found '', expected: ',' or ')'"},
      {"x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"},
      {"x in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"},
      {",x", "found ',', expected: !, identifier, or 'end of string'"},
      {"x,", "found '', expected: identifier after ','"},
      {"x a", "unable to parse requirement: found 'a', expected: in, notin, =, ==, !=, gt, lt"},
      {"x=a b", "found 'b', expected: ',' or 'end of string'"},
      {"!", "unable to parse requirement: found '', expected: identifier"},
      {"x==a==b", "found '==', expected: ',' or 'end of string'"},
      {"x=(a)", "unable to parse requirement: found '(', expected: identifier"},
      {"x>a",
       "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an "
       "integer"},
      {"-x=a",
       "unable to parse requirement: <nil>: Invalid value: \"-x\": name part must consist of alphanumeric characters, "
       "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
       "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"},
      {"x=-",
       "unable to parse requirement: values[0][x]: Invalid value: \"-\": a valid label must be an empty string or "
       "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
       "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
       "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
  };
  for (const auto& [text, message] : cases) {
    auto selector = LabelSelector::parse(text);
    ASSERT_FALSE(selector.ok()) << text;
    EXPECT_EQ(selector.status().message(), message) << text;
    EXPECT_TRUE(selector.status().is(Reason::kBadRequest));
  }
  EXPECT_FALSE(LabelSelector::parse("x=a||y=b").ok());
  EXPECT_FALSE(LabelSelector::parse(std::string(100000, '(')).ok());
  EXPECT_FALSE(LabelSelector::parse(std::string(100000, '!')).ok());
}

TEST(LabelSelectorTest, Matches) {
  const Labels labels{{"app", "web"}, {"n", "5"}, {"empty", ""}};
  const std::pair<const char*, bool> cases[] = {
      {"", true},
      {"app=web", true},
      {"app=db", false},
      {"app!=db", true},
      {"none!=db", true},
      {"app", true},
      {"none", false},
      {"!none", true},
      {"!app", false},
      {"app in (db,web)", true},
      {"none in (a)", false},
      {"app notin (db)", true},
      {"none notin (a)", true},
      {"app notin (web)", false},
      {"n>4", true},
      {"n>5", false},
      {"n<6", true},
      {"app>1", false},
      {"none<1", false},
      {"empty=", true},
      {"none=", false},
      {"app=web,n=5", true},
      {"app=web,n=6", false},
  };
  for (const auto& [text, expected] : cases) {
    auto selector = LabelSelector::parse(text);
    ASSERT_TRUE(selector.ok()) << text;
    EXPECT_EQ(selector->matches(labels), expected) << text;
  }
  EXPECT_TRUE(LabelSelector().empty());
  EXPECT_FALSE(LabelSelector::nothing().matches(labels));
  EXPECT_FALSE(LabelSelector::nothing().empty());
  EXPECT_TRUE(LabelSelector::from_map(Labels{{"app", "web"}}).matches(labels));
  EXPECT_FALSE(LabelSelector::from_map(Labels{{"app", "db"}}).matches(labels));
}

TEST(LabelSelectorTest, FromStruct) {
  metav1::LabelSelector source;
  EXPECT_TRUE(LabelSelector::from(source)->empty());
  source.match_labels["app"] = "web";
  source.match_expressions.resize(2);
  source.match_expressions[0].key = "tier";
  source.match_expressions[0].operator_ = "In";
  source.match_expressions[0].values = {"b", "a"};
  source.match_expressions[1].key = "old";
  source.match_expressions[1].operator_ = "DoesNotExist";
  auto selector = LabelSelector::from(source);
  ASSERT_TRUE(selector.ok());
  EXPECT_EQ(selector->to_string(), "app=web,!old,tier in (a,b)");
  source.match_expressions[0].values.clear();
  EXPECT_EQ(LabelSelector::from(source).status().message(),
            "values: Invalid value: []string{}: for 'in', 'notin' operators, values set can't be empty");
  source.match_expressions[0].operator_ = "Near";
  EXPECT_EQ(LabelSelector::from(source).status().message(), "\"Near\" is not a valid label selector operator");
}

TEST(FieldSelectorTest, ParsesAndPrints) {
  const ParseCase cases[] = {
      {"", ""},
      {"metadata.name=a", "metadata.name=a"},
      {"metadata.name==a", "metadata.name=a"},
      {"spec.nodeName!=n", "spec.nodeName!=n"},
      {"b=1,a=2", "a=2,b=1"},
      {"a=", "a="},
      {"a=\\,\\=\\\\", "a=\\,\\=\\\\"},
      {",a=1,", "a=1"},
      {"a=b!c", "a=b!c"},
  };
  for (const auto& [text, printed] : cases) {
    auto selector = FieldSelector::parse(text);
    ASSERT_TRUE(selector.ok()) << text << ": " << selector.status().to_string();
    EXPECT_EQ(selector->to_string(), printed) << text;
  }
  EXPECT_EQ(FieldSelector::parse("a=\\,\\=\\\\")->requirements()[0].value, ",=\\");
}

TEST(FieldSelectorTest, SaysWhatIsWrong) {
  const ParseCase cases[] = {
      {"a", "invalid selector: 'a'; can't understand 'a'"},
      {"a=1,b", "invalid selector: 'a=1,b'; can't understand 'b'"},
      {"a=b=c", "invalid field selector: unescaped character in value: 61"},
      {"a=\\x", "invalid field selector: invalid escape sequence: \\x"},
      {"a=\\", "invalid field selector: invalid escape sequence: \\"},
  };
  for (const auto& [text, message] : cases) {
    auto selector = FieldSelector::parse(text);
    ASSERT_FALSE(selector.ok()) << text;
    EXPECT_EQ(selector.status().message(), message) << text;
  }
}

TEST(FieldSelectorTest, Matches) {
  auto fields = [](std::string_view field) { return field == "metadata.name" ? std::string("a") : std::string(); };
  EXPECT_TRUE(FieldSelector::parse("metadata.name=a")->matches(fields));
  EXPECT_FALSE(FieldSelector::parse("metadata.name!=a")->matches(fields));
  EXPECT_TRUE(FieldSelector::parse("metadata.name=a,spec.x=")->matches(fields));
  EXPECT_FALSE(FieldSelector::parse("metadata.name=a,spec.x=y")->matches(fields));
  EXPECT_EQ(*FieldSelector::parse("metadata.name=a")->exact("metadata.name"), "a");
  EXPECT_EQ(FieldSelector::parse("metadata.name!=a")->exact("metadata.name"), nullptr);
}

}  // namespace
}  // namespace trireme::api
