#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/map.h"
#include "api/selectors.h"
#include "api/types/corev1.h"
#include "base/box.h"

/// What scheduling asks of a pod again and again, computed once.
namespace trireme::scheduler {

using PodPointer = std::shared_ptr<const api::corev1::Pod>;
using NodePointer = std::shared_ptr<const api::corev1::Node>;
using Labels = api::Map<std::string>;

/// Amounts of what nodes have and pods ask for.
struct Resources {
  int64_t milli_cpu = 0;
  int64_t memory = 0;             ///< bytes
  int64_t ephemeral_storage = 0;  ///< bytes
  int64_t pods = 0;               ///< How many pods a node takes; 0 in requests.
  api::Map<int64_t> scalar;       ///< Extended resources and huge pages, by name.

  void add(const Resources& other);
  void subtract(const Resources& other);
  /// Raises every amount to at least the other's.
  void raise_to(const Resources& other);
  /// Nothing but (perhaps) a place is asked for.
  bool nothing() const { return milli_cpu == 0 && memory == 0 && ephemeral_storage == 0 && scalar.empty(); }
  bool operator==(const Resources&) const = default;
};

/// Whether less of anything is asked for in `after`.
bool asks_less(const Resources& before, const Resources& after);

/// Reads a resource list; names that the scheduler does not count are left out.
Resources resources_of(const api::Map<Quantity>& list);

/// What the pod asks for: the sum of its containers and sidecars, or what the greediest init container needs beside the
/// sidecars started before it; then the overhead.
/// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
Resources pod_requests(const api::corev1::Pod& pod);

struct HostPort {
  std::string ip;        ///< "0.0.0.0" when the pod names none.
  std::string protocol;  ///< "TCP" when the pod names none.
  int32_t port = 0;

  /// Whether both cannot be open on one node.
  bool conflicts(const HostPort& other) const;
  bool operator==(const HostPort&) const = default;
};

/// One term of inter-pod (anti-)affinity, its selectors parsed. A term that does not parse matches nothing.
class AffinityTerm {
 public:
  AffinityTerm(const api::corev1::Pod& owner, const api::corev1::PodAffinityTerm& term, int32_t weight = 0);

  /// `namespace_labels` are those of the pod's namespace; null when it is not known.
  bool matches(const api::corev1::Pod& pod, const Labels* namespace_labels) const;
  const std::string& topology_key() const { return topology_key_; }
  int32_t weight() const { return weight_; }

 private:
  std::vector<std::string> namespaces_;
  api::LabelSelector selector_;
  api::LabelSelector namespace_selector_;
  std::string topology_key_;
  int32_t weight_;
};

/// A pod's own affinity and anti-affinity to pods, ready to be matched.
struct AffinityTerms {
  std::vector<AffinityTerm> required;
  std::vector<AffinityTerm> required_anti;
  std::vector<AffinityTerm> preferred;
  std::vector<AffinityTerm> preferred_anti;

  bool empty() const {
    return required.empty() && required_anti.empty() && preferred.empty() && preferred_anti.empty();
  }
};

/// A pod with its scheduling facts. Immutable; shared between queue, cache and threads.
struct PodInfo {
  PodPointer pod;
  Resources requests;
  /// For scoring: as the requests, but a container that names none counts as 100m and 200 MiB.
  int64_t non_zero_milli_cpu = 0;
  int64_t non_zero_memory = 0;
  int32_t priority = 0;
  std::vector<HostPort> host_ports;
  Box<AffinityTerms> affinity;  ///< Empty when the pod has none, as most pods.

  static std::shared_ptr<const PodInfo> make(PodPointer pod);

  /// The required placement (node selector and node affinity) as text, empty when there is none.
  std::string placement;
  /// All that filters which look at one node alone depend on, as text: equal shapes get equal verdicts.
  std::string shape() const;
  /// Namespace and labels as text: what other pods' terms select by.
  std::string identity() const;
  /// The pod's own affinity and anti-affinity to pods as text, with what it depends on.
  std::string affinity_key() const;

  const std::string& uid() const { return pod->metadata.uid; }
  bool has_affinity() const { return affinity.has_value(); }
  const std::vector<AffinityTerm>& required_affinity() const { return terms().required; }
  const std::vector<AffinityTerm>& required_anti_affinity() const { return terms().required_anti; }
  const std::vector<AffinityTerm>& preferred_affinity() const { return terms().preferred; }
  const std::vector<AffinityTerm>& preferred_anti_affinity() const { return terms().preferred_anti; }

 private:
  const AffinityTerms& terms() const;
};
using PodInfoPointer = std::shared_ptr<const PodInfo>;

/// The selector with `key in (value)` added for each of `keys` that the pod has as a label: matchLabelKeys; `op` is
/// kNotIn for mismatchLabelKeys. Selects nothing when `selector` is null or does not parse.
api::LabelSelector effective_selector(const api::metav1::LabelSelector* selector, const Labels& pod_labels,
                                      const std::vector<std::string>& match_keys,
                                      const std::vector<std::string>& mismatch_keys = {});

/// Succeeded or Failed: it holds nothing of its node any more.
bool is_finished(const api::corev1::Pod& pod);

}  // namespace trireme::scheduler
