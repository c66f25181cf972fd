#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/result.h"
#include "client/client.h"
#include "join/bootstrap_token.h"

/// What a machine that joins may know of the cluster before it trusts it, and after.
namespace trireme::join {

inline constexpr std::string_view kPublicNamespace = "kube-public";
inline constexpr std::string_view kClusterInfo = "cluster-info";
inline constexpr std::string_view kSystemNamespace = "kube-system";
inline constexpr std::string_view kClusterFacts = "trireme-cluster";

/// Where the API server is and by whose signature it is known: the map kube-public/cluster-info holds it as a
/// kubeconfig without a user, open to everybody and signed by the bootstrap tokens.
struct ClusterAddress {
  std::string server;  ///< "https://192.0.2.1:6443"
  std::string ca_pem;
};

api::corev1::ConfigMap cluster_info_map(const ClusterAddress& address);
/// BadRequest when the map's kubeconfig is none or lacks what is needed.
Result<ClusterAddress> read_cluster_info(const api::corev1::ConfigMap& map);
/// That the map was signed by the holder of `token` (a detached JSON Web Signature, HMAC-SHA256). Unauthorized tells
/// an unknown or expired token from one with the wrong secret.
Status check_signature(const api::corev1::ConfigMap& map, const BootstrapToken& token);

/// Whether the token has signed the map at all.
bool has_signature(const api::corev1::ConfigMap& map, const BootstrapToken& token);

/// "sha256:<64 hexadecimal digits>", in lower case; a missing "sha256:" is added. BadRequest for anything else.
Result<std::string> normal_ca_hash(std::string_view text);
/// That the authority's public key is one of `hashes` (of `normal_ca_hash`).
Status check_ca(std::string_view ca_pem, const std::vector<std::string>& hashes);

/// What a node must know of the cluster that its Node object does not tell: kube-system/trireme-cluster, readable by
/// nodes.
struct ClusterFacts {
  std::string cluster_cidr;
  std::string service_cidr;
  std::string cluster_domain = "cluster.local";
  std::string cluster_dns;  ///< --cluster-dns of the server, with commas; empty: the usual address.
  std::string network;  ///< How pods of different machines reach each other: "none", or a net-conf.json of flannel's.
};
api::corev1::ConfigMap facts_map(const ClusterFacts& facts);
ClusterFacts read_facts(const api::corev1::ConfigMap& map);

/// Lets machines join: writes the two maps and the roles and bindings by which bootstrap tokens may ask for node
/// certificates and nodes renew theirs (under kubeadm's names, so that its tokens work too). Acts as `client`, who
/// must be an administrator. What exists is brought up to date; signatures in cluster-info stay.
Status open_cluster(client::Client client, const ClusterAddress& address, const ClusterFacts& facts);

/// Only the address in cluster-info: after it has changed.
Status update_cluster_address(client::Client client, const ClusterAddress& address);

}  // namespace trireme::join
