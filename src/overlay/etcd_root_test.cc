// Leases in a real etcd, on the loopback interface of a namespace of the test's own.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "base/virtual_clock.h"
#include "linux/file.h"
#include "linux/netlink_client.h"
#include "linux/process.h"
#include "net/x509.h"
#include "overlay/etcd_leases.h"
#include "support/test_machine.h"

namespace trireme::overlay {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(FreeSubnetTest, LeavesOutWhatIsTaken) {
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  const auto net = [](const char* text) { return *IpPrefix::parse(text); };
  size_t offered = 0;
  const auto last = [&](size_t count) {
    offered = count;
    return count - 1;
  };
  auto found = free_subnet(ip("10.3.1.0"), ip("10.3.4.0"), 24, {net("10.3.2.0/24"), net("10.3.4.0/25")}, last);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->to_string(), "10.3.3.0/24");
  EXPECT_EQ(offered, 2u);
  found = free_subnet(ip("10.0.1.0"), ip("10.255.255.0"), 24, {}, last);
  EXPECT_EQ(offered, 100u);
  EXPECT_EQ(found->to_string(), "10.0.100.0/24");
  EXPECT_FALSE(free_subnet(ip("10.3.1.0"), ip("10.3.2.0"), 24, {net("10.3.0.0/16")}, last).ok());
  // The last subnet of all addresses has none behind it.
  EXPECT_TRUE(free_subnet(ip("255.255.255.0"), ip("255.255.255.0"), 24, {}, last).ok());
}

class EtcdRootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::TestMachine::why_not()) GTEST_SKIP() << *reason;
    if (!linux::find_program("etcd")) GTEST_SKIP() << "etcd is not installed";
    std::array<char, 64> folder{"/tmp/trireme-etcd-XXXXXX"};
    folder_ = ::mkdtemp(folder.data());
    start({});
  }
  /// An etcd with these flags besides, which `options_` reaches.
  void start(const std::vector<std::string>& flags) {
    machine_.run([&] {
      auto netlink = linux::Netlink::open();
      ASSERT_TRUE(netlink->set_up(netlink->link("lo")->index, true).ok());
      std::vector<std::string> words = {"etcd", "--data-dir", folder_ + "/data", "--log-level", "error"};
      words.insert(words.end(), flags.begin(), flags.end());
      auto started = linux::ChildProcess::spawn(
          {.arguments = words, .environment = {}, .log_file = folder_ + "/log", .new_session = false});
      ASSERT_TRUE(started.ok()) << started.status().to_string();
      etcd_.emplace(std::move(*started));
      auto client = EtcdClient::create(options_);
      ASSERT_TRUE(client.ok()) << client.status().to_string();
      client_ = std::move(*client);
      ASSERT_TRUE(eventually([&] { return client_->range("/", true).ok(); }));
      ASSERT_TRUE(client_
                      ->put("/coreos.com/network/config",
                            R"({"Network": "10.3.0.0/16", "SubnetMax": "10.3.40.0", "Backend": {"Type": "vxlan"}})", 0)
                      .ok());
    });
  }
  void TearDown() override {
    if (etcd_) etcd_->terminate(seconds(2));
    EXPECT_TRUE(folder_.empty() || linux::remove_tree(folder_).ok());
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(20);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return true;
  }

  std::unique_ptr<LeaseSource> source(const std::string& subnet_file = {}) {
    EtcdLeaseOptions options;
    options.etcd = options_;
    options.subnet_file = subnet_file;
    auto made = etcd_leases(std::move(options), clock_);
    EXPECT_TRUE(made.ok());
    EXPECT_TRUE((*made)->start([this] { ++changes_; }).ok());
    return std::move(*made);
  }
  static Lease mine(int number) {
    Lease lease;
    lease.public_ip = *IpAddress::parse(fmt::format("192.0.2.{}", number));
    lease.vtep_mac = *MacAddress::parse(fmt::format("0a:58:00:00:00:{:02}", number));
    return lease;
  }
  static std::string key(const Lease& lease) { return "/coreos.com/network/subnets/" + subnet_key(lease); }
  EtcdClient::Item stored(const Lease& lease) {
    auto listing = client_->range(key(lease), false);
    EXPECT_TRUE(listing.ok());
    return listing.ok() && !listing->items.empty() ? listing->items.front() : EtcdClient::Item();
  }
  Lease acquire(LeaseSource& leases, int number) {
    auto lease = leases.acquire(config_, mine(number));
    EXPECT_TRUE(lease.ok() && *lease) << lease.status().to_string();
    return lease.ok() && *lease ? **lease : Lease();
  }

  test::TestMachine machine_;
  std::string folder_;
  EtcdOptions options_;
  std::optional<linux::ChildProcess> etcd_;
  std::unique_ptr<EtcdClient> client_;
  std::shared_ptr<VirtualClock> clock_ = std::make_shared<VirtualClock>(std::chrono::system_clock::now());
  NetworkConfig config_;
  std::atomic<int> changes_ = 0;
};

