#include "overlay/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "overlay/external_interface.h"

namespace trireme::overlay {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
IpPrefix net(std::string_view text) { return IpPrefix::parse(text).value(); }

Lease lease(int number, std::string_view backend = "vxlan") {
  const std::string n = std::to_string(number);
  Lease out;
  out.name = "n" + n;
  out.subnet = net("10.244." + n + ".0/24");
  out.ipv6_subnet = net("fd00:10:244:" + n + "::/64");
  out.public_ip = ip("192.0.2." + n);
  out.public_ipv6 = ip("2001:db8::" + n);
  out.backend_type = backend;
  out.vni = 1;
  out.vtep_mac = *MacAddress::parse("0a:58:0a:f4:00:0" + n);
  out.vtep_mac_ipv6 = *MacAddress::parse("0a:58:0a:f4:06:0" + n);
  return out;
}

PlanInput input(const std::string& backend, std::vector<Lease> others, bool ipv6 = false) {
  PlanInput out;
  out.config =
      *parse_network_config(R"({"Network": "10.244.0.0/16", "IPv6Network": "fd00:10:244::/48", "EnableIPv6": )" +
                            std::string(ipv6 ? "true" : "false") + R"(, "Backend": )" + backend + "}");
  out.external = {2, "eth0", 1500, ip("192.0.2.1"), ip("2001:db8::1")};
  out.own = lease(1);
  out.others = std::move(others);
  return out;
}

constexpr const char* kVxlan = R"({"Type": "vxlan"})";
constexpr const char* kHostGw = R"({"Type": "host-gw"})";

/// "10.244.2.0/24 via 10.244.2.0 onlink dev 0", and so on; what a plan says, in one line an entry.
std::vector<std::string> lines(const Plan& plan) {
  std::vector<std::string> out;
  for (const auto& device : plan.devices) {
    out.push_back(device.link.name + " " + device.address.to_string() + " mtu " + std::to_string(device.link.mtu));
  }
  for (const auto& route : plan.routes) {
    out.push_back(to_string(route) + (route.onlink ? " onlink" : "") + " dev " + std::to_string(route.link));
  }
  for (const auto& each : plan.neighbours) {
    out.push_back((each.fdb ? "fdb " : "arp ") + each.address.to_string() + " " + each.mac.to_string() + " dev " +
                  std::to_string(each.link));
  }
  for (const auto& each : plan.problems) out.push_back("! " + each);
  return out;
}

using Lines = std::vector<std::string>;

TEST(PlanTest, VxlanNeedsARouteANeighbourAndAForwardingEntryPerNode) {
  EXPECT_EQ(lines(make_plan(input(kVxlan, {lease(2), lease(3)}))),
            (Lines{"flannel.1 10.244.1.0/32 mtu 1450", "10.244.2.0/24 via 10.244.2.0 onlink dev 0",
                   "10.244.3.0/24 via 10.244.3.0 onlink dev 0", "arp 10.244.2.0 0a:58:0a:f4:00:02 dev 0",
                   "fdb 192.0.2.2 0a:58:0a:f4:00:02 dev 0", "arp 10.244.3.0 0a:58:0a:f4:00:03 dev 0",
                   "fdb 192.0.2.3 0a:58:0a:f4:00:03 dev 0"}));
}

TEST(PlanTest, EachFamilyHasADevice) {
  EXPECT_EQ(lines(make_plan(input(kVxlan, {lease(2)}, true))),
            (Lines{"flannel.1 10.244.1.0/32 mtu 1430", "flannel-v6.1 fd00:10:244:1::/128 mtu 1430",
                   "10.244.2.0/24 via 10.244.2.0 onlink dev 0", "fd00:10:244:2::/64 via fd00:10:244:2:: onlink dev 1",
                   "arp 10.244.2.0 0a:58:0a:f4:00:02 dev 0", "fdb 192.0.2.2 0a:58:0a:f4:00:02 dev 0",
                   "arp fd00:10:244:2:: 0a:58:0a:f4:06:02 dev 1", "fdb 2001:db8::2 0a:58:0a:f4:06:02 dev 1"}));
}

TEST(PlanTest, HostGwNeedsRoutesOnly) {
  EXPECT_EQ(lines(make_plan(input(kHostGw, {lease(2, "host-gw"), lease(3, "host-gw")}, true))),
            (Lines{"10.244.2.0/24 via 192.0.2.2 dev -1", "10.244.3.0/24 via 192.0.2.3 dev -1",
                   "fd00:10:244:2::/64 via 2001:db8::2 dev -1", "fd00:10:244:3::/64 via 2001:db8::3 dev -1"}));
}

TEST(PlanTest, DirectRoutingSparesTheTunnelInsideASubnet) {
  auto in = input(R"({"Type": "vxlan", "DirectRouting": true})", {lease(2), lease(3)});
  in.is_on_link = [](const IpAddress& address) { return address == ip("192.0.2.2"); };
  EXPECT_EQ(lines(make_plan(in)),
            (Lines{"flannel.1 10.244.1.0/32 mtu 1450", "10.244.2.0/24 via 192.0.2.2 dev -1",
                   "10.244.3.0/24 via 10.244.3.0 onlink dev 0", "arp 10.244.3.0 0a:58:0a:f4:00:03 dev 0",
                   "fdb 192.0.2.3 0a:58:0a:f4:00:03 dev 0"}));
  in.others = {lease(2)};
  in.device_always = false;
  EXPECT_EQ(lines(make_plan(in)), (Lines{"10.244.2.0/24 via 192.0.2.2 dev -1"}));
}

TEST(PlanTest, TheDeviceIsMadeWhenItIsNeeded) {
  auto in = input(kVxlan, {});
  EXPECT_EQ(lines(make_plan(in)), (Lines{"flannel.1 10.244.1.0/32 mtu 1450"}));
  in.device_always = false;
  EXPECT_EQ(lines(make_plan(in)), Lines());
}

TEST(PlanTest, LeavesOutWhatCannotBeServed) {
  Lease outside = lease(2);
  outside.subnet = net("10.99.0.0/24");
  Lease twice = lease(4);
  twice.subnet = net("10.244.3.128/25");
  Lease everything = lease(5);
  everything.subnet = net("10.244.0.0/16");
  Lease other_backend = lease(6, "host-gw");
  Lease silent = lease(7);
  silent.vtep_mac = {};
  const auto plan = make_plan(input(kVxlan, {outside, lease(3), twice, everything, other_backend, silent}));
  EXPECT_EQ(plan.routes.size(), 1u);
  EXPECT_EQ(plan.problems,
            (Lines{"node n2: its subnet 10.99.0.0/24 is outside of the network 10.244.0.0/16",
                   "node n4: its subnet 10.244.3.128/25 overlaps 10.244.3.0/24, which another node has",
                   "node n5: its subnet 10.244.0.0/16 overlaps 10.244.1.0/24, which another node has",
                   "node n6: its backend is \"host-gw\", ours vxlan", "node n7: it has announced no VTEP address"}));
}

class ChangesTest : public testing::Test {
 protected:
  /// The state as it is after everything was applied.
  KernelState settled() const {
    KernelState state;
    for (auto route : plan_.routes) {
      route.link = 7;
      state.routes.push_back(route);
    }
    for (auto each : plan_.neighbours) {
      each.link = 7;
      state.neighbours.push_back(each);
    }
    state.addresses.push_back({7, net("10.244.1.0/32"), 0, 0});
    return state;
  }
  Changes changes(const KernelState& state) const { return find_changes(plan_, input_, {7}, state); }

