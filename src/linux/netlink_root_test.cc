// The kernel's own answers, each test in network namespaces of its own.

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "linux/netlink_client.h"
#include "linux/netlink_monitor.h"
#include "linux/route.h"
#include "support/test_machine.h"

namespace trireme::linux {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
IpPrefix net(std::string_view text) { return IpPrefix::parse(text).value(); }

class NetlinkRootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::TestMachine::why_not()) GTEST_SKIP() << *reason;
  }
  /// Runs the test's body inside a fresh namespace, with a connection to its kernel side.
  template <typename Body>
  void inside(Body body) {
    test::TestMachine space;
    space.run([&] {
      auto netlink = Netlink::open();
      ASSERT_TRUE(netlink.ok()) << netlink.status().to_string();
      body(*netlink);
    });
  }
  static int add_veth(Netlink& netlink, const std::string& name, int peer_namespace = -1) {
    NewLink veth{name, "veth", 1400, {}, {}, name + "-peer", peer_namespace};
    const Status status = netlink.add_link(veth);
    EXPECT_TRUE(status.ok()) << status.to_string();
    return netlink.link(name)->index;
  }
};

TEST_F(NetlinkRootTest, MakesChangesAndDeletesLinks) {
  inside([&](Netlink& netlink) {
    const int below = add_veth(netlink, "below");
    EXPECT_EQ(netlink.link("below")->kind, "veth");
    EXPECT_EQ(netlink.link("below")->mtu, 1400u);
    EXPECT_EQ(netlink.link("below-peer")->kind, "veth");
    ASSERT_TRUE(netlink.set_mtu(below, 1500).ok());
    ASSERT_TRUE(netlink.set_up(below, true).ok());
    EXPECT_EQ(netlink.link("below")->mtu, 1500u);
    EXPECT_TRUE(netlink.link("below")->up);

    NewLink vxlan{"flannel.7", "vxlan", 1450, *MacAddress::parse("0a:58:0a:f4:00:01"), Vxlan{}, {}, -1};
    vxlan.vxlan = Vxlan{7, 8472, ip("192.0.2.1"), below, false, true};
    ASSERT_EQ(netlink.add_link(vxlan).to_string(), "OK");
    auto found = netlink.link("flannel.7");
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->vxlan, vxlan.vxlan);
    EXPECT_EQ(found->mac, vxlan.mac);
    EXPECT_EQ(found->mtu, 1450u);
    EXPECT_FALSE(found->up);
    const Status twice = netlink.add_link(vxlan);
    EXPECT_TRUE(twice.is(Reason::kAlreadyExists)) << twice.to_string();
    EXPECT_NE(twice.message().find("flannel.7"), std::string::npos);

    ASSERT_TRUE(netlink.add_link({"br0", "bridge", 0, {}, {}, {}, -1}).ok());
    const int bridge = netlink.link("br0")->index;
    ASSERT_TRUE(netlink.set_master(below, bridge).ok());
    EXPECT_EQ(netlink.link("below")->master, bridge);

    ASSERT_TRUE(netlink.delete_link(found->index).ok());
    EXPECT_TRUE(netlink.link("flannel.7").status().is(Reason::kNotFound));
    EXPECT_TRUE(netlink.delete_link(found->index).is(Reason::kNotFound));
    EXPECT_TRUE(delete_link("br0").ok());
    EXPECT_TRUE(delete_link("br0").ok());
    EXPECT_FALSE(netlink.link("br0").ok());
  });
}

TEST_F(NetlinkRootTest, TheKernelsOwnWordsTellWhatWasWrong) {
  inside([&](Netlink& netlink) {
    Route route;
    route.destination = net("10.1.0.0/24");
    route.gateway = ip("10.2.0.1");
    const Status status = netlink.add_route(route);
    EXPECT_NE(status.message().find("add route 10.1.0.0/24 via 10.2.0.1: "), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("Nexthop has invalid gateway"), std::string::npos) << status.message();
  });
}

