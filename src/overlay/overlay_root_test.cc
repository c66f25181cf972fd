// Three machines, each a network namespace with a pod behind it, real packets between the pods, and the API server in
// the test's process. The machines' only way to each other is a switch, and for the third a router.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <map>
#include <thread>

#include "apiserver/api_server.h"
#include "linux/file.h"
#include "linux/netlink_client.h"
#include "linux/nft.h"
#include "linux/process.h"
#include "net/transport.h"
#include "overlay/files.h"
#include "overlay/kube_leases.h"
#include "overlay/overlay.h"
#include "store/memory_store.h"
#include "support/test_machine.h"

namespace trireme::overlay {
namespace {

using api::corev1::Node;
using linux::Netlink;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint16_t kPort = 4000;

IpPrefix net(std::string_view text) { return IpPrefix::parse(text).value(); }

void must(const Status& status) { ASSERT_TRUE(status.ok()) << status.to_string(); }

/// Tries until it holds, because it is waited for what threads and the kernel do on events.
bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(15);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

/// A datagram socket of the namespace it was made in.
class Udp {
 public:
  explicit Udp(const std::string& address) : ipv6_(address.find(':') != std::string::npos) {
    fd_ = ::socket(ipv6_ ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const timeval limit{0, 100'000};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const auto [at, size] = endpoint(address);
    bound_ = ::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size) == 0;
  }
  ~Udp() { ::close(fd_); }
  Udp(Udp&& other) noexcept : ipv6_(other.ipv6_), bound_(other.bound_), fd_(std::exchange(other.fd_, -1)) {}
  Udp& operator=(Udp&&) = delete;
  bool bound() const { return bound_; }

  void send(const std::string& address, const std::string& text) const {
    const auto [to, size] = endpoint(address);
    ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), size);
  }
  /// Text and sender of the next datagram; empty when none came in 100 ms.
  std::pair<std::string, std::string> receive() const {
    std::array<char, 65536> buffer;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) return {};
    const auto* data = reinterpret_cast<const char*>(&from);
    const auto sender = ipv6_ ? IpAddress::from_bytes(data + offsetof(sockaddr_in6, sin6_addr), 16)
                              : IpAddress::from_bytes(data + offsetof(sockaddr_in, sin_addr), 4);
    return {std::string(buffer.data(), static_cast<size_t>(got)), sender.to_string()};
  }
  void drain() const {
    std::array<char, 65536> buffer;
    while (::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0) {
    }
  }

 private:
  static std::pair<sockaddr_storage, socklen_t> endpoint(const std::string& text) {
    sockaddr_storage out{};
    if (text.find(':') != std::string::npos) {
      auto* six = reinterpret_cast<sockaddr_in6*>(&out);
      six->sin6_family = AF_INET6;
      six->sin6_port = htons(kPort);
      ::inet_pton(AF_INET6, text.c_str(), &six->sin6_addr);
      return {out, sizeof *six};
    }
    auto* four = reinterpret_cast<sockaddr_in*>(&out);
    four->sin_family = AF_INET;
    four->sin_port = htons(kPort);
    ::inet_pton(AF_INET, text.c_str(), &four->sin_addr);
    return {out, sizeof *four};
  }

  bool ipv6_;
  bool bound_ = false;
  int fd_ = -1;
};

/// A machine: a namespace with a way to the switch, and one pod behind it in a namespace of its own.
struct Host {
  explicit Host(int number_) : number(number_), name(fmt::format("n{}", number_)) {}

  template <typename Work>
  auto with_netlink(Work work) const {
    return machine.run([&] {
      auto netlink = Netlink::open();
      return work(netlink.value());
    });
  }
  int link(const std::string& link_name) const {
    return with_netlink([&](Netlink& netlink) {
      auto found = netlink.link(link_name);
      return found.ok() ? found->index : 0;
    });
  }

