#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "linux/nat_tables.h"
#include "linux/process.h"
#include "support/net_namespace.h"

namespace trireme::linux {
namespace {

/// Every test has a network namespace and a file of its own.
class NatTablesRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
    if (!find_program("iptables")) GTEST_SKIP() << "needs iptables";
    namespace_.emplace();
    ASSERT_TRUE(namespace_->entered());
  }
  void TearDown() override { std::filesystem::remove(file_); }

  static std::string run(std::vector<std::string> words) {
    auto out = run_program(words);
    EXPECT_TRUE(out.ok()) << out.status().to_string();
    return out.ok() ? *out : std::string();
  }
  /// As the plugin portmap leaves it: chains of iptables without a rule.
  static void leave_chains(const std::string& program) {
    run({program, "-w", "-t", "nat", "-N", "CNI-HOSTPORT-DNAT"});
    run({program, "-w", "-t", "nat", "-A", "PREROUTING", "-j", "CNI-HOSTPORT-DNAT"});
    run({program, "-w", "-t", "nat", "-D", "PREROUTING", "-j", "CNI-HOSTPORT-DNAT"});
    run({program, "-w", "-t", "nat", "-X", "CNI-HOSTPORT-DNAT"});
  }
  static std::string tables() { return run({"nft", "list", "tables"}); }

  std::optional<test::NetNamespace> namespace_;
  const std::string file_ = std::filesystem::temp_directory_path() / ("nat-tables-" + std::to_string(::getpid()));
};

TEST_F(NatTablesRootTest, WhatIptablesLeftIsTakenAway) {
  ASSERT_TRUE(remember_nat_tables(file_).ok());
  leave_chains("iptables");
  leave_chains("ip6tables");
  ASSERT_EQ(tables(), "table ip nat\ntable ip6 nat\n");
  EXPECT_TRUE(remember_nat_tables(file_).ok()) << "a second start remembers the first";
  const Status removed = remove_new_nat_tables(file_);
  EXPECT_TRUE(removed.ok()) << removed.to_string();
  EXPECT_EQ(tables(), "");
  EXPECT_TRUE(remove_new_nat_tables(file_).ok()) << "nothing is there any more";
}

TEST_F(NatTablesRootTest, WhatWasThereBeforeAndWhatOthersUseStays) {
  leave_chains("iptables");
  ASSERT_TRUE(remember_nat_tables(file_).ok());
  run({"ip6tables", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "lo", "-j", "ACCEPT"});
  EXPECT_TRUE(remove_new_nat_tables(file_).ok());
  EXPECT_EQ(tables(), "table ip nat\ntable ip6 nat\n");
  run({"ip6tables", "-w", "-t", "nat", "-F", "POSTROUTING"});
  EXPECT_TRUE(remove_new_nat_tables(file_).ok());
  EXPECT_EQ(tables(), "table ip nat\n");
}

TEST_F(NatTablesRootTest, WithoutMemoryNothingIsTouched) {
  leave_chains("iptables");
  EXPECT_TRUE(remove_new_nat_tables(file_).ok());
  EXPECT_EQ(tables(), "table ip nat\n");
}

}  // namespace
}  // namespace trireme::linux
