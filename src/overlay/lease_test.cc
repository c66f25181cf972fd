#include "overlay/lease.h"

#include <gtest/gtest.h>

#include "overlay/files.h"

namespace trireme::overlay {
namespace {

using api::corev1::Node;

NetworkConfig dual_stack() {
  return *parse_network_config(R"({"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/56",
    "Backend": {"Type": "vxlan"}})");
}

Lease full_lease() {
  Lease lease;
  lease.name = "n2";
  lease.subnet = *IpPrefix::parse("10.244.2.0/24");
  lease.ipv6_subnet = *IpPrefix::parse("fd00:10:244:2::/64");
  lease.public_ip = *IpAddress::parse("192.0.2.2");
  lease.public_ipv6 = *IpAddress::parse("2001:db8::2");
  lease.backend_type = "vxlan";
  lease.vni = 1;
  lease.vtep_mac = *MacAddress::parse("0a:58:0a:f4:02:00");
  lease.vtep_mac_ipv6 = *MacAddress::parse("0a:58:0a:f4:02:06");
  return lease;
}

Node annotated(const Lease& lease, const NetworkConfig& config, const AnnotationNames& names) {
  Node node;
  node.metadata.name = lease.name;
  for (const auto& [name, value] : annotations_of(lease, config, names, node)) node.metadata.annotations[name] = value;
  node.spec.pod_cidr = lease.subnet.to_string();
  node.spec.pod_cidrs = {lease.subnet.to_string(), lease.ipv6_subnet.to_string()};
  return node;
}

TEST(AnnotationsTest, AreFlannels) {
  const auto names = *AnnotationNames::make();
  Node node;
  const auto made = annotations_of(full_lease(), dual_stack(), names, node);
  const std::map<std::string, std::string> expected = {
      {"flannel.alpha.coreos.com/kube-subnet-manager", "true"},
      {"flannel.alpha.coreos.com/backend-type", "vxlan"},
      {"flannel.alpha.coreos.com/backend-data", R"({"VNI":1,"VtepMAC":"0a:58:0a:f4:02:00"})"},
      {"flannel.alpha.coreos.com/backend-v6-data", R"({"VNI":1,"VtepMAC":"0a:58:0a:f4:02:06"})"},
      {"flannel.alpha.coreos.com/public-ip", "192.0.2.2"},
      {"flannel.alpha.coreos.com/public-ipv6", "2001:db8::2"},
  };
  EXPECT_EQ(made, expected);

  NetworkConfig host_gw = dual_stack();
  host_gw.backend = Backend::kHostGw;
  node.metadata.annotations["flannel.alpha.coreos.com/public-ip-overwrite"] = "203.0.113.9";
  const auto others = annotations_of(full_lease(), host_gw, names, node);
  EXPECT_EQ(others.at("flannel.alpha.coreos.com/backend-type"), "host-gw");
  EXPECT_EQ(others.at("flannel.alpha.coreos.com/backend-data"), "null");
  EXPECT_EQ(others.at("flannel.alpha.coreos.com/public-ip"), "203.0.113.9");
}

TEST(AnnotationsTest, ReadAsTheLeaseTheyWereMadeOf) {
  const auto names = *AnnotationNames::make();
  const Node node = annotated(full_lease(), dual_stack(), names);
  auto lease = lease_of(node, dual_stack(), names);
  ASSERT_TRUE(lease.ok() && *lease) << lease.status().to_string();
  EXPECT_EQ(**lease, full_lease());

  NetworkConfig only_ipv4 = dual_stack();
  only_ipv4.enable_ipv6 = false;
  lease = lease_of(node, only_ipv4, names);
  ASSERT_TRUE(lease.ok() && *lease);
  EXPECT_TRUE((*lease)->ipv6_subnet.empty());
}

TEST(AnnotationsTest, OfOtherMakersAreNoLease) {
  const auto names = *AnnotationNames::make();
  const Node good = annotated(full_lease(), dual_stack(), names);
  const auto read = [&](const std::string& name, const std::string& value) {
    Node node = good;
    node.metadata.annotations[name] = value;
    return lease_of(node, dual_stack(), names);
  };
  EXPECT_FALSE(*read(names.kube_managed, "false"));
  EXPECT_FALSE(read(names.public_ip, "2001:db8::2").ok());
  EXPECT_FALSE(read(names.public_ip, "nonsense").ok());
  EXPECT_FALSE(read(names.backend_data, "null").ok());
  EXPECT_FALSE(read(names.backend_data, R"({"VNI":1,"VtepMAC":"zz"})").ok());
  EXPECT_FALSE(read(names.backend_data, "{").ok());
  Node without = good;
  without.spec.pod_cidr.clear();
  without.spec.pod_cidrs.clear();
  auto lease = lease_of(without, dual_stack(), names);
  EXPECT_TRUE(lease.ok() && !*lease);
}

TEST(AnnotationsTest, ThePrefixMayBeChanged) {
  EXPECT_EQ(AnnotationNames::make("flannel.example.com")->public_ip, "flannel.example.com/public-ip");
  EXPECT_EQ(AnnotationNames::make("flannel.example.com/")->public_ip, "flannel.example.com/public-ip");
  EXPECT_EQ(AnnotationNames::make("flannel.example.com/green")->public_ip, "flannel.example.com/green-public-ip");
  EXPECT_EQ(AnnotationNames::make("flannel.example.com/green-")->public_ip, "flannel.example.com/green-public-ip");
  for (const char* wrong : {"", "flannel", "a.b/c/d", "flannel.Example.com", "flannel.example.com/g.r"}) {
    EXPECT_FALSE(AnnotationNames::make(wrong).ok()) << wrong;
  }
}

TEST(EtcdKeysTest, AreFlannels) {
  Lease lease = full_lease();
  EXPECT_EQ(subnet_key(lease), "10.244.2.0-24&fd00:10:244:2::-64");
  auto parsed = parse_subnet_key("/coreos.com/network/subnets/" + subnet_key(lease));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->subnet, lease.subnet);
  EXPECT_EQ(parsed->ipv6_subnet, lease.ipv6_subnet);
  lease.ipv6_subnet = {};
  EXPECT_EQ(subnet_key(lease), "10.244.2.0-24");
  for (const char* wrong : {"", "10.244.2.0", "10.244.2.0-33", "fd00::-64", "10.244.2.0-24&10.1.0.0-24", "x-24"}) {
    EXPECT_FALSE(parse_subnet_key(wrong)) << wrong;
  }
}