  int number;
  std::string name;
  std::string address;
  std::string address_ipv6;
  test::TestMachine machine;
  test::TestMachine pod;
  std::string pod_address() const { return fmt::format("10.244.{}.2", number); }
  std::string pod_address_ipv6() const { return fmt::format("fd00:10:244:{}::2", number); }
  std::unique_ptr<Udp> socket;
  std::unique_ptr<Udp> socket_ipv6;
  std::string folder;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<Overlay> overlay;
};

void sysctl(const std::string& name, const std::string& value) {
  must(linux::write_existing("/proc/sys/net/" + name, value));
}

class OverlayRootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::TestMachine::why_not()) GTEST_SKIP() << *reason;
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    client_.emplace(raw());
    build_network();
  }
  void TearDown() override {
    for (auto& host : hosts_) {
      host->overlay.reset();
      if (!host->folder.empty()) must(linux::remove_tree(host->folder));
    }
    if (server_) server_->begin_shutdown();
  }

  std::shared_ptr<client::RawClient> raw() {
    return std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               "overlay-test");
  }

  /// n1 and n2 in 192.0.2.0/24, n3 in 198.51.100.0/24; between them the switch, which routes.
  void build_network() {
    for (int i = 1; i <= 3; ++i) hosts_.push_back(std::make_unique<Host>(i));
    switch_.run([&] {
      sysctl("ipv4/ip_forward", "1\n");
      sysctl("ipv6/conf/all/forwarding", "1\n");
      Netlink netlink = std::move(Netlink::open().value());
      for (const char* bridge : {"left", "right"}) {
        must(netlink.add_link({bridge, "bridge", 0, {}, {}, {}, -1}));
        const int index = netlink.link(bridge)->index;
        const bool left = std::string_view(bridge) == "left";
        must(netlink.add_address({index, net(left ? "192.0.2.254/24" : "198.51.100.254/24"), 0, 0}));
        must(netlink.add_address({index, net(left ? "2001:db8:1::fe/64" : "2001:db8:2::fe/64"), 0, IFA_F_NODAD}));
        must(netlink.set_up(index, true));
      }
      for (auto& host : hosts_) {
        must(netlink.add_link({host->name, "veth", 0, {}, {}, "eth0", host->machine.fd()}));
        const int port = netlink.link(host->name)->index;
        must(netlink.set_master(port, netlink.link(host->number < 3 ? "left" : "right")->index));
        must(netlink.set_up(port, true));
      }
    });
    for (auto& host : hosts_) {
      const bool left = host->number < 3;
      host->address = fmt::format("{}.{}", left ? "192.0.2" : "198.51.100", host->number);
      host->address_ipv6 = fmt::format("2001:db8:{}::{}", left ? 1 : 2, host->number);
      host->machine.run([&] {
        sysctl("ipv4/ip_forward", "1\n");
        sysctl("ipv6/conf/all/forwarding", "1\n");
        Netlink netlink = std::move(Netlink::open().value());
        const int link = netlink.link("eth0")->index;
        must(netlink.add_address({link, net(host->address + "/24"), 0, 0}));
        must(netlink.add_address({link, net(host->address_ipv6 + "/64"), 0, IFA_F_NODAD}));
        must(netlink.set_up(link, true));
        add_default_route(netlink, link, left ? "192.0.2.254" : "198.51.100.254");
        add_default_route(netlink, link, left ? "2001:db8:1::fe" : "2001:db8:2::fe");
        must(netlink.add_link({"pod", "veth", 1400, {}, {}, "eth0", host->pod.fd()}));
        const int pod = netlink.link("pod")->index;
        must(netlink.add_address({pod, net(fmt::format("10.244.{}.1/24", host->number)), 0, 0}));
        must(netlink.add_address({pod, net(fmt::format("fd00:10:244:{}::1/64", host->number)), 0, IFA_F_NODAD}));
        must(netlink.set_up(pod, true));
      });
      host->pod.run([&] {
        Netlink netlink = std::move(Netlink::open().value());
        const int link = netlink.link("eth0")->index;
        must(netlink.add_address({link, net(host->pod_address() + "/24"), 0, 0}));
        must(netlink.add_address({link, net(host->pod_address_ipv6() + "/64"), 0, IFA_F_NODAD}));
        must(netlink.set_up(link, true));
        add_default_route(netlink, link, fmt::format("10.244.{}.1", host->number));
        add_default_route(netlink, link, fmt::format("fd00:10:244:{}::1", host->number));
        host->socket = std::make_unique<Udp>(host->pod_address());
        host->socket_ipv6 = std::make_unique<Udp>(host->pod_address_ipv6());
        EXPECT_TRUE(host->socket->bound() && host->socket_ipv6->bound());
      });
    }
  }
  static void add_default_route(Netlink& netlink, int link, const std::string& gateway) {
    linux::Route route;
    route.gateway = IpAddress::parse(gateway).value();
    route.destination.address.family = route.gateway.family;
    route.link = link;
    route.protocol = 3;
    must(netlink.add_route(route));
  }

  /// The backend's configuration; both families.
  void configure(const std::string& backend) {
    auto parsed = parse_network_config(
        R"({"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48", "Backend": )" + backend +
        "}");
    ASSERT_TRUE(parsed.ok()) << parsed.status().to_string();
    config_ = *parsed;
  }

  void add_node(int number) {
    Node node;
    node.metadata.name = hosts_[static_cast<size_t>(number) - 1]->name;
    node.spec.pod_cidr = fmt::format("10.244.{}.0/24", number);
    node.spec.pod_cidrs = {node.spec.pod_cidr, fmt::format("fd00:10:244:{}::/64", number)};
    auto made = client_->create(node);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
  }

  void start_overlay(int number) {
    Host& host = *hosts_[static_cast<size_t>(number) - 1];
    std::array<char, 64> folder{"/tmp/trireme-overlay-XXXXXX"};
    if (host.folder.empty()) host.folder = ::mkdtemp(folder.data());
    host.machine.run([&] {
      auto client = raw();
      host.informers = std::make_unique<client::InformerFactory>(client, real_clock());
      OverlayOptions options;
      options.ip_masq = true;
      options.subnet_file = host.folder + "/subnet.env";
      options.cni_file = host.folder + "/10-trireme.conflist";
      options.cni_bridge = "tri0";
      OverlayDeps deps;
      deps.clock = real_clock();
      deps.leases =
          kube_leases({host.name, config_, *AnnotationNames::make(), true}, client, *host.informers, real_clock());
      auto started = Overlay::start(std::move(options), std::move(deps));
      ASSERT_TRUE(started.ok()) << started.status().to_string();
      host.overlay = std::move(*started);
    });
  }
  void start_all() {
    for (int i = 1; i <= 3; ++i) add_node(i);
    for (int i = 1; i <= 3; ++i) start_overlay(i);
    for (auto& host : hosts_) must(host->overlay->wait_ready(seconds(15)));
  }

  Host& host(int number) { return *hosts_[static_cast<size_t>(number) - 1]; }

  /// One datagram of `size` bytes there and one back, unchanged and from the pod's own address.
  bool reaches(int from, int to, bool ipv6, size_t size = 100) {
    const Udp& here = ipv6 ? *host(from).socket_ipv6 : *host(from).socket;
    const Udp& there = ipv6 ? *host(to).socket_ipv6 : *host(to).socket;
    const std::string source = ipv6 ? host(from).pod_address_ipv6() : host(from).pod_address();
    const std::string target = ipv6 ? host(to).pod_address_ipv6() : host(to).pod_address();
    here.drain();
    there.drain();
    const std::string text = fmt::format("{:{}}", ++datagrams_, size);
    here.send(target, text);
    if (there.receive() != std::pair(text, source)) return false;
    there.send(source, "back" + text);
    return here.receive() == std::pair("back" + text, target);
  }
  void expect_all_reach() {
    for (const bool ipv6 : {false, true}) {
      for (int from = 1; from <= 3; ++from) {
        for (int to = 1; to <= 3; ++to) {
          if (from == to) continue;
          EXPECT_TRUE(eventually([&] { return reaches(from, to, ipv6); }))
              << "n" << from << " to n" << to << (ipv6 ? ", IPv6" : ", IPv4");
        }
      }
    }
  }

  test::TestMachine switch_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;
  NetworkConfig config_;
  std::vector<std::unique_ptr<Host>> hosts_;
  int datagrams_ = 0;
};

