#include "proxy/conntrack_settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "linux/file.h"

namespace trireme::proxy {
namespace {

using namespace std::chrono_literals;

TEST(ConntrackSettings, TheLimitGrowsWithTheCores) {
  EXPECT_EQ(connections_limit({}, 2), 128 * 1024);
  EXPECT_EQ(connections_limit({}, 8), 8 * 32 * 1024);
  EXPECT_EQ(connections_limit({.max_per_core = 0}, 8), 0);
  EXPECT_EQ(connections_limit({.max_per_core = 10, .min = 0}, 8), 80);
}

class ConntrackFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "conntrack-" + std::to_string(::getpid());
    ASSERT_TRUE(linux::make_dirs(folder_).ok());
    for (const char* name : {"nf_conntrack_max", "nf_conntrack_tcp_timeout_established",
                             "nf_conntrack_tcp_timeout_close_wait", "nf_conntrack_tcp_be_liberal"}) {
      put(name, "5\n");
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(linux::write_file(folder_ + "/" + name, text).ok());
  }
  std::string text(const std::string& name) { return linux::read_file(folder_ + "/" + name).value_or("-"); }
  std::string folder_;
};

TEST_F(ConntrackFilesTest, AreWrittenWhereTheyDiffer) {
  ASSERT_TRUE(set_conntrack({.tcp_be_liberal = true}, 1, folder_).ok());
  EXPECT_EQ(text("nf_conntrack_max"), "131072\n");
  EXPECT_EQ(text("nf_conntrack_tcp_timeout_established"), "86400\n");
  EXPECT_EQ(text("nf_conntrack_tcp_timeout_close_wait"), "3600\n");
  EXPECT_EQ(text("nf_conntrack_tcp_be_liberal"), "1\n");
}

TEST_F(ConntrackFilesTest, TheLimitIsNeverLowered) {
  put("nf_conntrack_max", "262144\n");
  ASSERT_TRUE(set_conntrack({.tcp_established_timeout = 0s}, 1, folder_).ok());
  EXPECT_EQ(text("nf_conntrack_max"), "262144\n");
  EXPECT_EQ(text("nf_conntrack_tcp_timeout_established"), "5\n");
}

TEST_F(ConntrackFilesTest, WhatFailsDoesNotKeepTheRestFromBeingSet) {
  ASSERT_TRUE(std::filesystem::remove(folder_ + "/nf_conntrack_max"));
  EXPECT_FALSE(set_conntrack({}, 1, folder_).ok());
  EXPECT_EQ(text("nf_conntrack_tcp_timeout_close_wait"), "3600\n");
}

}  // namespace
}  // namespace trireme::proxy
