#include "proxy/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "api/config_reader.h"
#include "api/yaml.h"
#include "base/duration.h"
#include "base/text.h"

namespace trireme::proxy {
namespace {

using api::ConfigReader;
using api::Value;
using api::validation::ErrorList;
using api::validation::kNotNegative;
using api::validation::Path;

constexpr uint16_t kHealthzPort = 10256;
constexpr uint16_t kMetricsPort = 10249;
constexpr int kOomScores = 1000;
constexpr int kHighestBit = 31;

/// What says as little as an absent field; kubeadm writes such values for everything.
bool is_blank(const Value& value) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.as_bool();
  if (value.is_number()) return value.as_double() == 0;
  if (value.is_string()) {
    const auto duration = parse_duration(value.as_string());
    return value.as_string().empty() || (duration.ok() && duration->count() == 0);
  }
  if (value.is_array()) return value.as_array().empty();
  return std::ranges::all_of(value.as_object(), [](const auto& member) { return is_blank(member.second); });
}

class Parser {
 public:
  Configuration run(const Value& value, ErrorList& errors) {
    ConfigReader reader(value, Path(), errors);
    reader.read_kind({"kubeproxy.config.k8s.io/v1alpha1"}, "KubeProxyConfiguration");
    read_process(reader);
    read_addresses(reader);
    read_mode(reader);
    read_local(reader);
    reader.object("conntrack", [&](ConfigReader& inner) { read_conntrack(inner); });
    for (const char* name : {"configSyncPeriod", "enableProfiling", "portRange", "showHiddenMetricsForVersion",
                             "udpIdleTimeout", "windowsRunAsService"}) {
      unused(reader, name);
    }
    unused_members(reader, "winkernel",
                   {"enableDSR", "forwardHealthCheckVip", "networkName", "rootHnsEndpointName", "sourceVip"});
    return std::move(config_);
  }

 private:
  /// Fields that are known and change nothing here.
  void unused(ConfigReader& reader, const std::string& name) {
    const Value* member = reader.take(name);
    if (member != nullptr && !is_blank(*member)) config_.without_effect.push_back(reader.at(name).str());
  }
  void unused_members(ConfigReader& reader, const std::string& name, std::initializer_list<const char*> members) {
    reader.object(name, [&](ConfigReader& inner) {
      for (const char* member : members) unused(inner, member);
    });
  }
  static void check_duration(ConfigReader& reader, const std::string& name, Duration value) {
    if (value.count() < 0) reader.errors().invalid(reader.at(name), format_duration(value), kNotNegative);
  }
  static void read_duration(ConfigReader& reader, const std::string& name, Duration& into) {
    reader.read(name, into);
    check_duration(reader, name, into);
  }

  void read_process(ConfigReader& reader) {
    reader.object("clientConnection", [&](ConfigReader& inner) {
      inner.read("kubeconfig", config_.kubeconfig);
      for (const char* name : {"acceptContentTypes", "contentType", "qps", "burst"}) unused(inner, name);
    });
    reader.object("logging", [&](ConfigReader& inner) {
      inner.read("verbosity", config_.verbosity);
      std::string format;
      inner.read("format", format);
      if (!format.empty() && format != "text") config_.without_effect.push_back(inner.at("format").str());
      // Lines are written as they come: there is nothing to flush and nothing to buffer.
      for (const char* name : {"flushFrequency", "options"}) inner.take(name);
      unused(inner, "vmodule");
    });
    reader.read("hostnameOverride", config_.hostname_override);
    reader.read("oomScoreAdj", config_.oom_score_adj);
    if (config_.oom_score_adj < -kOomScores || config_.oom_score_adj > kOomScores) {
      reader.errors().invalid(reader.at("oomScoreAdj"), config_.oom_score_adj,
                              "must be within the range [-1000, 1000]");
    }
    if (const Value* gates = reader.take("featureGates"); gates != nullptr && gates->is_object()) {
      for (const auto& [name, value] : gates->as_object()) {
        config_.without_effect.push_back(reader.at("featureGates").child(name).str());
      }
    }
  }

  void read_addresses(ConfigReader& reader) {
    read_text(reader, "bindAddress", config_.bind_address);
    const auto bind = parse_address(config_.bind_address);
    if (!bind) {
      reader.errors().invalid(reader.at("bindAddress"), config_.bind_address,
                              "not a valid textual representation of an IP address");
    } else if (is_ip6(*bind)) {
      config_.healthz_bind_address = "[::]:10256";
      config_.metrics_bind_address = "[::1]:10249";
    }
    reader.read("bindAddressHardFail", config_.bind_address_hard_fail);
    const auto host_port = [&](const std::string& name, std::string& into, uint16_t port) {
      read_text(reader, name, into);
      if (!parse_host_port(into, port)) reader.errors().invalid(reader.at(name), into, "must be IP:port");
    };
    host_port("healthzBindAddress", config_.healthz_bind_address, kHealthzPort);
    host_port("metricsBindAddress", config_.metrics_bind_address, kMetricsPort);
    reader.read("nodePortAddresses", config_.nodeport_addresses);
    Options unread;
    if (!parse_nodeport_addresses(config_.nodeport_addresses, unread).ok()) {
      reader.errors().invalid(reader.at("nodePortAddresses"), config_.nodeport_addresses,
                              "must be valid CIDR blocks, or \"primary\" alone");
    }
  }

