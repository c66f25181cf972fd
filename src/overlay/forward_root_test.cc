// With the iptables programs, each test in a network namespace of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "linux/process.h"
#include "overlay/forward.h"
#include "support/net_namespace.h"

namespace trireme::overlay {
namespace {

namespace nft = linux::nft;
using ::testing::HasSubstr;

std::string run(const std::string& command) {
  auto out = linux::run_program({"sh", "-c", command});
  EXPECT_TRUE(out.ok()) << out.status().to_string();
  return out.ok() ? *out : std::string();
}

class ForwardRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
    for (const char* program : {"iptables-nft", "ip6tables-nft", "iptables-legacy", "nft"}) {
      if (!linux::find_program(program)) GTEST_SKIP() << "needs " << program;
    }
    namespace_.emplace();
    ASSERT_TRUE(namespace_->entered());
    auto opened = nft::Socket::open();
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    socket_.emplace(std::move(*opened));
    config_ = *parse_network_config(
        R"({"Network": "10.244.0.0/17", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48",
            "Backend": {"Type": "vxlan"}})");
  }
  void ensure() {
    const Status status = ensure_forward_rules(*socket_, chain_, config_);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  void ensure_legacy() {
    const Status status = ensure_legacy_forward_rules(chain_, config_);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  void remove() {
    const Status status = remove_forward_rules(chain_);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  /// As Docker does with this program at its start.
  static void docker(const std::string& iptables) {
    run(iptables + " -P FORWARD DROP; " + iptables + " -N DOCKER-ISOLATION-STAGE-1; " + iptables +
        " -A DOCKER-ISOLATION-STAGE-1 -j RETURN; " + iptables + " -I FORWARD -j DOCKER-ISOLATION-STAGE-1; " + iptables +
        " -N DOCKER-USER; " + iptables + " -A DOCKER-USER -j RETURN; " + iptables + " -I FORWARD -j DOCKER-USER");
  }

  std::optional<test::NetNamespace> namespace_;
  std::optional<nft::Socket> socket_;
  NetworkConfig config_;
  const std::string chain_{kForwardChain};
};

TEST_F(ForwardRootTest, WithoutForwardChainNothingIsMade) {
  ensure();
  remove();
  EXPECT_EQ(run("nft list ruleset"), "");
  run("nft add table ip filter; nft add chain ip filter INPUT");
  ensure();
  EXPECT_EQ(run("nft list ruleset | grep -c chain"), "1\n");
}

TEST_F(ForwardRootTest, RulesAreSuchAsIptablesReads) {
  docker("iptables-nft");
  docker("ip6tables-nft");
  const std::string before = run("nft list ruleset");
  ensure();
  EXPECT_EQ(run("iptables-nft -S"),
            "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n"
            "-N DOCKER-ISOLATION-STAGE-1\n-N DOCKER-USER\n-N TRIREME-FWD\n"
            "-A FORWARD -m comment --comment \"pods of all nodes\" -j TRIREME-FWD\n"
            "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"
            "-A DOCKER-ISOLATION-STAGE-1 -j RETURN\n-A DOCKER-USER -j RETURN\n"
            "-A TRIREME-FWD -s 10.244.0.0/17 -m comment --comment \"from 10.244.0.0/17\" -j ACCEPT\n"
            "-A TRIREME-FWD -d 10.244.0.0/17 -m comment --comment \"to 10.244.0.0/17\" -j ACCEPT\n");
  EXPECT_THAT(run("ip6tables-nft -S TRIREME-FWD"), HasSubstr("-A TRIREME-FWD -d fd00:10:244::/48 -m comment"));
  run("iptables-nft -L -n -v >/dev/null && iptables-nft-save >/dev/null");
  const auto generation = socket_->generation();
  ensure();
  EXPECT_EQ(*socket_->generation(), *generation) << "what stands is not written again";
  remove();
  EXPECT_EQ(run("nft list ruleset"), before);
  ensure();
  run("nft 'flush chain ip filter FORWARD; delete chain ip filter FORWARD'");
  remove();
  EXPECT_EQ(run("nft list table ip filter | grep -c TRIREME || true"), "0\n");
}

TEST_F(ForwardRootTest, WhatIsMissingIsPutBack) {
  docker("iptables-nft");
  ensure();
  const std::string whole = run("iptables-nft -S FORWARD; iptables-nft -S TRIREME-FWD");
  for (const char* damage :
       {"iptables-nft -F TRIREME-FWD", "iptables-nft -D TRIREME-FWD 2",
        "iptables-nft -D FORWARD 1 && iptables-nft -F TRIREME-FWD && iptables-nft -X TRIREME-FWD"}) {
    run(damage);
    ensure();
    EXPECT_EQ(run("iptables-nft -S FORWARD; iptables-nft -S TRIREME-FWD"), whole) << damage;
  }
  // As netfilter-persistent does; the program writes comments in another way.
  run("iptables-nft-save >/tmp/forward-$$ && iptables-nft-restore /tmp/forward-$$; rm /tmp/forward-$$");
  ensure();
  EXPECT_EQ(run("iptables-nft -S FORWARD; iptables-nft -S TRIREME-FWD"), whole);
  // Another place in FORWARD is as good.
  run("iptables-nft -I FORWARD -j DOCKER-USER");
  ensure();
  EXPECT_EQ(run("iptables-nft -S FORWARD | grep -c TRIREME"), "1\n");
  // Another range, and a family less.
  config_ = *parse_network_config(R"({"Network": "10.0.0.0/9", "Backend": {"Type": "vxlan"}})");
  docker("ip6tables-nft");
  ensure();
  EXPECT_EQ(run("iptables-nft -S TRIREME-FWD | grep -c 10.0.0.0/9"), "2\n");
  EXPECT_EQ(run("ip6tables-nft -S | grep TRIREME || true"), "");
}

TEST_F(ForwardRootTest, TheOlderIptablesToo) {
  const auto probe = linux::run_program({"iptables-legacy", "-S"});
  if (!probe.ok()) GTEST_SKIP() << probe.status().to_string();
  docker("iptables-legacy");
  const std::string before = run("iptables-legacy -S");
  ensure_legacy();
  EXPECT_EQ(run("nft list ruleset"), "");
  EXPECT_EQ(run("iptables-legacy -S FORWARD; iptables-legacy -S TRIREME-FWD"),
            "-P FORWARD DROP\n"
            "-A FORWARD -m comment --comment \"pods of all nodes\" -j TRIREME-FWD\n"
            "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"
            "-N TRIREME-FWD\n-A TRIREME-FWD -s 10.244.0.0/17 -j ACCEPT\n-A TRIREME-FWD -d 10.244.0.0/17 -j ACCEPT\n");
  const std::string whole = run("iptables-legacy -S");
  ensure_legacy();
  EXPECT_EQ(run("iptables-legacy -S"), whole);
  run("iptables-legacy -F");
  ensure_legacy();
  EXPECT_THAT(run("iptables-legacy -S"), HasSubstr("-A TRIREME-FWD -d 10.244.0.0/17 -j ACCEPT"));
  run("iptables-legacy -F; iptables-legacy -X; iptables-legacy -P FORWARD ACCEPT");
  docker("iptables-legacy");
  ensure_legacy();
  remove();
  EXPECT_EQ(run("iptables-legacy -S"), before);
}

}  // namespace
}  // namespace trireme::overlay
