#include "cmd/membership.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "linux/file.h"

namespace trireme::cmd {
namespace {

using Strings = std::vector<std::string>;

TEST(LastingFlags, AreTheNodesOwn) {
  struct Case {
    Strings words;
    Strings kept;
  };
  const Case cases[] = {
      {{"192.0.2.1:6443", "--token", "a.b", "--ca-hash", "sha256:1"}, {}},
      {{"--token=a.b", "192.0.2.1:6443", "--discovery-token-ca-cert-hash=sha256:1", "--node-name", "n"},
       {"--node-name", "n"}},
      {{"--data-dir", "/x", "192.0.2.1:6443", "-token", "t", "--ca_hash", "h", "--stop-pods", "--v=2"},
       {"--stop-pods"}},
      {{"192.0.2.1:6443", "--node-ip", "192.0.2.1:6443"}, {"--node-ip", "192.0.2.1:6443"}},
  };
  for (const Case& each : cases) EXPECT_EQ(lasting_flags(each.words, "192.0.2.1:6443"), each.kept);
}

TEST(MembershipFile, IsReadAsItWasWrittenAndIsNobodyElses) {
  const std::string folder = std::filesystem::temp_directory_path() / ("membership-" + std::to_string(::getpid()));
  ASSERT_TRUE(linux::make_dirs(folder).ok());
  const std::string file = folder + "/membership.json";
  EXPECT_TRUE(read_membership(file).status().is(Reason::kNotFound));
  Membership wanted;
  wanted.server = "https://192.0.2.1:6443";
  wanted.node_name = "n1";
  wanted.flags = {"--registry-mirror", "docker.io=http://192.0.2.9:5000"};
  wanted.facts = {"10.1.0.0/16", "10.2.0.0/16", "example.test"};
  ASSERT_TRUE(write_membership(file, wanted).ok());
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const auto found = read_membership(file);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->server, wanted.server);
  EXPECT_EQ(found->node_name, wanted.node_name);
  EXPECT_EQ(found->flags, wanted.flags);
  EXPECT_EQ(found->facts.cluster_cidr, "10.1.0.0/16");
  EXPECT_EQ(found->facts.service_cidr, "10.2.0.0/16");
  EXPECT_EQ(found->facts.cluster_domain, "example.test");
  for (const char* wrong : {"", "[]", "{}", R"({"server":"https://x"})", R"({"server":1,"nodeName":"n"})"}) {
    ASSERT_TRUE(linux::replace_file(file, wrong).ok());
    EXPECT_TRUE(read_membership(file).status().is(Reason::kBadRequest)) << wrong;
  }
  EXPECT_TRUE(linux::remove_tree(folder).ok());
}

}  // namespace
}  // namespace trireme::cmd
