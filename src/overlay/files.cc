#include "overlay/files.h"

#include <fmt/format.h>

#include <string>
#include <vector>

namespace trireme::overlay {
namespace {

/// "10.244.3.1/24": the first address that can be used, which is the bridge's.
std::string first_usable(const IpPrefix& subnet) { return IpPrefix{subnet.address.plus(1), subnet.length}.to_string(); }

}  // namespace

std::string subnet_env(const NetworkConfig& config, const Lease& own, uint32_t mtu, bool ip_masq) {
  std::string out;
  if (config.enable_ipv4) {
    out += fmt::format("FLANNEL_NETWORK={}\nFLANNEL_SUBNET={}\n", config.network.to_string(), first_usable(own.subnet));
  }
  if (config.enable_ipv6) {
    out += fmt::format("FLANNEL_IPV6_NETWORK={}\nFLANNEL_IPV6_SUBNET={}\n", config.ipv6_network.to_string(),
                       first_usable(own.ipv6_subnet));
  }
  return out + fmt::format("FLANNEL_MTU={}\nFLANNEL_IPMASQ={}\n", mtu, ip_masq);
}

Lease previous_subnets(std::string_view subnet_env, const NetworkConfig& config) {
  Lease out;
  while (!subnet_env.empty()) {
    const std::string_view line = subnet_env.substr(0, subnet_env.find('\n'));
    subnet_env.remove_prefix(std::min(line.size() + 1, subnet_env.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const auto prefix = IpPrefix::parse(line.substr(equals + 1));
    if (!prefix) continue;
    if (line.starts_with("FLANNEL_SUBNET=") && config.network.contains(*prefix)) out.subnet = prefix->masked();
    if (line.starts_with("FLANNEL_IPV6_SUBNET=") && config.ipv6_network.contains(*prefix)) {
      out.ipv6_subnet = prefix->masked();
    }
  }
  return out;
}

std::string cni_conflist(const CniConfig& config) {
  std::vector<std::string> ranges;
  std::vector<std::string> routes;
  for (const IpPrefix& subnet : {config.subnet, config.ipv6_subnet}) {
    if (subnet.empty()) continue;
    ranges.push_back(fmt::format(R"([{{"subnet": "{}"}}])", subnet.to_string()));
    routes.push_back(fmt::format(R"({{"dst": "{}"}})", subnet.address.is_ipv6() ? "::/0" : "0.0.0.0/0"));
  }
  const std::string mtu = config.mtu > 0 ? fmt::format("\n      \"mtu\": {},", config.mtu) : "";
  return fmt::format(R"({{
  "cniVersion": "0.4.0",
  "name": "trireme",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "{bridge}",
      "isGateway": true,
      "forceAddress": true,
      "ipMasq": false,
      "hairpinMode": true,{mtu}
      "ipam": {{
        "type": "host-local",
        "dataDir": "{folder}",
        "ranges": [{ranges}],
        "routes": [{routes}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
)",
                     fmt::arg("bridge", config.bridge), fmt::arg("mtu", mtu), fmt::arg("folder", config.address_folder),
                     fmt::arg("ranges", fmt::join(ranges, ", ")), fmt::arg("routes", fmt::join(routes, ", ")));
}

}  // namespace trireme::overlay