TEST(EtcdKeysTest, ValuesReadAsTheLeaseTheyWereMadeOf) {
  const std::string json = lease_json(full_lease(), dual_stack());
  EXPECT_EQ(json, R"({"PublicIP":"192.0.2.2","PublicIPv6":"2001:db8::2","BackendType":"vxlan",)"
                  R"("BackendData":{"VNI":1,"VtepMAC":"0a:58:0a:f4:02:00"},)"
                  R"("BackendV6Data":{"VNI":1,"VtepMAC":"0a:58:0a:f4:02:06"}})");
  Lease read = *parse_subnet_key(subnet_key(full_lease()));
  read.name = "n2";
  ASSERT_TRUE(read_lease_json(json, read).ok());
  EXPECT_EQ(read, full_lease());
  EXPECT_FALSE(read_lease_json("[]", read).ok());
  EXPECT_FALSE(read_lease_json(R"({"BackendType":"vxlan","BackendData":{"VNI":1}})", read).ok());
}

TEST(FilesTest, SubnetEnvIsFlannels) {
  EXPECT_EQ(subnet_env(dual_stack(), full_lease(), 1430, true),
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.2.1/24\n"
            "FLANNEL_IPV6_NETWORK=fd00:10:244::/56\nFLANNEL_IPV6_SUBNET=fd00:10:244:2::1/64\n"
            "FLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n");
  const Lease before = previous_subnets(subnet_env(dual_stack(), full_lease(), 1430, false), dual_stack());
  EXPECT_EQ(before.subnet, full_lease().subnet);
  EXPECT_EQ(before.ipv6_subnet, full_lease().ipv6_subnet);
  EXPECT_TRUE(previous_subnets("FLANNEL_SUBNET=10.245.2.1/24\n=\n\nFLANNEL_SUBNET", dual_stack()).subnet.empty());
}

TEST(FilesTest, TheConflistHasTheNodesRanges) {
  CniConfig config;
  config.bridge = "tri0";
  config.address_folder = "/var/lib/leases";
  config.subnet = full_lease().subnet;
  std::string text = cni_conflist(config);
  EXPECT_NE(text.find(R"("ranges": [[{"subnet": "10.244.2.0/24"}]])"), std::string::npos) << text;
  EXPECT_EQ(text.find("mtu"), std::string::npos);
  config.mtu = 1430;
  config.ipv6_subnet = full_lease().ipv6_subnet;
  text = cni_conflist(config);
  EXPECT_NE(text.find(R"("ranges": [[{"subnet": "10.244.2.0/24"}], [{"subnet": "fd00:10:244:2::/64"}]])"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])"), std::string::npos);
  EXPECT_NE(text.find(R"("mtu": 1430,)"), std::string::npos);
  EXPECT_NE(text.find(R"("ipMasq": false)"), std::string::npos);
}

}  // namespace
}  // namespace trireme::overlay