  PlanInput input_ = input(kVxlan, {lease(2), lease(3)});
  Plan plan_ = make_plan(input_);
};

TEST_F(ChangesTest, NothingIsDoneTwice) {
  EXPECT_TRUE(changes(settled()).empty());
  const Changes all = changes({});
  EXPECT_EQ(all.set_routes.size(), 2u);
  EXPECT_EQ(all.set_neighbours.size(), 4u);
  EXPECT_EQ(all.add_addresses.size(), 1u);
  EXPECT_TRUE(all.delete_routes.empty() && all.delete_neighbours.empty() && all.delete_addresses.empty());
}

TEST_F(ChangesTest, OnlyWhatIsMissingOrWrongIsSet) {
  KernelState state = settled();
  state.routes[0].gateway = ip("10.244.9.9");
  state.routes[1].protocol = 3;  // a flannel's
  std::erase_if(state.neighbours, [](const auto& each) { return each.fdb && each.address == ip("192.0.2.2"); });
  const Changes some = changes(state);
  EXPECT_EQ(some.set_routes.size(), 2u);
  EXPECT_TRUE(some.delete_routes.empty());
  ASSERT_EQ(some.set_neighbours.size(), 1u);
  EXPECT_EQ(some.set_neighbours[0].address, ip("192.0.2.2"));
  EXPECT_TRUE(some.delete_neighbours.empty());
}

TEST_F(ChangesTest, ANodeThatMovedGetsNewEntriesInPlaceOfTheOld) {
  const KernelState before = settled();
  input_.others[0].public_ip = ip("192.0.2.77");
  input_.others[1].vtep_mac = *MacAddress::parse("0a:58:0a:f4:00:33");
  plan_ = make_plan(input_);
  const Changes moved = changes(before);
  EXPECT_TRUE(moved.set_routes.empty());
  ASSERT_EQ(moved.set_neighbours.size(), 3u);  // one forwarding entry; a neighbour and its forwarding entry
  ASSERT_EQ(moved.delete_neighbours.size(), 1u);
  EXPECT_EQ(moved.delete_neighbours[0].mac, lease(3).vtep_mac);
  EXPECT_TRUE(moved.delete_neighbours[0].fdb);
}

TEST_F(ChangesTest, ANodeThatHasGoneLeavesNothing) {
  const KernelState before = settled();
  input_.others.pop_back();
  plan_ = make_plan(input_);
  const Changes gone = changes(before);
  ASSERT_EQ(gone.delete_routes.size(), 1u);
  EXPECT_EQ(gone.delete_routes[0].destination, lease(3).subnet);
  EXPECT_EQ(gone.delete_neighbours.size(), 2u);
  EXPECT_TRUE(gone.set_routes.empty() && gone.set_neighbours.empty());
}

TEST_F(ChangesTest, WhatOthersHaveSetStays) {
  KernelState state = settled();
  linux::Route foreign;
  foreign.destination = net("10.244.9.0/24");
  foreign.link = 3;
  foreign.protocol = 4;
  state.routes.push_back(foreign);
  foreign.protocol = linux::kRouteProtocol;
  foreign.destination = net("10.77.0.0/24");  // another cluster's
  state.routes.push_back(foreign);
  foreign.destination = net("10.244.0.0/16");
  foreign.type = linux::RouteType::kUnreachable;
  state.routes.push_back(foreign);
  state.neighbours.push_back({7, ip("10.244.9.0"), *MacAddress::parse("0a:58:0a:f4:00:99"), false, false});
  EXPECT_TRUE(changes(state).empty());
}

TEST_F(ChangesTest, AnEarlierSubnetsAddressIsReplaced) {
  KernelState state = settled();
  state.addresses = {{7, net("10.244.8.0/32"), 0, 0}, {7, net("fe80::1/64"), 253, 0}};
  const Changes changed = changes(state);
  ASSERT_EQ(changed.add_addresses.size(), 1u);
  EXPECT_EQ(changed.add_addresses[0].prefix, net("10.244.1.0/32"));
  ASSERT_EQ(changed.delete_addresses.size(), 1u);
  EXPECT_EQ(changed.delete_addresses[0].prefix, net("10.244.8.0/32"));
}

TEST(DeviceTest, IsKeptWhereItCanBe) {
  const auto planned = make_plan(input(kVxlan, {})).devices.at(0).link;
  linux::Link present{7, "flannel.1", "vxlan", true, false, 1400, planned.mac, 0, planned.vxlan};
  EXPECT_EQ(incompatibility(planned, present), "");
  const auto with = [&](auto change) {
    linux::Link other = present;
    change(other);
    return incompatibility(planned, other);
  };
  EXPECT_EQ(with([](auto& link) { link.kind = "bridge"; }), "it is of type \"bridge\"");
  EXPECT_EQ(with([](auto& link) { link.vxlan->vni = 9; }), "its VNI is 9");
  EXPECT_EQ(with([](auto& link) { link.vxlan->link = 9; }), "it is on interface 9");
  EXPECT_EQ(with([](auto& link) { link.vxlan->local = ip("192.0.2.9"); }), "its address is 192.0.2.9");
  EXPECT_EQ(with([](auto& link) { link.vxlan->port = 4789; }), "its port is 4789");
  EXPECT_EQ(with([](auto& link) { link.vxlan->gbp = true; }), "it has GBP");
}

TEST(ExternalInterfaceTest, IsFoundAsFlannelsFlagsSay) {
  InterfaceFacts facts;
  facts.links = {{1, "lo", "", true, true, 65536, {}, 0, {}},
                 {2, "eth0", "", true, false, 1500, {}, 0, {}},
                 {3, "eth1", "", true, false, 9000, {}, 0, {}}};
  facts.addresses = {{1, net("127.0.0.1/8"), 254, 0},   {2, net("169.254.3.3/16"), 253, 0},
                     {2, net("192.0.2.1/24"), 0, 0},    {3, net("198.51.100.1/24"), 0, 0},
                     {3, net("198.51.100.2/24"), 0, 0}, {3, net("2001:db8::1/64"), 0, 0}};
  facts.default_link = 2;
  facts.reachable_link = 3;
  NetworkConfig config = input(kVxlan, {}).config;
  const auto choose = [&](const InterfaceOptions& options) {
    auto found = choose_interface(facts, options, config);
    return found.ok() ? found->name + " " + found->address.to_string() + " " + found->address_ipv6.to_string() + " " +
                            std::to_string(found->mtu)
                      : found.status().message();
  };
  EXPECT_EQ(choose({}), "eth0 192.0.2.1  1500");
  EXPECT_EQ(choose({{"eth1"}, {}, {}}), "eth1 198.51.100.1 2001:db8::1 9000");
  EXPECT_EQ(choose({{"eth9", "198.51.100.2"}, {}, {}}), "eth1 198.51.100.2 2001:db8::1 9000");
  EXPECT_EQ(choose({{}, {"^198\\.51"}, {}}), "eth1 198.51.100.1 2001:db8::1 9000");
  EXPECT_EQ(choose({{"eth9"}, {"th1$"}, {}}), "eth1 198.51.100.1 2001:db8::1 9000");
  EXPECT_EQ(choose({{}, {}, "203.0.113.1"}), "eth1 198.51.100.1 2001:db8::1 9000");
  EXPECT_EQ(choose({{"127.0.0.1"}, {}, {}}), "lo 127.0.0.1  1500");
  EXPECT_EQ(choose({{"eth8", "eth9"}, {}, {}}), "no interface is eth8, nor eth9");
  EXPECT_EQ(choose({{}, {"("}, {}}).substr(0, 25), "flag --iface-regex: \"(\": ");
  config.enable_ipv6 = true;
  EXPECT_EQ(choose({}), "interface eth0 has no global IPv6 address");
  facts.default_link = 0;
  EXPECT_NE(choose({}).find("no default route"), std::string::npos);
}

}  // namespace
}  // namespace trireme::overlay