  /// An empty text leaves the default.
  static void read_text(ConfigReader& reader, const std::string& name, std::string& into) {
    std::string text;
    reader.read(name, text);
    if (!text.empty()) into = std::move(text);
  }

  /// What the sections of the modes have in common.
  struct Section {
    bool masquerade_all = false;
    Duration sync_period{};
    Duration min_sync_period{};
  };
  void read_periods(ConfigReader& reader, Section& into) {
    reader.read("syncPeriod", into.sync_period);
    reader.read("minSyncPeriod", into.min_sync_period);
    check_duration(reader, "syncPeriod", into.sync_period);
    check_duration(reader, "minSyncPeriod", into.min_sync_period);
    if (into.sync_period.count() > 0 && into.min_sync_period > into.sync_period) {
      reader.errors().invalid(reader.at("syncPeriod"), format_duration(into.sync_period),
                              "must be greater than or equal to minSyncPeriod");
    }
  }
  void read_masquerading(ConfigReader& reader, Section& into) {
    reader.read("masqueradeAll", into.masquerade_all);
    // No mark is used that others might use, too: which bit it would be does not matter.
    int bit = 0;
    reader.read("masqueradeBit", bit);
    if (bit < 0 || bit > kHighestBit) {
      reader.errors().invalid(reader.at("masqueradeBit"), bit, "must be within the range [0, 31]");
    }
    read_periods(reader, into);
  }

  /// The section of the mode counts; where no mode is given what iptables' says counts as long as nftables' says
  /// nothing.
  void read_mode(ConfigReader& reader) {
    reader.read("mode", config_.mode);
    if (std::ranges::find(kModes, config_.mode) == kModes.end()) {
      reader.errors().invalid(reader.at("mode"), config_.mode, "must be iptables,ipvs,nftables or blank");
    }
    Section iptables;
    Section ipvs;
    Section nftables;
    reader.object("nftables", [&](ConfigReader& inner) { read_masquerading(inner, nftables); });
    reader.object("iptables", [&](ConfigReader& inner) {
      read_masquerading(inner, iptables);
      bool localhost = false;
      inner.read("localhostNodePorts", localhost);
      if (localhost) config_.without_effect.push_back(inner.at("localhostNodePorts").str());
    });
    reader.object("ipvs", [&](ConfigReader& inner) {
      read_periods(inner, ipvs);
      for (const char* name : {"excludeCIDRs", "scheduler", "strictARP", "tcpFinTimeout", "tcpTimeout", "udpTimeout"}) {
        unused(inner, name);
      }
    });
    Section chosen = nftables;
    if (config_.mode == "iptables") chosen = iptables;
    if (config_.mode == "ipvs") chosen = {iptables.masquerade_all, ipvs.sync_period, ipvs.min_sync_period};
    if (config_.mode.empty()) {
      chosen.masquerade_all = nftables.masquerade_all || iptables.masquerade_all;
      if (chosen.sync_period.count() == 0) chosen.sync_period = iptables.sync_period;
      if (chosen.min_sync_period.count() == 0) chosen.min_sync_period = iptables.min_sync_period;
    }
    config_.masquerade_all = chosen.masquerade_all;
    if (chosen.sync_period.count() > 0) config_.sync_period = chosen.sync_period;
    if (chosen.min_sync_period.count() > 0) config_.min_sync_period = chosen.min_sync_period;
  }

  void read_local(ConfigReader& reader) {
    reader.read("clusterCIDR", config_.cluster_cidr);
    if (!check_ranges(config_.cluster_cidr)) {
      reader.errors().invalid(
          reader.at("clusterCIDR"), config_.cluster_cidr,
          "must be a valid CIDR block, or one of each family (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)");
    }
    reader.read("detectLocalMode", config_.detect_local_mode);
    const std::string& mode = config_.detect_local_mode;
    if (!mode.empty()) reader.errors().check_enum(reader.at("detectLocalMode"), mode, kLocalModes);
    reader.object("detectLocal", [&](ConfigReader& inner) {
      inner.read("bridgeInterface", config_.bridge_interface);
      inner.read("interfaceNamePrefix", config_.interface_name_prefix);
      const auto needs = [&](const char* name, std::string_view of_mode, const std::string& value) {
        if (value.size() > kMaxInterfaceName) inner.errors().too_long(inner.at(name), kMaxInterfaceName);
        if (mode == of_mode && value.empty()) {
          inner.errors().required(inner.at(name), fmt::format("detectLocalMode is {}", mode));
        }
      };
      needs("bridgeInterface", "BridgeInterface", config_.bridge_interface);
      needs("interfaceNamePrefix", "InterfaceNamePrefix", config_.interface_name_prefix);
    });
  }

