#include "apiserver/authz/node.h"

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/authz/rbac.h"

namespace trireme::apiserver::authz {
namespace {

using api::corev1::Container;
using api::corev1::Pod;
using api::rbacv1::PolicyRule;

constexpr std::string_view kUserPrefix = "system:node:";
constexpr std::string_view kNodesGroup = "system:nodes";

PolicyRule rule(std::vector<std::string> verbs, std::string group, std::vector<std::string> resources) {
  PolicyRule result;
  result.verbs = std::move(verbs);
  result.api_groups = {std::move(group)};
  result.resources = std::move(resources);
  return result;
}

/// Calls `test` with every container of the pod, whatever its kind; true as soon as it returns true.
template <typename Test>
bool any_container(const Pod& pod, Test test) {
  auto matches = [&](const auto& container) { return test(container.env, container.env_from); };
  return std::any_of(pod.spec.containers.begin(), pod.spec.containers.end(), matches) ||
         std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(), matches) ||
         std::any_of(
             pod.spec.ephemeral_containers.begin(), pod.spec.ephemeral_containers.end(), [&](const auto& container) {
               return test(container.ephemeral_container_common.env, container.ephemeral_container_common.env_from);
             });
}

}  // namespace

std::vector<PolicyRule> node_rules() {
  return {
      rule({"create"}, "authentication.k8s.io", {"tokenreviews"}),
      rule({"create"}, "authorization.k8s.io", {"localsubjectaccessreviews", "subjectaccessreviews"}),
      rule({"get", "list", "watch"}, "", {"services"}),
      rule({"create", "get", "list", "watch", "delete", "patch", "update"}, "", {"nodes"}),
      rule({"patch", "update"}, "", {"nodes/status"}),
      rule({"create", "patch", "update"}, "", {"events"}),
      rule({"create", "patch", "update"}, "events.k8s.io", {"events"}),
      rule({"get", "list", "watch", "create", "delete"}, "", {"pods"}),
      rule({"patch", "update"}, "", {"pods/status"}),
      rule({"create"}, "", {"pods/eviction"}),
      rule({"get", "list", "watch"}, "", {"configmaps", "secrets"}),
      rule({"get"}, "", {"persistentvolumeclaims", "persistentvolumes", "endpoints"}),
      rule({"update", "patch"}, "", {"persistentvolumeclaims/status"}),
      rule({"create"}, "", {"serviceaccounts/token"}),
      rule({"create", "get", "list", "watch"}, "certificates.k8s.io", {"certificatesigningrequests"}),
      rule({"create", "delete", "get", "patch", "update"}, "coordination.k8s.io", {"leases"}),
      rule({"get"}, "storage.k8s.io", {"volumeattachments"}),
      rule({"get", "list", "watch"}, "storage.k8s.io", {"csidrivers"}),
      rule({"create", "delete", "get", "patch", "update"}, "storage.k8s.io", {"csinodes"}),
      rule({"get", "list", "watch"}, "node.k8s.io", {"runtimeclasses"}),
  };
}

std::string node_of_user(const authn::UserInfo& user) {
  if (!user.name.starts_with(kUserPrefix) || !user.in_group(kNodesGroup)) return {};
  return user.name.substr(kUserPrefix.size());
}

namespace {

/// Calls `test` with the name of every secret the pod's spec uses; true as soon as it returns true.
template <typename Test>
bool any_secret(const Pod& pod, Test test) {
  for (const auto& reference : pod.spec.image_pull_secrets) {
    if (test(reference.name)) return true;
  }
  for (const auto& volume : pod.spec.volumes) {
    const auto& source = volume.volume_source;
    if (source.secret && test(source.secret->secret_name)) return true;
    if (source.projected) {
      for (const auto& part : source.projected->sources) {
        if (part.secret && test(part.secret->local_object_reference.name)) return true;
      }
    }
    if (source.csi && source.csi->node_publish_secret_ref && test(source.csi->node_publish_secret_ref->name)) {
      return true;
    }
  }
  return any_container(pod, [&](const auto& env, const auto& env_from) {
    for (const auto& variable : env) {
      const auto& from = variable.value_from;
      if (from && from->secret_key_ref && test(from->secret_key_ref->local_object_reference.name)) return true;
    }
    for (const auto& source : env_from) {
      if (source.secret_ref && test(source.secret_ref->local_object_reference.name)) return true;
    }
    return false;
  });
}

/// The same for config maps.
template <typename Test>
bool any_config_map(const Pod& pod, Test test) {
  for (const auto& volume : pod.spec.volumes) {
    const auto& source = volume.volume_source;
    if (source.config_map && test(source.config_map->local_object_reference.name)) return true;
    if (source.projected) {
      for (const auto& part : source.projected->sources) {
        if (part.config_map && test(part.config_map->local_object_reference.name)) return true;
      }
    }
  }
  return any_container(pod, [&](const auto& env, const auto& env_from) {
    for (const auto& variable : env) {
      const auto& from = variable.value_from;
      if (from && from->config_map_key_ref && test(from->config_map_key_ref->local_object_reference.name)) return true;
    }
    for (const auto& source : env_from) {
      if (source.config_map_ref && test(source.config_map_ref->local_object_reference.name)) return true;
    }
    return false;
  });
}

/// The same for claims, those made for ephemeral volumes included.
template <typename Test>
bool any_claim(const Pod& pod, Test test) {
  for (const auto& volume : pod.spec.volumes) {
    const auto& source = volume.volume_source;
    if (source.persistent_volume_claim && test(source.persistent_volume_claim->claim_name)) return true;
    if (source.ephemeral && test(pod.metadata.name + "-" + volume.name)) return true;
  }
  return false;
}

auto equals(std::string_view name) {
  return [name](std::string_view used) { return used == name; };
}

}  // namespace