TEST_F(NetlinkRootTest, AddressesComeAndGo) {
  inside([&](Netlink& netlink) {
    const int link = add_veth(netlink, "a");
    ASSERT_TRUE(netlink.set_up(link, true).ok());
    for (const char* text : {"10.5.0.1/32", "10.6.0.1/24", "fd00:5::1/128"}) {
      ASSERT_TRUE(netlink.add_address({link, net(text), 0, 0}).ok()) << text;
      EXPECT_TRUE(netlink.add_address({link, net(text), 0, 0}).is(Reason::kAlreadyExists)) << text;
    }
    const auto have = [&](const char* text) {
      auto listed = netlink.addresses(link);
      EXPECT_TRUE(listed.ok());
      for (const Address& each : *listed) {
        if (each.prefix == net(text)) return true;
      }
      return false;
    };
    EXPECT_TRUE(have("10.5.0.1/32"));
    EXPECT_TRUE(have("fd00:5::1/128"));
    ASSERT_TRUE(netlink.delete_address({link, net("10.6.0.1/24"), 0, 0}).ok());
    EXPECT_FALSE(have("10.6.0.1/24"));
    EXPECT_TRUE(netlink.delete_address({link, net("10.6.0.1/24"), 0, 0}).is(Reason::kNotFound));
  });
}

TEST_F(NetlinkRootTest, RoutesOfEveryKind) {
  inside([&](Netlink& netlink) {
    const int link = add_veth(netlink, "a");
    ASSERT_TRUE(netlink.set_up(netlink.link("a-peer")->index, true).ok());
    ASSERT_TRUE(netlink.set_up(link, true).ok());
    ASSERT_TRUE(netlink.add_address({link, net("192.0.2.1/24"), 0, 0}).ok());
    ASSERT_TRUE(netlink.add_address({link, net("2001:db8::1/64"), 0, IFA_F_NODAD}).ok());

    Route via;
    via.destination = net("10.244.1.0/24");
    via.gateway = ip("192.0.2.2");
    Route onlink;
    onlink.destination = net("10.244.2.0/24");
    onlink.gateway = ip("10.244.2.0");
    onlink.link = link;
    onlink.onlink = true;
    Route direct;
    direct.destination = net("10.244.3.0/24");
    direct.link = link;
    Route none;
    none.destination = net("10.244.0.0/16");
    none.type = RouteType::kUnreachable;
    none.metric = 4096;
    Route six;
    six.destination = net("fd00:244:1::/64");
    six.gateway = ip("2001:db8::2");
    Route six_onlink;
    six_onlink.destination = net("fd00:244:2::/64");
    six_onlink.gateway = ip("fd00:244:2::");
    six_onlink.link = link;
    six_onlink.onlink = true;
    for (const Route& route : {via, onlink, direct, none, six, six_onlink}) {
      const Status status = netlink.add_route(route);
      EXPECT_TRUE(status.ok()) << status.to_string();
      EXPECT_TRUE(netlink.add_route(route).is(Reason::kAlreadyExists));
      EXPECT_TRUE(netlink.replace_route(route).ok());
    }
    auto listed = netlink.routes({.protocol = kRouteProtocol});
    ASSERT_TRUE(listed.ok());
    EXPECT_EQ(listed->size(), 6u);
    const auto find = [&](const IpPrefix& destination) {
      for (const Route& each : *listed) {
        if (each.destination == destination) return each;
      }
      return Route();
    };
    EXPECT_EQ(find(via.destination).gateway, via.gateway);
    EXPECT_EQ(find(via.destination).link, link);
    EXPECT_FALSE(find(via.destination).onlink);
    EXPECT_EQ(find(onlink.destination), onlink);
    EXPECT_TRUE(find(direct.destination).gateway.empty());
    EXPECT_EQ(find(none.destination), none);
    EXPECT_EQ(find(six.destination).gateway, six.gateway);
    EXPECT_TRUE(find(six_onlink.destination).onlink);
    EXPECT_EQ(netlink.routes({.family = AF_INET6, .protocol = kRouteProtocol})->size(), 2u);
    EXPECT_EQ(netlink.routes({.protocol = kRouteProtocol, .link = link})->size(), 5u);

    EXPECT_EQ(netlink.route_to(ip("10.244.1.7"))->gateway, via.gateway);
    EXPECT_TRUE(netlink.route_to(ip("192.0.2.9"))->gateway.empty());
    EXPECT_FALSE(netlink.route_to(ip("10.244.9.9")).ok());

    via.gateway = ip("192.0.2.3");
    ASSERT_TRUE(netlink.replace_route(via).ok());
    EXPECT_EQ(netlink.route_to(ip("10.244.1.7"))->gateway, via.gateway);
    for (const Route& route : {via, onlink, direct, none, six, six_onlink}) {
      const Status status = netlink.delete_route(route);
      EXPECT_TRUE(status.ok()) << status.to_string();
      EXPECT_TRUE(netlink.delete_route(route).is(Reason::kNotFound));
    }
    EXPECT_TRUE(netlink.routes({.protocol = kRouteProtocol})->empty());
  });
}

