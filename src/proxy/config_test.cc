#include "proxy/config.h"

#include <gmock/gmock.h>

namespace trireme::proxy {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kHead = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

Configuration parsed(const std::string& yaml) {
  auto config = parse_configuration(kHead + yaml);
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? *config : Configuration();
}

std::string error_of(const std::string& yaml) {
  const auto config = parse_configuration(kHead + yaml);
  return config.ok() ? "" : config.status().message();
}

/// The file in the config map kube-system/kube-proxy of a cluster that kubeadm 1.32 has made.
constexpr std::string_view kKubeadm = R"(
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
)";

TEST(ProxyConfig, TakesWhatKubeadmWrites) {
  const auto config = parse_configuration(kKubeadm);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_THAT(config->without_effect, IsEmpty());
  EXPECT_EQ(config->kubeconfig, "/var/lib/kube-proxy/kubeconfig.conf");
  EXPECT_EQ(config->conntrack, ConntrackSettings());
  EXPECT_EQ(config->oom_score_adj, -999);
  const auto options = options_of(*config);
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->healthz, (HostPort{"0.0.0.0", 10256}));
  EXPECT_EQ(options->metrics, (HostPort{"127.0.0.1", 10249}));
  EXPECT_EQ(options->min_sync_period, ProxyOptions().min_sync_period);
  EXPECT_EQ(options->sync_period, 30s);
  EXPECT_THAT(options->rules.cluster_cidrs, ElementsAre(*parse_prefix("10.244.0.0/16")));
  EXPECT_FALSE(options->rules.masquerade_all);
  EXPECT_FALSE(options->hard_fail);
}

TEST(ProxyConfig, FieldsTakeEffect) {
  const Configuration config = parsed(R"(
hostnameOverride: worker-1
bindAddress: "::"
bindAddressHardFail: true
metricsBindAddress: 192.0.2.1
clusterCIDR: 10.244.0.0/16, fd00:244::/56
mode: nftables
nftables: {masqueradeAll: true, masqueradeBit: 15, minSyncPeriod: 2s, syncPeriod: 1m}
iptables: {minSyncPeriod: 5s}
nodePortAddresses: [192.0.2.0/24]
conntrack:
  maxPerCore: 0
  min: 1000
  tcpEstablishedTimeout: 2h
  tcpCloseWaitTimeout: 0s
  tcpBeLiberal: true
  udpTimeout: 20s
  udpStreamTimeout: 3m
logging: {verbosity: 4}
oomScoreAdj: -10
)");
  EXPECT_EQ(config.verbosity, 4);
  EXPECT_EQ(config.oom_score_adj, -10);
  EXPECT_EQ(config.conntrack, (ConntrackSettings{0, 1000, 2h, 0s, true, 20s, 3min}));
  const auto options = options_of(config);
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->node_name, "worker-1");
  EXPECT_TRUE(options->hard_fail);
  EXPECT_EQ(options->healthz, (HostPort{"::", 10256}));
  EXPECT_EQ(options->metrics, (HostPort{"192.0.2.1", 10249}));
  EXPECT_THAT(options->rules.cluster_cidrs,
              ElementsAre(*parse_prefix("10.244.0.0/16"), *parse_prefix("fd00:244::/56")));
  EXPECT_TRUE(options->rules.masquerade_all);
  EXPECT_EQ(options->min_sync_period, 2s);
  EXPECT_EQ(options->sync_period, 1min);
  EXPECT_THAT(options->rules.nodeport_addresses, ElementsAre(*parse_prefix("192.0.2.0/24")));
}

TEST(ProxyConfig, TheModesSectionCounts) {
  const std::string sections = R"(
iptables: {masqueradeAll: true, minSyncPeriod: 2s, syncPeriod: 20s}
ipvs: {minSyncPeriod: 3s, syncPeriod: 30s}
nftables: {syncPeriod: 40s}
)";
  const auto periods = [&](const std::string& mode) {
    const Configuration config = parsed("mode: " + mode + sections);
    return std::tuple(config.masquerade_all, config.min_sync_period, config.sync_period);
  };
  EXPECT_EQ(periods("iptables"), std::tuple(true, 2s, 20s));
  EXPECT_EQ(periods("ipvs"), std::tuple(true, 3s, 30s));
  EXPECT_EQ(periods("nftables"), std::tuple(false, Configuration().min_sync_period, 40s));
  EXPECT_EQ(periods("\"\""), std::tuple(true, 2s, 40s));
}