TEST_F(EtcdRootTest, NodesLeaseSubnetsAndSeeEachOther) {
  machine_.run([&] {
    auto first = source();
    auto config = first->config();
    ASSERT_TRUE(config.ok()) << config.status().to_string();
    config_ = *config;
    EXPECT_EQ(config_.subnet_min.to_string(), "10.3.1.0");
    const Lease a = acquire(*first, 1);
    EXPECT_TRUE(config_.network.contains(a.subnet));
    EXPECT_EQ(stored(a).value, R"({"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan",)"
                               R"("BackendData":{"VNI":1,"VtepMAC":"0a:58:00:00:00:01"}})");
    EXPECT_NE(stored(a).lease, 0);

    auto second = source();
    const Lease b = acquire(*second, 2);
    EXPECT_NE(b.subnet, a.subnet);
    EXPECT_TRUE(eventually([&] {
      const auto others = first->others(config_);
      return others.size() == 1 && others[0].subnet == b.subnet && others[0].vtep_mac == mine(2).vtep_mac;
    }));

    // Another life of the first node: by its address it gets its subnet again, and knows its VTEP.
    first.reset();
    first = source();
    EXPECT_EQ(first->announced(mine(1))->vtep_mac, mine(1).vtep_mac);
    EXPECT_EQ(acquire(*first, 1).subnet, a.subnet);

    // Somebody revokes the second's lease: the others forget it, and it asks for the same again.
    const int before = changes_;
    ASSERT_TRUE(client_->remove(key(b)).ok());
    EXPECT_TRUE(eventually([&] { return first->others(config_).empty(); }));
    EXPECT_TRUE(eventually([&] { return changes_ > before; }));
    EXPECT_EQ(acquire(*second, 2).subnet, b.subnet);
    EXPECT_TRUE(eventually([&] { return first->others(config_).size() == 1; }));
  });
}

TEST_F(EtcdRootTest, LeasesAreRenewedBeforeTheirEndAndReservationsStay) {
  machine_.run([&] {
    auto leases = source();
    config_ = *leases->config();
    const Lease a = acquire(*leases, 1);
    const int64_t grant = stored(a).lease;
    EXPECT_EQ(acquire(*leases, 1).subnet, a.subnet);
    EXPECT_EQ(stored(a).lease, grant);
    const int before = changes_;
    clock_->advance(hours(23) + seconds(1));
    EXPECT_TRUE(eventually([&] { return changes_ > before; }));
    EXPECT_EQ(acquire(*leases, 1).subnet, a.subnet);
    EXPECT_NE(stored(a).lease, grant);

    Lease reserved = mine(9);
    reserved.subnet = *IpPrefix::parse("10.3.7.0/24");
    ASSERT_TRUE(client_->put(key(reserved), lease_json(reserved, config_), 0).ok());
    auto other = source();
    EXPECT_EQ(acquire(*other, 9).subnet, reserved.subnet);
    EXPECT_EQ(stored(reserved).lease, 0);
  });
}

TEST_F(EtcdRootTest, AnEarlierSubnetIsAskedForAgain) {
  machine_.run([&] {
    Lease before = mine(3);
    before.subnet = *IpPrefix::parse("10.3.33.0/24");
    auto leases = source(folder_ + "/subnet.env");
    config_ = *leases->config();
    ASSERT_TRUE(linux::write_file(folder_ + "/subnet.env", "FLANNEL_SUBNET=10.3.33.1/24\n", 0644).ok());
    EXPECT_EQ(acquire(*leases, 3).subnet, before.subnet);
    // Taken by another node meanwhile: then another one.
    auto late = source(folder_ + "/subnet.env");
    EXPECT_NE(acquire(*late, 4).subnet, before.subnet);
  });
}

TEST_F(EtcdRootTest, FailuresSayWhatIsMissing) {
  machine_.run([&] {
    auto leases = source();
    ASSERT_TRUE(client_->remove("/coreos.com/network/config").ok());
    EXPECT_EQ(leases->config().status().message(), "etcd has no network configuration at /coreos.com/network/config");
    auto nowhere = EtcdClient::create({.endpoints = {"http://127.0.0.1:9"}});
    const auto listing = (*nowhere)->range("/", true);
    ASSERT_FALSE(listing.ok());
    EXPECT_NE(listing.status().message().find("http://127.0.0.1:9"), std::string::npos) << listing.status().message();
    EXPECT_FALSE(EtcdClient::create({.ca_file = folder_ + "/absent"}).ok());
  });
}