TEST_F(NetlinkRootTest, UnreachableRoutesMakeAddressesFailAtOnce) {
  inside([&](Netlink& netlink) {
    for (const char* cidr : {"10.96.0.0/12", "fd00:96::/108"}) {
      ASSERT_TRUE(add_unreachable_route(cidr).ok());
      ASSERT_TRUE(add_unreachable_route(cidr).ok());
      EXPECT_EQ(netlink.routes({.protocol = kRouteProtocol})->size(), 1u);
      ASSERT_TRUE(remove_unreachable_route(cidr).ok());
      ASSERT_TRUE(remove_unreachable_route(cidr).ok());
      EXPECT_TRUE(netlink.routes({.protocol = kRouteProtocol})->empty());
    }
    EXPECT_TRUE(add_unreachable_route("10.96.0.0").is(Reason::kBadRequest));
    // One that an earlier release set, under another number.
    ASSERT_TRUE(add_unreachable_route("10.96.0.0/12").ok());
    Route old = netlink.routes({.protocol = kRouteProtocol})->front();
    ASSERT_TRUE(netlink.delete_route(old).ok());
    old.protocol = RTPROT_STATIC;
    ASSERT_TRUE(netlink.add_route(old).ok());
    ASSERT_TRUE(remove_unreachable_route("10.96.0.0/12").ok());
    EXPECT_TRUE(netlink.routes({.protocol = RTPROT_STATIC})->empty());
  });
}

TEST_F(NetlinkRootTest, NeighboursAndForwardingEntries) {
  inside([&](Netlink& netlink) {
    NewLink vxlan{"flannel.1", "vxlan", 0, {}, Vxlan{.vni = 1}, {}, -1};
    ASSERT_TRUE(netlink.add_link(vxlan).ok());
    const int link = netlink.link("flannel.1")->index;
    ASSERT_TRUE(netlink.set_up(link, true).ok());
    const MacAddress mac = *MacAddress::parse("0a:58:0a:f4:01:00");
    const Neighbour arp{link, ip("10.244.1.0"), mac, false, true};
    const Neighbour ndp{link, ip("fd00:244:1::"), mac, false, true};
    Neighbour fdb{link, ip("192.0.2.2"), mac, true, true};
    for (const Neighbour& each : {arp, ndp, fdb}) {
      const Status status = netlink.set_neighbour(each);
      EXPECT_TRUE(status.ok()) << status.to_string();
      EXPECT_TRUE(netlink.set_neighbour(each).ok());
    }
    const auto permanent = [](std::vector<Neighbour> all) {
      std::erase_if(all, [](const Neighbour& each) { return !each.permanent; });
      std::ranges::sort(all);
      return all;
    };
    EXPECT_EQ(permanent(*netlink.neighbours(link)), (std::vector{arp, ndp}));
    EXPECT_EQ(permanent(*netlink.forwarding(link)), (std::vector{fdb}));
    EXPECT_TRUE(netlink.neighbours(1)->empty());

    // The other end has moved.
    fdb.address = ip("192.0.2.3");
    ASSERT_TRUE(netlink.set_neighbour(fdb).ok());
    EXPECT_EQ(permanent(*netlink.forwarding(link)), (std::vector{fdb}));
    for (const Neighbour& each : {arp, ndp, fdb}) EXPECT_TRUE(netlink.delete_neighbour(each).ok());
    EXPECT_TRUE(permanent(*netlink.neighbours(link)).empty());
    EXPECT_TRUE(permanent(*netlink.forwarding(link)).empty());
    EXPECT_TRUE(netlink.delete_neighbour(fdb).is(Reason::kNotFound));
  });
}