TEST_F(OverlayRootTest, VxlanCarriesPodsPacketsInBothFamilies) {
  configure(R"({"Type": "vxlan"})");
  start_all();
  expect_all_reach();
  // As much as the pods' MTU lets through in one piece: 28 bytes are IP's and UDP's.
  EXPECT_TRUE(eventually([&] { return reaches(1, 3, false, 1400 - 28); }));

  const auto node = client_->get<Node>("", "n1");
  ASSERT_TRUE(node.ok());
  EXPECT_EQ(node->metadata.annotations.get("flannel.alpha.coreos.com/public-ip"), "192.0.2.1");
  EXPECT_EQ(node->metadata.annotations.get("flannel.alpha.coreos.com/public-ipv6"), "2001:db8:1::1");
  EXPECT_EQ(node->metadata.annotations.get("flannel.alpha.coreos.com/backend-type"), "vxlan");
  const auto lease = lease_of(*node, config_, *AnnotationNames::make());
  ASSERT_TRUE(lease.ok() && *lease);
  const auto device = host(1).with_netlink([](Netlink& netlink) { return netlink.link("flannel.1"); });
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(device->mac, (*lease)->vtep_mac);
  EXPECT_EQ(device->mtu, 1430u);
  ASSERT_EQ(node->status.conditions.size(), 1u);
  EXPECT_EQ(node->status.conditions[0].type, "NetworkUnavailable");
  EXPECT_EQ(node->status.conditions[0].status, "False");
  EXPECT_EQ(node->status.conditions[0].reason, "FlannelIsUp");

  EXPECT_EQ(*linux::read_file(host(2).folder + "/subnet.env"),
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.2.1/24\nFLANNEL_IPV6_NETWORK=fd00:10:244::/48\n"
            "FLANNEL_IPV6_SUBNET=fd00:10:244:2::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n");
  EXPECT_NE(linux::read_file(host(2).folder + "/10-trireme.conflist")->find("10.244.2.0/24"), std::string::npos);
}

