#include "join/discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <utility>

#include "api/codec.h"
#include "api/value.h"
#include "base/duration.h"
#include "base/ip_address.h"
#include "base/version.h"
#include "client/kubeconfig.h"
#include "net/x509.h"

namespace trireme::join {
namespace {

constexpr uint16_t kDefaultPort = 6443;
constexpr std::string_view kInfoPath = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
constexpr int kNewerMinors = 3;
constexpr int kSignatureLooks = 10;
constexpr Duration kSignatureWait = std::chrono::milliseconds(100);
/// Certificates are made out from an hour or five minutes before their making: clocks may differ by less than that.
constexpr Duration kHarmlessDifference = std::chrono::minutes(4);

bool is_ipv6(const std::string& text) {
  const auto address = IpAddress::parse(text);
  return address && address->is_ipv6();
}

Status unreachable(const std::string& url, const Status& why) {
  return Status::unavailable(fmt::format(
      "cannot reach the API server at {}: {}; is `trireme server` running there, and its port open to this machine?",
      url, why.message()));
}

Result<net::Response> get_info(const std::string& url, net::TlsClientOptions tls, Duration timeout) {
  net::HttpTransportOptions options;
  options.base_url = url;
  options.tls = std::move(tls);
  options.connect_timeout = timeout;
  options.timeout = timeout;
  TRY_ASSIGN(auto transport, net::http_transport(std::move(options)));
  net::Request request;
  request.target = kInfoPath;
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "trireme-join");
  return transport->round_trip(request);
}

Result<api::corev1::ConfigMap> info_of(const net::Response& response, const std::string& url) {
  if (response.status == 404 || response.status == 403) {
    return Status::bad_request(fmt::format(
        "{} answers, but lets no machine join: there is no readable kube-public/cluster-info; a cluster that "
        "`trireme server` runs has one",
        url));
  }
  if (response.status != 200) {
    return Status::bad_request(fmt::format("{} answers {} where cluster-info should be", url, response.status));
  }
  auto map = api::decode_json<api::corev1::ConfigMap>(response.body);
  if (!map.ok())
    return Status::bad_request(fmt::format("{} is no Kubernetes API server: {}", url, map.status().message()));
  return map;
}

Status clocks_differ(Duration ahead) {
  const bool behind = ahead > Duration::zero();
  return Status::bad_request(fmt::format(
      "this machine's clock is {} {} the server's, so that their certificates do not count for each other; set it "
      "right (timedatectl) and try again",
      format_duration(std::chrono::round<std::chrono::minutes>(behind ? ahead : -ahead)),
      behind ? "behind" : "ahead of"));
}

}  // namespace

Result<std::string> server_url(std::string_view address) {
  std::string_view rest = address;
  if (const size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (rest.substr(0, scheme) != "https") return Status::bad_request("the API server speaks https only");
    rest.remove_prefix(scheme + 3);
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  std::string host(rest);
  std::string_view port;
  if (is_ipv6(host)) {
    // Without brackets there is no telling a port from the address.
  } else if (host.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return Status::bad_request(fmt::format("\"{}\" is no address", address));
    host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
    if (!is_ipv6(host) || (!port.empty() && !port.starts_with(':'))) {
      return Status::bad_request(fmt::format("\"{}\" is no address", address));
    }
    if (!port.empty()) port.remove_prefix(1);
  } else if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  uint16_t number = kDefaultPort;
  const char* end = port.data() + port.size();
  bool port_ok = true;
  if (!port.empty()) {
    const auto [rest, error] = std::from_chars(port.data(), end, number);
    port_ok = error == std::errc() && rest == end && number != 0;
  }
  const bool host_ok = !host.empty() && host.find_first_of("/?#@[]%\\") == std::string::npos &&
                       std::ranges::all_of(host, [](char c) { return c > ' ' && c < '\x7f'; });
  if (!port_ok || !host_ok) {
    return Status::bad_request(fmt::format("\"{}\" is no server's address such as 192.0.2.1:6443", address));
  }
  return is_ipv6(host) ? fmt::format("https://[{}]:{}", host, number) : fmt::format("https://{}:{}", host, number);
}

std::optional<Duration> clock_difference(const net::Response& response, WallTime now) {
  std::tm fields{};
  const std::string date(response.headers.get("Date"));
  // GMT always; the locale is C, as no program of ours sets another.
  if (date.empty() || ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &fields) == nullptr) return std::nullopt;
  if (fields.tm_year < 70 || fields.tm_year > 300) return std::nullopt;  // beyond what a time point holds
  return std::chrono::system_clock::from_time_t(::timegm(&fields)) - now;
}