TEST_F(NetlinkRootTest, TheMonitorReportsWhatOthersChange) {
  inside([&](Netlink& netlink) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<NetlinkMessage> seen;
    auto monitor = NetlinkMonitor::start([&](const NetlinkMessage& message) {
      const std::lock_guard lock(mutex);
      seen.push_back(message);
      changed.notify_all();
    });
    ASSERT_TRUE(monitor.ok()) << monitor.status().to_string();
    const auto until = [&](auto matches) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, std::chrono::seconds(10), [&] { return std::ranges::any_of(seen, matches); });
    };
    NewLink vxlan{"flannel.1", "vxlan", 0, {}, Vxlan{.vni = 1}, {}, -1};
    ASSERT_TRUE(netlink.add_link(vxlan).ok());
    const int link = netlink.link("flannel.1")->index;
    ASSERT_TRUE(netlink.set_up(link, true).ok());
    const auto of_link = [&](bool removed, bool up) {
      return [=](const NetlinkMessage& message) {
        const auto* found = std::get_if<Link>(&message.object);
        return found != nullptr && found->index == link && message.removed == removed && found->up == up;
      };
    };
    EXPECT_TRUE(until(of_link(false, true)));

    const Neighbour fdb{link, ip("192.0.2.2"), *MacAddress::parse("0a:58:0a:f4:01:00"), true, true};
    Route route;
    route.destination = net("10.244.1.0/24");
    route.link = link;
    ASSERT_TRUE(netlink.set_neighbour(fdb).ok());
    ASSERT_TRUE(netlink.add_address({link, net("10.244.0.0/32"), 0, 0}).ok());
    ASSERT_TRUE(netlink.add_route(route).ok());
    ASSERT_TRUE(netlink.delete_route(route).ok());
    ASSERT_TRUE(netlink.delete_neighbour(fdb).ok());
    EXPECT_TRUE(until([&](const NetlinkMessage& message) {
      const auto* found = std::get_if<Neighbour>(&message.object);
      return found != nullptr && *found == fdb && message.removed;
    }));
    EXPECT_TRUE(until([&](const NetlinkMessage& message) {
      const auto* found = std::get_if<Route>(&message.object);
      return found != nullptr && found->destination == route.destination && message.removed;
    }));
    EXPECT_TRUE(until([&](const NetlinkMessage& message) {
      const auto* found = std::get_if<Address>(&message.object);
      return found != nullptr && found->prefix == net("10.244.0.0/32") && !message.removed;
    }));
    ASSERT_TRUE(netlink.delete_link(link).ok());
    EXPECT_TRUE(until([&](const NetlinkMessage& message) {
      const auto* found = std::get_if<Link>(&message.object);
      return found != nullptr && found->index == link && message.removed;
    }));
  });
}

}  // namespace
}  // namespace trireme::linux