TEST_F(OverlayRootTest, WhatOthersBreakIsRepaired) {
  configure(R"({"Type": "vxlan"})");
  start_all();
  expect_all_reach();
  const auto broken = [&](const char* what, const std::function<Status(Netlink&)>& damage) {
    const Status done = host(1).with_netlink([&](Netlink& netlink) { return damage(netlink); });
    ASSERT_TRUE(done.ok()) << what << ": " << done.to_string();
    EXPECT_TRUE(eventually([&] { return reaches(1, 2, false) && reaches(3, 1, false) && reaches(1, 2, true); }))
        << what;
  };
  const int device = host(1).link("flannel.1");
  broken("a route", [&](Netlink& netlink) -> Status {
    TRY_ASSIGN(auto routes, netlink.routes({.protocol = linux::kRouteProtocol}));
    EXPECT_EQ(routes.size(), 4u);
    for (const auto& route : routes) TRY(netlink.delete_route(route));
    return {};
  });
  broken("a route that somebody replaced", [&](Netlink& netlink) -> Status {
    linux::Route route;
    route.destination = net("10.244.2.0/24");
    route.gateway = IpAddress::parse("192.0.2.254").value();
    route.protocol = 4;
    return netlink.replace_route(route);
  });
  broken("forwarding entries", [&](Netlink& netlink) -> Status {
    TRY_ASSIGN(auto entries, netlink.forwarding(device));
    for (const auto& entry : entries) {
      if (!entry.mac.empty()) TRY(netlink.delete_neighbour(entry));
    }
    return {};
  });
  broken("neighbours", [&](Netlink& netlink) -> Status {
    TRY_ASSIGN(auto entries, netlink.neighbours(device));
    for (const auto& entry : entries) {
      if (entry.permanent) TRY(netlink.delete_neighbour(entry));
    }
    return {};
  });
  broken("the device's address", [&](Netlink& netlink) {
    return netlink.delete_address({device, net("10.244.1.0/32"), 0, 0});
  });
  broken("the device's hardware address",
         [&](Netlink& netlink) { return netlink.set_mac(device, MacAddress::random()); });
  broken("the device down", [&](Netlink& netlink) { return netlink.set_up(device, false); });
  broken("no device", [&](Netlink& netlink) { return netlink.delete_link(device); });
  const int again = host(1).link("flannel.1");
  EXPECT_NE(again, device);
  EXPECT_NE(again, 0);
}