bool pod_uses_secret(const Pod& pod, std::string_view name) { return any_secret(pod, equals(name)); }
bool pod_uses_config_map(const Pod& pod, std::string_view name) { return any_config_map(pod, equals(name)); }
bool pod_uses_claim(const Pod& pod, std::string_view name) { return any_claim(pod, equals(name)); }

std::string_view object_used_by(const Pod& pod) {
  auto any = [](std::string_view) { return true; };
  if (!pod.spec.service_account_name.empty()) return "a service account";
  if (any_secret(pod, any)) return "secrets";
  if (any_config_map(pod, any)) return "configmaps";
  if (any_claim(pod, any)) return "persistentvolumeclaims";
  return {};
}

NodeAuthorizer::NodeAuthorizer(std::shared_ptr<Caches> caches) : caches_(std::move(caches)), rules_(node_rules()) {}

template <typename Uses>
Decision NodeAuthorizer::allow_if_used(const std::string& node, const Attributes& attributes, Uses uses) {
  if (attributes.name.empty()) return Decision::no_opinion("can only read resources of this type by name");
  auto pods = caches_->list<Pod>(attributes.namespace_);
  if (!pods.ok()) return Decision::no_opinion(pods.status().message());
  for (const auto& pod : *pods) {
    if (pod->spec.node_name == node && uses(*pod)) return Decision::allow();
  }
  return Decision::no_opinion(fmt::format("no relationship found between node '{}' and this object", node));
}

Decision NodeAuthorizer::authorize_own(const std::string& own_name, const Attributes& attributes) const {
  // A create's name is in the body; the admission plugin NodeRestriction sees to that.
  if (attributes.verb == "create" || attributes.name == own_name) return Decision::allow();
  return Decision::no_opinion(
      fmt::format("can only access {} with the same name as the requesting node", attributes.resource));
}

Decision NodeAuthorizer::authorize(const Attributes& attributes) {
  std::string node = node_of_user(attributes.user);
  if (node.empty()) return Decision::no_opinion();
  bool listed = std::any_of(rules_.begin(), rules_.end(),
                            [&](const PolicyRule& candidate) { return rule_allows(candidate, attributes); });
  if (!listed) return Decision::no_opinion();

  std::string_view name = attributes.name;
  if (attributes.group.empty()) {
    if (attributes.resource == "secrets") {
      return allow_if_used(node, attributes, [&](const Pod& pod) { return pod_uses_secret(pod, name); });
    }
    if (attributes.resource == "configmaps") {
      return allow_if_used(node, attributes, [&](const Pod& pod) { return pod_uses_config_map(pod, name); });
    }
    if (attributes.resource == "persistentvolumeclaims") {
      return allow_if_used(node, attributes, [&](const Pod& pod) { return pod_uses_claim(pod, name); });
    }
    if (attributes.resource == "serviceaccounts") {
      return allow_if_used(node, attributes, [&](const Pod& pod) { return pod.spec.service_account_name == name; });
    }
    if (attributes.resource == "nodes" && attributes.verb == "delete") return authorize_own(node, attributes);
  }
  if (attributes.resource == "leases") {
    if (attributes.namespace_ != "kube-node-lease") {
      return Decision::no_opinion("can only access leases in the \"kube-node-lease\" system namespace");
    }
    return authorize_own(node, attributes);
  }
  if (attributes.resource == "csinodes") return authorize_own(node, attributes);
  return Decision::allow();
}

UserRules NodeAuthorizer::rules_for(const authn::UserInfo& user, std::string_view) {
  UserRules result;
  if (node_of_user(user).empty()) return result;
  // Some rules hold for the node's own objects only, which a list of rules cannot say.
  result.incomplete = true;
  result.evaluation_error = "node authorizer does not support user rule resolution";
  return result;
}

}  // namespace trireme::apiserver::authz
