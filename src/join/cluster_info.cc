#include "join/cluster_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "api/types/rbacv1.h"
#include "client/kubeconfig.h"
#include "net/jwt.h"
#include "net/x509.h"

namespace trireme::join {
namespace {

using api::corev1::ConfigMap;
using namespace api::rbacv1;  // NOLINT: the kinds of roles

constexpr std::string_view kKubeconfig = "kubeconfig";
constexpr std::string_view kSignaturePrefix = "jws-kubeconfig-";
constexpr std::string_view kHashPrefix = "sha256:";
constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";
constexpr std::string_view kBootstrappers = kNodeTokenGroup;
constexpr std::string_view kNodes = "system:nodes";

/// Takes as long whatever differs.
bool same_bytes(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

PolicyRule rule(std::vector<std::string> verbs, std::string group, std::string resource, std::string name = {}) {
  PolicyRule out;
  out.verbs = std::move(verbs);
  out.api_groups = {std::move(group)};
  out.resources = {std::move(resource)};
  if (!name.empty()) out.resource_names = {std::move(name)};
  return out;
}

Subject subject(std::string_view kind, std::string_view name) {
  Subject out;
  out.api_group = kRbacGroup;
  out.kind = kind;
  out.name = name;
  return out;
}

template <typename Binding>
Binding binding(std::string_view name, std::string_view ns, std::string_view role_kind, std::string_view role,
                std::vector<Subject> subjects) {
  Binding out;
  out.metadata.name = name;
  out.metadata.namespace_ = ns;
  out.role_ref.api_group = kRbacGroup;
  out.role_ref.kind = role_kind;
  out.role_ref.name = role;
  out.subjects = std::move(subjects);
  return out;
}

ClusterRoleBinding cluster_binding(std::string_view name, std::string_view role, std::string_view group) {
  return binding<ClusterRoleBinding>(name, "", "ClusterRole", role, {subject("Group", group)});
}

Role reader(std::string_view name, std::string_view ns, std::string_view map) {
  Role role;
  role.metadata.name = name;
  role.metadata.namespace_ = ns;
  role.rules = {rule({"get"}, "", "configmaps", std::string(map))};
  return role;
}

/// Creates the object, or lets `update` bring what is there up to date.
template <typename T, typename Update>
Status ensure(client::Client& client, const T& wanted, Update update) {
  Status created = client.create(wanted).status();
  if (!created.is(Reason::kAlreadyExists)) return created;
  TRY_ASSIGN(T present, client.template get<T>(wanted.metadata.namespace_, wanted.metadata.name));
  const std::string before = api::encode_json(present);
  update(present);
  return api::encode_json(present) == before ? Status() : client.update(present).status();
}

template <typename T>
Status ensure_role(client::Client& client, const T& wanted) {
  return ensure(client, wanted, [&](T& present) { present.rules = wanted.rules; });
}

template <typename T>
Status ensure_binding(client::Client& client, const T& wanted) {
  return ensure(client, wanted, [&](T& present) { present.subjects = wanted.subjects; });
}

Status ensure_map(client::Client& client, const ConfigMap& wanted) {
  return ensure(client, wanted, [&](ConfigMap& present) {
    for (const auto& [key, value] : wanted.data) present.data[key] = value;
  });
}

}  // namespace

ConfigMap cluster_info_map(const ClusterAddress& address) {
  ConfigMap map;
  map.metadata.name = kClusterInfo;
  map.metadata.namespace_ = kPublicNamespace;
  client::KubeconfigCluster cluster;
  cluster.server = address.server;
  cluster.ca_pem = address.ca_pem;
  map.data[std::string(kKubeconfig)] = client::kubeconfig_text("", "", cluster, {});
  return map;
}

Result<ClusterAddress> read_cluster_info(const ConfigMap& map) {
  TRY_ASSIGN(const client::Kubeconfig config, client::parse_kubeconfig(map.data.get(kKubeconfig), "/nonexistent"));
  if (config.clusters.size() != 1) {
    return Status::bad_request(fmt::format("cluster-info names {} clusters, not one", config.clusters.size()));
  }
  const client::KubeconfigCluster& cluster = config.clusters.begin()->second;
  if (!cluster.server.starts_with("https://") || cluster.ca_pem.empty()) {
    return Status::bad_request("cluster-info lacks the server's address or its certificate authority");
  }
  return ClusterAddress{cluster.server, cluster.ca_pem};
}

Status check_signature(const ConfigMap& map, const BootstrapToken& token) {
  const std::string signature = map.data.get(std::string(kSignaturePrefix) + token.id);
  if (signature.empty()) {
    return Status::unauthorized(
        fmt::format("the cluster does not know the token {}.…, or it has expired; `trireme token create "
                    "--print-join-command` on the server makes a new one",
                    token.id));
  }
  TRY_ASSIGN(const std::string expected, net::sign_detached_hs256(map.data.get(kKubeconfig), token.secret, token.id));
  // Made anew and compared, as kubeadm does: nothing that the map itself says decides how it is checked.
  if (same_bytes(signature, expected)) return {};
  return Status::unauthorized(fmt::format(
      "the token's secret is wrong: the cluster's signature by the token {}.… was made with another one", token.id));
}

bool has_signature(const ConfigMap& map, const BootstrapToken& token) {
  return !map.data.get(std::string(kSignaturePrefix) + token.id).empty();
}

Result<std::string> normal_ca_hash(std::string_view text) {
  std::string hash(text);
  std::ranges::transform(hash, hash.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  if (!hash.starts_with(kHashPrefix)) hash = std::string(kHashPrefix) + hash;
  const std::string_view digits = std::string_view(hash).substr(kHashPrefix.size());
  if (digits.size() == 64 && digits.find_first_not_of("0123456789abcdef") == std::string_view::npos) return hash;
  return Status::bad_request(
      "the hash of the certificate authority does not have the form sha256:<64 hexadecimal digits>");
}

Status check_ca(std::string_view ca_pem, const std::vector<std::string>& hashes) {
  TRY_ASSIGN(const std::string found, net::public_key_fingerprint(ca_pem));
  if (std::ranges::find(hashes, found) != hashes.end()) return {};
  return Status::unauthorized(
      fmt::format("this is another cluster, or somebody stands between: its certificate authority has the hash {}, "
                  "and the command asks for {}",
                  found, fmt::join(hashes, " or ")));
}

ConfigMap facts_map(const ClusterFacts& facts) {
  ConfigMap map;
  map.metadata.name = kClusterFacts;
  map.metadata.namespace_ = kSystemNamespace;
  map.data["clusterCIDR"] = facts.cluster_cidr;
  map.data["serviceCIDR"] = facts.service_cidr;
  map.data["clusterDomain"] = facts.cluster_domain;
  map.data["network"] = facts.network;
  map.data["clusterDNS"] = facts.cluster_dns;
  return map;
}

ClusterFacts read_facts(const ConfigMap& map) {
  return {map.data.get("clusterCIDR"), map.data.get("serviceCIDR"), map.data.get("clusterDomain"),
          map.data.get("clusterDNS"), map.data.get("network")};
}

Status open_cluster(client::Client client, const ClusterAddress& address, const ClusterFacts& facts) {
  TRY(ensure_map(client, facts_map(facts)));
  TRY(ensure_role(client, reader("system:trireme-cluster", kSystemNamespace, kClusterFacts)));
  TRY(ensure_binding(client, binding<RoleBinding>("system:trireme-cluster", kSystemNamespace, "Role",
                                                  "system:trireme-cluster", {subject("Group", kNodes)})));
  TRY(ensure_role(client, reader("kubeadm:bootstrap-signer-clusterinfo", kPublicNamespace, kClusterInfo)));
  TRY(ensure_binding(
      client, binding<RoleBinding>("kubeadm:bootstrap-signer-clusterinfo", kPublicNamespace, "Role",
                                   "kubeadm:bootstrap-signer-clusterinfo", {subject("User", "system:anonymous")})));
  // By which a joining machine sees that no living node has its name.
  ClusterRole get_nodes;
  get_nodes.metadata.name = "kubeadm:get-nodes";
  get_nodes.rules = {rule({"get"}, "", "nodes")};
  TRY(ensure_role(client, get_nodes));
  TRY(ensure_binding(client, cluster_binding("kubeadm:get-nodes", "kubeadm:get-nodes", kBootstrappers)));
  TRY(ensure_binding(client, cluster_binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", kBootstrappers)));
  TRY(ensure_binding(
      client, cluster_binding("kubeadm:node-autoapprove-bootstrap",
                              "system:certificates.k8s.io:certificatesigningrequests:nodeclient", kBootstrappers)));
  TRY(ensure_binding(client,
                     cluster_binding("kubeadm:node-autoapprove-certificate-rotation",
                                     "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", kNodes)));
  return update_cluster_address(std::move(client), address);
}

Status update_cluster_address(client::Client client, const ClusterAddress& address) {
  return ensure_map(client, cluster_info_map(address));
}

}  // namespace trireme::join