/// An etcd that speaks TLS only, and only with clients that have a certificate of its authority.
class EtcdTlsRootTest : public EtcdRootTest {
 protected:
  void SetUp() override {
    if (auto reason = test::TestMachine::why_not()) GTEST_SKIP() << *reason;
    if (!linux::find_program("etcd")) GTEST_SKIP() << "etcd is not installed";
    std::array<char, 64> folder{"/tmp/trireme-etcd-XXXXXX"};
    folder_ = ::mkdtemp(folder.data());
    const auto ours = authority("ca");
    const auto others = authority("other-ca");
    issue(ours, "server", net::CertificateUse::kServerAndClient);
    issue(ours, "client", net::CertificateUse::kClient);
    issue(others, "stranger", net::CertificateUse::kClient);
    options_ = {.endpoints = {"https://127.0.0.1:2379"},
                .ca_file = file("ca.crt"),
                .certificate_file = file("client.crt"),
                .key_file = file("client.key")};
    start({"--listen-client-urls", "https://127.0.0.1:2379", "--advertise-client-urls", "https://127.0.0.1:2379",
           "--cert-file", file("server.crt"), "--key-file", file("server.key"), "--client-cert-auth",
           "--trusted-ca-file", file("ca.crt")});
  }
  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const net::CertifiedKey& pair) const {
    ASSERT_TRUE(linux::write_file(file(name + ".crt"), pair.certificate_pem, 0644).ok());
    ASSERT_TRUE(linux::write_file(file(name + ".key"), pair.key_pem, 0600).ok());
  }
  net::CertifiedKey authority(const std::string& name) const {
    auto made = net::create_authority(name, now_ - hours(1), now_ + hours(24));
    EXPECT_TRUE(made.ok());
    write(name, *made);
    return *made;
  }
  void issue(const net::CertifiedKey& authority, const std::string& name, net::CertificateUse use) const {
    net::CertificateSpec spec;
    spec.common_name = name;
    spec.ip_addresses = {"127.0.0.1"};
    spec.use = use;
    spec.not_before = now_ - hours(1);
    spec.not_after = now_ + hours(24);
    auto made = net::issue_certificate(authority, spec);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    write(name, *made);
  }
  /// What a client with these options complains of.
  std::string complaint(const EtcdOptions& options) {
    auto client = EtcdClient::create(options);
    if (!client.ok()) return client.status().message();
    return (*client)->range("/", true).status().message();
  }

  const WallTime now_ = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
};

TEST_F(EtcdTlsRootTest, LeasesAndTheirWatchGoThroughTls) {
  machine_.run([&] {
    auto first = source();
    auto config = first->config();
    ASSERT_TRUE(config.ok()) << config.status().to_string();
    config_ = *config;
    const Lease a = acquire(*first, 1);
    auto second = source();
    const Lease b = acquire(*second, 2);
    EXPECT_NE(b.subnet, a.subnet);
    EXPECT_TRUE(eventually([&] { return first->others(config_).size() == 1; }));
    ASSERT_TRUE(client_->remove(key(b)).ok());
    EXPECT_TRUE(eventually([&] { return first->others(config_).empty(); }));
  });
}

TEST_F(EtcdTlsRootTest, WhoIsNotTrustedIsToldWhy) {
  using testing::HasSubstr;
  using testing::StartsWith;
  machine_.run([&] {
    EtcdOptions options = options_;
    options.ca_file = file("other-ca.crt");
    EXPECT_THAT(complaint(options), StartsWith("https://127.0.0.1:2379: etcd's certificate is not trusted: "));
    EXPECT_THAT(complaint(options), HasSubstr("(unable to get local issuer certificate)"));
    options.ca_file = "";
    EXPECT_THAT(complaint(options), HasSubstr("(unable to get local issuer certificate)"));
    options = options_;
    options.endpoints = {"https://localhost:2379"};
    EXPECT_THAT(complaint(options), HasSubstr("(hostname mismatch)"));

    const char* not_trusted = "https://127.0.0.1:2379: etcd does not trust the client certificate, or wants one: ";
    options = options_;
    options.certificate_file = options.key_file = "";
    EXPECT_THAT(complaint(options), StartsWith(not_trusted));
    options.certificate_file = file("stranger.crt");
    options.key_file = file("stranger.key");
    EXPECT_THAT(complaint(options), StartsWith(not_trusted));
    options = options_;
    options.endpoints = {"http://127.0.0.1:2379"};
    EXPECT_THAT(complaint(options), StartsWith("http://127.0.0.1:2379: does etcd speak TLS there?: "));

    options = options_;
    options.key_file = file("stranger.key");
    EXPECT_THAT(complaint(options), StartsWith("client certificate: certificate and key do not fit"));
    options.key_file = "";
    EXPECT_THAT(complaint(options), StartsWith("client certificate: no valid PEM private key"));
    options = options_;
    options.ca_file = file("ca.key");
    EXPECT_THAT(complaint(options), StartsWith("certificate authority: no valid PEM certificate"));
    options.ca_file = file("absent");
    EXPECT_THAT(complaint(options), HasSubstr("absent"));
  });
}

}  // namespace
}  // namespace trireme::overlay
