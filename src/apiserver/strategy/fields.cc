// What field selectors can select on.

#include <vector>

#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/certificatesv1.h"
#include "api/types/corev1.h"
#include "api/types/eventsv1.h"
#include "apiserver/strategy/strategy.h"

namespace trireme::apiserver::strategy {
namespace {

using namespace api;  // NOLINT: kinds of several groups

struct Field {
  const TypeInfo* type;
  std::string_view name;
  std::string (*value)(const void* object);
};

/// `get` is a captureless lambda from a const T& to the field's text.
template <typename T, typename Get>
Field field(std::string_view name, Get) {
  return {&type_info<T>(), name,
          [](const void* object) -> std::string { return Get()(*static_cast<const T*>(object)); }};
}

std::string text(bool value) { return value ? "true" : "false"; }

using corev1::ObjectReference;

template <typename E>
const ObjectReference& about(const E& event);
template <>
const ObjectReference& about(const corev1::Event& event) {
  return event.involved_object;
}
template <>
const ObjectReference& about(const eventsv1::Event& event) {
  return event.regarding;
}

/// Both event kinds select by either's names: they are one stored kind.
template <typename E>
void add_references(std::vector<Field>& fields) {
  auto add = [&](std::string_view core, std::string_view modern, auto get) {
    fields.push_back(field<E>(core, get));
    fields.push_back(field<E>(modern, get));
  };
  add("involvedObject.kind", "regarding.kind", [](const E& e) { return about(e).kind; });
  add("involvedObject.namespace", "regarding.namespace", [](const E& e) { return about(e).namespace_; });
  add("involvedObject.name", "regarding.name", [](const E& e) { return about(e).name; });
  add("involvedObject.uid", "regarding.uid", [](const E& e) { return about(e).uid; });
  add("involvedObject.apiVersion", "regarding.apiVersion", [](const E& e) { return about(e).api_version; });
  add("involvedObject.resourceVersion", "regarding.resourceVersion",
      [](const E& e) { return about(e).resource_version; });
  add("involvedObject.fieldPath", "regarding.fieldPath", [](const E& e) { return about(e).field_path; });
}

std::vector<Field> all_fields() {
  using Pod = corev1::Pod;
  std::vector<Field> fields = {
      field<Pod>("spec.nodeName", [](const Pod& p) { return p.spec.node_name; }),
      field<Pod>("spec.host", [](const Pod& p) { return p.spec.node_name; }),
      field<Pod>("spec.restartPolicy", [](const Pod& p) { return p.spec.restart_policy; }),
      field<Pod>("spec.schedulerName", [](const Pod& p) { return p.spec.scheduler_name; }),
      field<Pod>("spec.serviceAccountName", [](const Pod& p) { return p.spec.service_account_name; }),
      field<Pod>("spec.hostNetwork", [](const Pod& p) { return text(p.spec.host_network); }),
      field<Pod>("status.phase", [](const Pod& p) { return p.status.phase; }),
      field<Pod>("status.podIP", [](const Pod& p) { return p.status.pod_ip; }),
      field<Pod>("status.podIPs", [](const Pod& p) { return p.status.pod_ip; }),
      field<Pod>("status.nominatedNodeName", [](const Pod& p) { return p.status.nominated_node_name; }),
      field<corev1::Node>("spec.unschedulable", [](const corev1::Node& n) { return text(n.spec.unschedulable); }),
      field<corev1::Namespace>("status.phase", [](const corev1::Namespace& n) { return n.status.phase; }),
      field<corev1::Namespace>("name", [](const corev1::Namespace& n) { return n.metadata.name; }),
      field<corev1::Secret>("type", [](const corev1::Secret& s) { return s.type; }),
      field<corev1::Service>("spec.clusterIP", [](const corev1::Service& s) { return s.spec.cluster_ip; }),
      field<corev1::Service>("spec.type", [](const corev1::Service& s) { return s.spec.type; }),
      field<corev1::ReplicationController>(
          "status.replicas", [](const corev1::ReplicationController& c) { return std::to_string(c.status.replicas); }),
      field<corev1::PersistentVolume>("name", [](const corev1::PersistentVolume& v) { return v.metadata.name; }),
      field<corev1::PersistentVolumeClaim>("name",
                                           [](const corev1::PersistentVolumeClaim& c) { return c.metadata.name; }),
      field<appsv1::ReplicaSet>("status.replicas",
                                [](const appsv1::ReplicaSet& r) { return std::to_string(r.status.replicas); }),
      field<batchv1::Job>("status.successful",
                          [](const batchv1::Job& j) { return std::to_string(j.status.succeeded); }),
      field<certificatesv1::CertificateSigningRequest>(
          "spec.signerName", [](const certificatesv1::CertificateSigningRequest& r) { return r.spec.signer_name; }),
      field<corev1::Event>("reason", [](const corev1::Event& e) { return e.reason; }),
      field<corev1::Event>("type", [](const corev1::Event& e) { return e.type; }),
      field<corev1::Event>("reportingComponent", [](const corev1::Event& e) { return e.reporting_component; }),
      field<corev1::Event>("reportingController", [](const corev1::Event& e) { return e.reporting_component; }),
      field<corev1::Event>("source",
                           [](const corev1::Event& e) {
                             return e.source.component.empty() ? e.reporting_component : e.source.component;
                           }),
      field<eventsv1::Event>("reason", [](const eventsv1::Event& e) { return e.reason; }),
      field<eventsv1::Event>("type", [](const eventsv1::Event& e) { return e.type; }),
      field<eventsv1::Event>("reportingController", [](const eventsv1::Event& e) { return e.reporting_controller; }),
      field<eventsv1::Event>("reportingComponent", [](const eventsv1::Event& e) { return e.reporting_controller; }),
      field<eventsv1::Event>("source",
                             [](const eventsv1::Event& e) {
                               const auto& component = e.deprecated_source.component;
                               return component.empty() ? e.reporting_controller : component;
                             }),
  };
  add_references<corev1::Event>(fields);
  add_references<eventsv1::Event>(fields);
  return fields;
}

const Field* find_field(const TypeInfo& type, std::string_view name) {
  static const std::vector<Field> kFields = all_fields();
  for (const Field& each : kFields) {
    if (each.type == &type && each.name == name) return &each;
  }
  return nullptr;
}

}  // namespace

bool field_supported(const TypeInfo& type, std::string_view field) {
  return field == "metadata.name" || field == "metadata.namespace" || find_field(type, field) != nullptr;
}

std::string field_value(const Object& object, std::string_view field) {
  if (field == "metadata.name") return object.metadata().name;
  if (field == "metadata.namespace") return object.metadata().namespace_;
  const Field* found = find_field(object.type(), field);
  return found == nullptr ? std::string() : found->value(object.data());
}

}  // namespace trireme::apiserver::strategy
