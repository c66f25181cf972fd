#include "cmd/cluster_options.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cmd/instance_lock.h"
#include "cmd/node_network.h"

namespace trireme::cmd {
namespace {

using Strings = std::vector<std::string>;

TEST(FirstAddress, IsTheOneAfterTheNetwork) {
  EXPECT_EQ(*first_address("10.96.0.0/16"), "10.96.0.1");
  EXPECT_EQ(*first_address("192.168.7.128/30"), "192.168.7.129");
  EXPECT_EQ(*first_address("10.96.0.0/16,fd00:96::/112"), "10.96.0.1");
  EXPECT_EQ(*first_address("fd00:96::/112,10.96.0.0/16"), "fd00:96::1");
  for (const char* wrong : {"10.96.0.0/16,10.97.0.0/16", "fd00:96::/112,fd00:97::/112", "10.96.0.0/16,",
                            "10.96.0.0/16,fd00:96::/112,10.97.0.0/16", "fd00:96::1/112"}) {
    EXPECT_FALSE(first_address(wrong).ok()) << wrong;
  }
}

TEST(Networks, ThatAreNoneAreRefused) {
  for (const char* text : {"", "10.96.0.0", "10.96.0.0/", "10.96.0.0/x", "10.96.0.0/16x", "10.96.0.0/31", "10.96.0.0/7",
                           "10.96.0/16", "fd00::/64", "/16", "10.96.0.0/-1", "10.96.0.5/16"}) {
    EXPECT_EQ(first_address(text).ok(), std::string_view(text) == "fd00::/64") << text;
  }
}

TEST(Mirrors, AreHostAndUrl) {
  auto mirrors = parse_mirrors({"docker.io=http://127.0.0.1:5000", "localhost:5000=https://mirror/v2?a=b"});
  ASSERT_TRUE(mirrors.ok());
  ASSERT_EQ(mirrors->size(), 2U);
  EXPECT_EQ((*mirrors)[0], std::pair(std::string("docker.io"), std::string("http://127.0.0.1:5000")));
  EXPECT_EQ((*mirrors)[1].first, "localhost:5000");
  EXPECT_EQ((*mirrors)[1].second, "https://mirror/v2?a=b");
  EXPECT_TRUE(parse_mirrors({})->empty());
  for (const char* wrong : {"", "docker.io", "=http://x", "docker.io=x", "http://x=y", "../x=http://y"}) {
    EXPECT_FALSE(parse_mirrors({wrong}).ok()) << wrong;
  }
}

class CompleteTest : public testing::Test {
 protected:
  CompleteTest() {
    options_.data_dir = "/tmp/../tmp/cluster/";
    options_.node_ip = "192.0.2.7";
  }
  std::string refusal() { return complete(options_).message(); }
  ClusterOptions options_;
};

TEST_F(CompleteTest, FillsIn) {
  ASSERT_TRUE(complete(options_).ok());
  EXPECT_EQ(options_.data_dir, "/tmp/cluster");
  EXPECT_EQ(options_.advertise_address, "192.0.2.7");
  EXPECT_FALSE(options_.node_name.empty());
  EXPECT_EQ(options_.kubeconfig_file(), "/tmp/cluster/admin.kubeconfig");
  options_.advertise_address = "192.0.2.8";
  options_.node_name = "n1";
  ASSERT_TRUE(complete(options_).ok());
  EXPECT_EQ(options_.advertise_address, "192.0.2.8");
  EXPECT_EQ(options_.node_name, "n1");
}

TEST_F(CompleteTest, RefusesEarly) {
  const ClusterOptions good = options_;
  options_.https_port = 65536;
  EXPECT_EQ(refusal(), "flag --https-port: 65536 is no port number");
  options_ = good;
  options_.kubelet_port = -1;
  EXPECT_EQ(refusal(), "flag --kubelet-port: -1 is no port number");
  options_ = good;
  options_.data_dir = "//";
  EXPECT_EQ(refusal(), "flag --data-dir: / cannot be the data folder");
  options_ = good;
  options_.cluster_cidr = "10.0.0.0/33";
  EXPECT_FALSE(complete(options_).ok());
  options_ = good;
  options_.cluster_cidr = "10.244.0.0/16,10.245.0.0/16";
  EXPECT_EQ(refusal(), "flag --cluster-cidr: one range of each family at most");
  options_ = good;
  options_.cluster_cidr = "10.244.0.0/16,fd00:10:244::/56";
  EXPECT_TRUE(complete(options_).ok());
  options_.cluster_cidr = "10.244.0.64/26";
  EXPECT_TRUE(complete(options_).ok());
  EXPECT_EQ(options_.node_cidr_mask_size, 26);
  options_ = good;
  options_.service_cidr = "services";
  EXPECT_FALSE(complete(options_).ok());
  options_ = good;
  options_.registry_mirrors = {"docker.io"};
  EXPECT_EQ(refusal(), "flag --registry-mirror: \"docker.io\" is not HOST=URL");
}

TEST(ClusterFlags, BindEveryOption) {
  ClusterOptions options;
  FlagSet flags = cluster_flags("trireme up [flags]", options);
  auto rest = flags.parse({"--https-port=0", "--data-dir", "/d", "--no-node", "--controllers=*,-job",
                           "--registry-mirror", "a=http://x", "--registry-mirror=b=http://y", "--v=2"});
  ASSERT_TRUE(rest.ok()) << rest.status().to_string();
  EXPECT_EQ(options.https_port, 0);
  EXPECT_EQ(options.data_dir, "/d");
  EXPECT_TRUE(options.no_node);
  EXPECT_EQ(options.registry_mirrors, (Strings{"a=http://x", "b=http://y"}));
  EXPECT_EQ(options.verbosity, 2);
  EXPECT_FALSE(flags.parse({"--nonsense"}).ok());
}

TEST(ClusterFlags, FoldersOtherThanTheDefaultHaveControlGroupsOfTheirOwn) {
  ClusterOptions options;
  EXPECT_EQ(options.cgroup_root(), "");
  options.data_dir = "/tmp/one";
  std::string one = options.cgroup_root();
  options.data_dir = "/tmp/two";
  EXPECT_TRUE(one.starts_with("/tri")) << one;
  EXPECT_NE(options.cgroup_root(), one);
}

TEST(BridgeName, IsShortAndDiffersByFolder) {
  std::string name = bridge_name("/var/lib/trireme/cni");
  EXPECT_EQ(name, bridge_name("/var/lib/trireme/cni"));
  EXPECT_NE(name, bridge_name("/tmp/cni"));
  EXPECT_LE(name.size(), 15U) << "what the kernel takes";
  EXPECT_EQ(bridge_name(""), "tri811c9dc5");
}

class InstanceLockTest : public testing::Test {
 protected:
  InstanceLockTest() {
    std::string name = testing::TempDir() + "lock-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~InstanceLockTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(InstanceLockTest, OneHoldsIt) {
  {
    auto held = InstanceLock::take(folder_);
    ASSERT_TRUE(held.ok()) << held.status().to_string();
    auto second = InstanceLock::take(folder_);
    ASSERT_FALSE(second.ok());
    EXPECT_TRUE(second.status().is(Reason::kServiceUnavailable));
    EXPECT_EQ(second.status().message(),
              folder_ + " is in use by another trireme (process " + std::to_string(::getpid()) + ")");
    InstanceLock moved = std::move(*held);
    EXPECT_FALSE(InstanceLock::take(folder_).ok());
  }
  EXPECT_TRUE(InstanceLock::take(folder_).ok());
  EXPECT_FALSE(InstanceLock::take(folder_ + "/absent").ok());
}

TEST(ClusterDns, IsTheTenthServiceUnlessTold) {
  ClusterOptions options;
  EXPECT_EQ(options.dns_addresses(), std::vector<std::string>{"10.96.0.10"});
  options.service_cidr = "10.0.0.0/24,fd00:10:96::/112";
  EXPECT_EQ(options.dns_addresses(), (std::vector<std::string>{"10.0.0.10", "fd00:10:96::a"}));
  options.cluster_dns = {"10.0.0.53"};
  EXPECT_EQ(options.dns_addresses(), std::vector<std::string>{"10.0.0.53"});
  options.cluster_dns = {"none"};
  EXPECT_TRUE(options.dns_addresses().empty());
}

}  // namespace
}  // namespace trireme::cmd
