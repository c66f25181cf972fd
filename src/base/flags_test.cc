#include "base/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct FlagsTest : testing::Test {
  std::string dir = "/var/lib/x";
  bool verbose = false;
  int port = 6443;
  Duration grace = std::chrono::seconds(30);
  std::vector<std::string> controllers = {"*"};
  FlagSet flags{"program [flags]"};

  FlagsTest() {
    flags.add("data-dir", &dir, "where state lives");
    flags.add("verbose", &verbose, "say more");
    flags.add("https-port", &port, "port to serve");
    flags.add("grace", &grace, "time to end");
    flags.add("controllers", &controllers, "which to run");
    flags.add_ignored("etcd-servers");
  }
};

TEST_F(FlagsTest, TakesEverySpelling) {
  auto rest = flags.parse({"--data-dir=/a", "-https_port", "7", "word", "--verbose", "--grace", "1m", "--", "--x"});
  ASSERT_TRUE(rest.ok()) << rest.status().to_string();
  EXPECT_EQ(dir, "/a");
  EXPECT_EQ(port, 7);
  EXPECT_TRUE(verbose);
  EXPECT_EQ(grace, std::chrono::minutes(1));
  EXPECT_THAT(*rest, ElementsAre("word", "--x"));
}

TEST_F(FlagsTest, ListsReplaceTheDefaultAndThenAppend) {
  ASSERT_TRUE(flags.parse({"--controllers=a,b", "--controllers=-c"}).ok());
  EXPECT_THAT(controllers, ElementsAre("a", "b", "-c"));
  ASSERT_TRUE(flags.parse({"--controllers="}).ok());
}

TEST_F(FlagsTest, AnEmptyListIsEmpty) {
  ASSERT_TRUE(flags.parse({"--controllers="}).ok());
  EXPECT_TRUE(controllers.empty());
}

TEST_F(FlagsTest, StopsAtTheFirstArgumentWhenAsked) {
  flags.stop_at_first_argument();
  auto rest = flags.parse({"-verbose", "list", "-https_port"});
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(*rest, ElementsAre("list", "-https_port"));
}

TEST_F(FlagsTest, ErrorsNameTheFlag) {
  EXPECT_THAT(flags.parse({"--nope"}).status().message(), HasSubstr("unknown flag --nope"));
  EXPECT_THAT(flags.parse({"--https-port"}).status().message(), HasSubstr("--https-port needs a value"));
  EXPECT_THAT(flags.parse({"--https-port=x"}).status().message(), HasSubstr("flag --https-port: \"x\" is not"));
  EXPECT_THAT(flags.parse({"--verbose=maybe"}).status().message(), HasSubstr("neither true nor false"));
}

TEST_F(FlagsTest, IgnoredFlagsAreTakenAndHidden) {
  ASSERT_TRUE(flags.parse({"--etcd_servers=http://127.0.0.1:4001"}).ok());
  EXPECT_THAT(flags.help(), testing::Not(HasSubstr("etcd-servers")));
  EXPECT_THAT(flags.help(), HasSubstr("(default 6443)"));
}

}  // namespace
}  // namespace trireme
