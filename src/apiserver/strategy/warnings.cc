// Warning headers for objects that are accepted though part of them is deprecated or does nothing.

#include <fmt/format.h>

#include <map>
#include <set>
#include <tuple>

#include "api/structural/check_schema.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/corev1.h"
#include "api/types/networkingv1.h"
#include "api/validation/field.h"
#include "api/validation/pod_parts.h"
#include "apiserver/strategy/strategy.h"

namespace trireme::apiserver::strategy {
namespace {

using namespace api;  // NOLINT: kinds of several groups
using api::go_quote;
using validation::Path;
using Warnings = std::vector<std::string>;

struct Deprecated {
  std::string_view name;
  std::string_view message;
};

constexpr Deprecated kNodeLabels[] = {
    {"beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
    {"beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"},
    {"failure-domain.beta.kubernetes.io/region",
     "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
    {"failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
    {"beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"},
};

constexpr Deprecated kPodAnnotations[] = {
    {"scheduler.alpha.kubernetes.io/critical-pod",
     "non-functional in v1.16+; use the \"priorityClassName\" field instead"},
    {"security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"},
    {"security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"},
};

constexpr std::string_view kSeccompPod = "seccomp.security.alpha.kubernetes.io/pod";
constexpr std::string_view kSeccompContainer = "container.seccomp.security.alpha.kubernetes.io/";
constexpr std::string_view kAppArmor = "container.apparmor.security.beta.kubernetes.io/";
constexpr std::string_view kUseSeccompField = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

std::string_view deprecated_label(std::string_view name) {
  for (const Deprecated& label : kNodeLabels) {
    if (label.name == name) return label.message;
  }
  return {};
}

void warn(Warnings& out, const Path& at, std::string_view message) {
  out.push_back(fmt::format("{}: {}", at.str(), message));
}

void warn_node_term(const corev1::NodeSelectorTerm& term, const Path& at, Warnings& out) {
  for (size_t i = 0; i < term.match_expressions.size(); ++i) {
    const std::string& key = term.match_expressions[i].key;
    if (const auto message = deprecated_label(key); !message.empty()) {
      warn(out, at.child("matchExpressions").index(i).child("key"), fmt::format("{} is {}", key, message));
    }
  }
}

void warn_placement(const corev1::PodSpec& spec, const Path& at, Warnings& out) {
  for (const auto& [key, value] : spec.node_selector) {
    if (const auto message = deprecated_label(key); !message.empty()) {
      warn(out, at.child("nodeSelector").key(key), message);
    }
  }
  if (spec.affinity && spec.affinity->node_affinity) {
    const auto& node = *spec.affinity->node_affinity;
    const Path path = at.child("affinity", "nodeAffinity");
    if (const auto& required = node.required_during_scheduling_ignored_during_execution) {
      const Path terms = path.child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
      for (size_t i = 0; i < required->node_selector_terms.size(); ++i) {
        warn_node_term(required->node_selector_terms[i], terms.index(i), out);
      }
    }
    const auto& preferred = node.preferred_during_scheduling_ignored_during_execution;
    for (size_t i = 0; i < preferred.size(); ++i) {
      warn_node_term(preferred[i].preference,
                     path.child("preferredDuringSchedulingIgnoredDuringExecution").index(i).child("preference"), out);
    }
  }
  for (size_t i = 0; i < spec.topology_spread_constraints.size(); ++i) {
    const auto& constraint = spec.topology_spread_constraints[i];
    const Path path = at.child("topologySpreadConstraints").index(i);
    if (const auto message = deprecated_label(constraint.topology_key); !message.empty()) {
      warn(out, path.child("topologyKey"), fmt::format("{} is {}", constraint.topology_key, message));
    }
    if (!constraint.label_selector) {
      warn(out, path.child("labelSelector"), "a null labelSelector results in matching no pod");
    }
  }
}

void warn_volumes(const corev1::PodSpec& spec, const Path& at, Warnings& out) {
  for (size_t i = 0; i < spec.volumes.size(); ++i) {
    const auto& source = spec.volumes[i].volume_source;
    const Path path = at.child("volumes").index(i);
    const std::tuple<bool, std::string_view, std::string_view> kinds[] = {
        {source.photon_persistent_disk.has_value(), "photonPersistentDisk",
         "deprecated in v1.11, non-functional in v1.16+"},
        {source.git_repo.has_value(), "gitRepo", "deprecated in v1.11"},
        {source.scale_io.has_value(), "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
        {source.flocker.has_value(), "flocker", "deprecated in v1.22, non-functional in v1.25+"},
        {source.storageos.has_value(), "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
        {source.quobyte.has_value(), "quobyte", "deprecated in v1.22, non-functional in v1.25+"},
        {source.glusterfs.has_value(), "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
        {source.cephfs.has_value(), "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
        {source.rbd.has_value(), "rbd", "deprecated in v1.28, non-functional in v1.31+"}};
    for (const auto& [set, name, message] : kinds) {
      if (set) warn(out, path.child(name), message);
    }
  }
}

void warn_fraction(const Map<Quantity>& list, const Path& at, Warnings& out) {
  for (const char* name : {"memory", "ephemeral-storage"}) {
    const auto quantity = list.find(name);
    if (quantity == list.end() || quantity->second.milli_value() % 1000 == 0) continue;
    warn(
        out, at.key(name),
        fmt::format("fractional byte value {} is invalid, must be an integer", go_quote(quantity->second.to_string())));
  }
}

template <typename Env>
void warn_env(const Env& env, const Path& at, Warnings& out) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < env.size(); ++i) {
    if (seen.insert(env[i].name).second) continue;
    // X=$(X)more extends the earlier value; anything else hides it.
    const std::string reference = "$(" + env[i].name + ")";
    if (env[i].value_from || env[i].value == reference || env[i].value.find(reference) == std::string::npos) {
      warn(
          out, at.index(i),
          fmt::format("hides previous definition of {}, which may be dropped when using apply", go_quote(env[i].name)));
    }
  }
}

void warn_ports(const corev1::PodSpec& spec, const Path& at, Warnings& out) {
  struct Seen {
    std::string path;
    const corev1::ContainerPort* port;
  };
  std::map<std::string, std::vector<Seen>> all;
  validation::visit_containers(spec, at, [&](const auto& container, const Path& path) {
    for (size_t i = 0; i < container.ports.size(); ++i) {
      const auto& port = container.ports[i];
      const Path port_path = path.child("ports").index(i);
      auto& others = all[fmt::format("{}/{}", port.container_port, port.protocol)];
      for (const Seen& other : others) {
        if (port.host_ip == other.port->host_ip && port.host_port == other.port->host_port) {
          warn(out, port_path, "duplicate port definition with " + other.path);
        } else if (port.host_port == 0 || other.port->host_port == 0) {
          warn(out, port_path, "overlapping port definition with " + other.path);
        } else if (port.host_port == other.port->host_port && (port.host_ip.empty() || other.port->host_ip.empty())) {
          warn(out, port_path, "overlapping port definition with " + other.path);
        }
      }
      others.push_back({port_path.str(), &port});
    }
  });
}

void warn_duplicates(const corev1::PodSpec& spec, const Path& at, Warnings& out) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < spec.host_aliases.size(); ++i) {
    if (!seen.insert(spec.host_aliases[i].ip).second) {
      warn(out, at.child("hostAliases").index(i).child("ip"), "duplicate ip " + go_quote(spec.host_aliases[i].ip));
    }
  }
  seen.clear();
  for (size_t i = 0; i < spec.image_pull_secrets.size(); ++i) {
    const std::string& name = spec.image_pull_secrets[i].name;
    const Path path = at.child("imagePullSecrets").index(i).child("name");
    if (!seen.insert(name).second) warn(out, path, "duplicate name " + go_quote(name));
    if (name.empty()) warn(out, path, "invalid empty name \"\"");
  }
}

/// `root` is empty for pods, the template's path otherwise.
void warn_pod(const metav1::ObjectMeta& meta, const corev1::PodSpec& spec, const Path& root, Warnings& out) {
  const Path at = root.child("spec");
  const Path annotations = root.child("metadata", "annotations");
  warn_placement(spec, at, out);
  for (const Deprecated& annotation : kPodAnnotations) {
    if (meta.annotations.contains(annotation.name)) warn(out, annotations.key(annotation.name), annotation.message);
  }
  warn_volumes(spec, at, out);
  warn_duplicates(spec, at, out);
  warn_fraction(spec.overhead, at.child("overhead"), out);
  const bool pod_seccomp = spec.security_context && spec.security_context->seccomp_profile;
  const bool pod_apparmor = spec.security_context && spec.security_context->app_armor_profile;
  if (!pod_seccomp && meta.annotations.contains(kSeccompPod)) warn(out, annotations.key(kSeccompPod), kUseSeccompField);
  validation::visit_containers(spec, at, [&](const auto& container, const Path& path) {
    const auto& context = container.security_context;
    const std::string seccomp = std::string(kSeccompContainer) + container.name;
    if (!(context && context->seccomp_profile) && meta.annotations.contains(seccomp)) {
      warn(out, annotations.key(seccomp), kUseSeccompField);
    }
    const std::string apparmor = std::string(kAppArmor) + container.name;
    if (!pod_apparmor && !(context && context->app_armor_profile) && meta.annotations.contains(apparmor)) {
      warn(out, annotations.key(apparmor), "deprecated since v1.30; use the \"appArmorProfile\" field instead");
    }
    warn_fraction(container.resources.limits, path.child("resources", "limits"), out);
    warn_fraction(container.resources.requests, path.child("resources", "requests"), out);
    warn_env(container.env, path.child("env"), out);
  });
  warn_ports(spec, at, out);
}

void warn_template(const corev1::PodTemplateSpec& pod_template, const Path& at, Warnings& out) {
  warn_pod(pod_template.metadata, pod_template.spec, at, out);
}

void warn_service(const corev1::Service& service, Warnings& out) {
  constexpr std::string_view kHints = "service.kubernetes.io/topology-aware-hints";
  if (service.metadata.annotations.contains(kHints)) {
    warn(out, Path("metadata.annotations").key(kHints),
         "please use annotation service.kubernetes.io/topology-mode instead");
  }
  if (service.spec.type == corev1::kServiceTypeExternalName || service.spec.cluster_ip == "None") {
    if (service.spec.session_affinity == "ClientIP") {
      warn(out, Path("spec.SessionAffinity"), "is ignored for headless services");
    }
  }
  if (service.spec.cluster_ip == "None" && !service.spec.load_balancer_ip.empty()) {
    warn(out, Path("spec.loadBalancerIP"), "is ignored for headless services");
  }
  if (service.spec.cluster_ip == "None" && !service.spec.external_ips.empty()) {
    warn(out, Path("spec.externalIPs"), "is ignored for headless services");
  }
}

void warn_node(const corev1::Node& node, Warnings& out) {
  if (node.spec.config_source) out.emplace_back("spec.configSource: the feature is no longer supported");
  if (!node.spec.external_id.empty()) {
    out.emplace_back("spec.externalID: this field is deprecated, and is unused by Kubernetes");
  }
}

void warn_ingress(const networkingv1::Ingress& ingress, Warnings& out) {
  constexpr std::string_view kClass = "kubernetes.io/ingress.class";
  if (ingress.metadata.annotations.contains(kClass) && !ingress.spec.ingress_class_name) {
    out.push_back(
        fmt::format("annotation {} is deprecated, please use 'spec.ingressClassName' instead", go_quote(kClass)));
  }
}

void warn_claim_size(const corev1::PersistentVolumeClaimSpec& spec, const Path& at, Warnings& out) {
  const auto size = spec.resources.requests.find("storage");
  if (size == spec.resources.requests.end() || size->second.milli_value() % 1000 == 0) return;
  warn(out, at.child("resources", "requests").key("storage"),
       fmt::format("fractional byte value {} is invalid, must be an integer", go_quote(size->second.to_string())));
}

void warn_volume(const corev1::PersistentVolume& volume, Warnings& out) {
  if (volume.metadata.annotations.contains("volume.beta.kubernetes.io/mount-options")) {
    warn(out, Path("metadata.annotations").key("volume.beta.kubernetes.io/mount-options"),
         "deprecated since v1.31; use \"spec.mountOptions\" instead");
  }
  if (volume.spec.persistent_volume_reclaim_policy == corev1::kPersistentVolumeReclaimRecycle) {
    warn(out, Path("spec.persistentVolumeReclaimPolicy"),
         "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.");
  }
}

/// What a definition asks for that this server does not do yet.
void warn_definition(const apiextensionsv1::CustomResourceDefinition& definition, Warnings& out) {
  for (size_t i = 0; i < definition.spec.versions.size(); ++i) {
    const auto& schema = definition.spec.versions[i].schema;
    if (!schema || !schema->open_apiv_3_schema || !structural::has_rules(*schema->open_apiv_3_schema)) continue;
    warn(out, Path("spec.versions").index(i).child("schema", "openAPIV3Schema"),
         "x-kubernetes-validations are stored, and not enforced by this server yet");
  }
  if (definition.spec.conversion && definition.spec.conversion->strategy == apiextensionsv1::kWebhookConverter) {
    warn(out, Path("spec.conversion.strategy"),
         "conversion webhooks are not called by this server yet: objects can be reached in their storage version only");
  }
}

}  // namespace

std::vector<std::string> warnings_on_create(const Object& object) {
  Warnings out;
  const Path at("spec.template");
  if (const auto* pod = object.as<corev1::Pod>()) {
    warn_pod(pod->metadata, pod->spec, Path(), out);
  } else if (const auto* definition = object.as<apiextensionsv1::CustomResourceDefinition>()) {
    warn_definition(*definition, out);
  } else if (const auto* pod_template = object.as<corev1::PodTemplate>()) {
    warn_template(pod_template->template_, Path("template"), out);
  } else if (const auto* controller = object.as<corev1::ReplicationController>()) {
    if (controller->spec.template_) warn_template(*controller->spec.template_, at, out);
  } else if (const auto* deployment = object.as<appsv1::Deployment>()) {
    warn_template(deployment->spec.template_, at, out);
  } else if (const auto* replica_set = object.as<appsv1::ReplicaSet>()) {
    warn_template(replica_set->spec.template_, at, out);
  } else if (const auto* daemon_set = object.as<appsv1::DaemonSet>()) {
    warn_template(daemon_set->spec.template_, at, out);
  } else if (const auto* stateful_set = object.as<appsv1::StatefulSet>()) {
    warn_template(stateful_set->spec.template_, at, out);
    for (size_t i = 0; i < stateful_set->spec.volume_claim_templates.size(); ++i) {
      warn_claim_size(stateful_set->spec.volume_claim_templates[i].spec,
                      Path("spec.volumeClaimTemplates").index(i).child("spec"), out);
    }
  } else if (const auto* job = object.as<batchv1::Job>()) {
    warn_template(job->spec.template_, at, out);
  } else if (const auto* cron_job = object.as<batchv1::CronJob>()) {
    if (cron_job->spec.schedule.find("TZ") != std::string::npos) {
      out.push_back(fmt::format("{} contains TZ or CRON_TZ, which is not supported", cron_job->spec.schedule));
    }
    warn_template(cron_job->spec.job_template.spec.template_, Path("spec.jobTemplate.spec.template"), out);
  } else if (const auto* service = object.as<corev1::Service>()) {
    warn_service(*service, out);
  } else if (const auto* node = object.as<corev1::Node>()) {
    warn_node(*node, out);
  } else if (const auto* ingress = object.as<networkingv1::Ingress>()) {
    warn_ingress(*ingress, out);
  } else if (const auto* claim = object.as<corev1::PersistentVolumeClaim>()) {
    warn_claim_size(claim->spec, Path("spec"), out);
  } else if (const auto* volume = object.as<corev1::PersistentVolume>()) {
    warn_volume(*volume, out);
  }
  return out;
}

std::vector<std::string> warnings_on_update(const Object& updated, const Object& old) {
  // A write that leaves the specification alone is mostly a controller's; it cannot help the warnings.
  const int64_t generation = updated.metadata().generation;
  if (generation != 0 && generation == old.metadata().generation) return {};
  return warnings_on_create(updated);
}

}  // namespace trireme::apiserver::strategy
