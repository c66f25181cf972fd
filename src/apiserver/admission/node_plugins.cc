#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/types/authenticationv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/corev1.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/authz/node.h"

namespace trireme::apiserver::admission {
namespace {

using api::authenticationv1::TokenRequest;
using api::coordinationv1::Lease;
using api::corev1::Node;
using api::corev1::Pod;
using api::corev1::ServiceAccount;
using api::corev1::Taint;
using api::corev1::Toleration;

constexpr std::string_view kNotReadyTaint = "node.kubernetes.io/not-ready";
constexpr std::string_view kUnreachableTaint = "node.kubernetes.io/unreachable";
constexpr std::string_view kMirrorAnnotation = "kubernetes.io/config.mirror";
constexpr int64_t kDefaultTolerationSeconds = 300;

class DefaultTolerationSecondsPlugin final : public Plugin {
 public:
  std::string_view name() const override { return "DefaultTolerationSeconds"; }

  Status admit(Attributes& attributes) override {
    if (attributes.object == nullptr || !attributes.subresource.empty()) return {};
    Pod* pod = attributes.object->as<Pod>();
    if (pod == nullptr) return {};
    for (std::string_view key : {kNotReadyTaint, kUnreachableTaint}) {
      bool tolerated =
          std::any_of(pod->spec.tolerations.begin(), pod->spec.tolerations.end(), [&](const Toleration& each) {
            return (each.key == key || each.key.empty()) && (each.effect == "NoExecute" || each.effect.empty());
          });
      if (tolerated) continue;
      Toleration& added = pod->spec.tolerations.emplace_back();
      added.key = key;
      added.operator_ = "Exists";
      added.effect = "NoExecute";
      added.toleration_seconds = kDefaultTolerationSeconds;
    }
    return {};
  }
};

class TaintNodesByConditionPlugin final : public Plugin {
 public:
  std::string_view name() const override { return "TaintNodesByCondition"; }

  Status admit(Attributes& attributes) override {
    if (attributes.operation != Operation::kCreate || attributes.object == nullptr) return {};
    Node* node = attributes.object->as<Node>();
    if (node == nullptr) return {};
    bool tainted = std::any_of(node->spec.taints.begin(), node->spec.taints.end(), [](const Taint& taint) {
      return taint.key == kNotReadyTaint && taint.effect == "NoSchedule";
    });
    if (tainted) return {};
    Taint& taint = node->spec.taints.emplace_back();
    taint.key = kNotReadyTaint;
    taint.effect = "NoSchedule";
    return {};
  }
};

bool same_taints(const std::vector<Taint>& a, const std::vector<Taint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Taint& x, const Taint& y) {
    return x.key == y.key && x.value == y.value && x.effect == y.effect;
  });
}

/// Labels that a kubelet may set or change on its own node although they lie in Kubernetes' name space.
bool kubelet_may_set(std::string_view label) {
  size_t slash = label.find('/');
  std::string_view prefix = slash == std::string_view::npos ? std::string_view() : label.substr(0, slash);
  bool reserved = prefix == "kubernetes.io" || prefix.ends_with(".kubernetes.io") || prefix == "k8s.io" ||
                  prefix.ends_with(".k8s.io");
  if (!reserved) return true;
  if (prefix == "node-restriction.kubernetes.io" || prefix.ends_with(".node-restriction.kubernetes.io")) return false;
  if (prefix == "kubelet.kubernetes.io" || prefix.ends_with(".kubelet.kubernetes.io") ||
      prefix == "node.kubernetes.io" || prefix.ends_with(".node.kubernetes.io")) {
    return true;
  }
  static constexpr std::string_view kAllowed[] = {
      "kubernetes.io/hostname",
      "kubernetes.io/os",
      "kubernetes.io/arch",
      "beta.kubernetes.io/os",
      "beta.kubernetes.io/arch",
      "beta.kubernetes.io/instance-type",
      "failure-domain.beta.kubernetes.io/region",
      "failure-domain.beta.kubernetes.io/zone",
      "failure-domain.kubernetes.io/region",
      "failure-domain.kubernetes.io/zone",
      "topology.kubernetes.io/region",
      "topology.kubernetes.io/zone",
  };
  return std::find(std::begin(kAllowed), std::end(kAllowed), label) != std::end(kAllowed);
}

/// The labels that differ and that a kubelet may not change, joined with ", ".
template <typename Labels>
std::string forbidden_labels(const Labels& before, const Labels& after) {
  std::set<std::string_view> changed;
  for (const auto& [label, value] : after) {
    auto old = before.find(label);
    if (old == before.end() || old->second != value) changed.insert(label);
  }
  for (const auto& [label, value] : before) {
    if (!after.contains(label)) changed.insert(label);
  }
  std::erase_if(changed, kubelet_may_set);
  return fmt::format("{}", fmt::join(changed, ", "));
}

class NodeRestrictionPlugin final : public Plugin {
 public:
  explicit NodeRestrictionPlugin(std::shared_ptr<Caches> caches) : caches_(std::move(caches)) {}
  std::string_view name() const override { return "NodeRestriction"; }