TEST_F(OverlayRootTest, RestartTakesOverWhatIsThere) {
  configure(R"({"Type": "vxlan"})");
  start_all();
  expect_all_reach();
  const int device = host(1).link("flannel.1");
  host(1).overlay.reset();
  EXPECT_TRUE(reaches(1, 2, false));  // without a running overlay

  std::atomic<bool> stop = false;
  std::atomic<int> lost = 0;
  std::thread traffic([&] {
    while (!stop) {
      if (!reaches(1, 2, false)) ++lost;
    }
  });
  start_overlay(1);
  must(host(1).overlay->wait_ready(seconds(15)));
  stop = true;
  traffic.join();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(host(1).link("flannel.1"), device);
}

TEST_F(OverlayRootTest, NodesComeAndGo) {
  configure(R"({"Type": "vxlan"})");
  for (int i = 1; i <= 2; ++i) add_node(i);
  for (int i = 1; i <= 2; ++i) start_overlay(i);
  EXPECT_TRUE(eventually([&] { return reaches(1, 2, false); }));
  // The third has no range of addresses at first.
  start_overlay(3);
  EXPECT_FALSE(host(3).overlay->ready());
  add_node(3);
  expect_all_reach();
  must(client_->remove<Node>("", "n3"));
  host(3).overlay.reset();
  const auto left = [&] {
    return host(1).with_netlink([](Netlink& netlink) {
      std::vector<std::string> out;
      const int device = netlink.link("flannel.1")->index;
      const auto routes = netlink.routes({.protocol = linux::kRouteProtocol});
      for (const auto& route : *routes) out.push_back(to_string(route));
      const auto entries = netlink.forwarding(device);
      for (const auto& each : *entries) {
        if (!each.mac.empty()) out.push_back(each.address.to_string());
      }
      std::ranges::sort(out);
      return out;
    });
  };
  const std::vector<std::string> expected = {"10.244.2.0/24 via 10.244.2.0", "192.0.2.2",
                                             "fd00:10:244:2::/64 via fd00:10:244:2::"};
  EXPECT_TRUE(eventually([&] { return left() == expected; })) << fmt::format("{}", fmt::join(left(), ", "));
  EXPECT_TRUE(reaches(1, 2, false));
}

TEST_F(OverlayRootTest, HostGwRoutesInsideASubnet) {
  configure(R"({"Type": "host-gw"})");
  for (int i = 1; i <= 2; ++i) add_node(i);
  for (int i = 1; i <= 2; ++i) start_overlay(i);
  for (const bool ipv6 : {false, true}) {
    EXPECT_TRUE(eventually([&] { return reaches(1, 2, ipv6) && reaches(2, 1, ipv6); }));
  }
  EXPECT_EQ(host(1).link("flannel.1"), 0);
  const auto damage = host(1).with_netlink([](Netlink& netlink) -> Status {
    TRY_ASSIGN(auto routes, netlink.routes({.protocol = linux::kRouteProtocol}));
    for (const auto& route : routes) TRY(netlink.delete_route(route));
    return {};
  });
  must(damage);
  EXPECT_TRUE(eventually([&] { return reaches(1, 2, false) && reaches(1, 2, true); }));

  // A node behind a router cannot be a gateway. That does not keep the others from each other.
  add_node(3);
  start_overlay(3);
  EXPECT_TRUE(eventually([&] { return !host(1).overlay->ready(); }));
  const Status why = host(1).overlay->wait_ready(milliseconds(1));
  EXPECT_NE(why.message().find("set route 10.244.3.0/24 via 198.51.100.3"), std::string::npos) << why.message();
  EXPECT_TRUE(reaches(1, 2, false));
}