TEST(ProxyConfig, LocalTrafficIsToldByEveryMode) {
  const auto rules = [](const std::string& yaml) {
    const auto options = options_of(parsed(yaml));
    EXPECT_TRUE(options.ok());
    return options.ok() ? std::pair(options->rules.local, options->rules.local_interface)
                        : std::pair<Options::Local, std::string>();
  };
  using Local = Options::Local;
  EXPECT_EQ(rules("detectLocalMode: ClusterCIDR\n"), std::pair(Local::kClusterRanges, std::string()));
  EXPECT_EQ(rules("detectLocalMode: NodeCIDR\n"), std::pair(Local::kNodeRanges, std::string()));
  EXPECT_EQ(rules("detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n"),
            std::pair(Local::kInterface, std::string("cni0")));
  EXPECT_EQ(rules("detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n"),
            std::pair(Local::kInterfacePrefix, std::string("veth")));
}

TEST(ProxyConfig, WhatChangesNothingHereIsTold) {
  EXPECT_THAT(parsed(R"(
mode: ipvs
clientConnection: {qps: 50, burst: 0}
featureGates: {KubeProxyDrainingTerminatingNodes: true}
iptables: {localhostNodePorts: true}
ipvs: {strictARP: true, scheduler: lc}
logging: {format: json}
enableProfiling: true
)")
                  .without_effect,
              ElementsAre("clientConnection.qps", "logging.format", "featureGates.KubeProxyDrainingTerminatingNodes",
                          "iptables.localhostNodePorts", "ipvs.scheduler", "ipvs.strictARP", "enableProfiling"));
}

TEST(ProxyConfig, RefusesWhatIsWrongByItsPath) {
  EXPECT_EQ(error_of("clusterCidr: 10.244.0.0/16\n"), "clusterCidr: Forbidden: unknown field");
  EXPECT_THAT(error_of("nftables: {syncperiod: 1s}\n"), HasSubstr("nftables.syncperiod: Forbidden"));
  EXPECT_THAT(error_of("mode: userspace\n"), HasSubstr("must be iptables,ipvs,nftables or blank"));
  EXPECT_THAT(error_of("bindAddress: localhost\n"), HasSubstr("bindAddress: Invalid value: \"localhost\""));
  EXPECT_THAT(error_of("healthzBindAddress: 0.0.0.0:http\n"), HasSubstr("must be IP:port"));
  EXPECT_THAT(error_of("clusterCIDR: 10.0.0.0/8,10.1.0.0/16\n"), HasSubstr("must be a valid CIDR block"));
  EXPECT_THAT(error_of("nodePortAddresses: [primary, 10.0.0.0/8]\n"), HasSubstr("nodePortAddresses: Invalid value"));
  EXPECT_THAT(error_of("oomScoreAdj: 2000\n"), HasSubstr("must be within the range [-1000, 1000]"));
  EXPECT_THAT(error_of("iptables: {masqueradeBit: 32}\n"), HasSubstr("must be within the range [0, 31]"));
  EXPECT_THAT(error_of("nftables: {syncPeriod: 1s, minSyncPeriod: 2s}\n"),
              HasSubstr("must be greater than or equal to minSyncPeriod"));
  EXPECT_THAT(error_of("conntrack: {maxPerCore: -1, udpTimeout: -1s}\n"),
              AllOf(HasSubstr("conntrack.maxPerCore: Invalid value: -1"), HasSubstr("conntrack.udpTimeout")));
  EXPECT_THAT(error_of("detectLocalMode: Magic\n"), HasSubstr("Unsupported value: \"Magic\""));
  EXPECT_THAT(error_of("detectLocalMode: BridgeInterface\ndetectLocal: {}\n"),
              HasSubstr("detectLocal.bridgeInterface: Required value"));
  EXPECT_FALSE(options_of(parsed("detectLocalMode: BridgeInterface\n")).ok());
  const auto other = parse_configuration("apiVersion: v1\nkind: Pod\n");
  EXPECT_THAT(other.status().message(), HasSubstr("kubeproxy.config.k8s.io/v1alpha1"));
}

TEST(HostPorts, AreReadWithAndWithoutAPort) {
  EXPECT_EQ(parse_host_port("127.0.0.1:80", 1), (HostPort{"127.0.0.1", 80}));
  EXPECT_EQ(parse_host_port("127.0.0.1", 1), (HostPort{"127.0.0.1", 1}));
  EXPECT_EQ(parse_host_port("[::1]:80", 1), (HostPort{"::1", 80}));
  EXPECT_EQ(parse_host_port("::1", 1), (HostPort{"::1", 1}));
  EXPECT_EQ(parse_host_port("[::1]", 1), (HostPort{"::1", 1}));
  EXPECT_EQ(parse_host_port(":80", 1), (HostPort{"0.0.0.0", 80}));
  for (const char* bad : {"", "localhost:80", "127.0.0.1:", "127.0.0.1:70000", "::1:x:80", "[127.0.0.1]:80"}) {
    EXPECT_EQ(parse_host_port(bad, 1), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace trireme::proxy