  Status admit(Attributes& attributes) override {
    std::string node = authz::node_of_user(*attributes.user);
    if (node.empty()) return {};
    if (attributes.resource->type == &api::type_info<Node>()) return admit_node(node, attributes);
    if (attributes.resource->type == &api::type_info<Pod>()) return admit_pod(node, attributes);
    if (attributes.resource->type == &api::type_info<Lease>()) return admit_lease(node, attributes);
    if (attributes.resource->type == &api::type_info<ServiceAccount>()) return admit_token(node, attributes);
    return {};
  }

 private:
  static Status refuse(const Attributes& attributes, const std::string& node, std::string_view what) {
    return forbidden(attributes, fmt::format("node \"{}\" {}", node, what));
  }

  static Status admit_node(const std::string& node, Attributes& attributes) {
    const Node* updated = attributes.object != nullptr ? attributes.object->as<Node>() : nullptr;
    std::string_view name = attributes.name.empty() && updated != nullptr ? updated->metadata.name : attributes.name;
    if (name != node) return refuse(attributes, node, fmt::format("is not allowed to modify node \"{}\"", name));
    if (updated == nullptr) return {};
    const Node* before = attributes.old_object != nullptr ? attributes.old_object->as<Node>() : nullptr;
    if (before != nullptr && !same_taints(before->spec.taints, updated->spec.taints)) {
      return refuse(attributes, node, "is not allowed to modify taints");
    }
    static const decltype(updated->metadata.labels) none;
    std::string labels = forbidden_labels(before != nullptr ? before->metadata.labels : none, updated->metadata.labels);
    if (!labels.empty()) {
      return refuse(attributes, node,
                    fmt::format("is not allowed to {}: {}",
                                before != nullptr ? "modify labels" : "set the following labels", labels));
    }
    return {};
  }

  Status admit_pod(const std::string& node, Attributes& attributes) {
    if (attributes.operation == Operation::kCreate && attributes.subresource.empty()) {
      const Pod* pod = attributes.object->as<Pod>();
      if (!pod->metadata.annotations.contains(std::string(kMirrorAnnotation))) {
        return forbidden(attributes,
                         fmt::format("pod does not have \"{}\" annotation, node \"{}\" can only create mirror "
                                     "pods",
                                     kMirrorAnnotation, node));
      }
      if (pod->spec.node_name != node) {
        return refuse(attributes, node, "can only create pods with spec.nodeName set to itself");
      }
      // Or a node could read whatever object it names, by way of the node authorizer.
      if (std::string_view used = authz::object_used_by(*pod); !used.empty()) {
        return refuse(attributes, node, fmt::format("can not create pods that reference {}", used));
      }
      return {};
    }
    auto pod = caches_->get<Pod>(attributes.ns, attributes.name);
    if (!pod.ok()) return {};  // the registry answers what is not there
    if ((*pod)->spec.node_name != node) {
      return refuse(attributes, node,
                    attributes.operation == Operation::kDelete
                        ? "can only delete pods with spec.nodeName set to itself"
                        : "can only update pod status for pods with spec.nodeName set to itself");
    }
    return {};
  }

  /// A kubelet gets tokens only for pods that run on its node, and bound to them.
  Status admit_token(const std::string& node, const Attributes& attributes) {
    const TokenRequest* request = attributes.object != nullptr ? attributes.object->as<TokenRequest>() : nullptr;
    if (attributes.subresource != "token" || request == nullptr) return {};
    const auto& bound = request->spec.bound_object_ref;
    if (!bound || bound->kind != "Pod" || bound->api_version != "v1" || bound->name.empty()) {
      return refuse(attributes, node, "requested token not bound to a pod");
    }
    if (bound->uid.empty()) return refuse(attributes, node, "requested token with a pod binding without a uid");
    auto pod = caches_->get<Pod>(attributes.ns, bound->name);
    if (!pod.ok()) return pod.status();
    if ((*pod)->metadata.uid != bound->uid) {
      return refuse(attributes, node, "requested token bound to a pod of another uid");
    }
    if ((*pod)->spec.node_name != node) {
      return refuse(attributes, node, "requested token bound to a pod scheduled on a different node");
    }
    return {};
  }

  static Status admit_lease(const std::string& node, const Attributes& attributes) {
    std::string_view name = attributes.name;
    if (name.empty() && attributes.object != nullptr) name = attributes.object->metadata().name;
    if (attributes.ns == "kube-node-lease" && name == node) return {};
    return refuse(attributes, node, "can only access node lease with the same name as the requesting node");
  }

  std::shared_ptr<Caches> caches_;
};

}  // namespace

std::shared_ptr<Plugin> default_toleration_seconds_plugin() {
  return std::make_shared<DefaultTolerationSecondsPlugin>();
}

std::shared_ptr<Plugin> taint_nodes_by_condition_plugin() { return std::make_shared<TaintNodesByConditionPlugin>(); }

std::shared_ptr<Plugin> node_restriction_plugin(std::shared_ptr<Caches> caches) {
  return std::make_shared<NodeRestrictionPlugin>(std::move(caches));
}

}  // namespace trireme::apiserver::admission