Result<ClusterAddress> discover(const DiscoveryOptions& options, Clock& clock) {
  TRY_ASSIGN(const std::string url, server_url(options.address));
  net::TlsClientOptions nobody;
  nobody.insecure_skip_verify = true;
  auto first = get_info(url, nobody, options.timeout);
  if (!first.ok()) return unreachable(url, first.status());
  TRY_ASSIGN(api::corev1::ConfigMap map, info_of(*first, url));
  TRY_ASSIGN(ClusterAddress cluster, read_cluster_info(map));
  // The hash first: whoever stands between could have made the signatures up, but not the authority.
  TRY(check_ca(cluster.ca_pem, options.ca_hashes));
  // A token that has just been made signs the map a moment later.
  Status trusted = check_signature(map, options.token);
  for (int i = 0; i < kSignatureLooks && !trusted.ok() && !has_signature(map, options.token); ++i) {
    clock.sleep_for(kSignatureWait, {});
    TRY_ASSIGN(const net::Response again, get_info(url, nobody, options.timeout));
    TRY_ASSIGN(map, info_of(again, url));
    trusted = check_signature(map, options.token);
  }
  TRY(trusted);
  TRY_ASSIGN(cluster, read_cluster_info(map));
  TRY(check_ca(cluster.ca_pem, options.ca_hashes));

  const auto ahead = clock_difference(*first, clock.now());
  TRY_ASSIGN(const net::CertificateInfo ca, net::parse_certificate(cluster.ca_pem));
  const bool ca_counts = ca.not_before <= clock.now() && clock.now() < ca.not_after;
  if (ahead && (!ca_counts || *ahead > kHarmlessDifference || *ahead < -kHarmlessDifference)) {
    return clocks_differ(*ahead);
  }

  net::TlsClientOptions trusting;
  trusting.ca_pem = cluster.ca_pem;
  Status failed;
  for (const std::string& server : {url, cluster.server}) {
    auto again = get_info(server, trusting, options.timeout);
    if (!again.ok()) {
      failed = again.status();
      continue;
    }
    TRY_ASSIGN(const api::corev1::ConfigMap same, info_of(*again, server));
    if (same.data.get("kubeconfig") != map.data.get("kubeconfig")) {
      return Status::unauthorized(fmt::format("{} says something else when asked as the cluster's own server", server));
    }
    cluster.server = server;
    return cluster;
  }
  return unreachable(cluster.server, failed);
}

Result<client::Client> bootstrap_client(const ClusterAddress& address, const BootstrapToken& token) {
  client::ClientConfig config;
  config.transport.base_url = address.server;
  config.transport.tls.ca_pem = address.ca_pem;
  config.headers.set("Authorization", "Bearer " + token.text());
  TRY_ASSIGN(auto transport, client::connect(std::move(config)));
  return client::Client(std::make_shared<client::RawClient>(std::move(transport), "trireme-join"));
}

Status check_version(std::string_view version_json) {
  TRY_ASSIGN(const api::Value version, api::parse_value(version_json));
  const auto number = [](std::string_view text) {
    int value = -1;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  const auto field = [&](std::string_view name) {
    const api::Value* found = version.find(name);
    return found ? found->string_or_empty() : std::string_view();
  };
  const std::string server(field("gitVersion"));
  const int major = number(field("major"));
  const int minor = number(field("minor"));
  const std::string_view own = kVersion;  // "v1.32.4+trireme"
  const size_t dot = own.find('.');
  const int own_major = number(own.substr(1));
  const int own_minor = number(own.substr(dot + 1));
  if (major == own_major && minor >= own_minor && minor <= own_minor + kNewerMinors) return {};
  return Status::bad_request(
      fmt::format("the server's version is {}, this machine's {}: a node may be up to {} minor versions older than the "
                  "server, and never newer",
                  server.empty() ? "unknown" : server, own, kNewerMinors));
}

Status check_name_is_free(client::Client client, const std::string& node_name) {
  auto node = client.get<api::corev1::Node>("", node_name);
  if (!node.ok()) return node.status().is(Reason::kNotFound) ? Status() : node.status();
  for (const auto& condition : node->status.conditions) {
    if (condition.type != "Ready" || condition.status != "True") continue;
    return Status(Reason::kConflict,
                  fmt::format("the cluster has a living node of the name {} already; give this machine another by "
                              "--node-name, or remove that node by `kubectl delete node {}`",
                              node_name, node_name));
  }
  return {};
}

}  // namespace trireme::join
