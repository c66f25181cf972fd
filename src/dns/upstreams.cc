#include "dns/upstreams.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <sstream>

namespace trireme::dns {

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto bad = [&] { return Status::bad_request(fmt::format("\"{}\" is no address of a DNS server", text)); };
  Endpoint endpoint;
  std::string_view host = text;
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    if (close == std::string_view::npos) return bad();
    port = host.substr(close + 1);
    host = host.substr(1, close - 1);
    if (!port.empty() && port[0] != ':') return bad();
    if (!port.empty()) port.remove_prefix(1);
  } else if (std::count(host.begin(), host.end(), ':') == 1) {
    port = host.substr(host.find(':') + 1);
    host = host.substr(0, host.find(':'));
    if (port.empty()) return bad();
  }
  if (const size_t percent = host.find('%'); percent != std::string_view::npos) {
    endpoint.scope = ::if_nametoindex(std::string(host.substr(percent + 1)).c_str());
    host = host.substr(0, percent);
  }
  const auto address = parse_address(host);
  if (!address) return bad();
  endpoint.address = *address;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0) return bad();
  }
  return endpoint;
}

std::string to_text(const Endpoint& endpoint) {
  return fmt::format(fmt::runtime(endpoint.address.v6 ? "[{}]:{}" : "{}:{}"), to_text(endpoint.address), endpoint.port);
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (endpoint.address.v6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    v6->sin6_scope_id = endpoint.scope;
    std::memcpy(&v6->sin6_addr, endpoint.address.bytes.data(), 16);
    return sizeof *v6;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(endpoint.port);
  std::memcpy(&v4->sin_addr, endpoint.address.bytes.data(), 4);
  return sizeof *v4;
}

UpstreamGroup::UpstreamGroup(const std::vector<Endpoint>& endpoints) {
  for (const Endpoint& endpoint : endpoints) {
    auto member = std::make_shared<Upstream>();
    member->endpoint = endpoint;
    members_.push_back(std::move(member));
  }
}

std::shared_ptr<Upstream> UpstreamGroup::next(size_t start, const std::vector<std::shared_ptr<Upstream>>& tried) const {
  for (const bool down : {false, true}) {
    for (size_t i = 0; i < members_.size(); ++i) {
      const auto& member = members_[(start + i) % members_.size()];
      if (member->looped || (!down && member->down)) continue;
      if (std::find(tried.begin(), tried.end(), member) == tried.end()) return member;
    }
  }
  return nullptr;
}

bool UpstreamGroup::same(const std::vector<Endpoint>& endpoints) const {
  return std::equal(members_.begin(), members_.end(), endpoints.begin(), endpoints.end(),
                    [](const auto& member, const Endpoint& endpoint) { return member->endpoint == endpoint; });
}

Result<StubDomain> parse_stub_domain(std::string_view text) {
  StubDomain stub;
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || !parse_name(text.substr(0, equals), stub.domain) || stub.domain.labels == 0) {
    return Status::bad_request(fmt::format("\"{}\" is not DOMAIN=ADDRESS[,ADDRESS]", text));
  }
  stub.domain.lower();
  std::string_view rest = text.substr(equals + 1);
  while (true) {
    const size_t comma = rest.find(',');
    TRY_ASSIGN(Endpoint endpoint, parse_endpoint(rest.substr(0, comma)));
    stub.servers.push_back(endpoint);
    if (comma == std::string_view::npos) return stub;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<Endpoint> read_resolv_conf(std::string_view text) {
  std::vector<Endpoint> servers;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    std::string value;
    if (!(words >> key >> value) || key != "nameserver") continue;
    if (auto endpoint = parse_endpoint(value); endpoint.ok()) servers.push_back(*endpoint);
  }
  return servers;
}

}  // namespace trireme::dns