TEST_F(OverlayRootTest, DirectRoutingUsesTheTunnelOnlyBetweenSubnets) {
  configure(R"({"Type": "vxlan", "DirectRouting": true})");
  start_all();
  expect_all_reach();
  const auto gateway = [&](const char* address) {
    return host(1).with_netlink(
        [&](Netlink& netlink) { return netlink.route_to(IpAddress::parse(address).value())->gateway.to_string(); });
  };
  EXPECT_EQ(gateway("10.244.2.2"), "192.0.2.2");
  EXPECT_EQ(gateway("10.244.3.2"), "10.244.3.0");
}

TEST_F(OverlayRootTest, WhatLeavesTheClusterCarriesTheNodesAddress) {
  configure(R"({"Type": "vxlan"})");
  start_all();
  auto outside = switch_.run([] { return std::make_unique<Udp>("192.0.2.254"); });
  const auto seen_from = [&] {
    outside->drain();
    host(1).socket->send("192.0.2.254", "hello");
    return outside->receive().second;
  };
  EXPECT_TRUE(eventually([&] { return seen_from() == "192.0.2.1"; })) << seen_from();

  // Somebody flushes all rules.
  host(1).machine.run([&] {
    auto socket = linux::nft::Socket::open();
    linux::nft::Batch batch;
    batch.delete_table({linux::nft::Family::kIp, std::string(kMasqueradeTable)});
    must(socket->commit(batch));
  });
  EXPECT_TRUE(eventually([&] {
    return host(1).machine.run([&] {
      auto socket = linux::nft::Socket::open();
      auto rules = socket->rules({linux::nft::Family::kIp, std::string(kMasqueradeTable)});
      return rules.ok() && rules->size() == 6;
    });
  }));
  host(1).overlay.reset();
  host(1).machine.run([&] {
    Lease own;
    own.subnet = net("10.244.1.0/24");
    own.ipv6_subnet = net("fd00:10:244:1::/64");
    must(remove_overlay(config_, own, std::string(kMasqueradeTable), std::string(kForwardChain)));
    Netlink netlink = std::move(Netlink::open().value());
    EXPECT_FALSE(netlink.link("flannel.1").ok());
    EXPECT_FALSE(netlink.link("flannel-v6.1").ok());
    EXPECT_TRUE(netlink.routes({.protocol = linux::kRouteProtocol})->empty());
    EXPECT_TRUE(linux::nft::Socket::open()->tables()->empty());
  });
}

TEST_F(OverlayRootTest, PodsPassWhereAnotherProgramMakesForwardDrop) {
  if (!linux::find_program("iptables-nft")) GTEST_SKIP() << "needs iptables-nft";
  configure(R"({"Type": "vxlan"})");
  const auto on_first = [&](const std::string& command) {
    host(1).machine.run([&] { must(linux::run_program({"sh", "-c", command}).status()); });
  };
  // One family before the overlay, one after.
  on_first("iptables-nft -P FORWARD DROP");
  start_all();
  expect_all_reach();
  on_first("ip6tables-nft -P FORWARD DROP");
  const auto both_reach = [&] {
    return reaches(1, 2, false) && reaches(3, 1, false) && reaches(1, 2, true) && reaches(3, 1, true);
  };
  EXPECT_TRUE(eventually(both_reach));
  for (const char* damage : {"iptables-nft -F && ip6tables-nft -F", "iptables-nft -D FORWARD 1",
                             "nft 'delete table ip filter; delete table ip6 filter' && iptables-nft -P FORWARD DROP && "
                             "ip6tables-nft -P FORWARD DROP"}) {
    on_first(damage);
    EXPECT_TRUE(eventually(both_reach)) << damage;
  }
  host(1).overlay.reset();
  on_first("iptables-nft -F");
  EXPECT_FALSE(reaches(1, 2, false)) << "the rules that are tested are not those that let packets pass";
}

}  // namespace
}  // namespace trireme::overlay
