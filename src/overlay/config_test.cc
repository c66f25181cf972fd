#include "overlay/config.h"

#include <gtest/gtest.h>

namespace trireme::overlay {
namespace {

TEST(NetworkConfigTest, ReadsFlannelsConfiguration) {
  const auto config = parse_network_config(R"({
    "Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/56",
    "SubnetLen": 25, "SubnetMin": "10.244.10.0", "SubnetMax": "10.244.99.0",
    "Backend": {"Type": "vxlan", "VNI": 7, "Port": 4789, "MTU": 9000, "GBP": true, "DirectRouting": true}})");
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_TRUE(config->enable_ipv4);
  EXPECT_TRUE(config->enable_ipv6);
  EXPECT_EQ(config->network.to_string(), "10.244.0.0/16");
  EXPECT_EQ(config->ipv6_network.to_string(), "fd00:10:244::/56");
  EXPECT_EQ(config->subnet_len, 25);
  EXPECT_EQ(config->subnet_min.to_string(), "10.244.10.0");
  EXPECT_EQ(config->backend, Backend::kVxlan);
  EXPECT_EQ(config->vni, 7u);
  EXPECT_EQ(config->port, 4789);
  EXPECT_EQ(config->mtu, 9000u);
  EXPECT_TRUE(config->gbp);
  EXPECT_FALSE(config->learning);
  EXPECT_TRUE(config->direct_routing);
  EXPECT_EQ(*parse_network_config(network_config_json(*config)), *config);
}

TEST(NetworkConfigTest, NamesCompareWithoutCase) {
  const auto config = parse_network_config(R"({"network": "10.0.0.0/8", "backend": {"type": "HOST-GW"}})");
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_EQ(config->network.to_string(), "10.0.0.0/8");
  EXPECT_EQ(config->backend, Backend::kHostGw);
  EXPECT_EQ(*parse_network_config(network_config_json(*config)), *config);
}

TEST(NetworkConfigTest, SaysWhatIsWrong) {
  struct Row {
    const char* json;
    const char* message;
  };
  for (const Row& row : {
           Row{"nonsense", "the network configuration: "},
           Row{"[]", "not a JSON object"},
           Row{R"({"Backend": {"Type": "vxlan"}})", "please define a correct Network parameter"},
           Row{R"({"Network": "10.244.0.0/16"})", "\"udp\" is not supported; vxlan and host-gw are"},
           Row{R"({"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard"}})", "\"wireguard\" is not supported"},
           Row{R"({"Network": "10.244.0.0/16", "Backend": "vxlan"})", "Backend is \"vxlan\", not an object"},
           Row{R"({"Network": "10.244.0.0/33", "Backend": {"Type": "vxlan"}})",
               "Network is \"10.244.0.0/33\", not an IPv4"},
           Row{R"({"Network": "fd00::/56", "Backend": {"Type": "vxlan"}})", "not an IPv4 network"},
           Row{R"({"EnableIPv4": false, "Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}})", "neither"},
           Row{R"({"EnableIPv6": true, "Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}})", "IPv6Network"},
           Row{R"({"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "VNI": 16777216}})", "VNI"},
           Row{R"({"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "GBP": 1}})", "GBP is 1, not true or false"},
       }) {
    const auto config = parse_network_config(row.json);
    ASSERT_FALSE(config.ok()) << row.json;
    EXPECT_NE(config.status().message().find(row.message), std::string::npos) << config.status().message();
  }
}

TEST(SubnetsTest, AreCutByFlannelsRules) {
  struct Row {
    const char* settings;
    const char* expected;  ///< "len min max", or a part of the message.
  };
  for (const Row& row : {
           Row{R"("Network": "10.3.0.0/16")", "24 10.3.1.0 10.3.255.0"},
           Row{R"("Network": "10.3.0.0/22")", "24 10.3.1.0 10.3.3.0"},
           Row{R"("Network": "10.3.0.0/23")", "25 10.3.0.128 10.3.1.128"},
           Row{R"("Network": "10.3.0.0/28")", "30 10.3.0.4 10.3.0.12"},
           Row{R"("Network": "10.3.0.0/29")", "Minimum useful network prefix is /28"},
           Row{R"("Network": "10.3.0.0/16", "SubnetLen": 28, "SubnetMin": "10.3.5.0", "SubnetMax": "10.3.8.0")",
               "28 10.3.5.0 10.3.8.0"},
           Row{R"("Network": "10.3.0.0/16", "SubnetLen": 31)", "SubnetLen must be less than /31"},
           Row{R"("Network": "10.3.0.0/16", "SubnetLen": 17)", "at least four subnets"},
           Row{R"("Network": "10.3.0.0/16", "SubnetMin": "10.4.0.0")", "SubnetMin is not in the range of the Network"},
           Row{R"("Network": "10.3.0.0/16", "SubnetMax": "10.3.5.16")", "SubnetMax is not on a SubnetLen boundary"},
       }) {
    auto config = parse_network_config(std::string("{") + row.settings + R"(, "Backend": {"Type": "vxlan"}})");
    ASSERT_TRUE(config.ok()) << row.settings;
    const Status status = complete_subnets(*config);
    const std::string got = status.ok() ? std::to_string(config->subnet_len) + " " + config->subnet_min.to_string() +
                                              " " + config->subnet_max.to_string()
                                        : status.message();
    EXPECT_NE(got.find(row.expected), std::string::npos) << row.settings << ": " << got;
  }
  auto six = parse_network_config(
      R"({"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:10::/48", "Backend": {"Type": "vxlan"}})");
  ASSERT_TRUE(six.ok() && complete_subnets(*six).ok());
  EXPECT_EQ(six->ipv6_subnet_len, 64);
  EXPECT_EQ(six->ipv6_subnet_min.to_string(), "fd00:10:0:1::");
  EXPECT_EQ(six->ipv6_subnet_max.to_string(), "fd00:10:0:ffff::");
}

TEST(MtuTest, LeavesRoomForTheTunnel) {
  NetworkConfig config;
  EXPECT_EQ(pod_mtu(config, 1500), 1450u);
  config.enable_ipv6 = true;
  EXPECT_EQ(pod_mtu(config, 1500), 1430u);
  config.mtu = 9000;
  EXPECT_EQ(pod_mtu(config, 1500), 8930u);
  config.backend = Backend::kHostGw;
  EXPECT_EQ(pod_mtu(config, 1500), 1500u);
}

}  // namespace
}  // namespace trireme::overlay
