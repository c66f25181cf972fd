#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/compile.h"
#include "policy/ruleset.h"

namespace trireme::api::corev1 {
struct Pod;
struct Namespace;
}  // namespace trireme::api::corev1

namespace trireme::policy {

/// What the policies, pods and namespaces of a cluster mean for one node, kept up to date object by object: every call
/// costs in the order of what it changes, and `take_changes` tells what that is. A model that was told the same objects
/// in any order comes to the same rules. No I/O; not thread-safe.
///
/// Pods on the host's network, and pods that have ended, are not selected by anything. Of two pods that claim one
/// address, the one that came to it last has it.
class Model {
 public:
  using Policy = std::shared_ptr<const api::networkingv1::NetworkPolicy>;
  using Pod = std::shared_ptr<const api::corev1::Pod>;
  using Namespace = std::shared_ptr<const api::corev1::Namespace>;

  /// `node_name`: pods bound to it are the ones that rules are made for.
  explicit Model(std::string node_name);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  void set_policy(const Policy& policy);
  /// With `uid` only the one of that identity, not one that has taken its name; the same for pods.
  void remove_policy(std::string_view ns, std::string_view name, std::string_view uid = {});
  void set_namespace(const Namespace& ns);
  void remove_namespace(std::string_view name);
  /// A pod that is older than the one that is known is ignored.
  void set_pod(const Pod& pod);
  void remove_pod(std::string_view ns, std::string_view name, std::string_view uid = {});
  /// The addresses that the node's agent gave to its pod, which its status may not tell yet; none: as its status says.
  void set_sandbox(const std::string& uid, std::vector<Address> addresses);

  /// The known one, or null.
  Policy policy(std::string_view ns, std::string_view name) const;
  bool has_policies() const { return policy_count_ > 0; }
  size_t policy_count() const { return policy_count_; }

  /// What has changed since the last call.
  Changes take_changes();
  /// All there is, as if nothing of it were applied. Takes the changes, too.
  Changes everything();

 private:
  struct SetState;
  struct ChainState;
  struct PolicyState;
  struct PodState;
  struct NamespaceState;
  struct PeerState;
  /// Something that counts who needs it, and of which the kernel may know.
  struct Tracked {
    int references = 0;
    bool told = false;
  };

  NamespaceState& namespace_state(std::string_view name);
  void drop_if_empty(std::string_view name);

  SetState& acquire_set(const SetInfo& info);
  void release_set(const std::string& name);
  void change(SetState& set, const Element& element, bool add, const std::string& chain = {});
  ChainState& acquire_chain(Chain chain);
  void release_chain(const std::string& name);
  void acquire_peer(const PeerKey& key);
  void acquire_ports(const PortKey& key);
  void acquire_ranges(const RangeSet& ranges);
  void acquire(const CompiledPolicy& policy);
  void release(const PolicyState& policy);
  void remove_unused_peers();
  void remove_unused_ports();

  static bool selects(const PeerState& peer, const NamespaceState& ns);
  std::vector<Address> addresses_of(const api::corev1::Pod& pod) const;
  bool owns(const PodState& pod, const Address& address) const;
  void refresh(PodState& state, const Pod& pod);
  void join_peers(PodState& state);
  void contribute(const PodState& state, const Address& address, bool add);
  void contribute_ports(const PodState& state, const Address& address, bool add, const PortKey* only = nullptr);
  void contribute_chains(const PodState& state, const Address& address, bool add);
  void refresh_namespace(NamespaceState& ns);
  void erase_pod(NamespaceState& ns, PodState& state);

  ChainState* acquire_pods_chain(const PodState& state, Direction direction);
  void update_pods_chains();
  Changes collect();

  const std::string node_name_;
  size_t policy_count_ = 0;
  std::map<std::string, std::unique_ptr<NamespaceState>, std::less<>> namespaces_;
  std::unordered_map<Address, std::vector<PodState*>, AddressHash> owners_;  ///< The last one has the address.
  std::unordered_map<std::string, std::vector<Address>> sandboxes_;          ///< By the pod's uid.
  std::unordered_map<std::string, PodState*> local_by_uid_;

  std::map<std::string, SetState> sets_;
  std::map<std::string, ChainState> chains_;
  std::map<std::string, Tracked> counters_;
  std::map<std::string, std::unique_ptr<PeerState>> peers_;  ///< By PeerKey::text.
  std::vector<PeerState*> wide_peers_;                       ///< Those that select namespaces.
  std::map<PortKey, int> ports_;                             ///< To the number of policies that refer to it.

  // What the next take_changes has to look at.
  std::set<std::string> dirty_sets_;
  std::set<std::string> dirty_chains_;
  std::set<std::string> dirty_counters_;
  std::set<std::string> unused_peers_;
  std::set<PortKey> unused_ports_;
  std::set<NamespaceState*> dirty_namespaces_;  ///< Whose policies select other pods than before.
  std::set<PodState*> dirty_pods_;
};

}  // namespace trireme::policy
