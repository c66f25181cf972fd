#include "cmd/membership.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/value.h"
#include "linux/file.h"

namespace trireme::cmd {
namespace {

constexpr std::array<std::string_view, 6> kPassing = {"token",      "ca-hash",  "discovery-token-ca-cert-hash",
                                                      "ready-file", "data-dir", "v"};

std::string text(const api::Value& value, std::string_view key) {
  const api::Value* found = value.find(key);
  return std::string(found ? found->string_or_empty() : std::string_view());
}

}  // namespace

Result<Membership> read_membership(const std::string& file) {
  TRY_ASSIGN(const std::string json, linux::read_file(file));
  auto parsed = api::parse_value(json);
  if (!parsed.ok()) return parsed.status().with_context(file);
  Membership membership;
  membership.server = text(*parsed, "server");
  membership.node_name = text(*parsed, "nodeName");
  membership.facts.cluster_cidr = text(*parsed, "clusterCIDR");
  membership.facts.service_cidr = text(*parsed, "serviceCIDR");
  membership.facts.cluster_domain = text(*parsed, "clusterDomain");
  membership.facts.network = text(*parsed, "network");
  membership.facts.cluster_dns = text(*parsed, "clusterDNS");
  if (const api::Value* flags = parsed->find("flags"); flags && flags->is_array()) {
    for (const api::Value& flag : flags->as_array()) membership.flags.emplace_back(flag.string_or_empty());
  }
  if (membership.server.empty() || membership.node_name.empty()) {
    return Status::bad_request(file + " does not tell which cluster this machine has joined");
  }
  return membership;
}

Status write_membership(const std::string& file, const Membership& membership) {
  api::Value value = api::Value::object();
  value["server"] = membership.server;
  value["nodeName"] = membership.node_name;
  value["clusterCIDR"] = membership.facts.cluster_cidr;
  value["serviceCIDR"] = membership.facts.service_cidr;
  value["clusterDomain"] = membership.facts.cluster_domain;
  value["network"] = membership.facts.network;
  value["clusterDNS"] = membership.facts.cluster_dns;
  value["flags"] = api::Value::array();
  for (const std::string& flag : membership.flags) value["flags"].push_back(flag);
  return linux::replace_file(file, api::to_json(value) + "\n", 0600);
}

std::vector<std::string> lasting_flags(const std::vector<std::string>& words, const std::string& address) {
  std::vector<std::string> kept;
  bool address_seen = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with('-')) {
      if (word == address && !std::exchange(address_seen, true)) continue;
      kept.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    std::string name = word.substr(0, equals);
    name.erase(0, name.find_first_not_of('-'));
    std::ranges::replace(name, '_', '-');
    if (std::ranges::find(kPassing, name) == kPassing.end()) {
      kept.push_back(word);
    } else if (equals == std::string::npos) {
      ++i;  // its value
    }
  }
  return kept;
}

}  // namespace trireme::cmd
