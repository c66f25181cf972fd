#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "linux/bridge_filter.h"
#include "linux/file.h"
#include "support/net_namespace.h"

namespace trireme::linux {
namespace {

constexpr const char* kSwitch = "/proc/sys/net/bridge/bridge-nf-call-iptables";

TEST(BridgeFilterRootTest, IsTurnedOnAndLeftAsItWas) {
  if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
  const test::NetNamespace own;
  ASSERT_TRUE(own.entered());
  if (!exists(kSwitch)) GTEST_SKIP() << "the kernel has no br_netfilter";
  std::array<char, 64> folder{"/tmp/trireme-bridge-XXXXXX"};
  const std::string file = std::string(::mkdtemp(folder.data())) + "/before";
  const auto now = [] { return read_file(kSwitch)->substr(0, 1); };

  ASSERT_TRUE(write_existing(kSwitch, "0\n").ok());
  ASSERT_TRUE(remember_bridge_filter(file).ok());
  ASSERT_TRUE(enable_bridge_filter().ok());
  EXPECT_EQ(now(), "1");
  ASSERT_TRUE(remember_bridge_filter(file).ok()) << "the first time counts";
  ASSERT_TRUE(write_existing(kSwitch, "0\n").ok());
  ASSERT_TRUE(keep_bridge_filter().ok());
  EXPECT_EQ(now(), "1");
  ASSERT_TRUE(restore_bridge_filter(file).ok());
  EXPECT_EQ(now(), "0");
  ASSERT_TRUE(write_file(file, "bridge-nf-call-iptables 1\nsomething else\nbridge-nf-call-ip6tables\n", 0644).ok());
  ASSERT_TRUE(restore_bridge_filter(file).ok());
  EXPECT_EQ(now(), "1");
  EXPECT_TRUE(restore_bridge_filter(file + ".absent").ok());
  EXPECT_TRUE(remove_tree(folder.data()).ok());
}

}  // namespace
}  // namespace trireme::linux
