#include "base/text.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

using Parts = std::vector<std::string_view>;

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("", ','), (Parts{""}));
  EXPECT_EQ(split("a", ','), (Parts{"a"}));
  EXPECT_EQ(split("a,b", ','), (Parts{"a", "b"}));
  EXPECT_EQ(split(",a,,b,", ','), (Parts{"", "a", "", "b", ""}));
}

TEST(Trimmed, TakesBlanksAway) {
  EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(trimmed(""), "");
}

TEST(SplitList, DropsEmptyParts) {
  EXPECT_EQ(split_list(" a , ,b"), (Parts{"a", "b"}));
  EXPECT_EQ(split_list("a:b ", ':'), (Parts{"a", "b"}));
  EXPECT_TRUE(split_list(" , ").empty());
}

}  // namespace
}  // namespace trireme