  static bool check_ranges(const std::string& text) {
    if (text.empty()) return true;
    int families[2] = {0, 0};
    for (const std::string_view each : split(text, ',')) {
      const auto prefix = parse_prefix(trimmed(each));
      if (!prefix || ++families[is_ip6(prefix->address) ? 1 : 0] > 1) return false;
    }
    return true;
  }

  void read_conntrack(ConfigReader& reader) {
    ConntrackSettings& into = config_.conntrack;
    const auto count = [&](const char* name, int& value) {
      reader.read(name, value);
      if (value < 0) reader.errors().invalid(reader.at(name), value, kNotNegative);
    };
    count("maxPerCore", into.max_per_core);
    count("min", into.min);
    read_duration(reader, "tcpEstablishedTimeout", into.tcp_established_timeout);
    read_duration(reader, "tcpCloseWaitTimeout", into.tcp_close_wait_timeout);
    read_duration(reader, "udpTimeout", into.udp_timeout);
    read_duration(reader, "udpStreamTimeout", into.udp_stream_timeout);
    reader.read("tcpBeLiberal", into.tcp_be_liberal);
  }

  static constexpr std::array<std::string_view, 4> kModes = {"", "iptables", "ipvs", "nftables"};
  static constexpr std::string_view kLocalModes[] = {"ClusterCIDR", "NodeCIDR", "BridgeInterface",
                                                     "InterfaceNamePrefix"};
  static constexpr size_t kMaxInterfaceName = 15;
  Configuration config_;
};

Status bad_flag(std::string_view flag, std::string_view value, std::string_view problem) {
  return Status::bad_request(fmt::format("--{}: \"{}\" {}", flag, value, problem));
}

std::vector<std::string> parts_of(const std::string& list) {
  const auto parts = split_list(list);
  return {parts.begin(), parts.end()};
}

Status set_local_mode(const Configuration& from, Options& into) {
  TRY_ASSIGN(into.cluster_cidrs, parse_prefixes(parts_of(from.cluster_cidr), "cluster-cidr"));
  const std::string& mode = from.detect_local_mode;
  if (mode.empty() || mode == "ClusterCIDR") return {};
  if (mode == "NodeCIDR") {
    into.local = Options::Local::kNodeRanges;
  } else if (mode == "BridgeInterface") {
    if (from.bridge_interface.empty()) return bad_flag("pod-bridge-interface", "", "must name the pods' bridge");
    into.local = Options::Local::kInterface;
    into.local_interface = from.bridge_interface;
  } else if (mode == "InterfaceNamePrefix") {
    if (from.interface_name_prefix.empty()) {
      return bad_flag("pod-interface-name-prefix", "", "must be what the pods' interfaces begin with");
    }
    into.local = Options::Local::kInterfacePrefix;
    into.local_interface = from.interface_name_prefix;
  } else {
    return bad_flag("detect-local-mode", mode, "is not ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix");
  }
  return {};
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text) {
  TRY_ASSIGN(const Value value, api::parse_yaml(text));
  ErrorList errors;
  Configuration config = Parser().run(value, errors);
  TRY(api::config_status(errors));
  return config;
}

Result<ProxyOptions> options_of(const Configuration& configuration) {
  ProxyOptions options;
  options.node_name = configuration.hostname_override;
  options.hard_fail = configuration.bind_address_hard_fail;
  options.min_sync_period = configuration.min_sync_period;
  options.sync_period = configuration.sync_period;
  options.rules.masquerade_all = configuration.masquerade_all;
  const auto host_port = [](std::string_view flag, const std::string& text, uint16_t port,
                            std::optional<HostPort>& into) -> Status {
    if (text.empty()) return {};
    into = parse_host_port(text, port);
    return into ? Status() : bad_flag(flag, text, "is not an address and a port");
  };
  TRY(host_port("healthz-bind-address", configuration.healthz_bind_address, kHealthzPort, options.healthz));
  TRY(host_port("metrics-bind-address", configuration.metrics_bind_address, kMetricsPort, options.metrics));
  TRY(set_local_mode(configuration, options.rules));
  TRY_ASSIGN(options.rules.service_cidrs,
             parse_prefixes(parts_of(configuration.service_cidr), "service-cluster-ip-range"));
  TRY(parse_nodeport_addresses(configuration.nodeport_addresses, options.rules));
  return options;
}

}  // namespace trireme::proxy
