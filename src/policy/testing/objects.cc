#include "policy/testing/objects.h"

#include <stdexcept>

#include "api/codec.h"
#include "api/yaml.h"
#include "client/informer.h"

namespace trireme::policy {
namespace {

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> out;
  for (size_t from = 0; from < text.size();) {
    const size_t to = std::min(text.find(by, from), text.size());
    out.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return out;
}

void set_labels(api::metav1::ObjectMeta& meta, const std::string& labels) {
  for (const std::string& label : split(labels, ',')) {
    const auto parts = split(label, '=');
    meta.labels[parts.at(0)] = parts.size() > 1 ? parts[1] : "";
  }
}

}  // namespace

std::shared_ptr<const api::networkingv1::NetworkPolicy> make_policy(const std::string& key, const std::string& spec) {
  const auto parts = client::split_key(key);
  auto json = api::yaml_to_json("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: " + spec + "}");
  if (!json.ok()) throw std::invalid_argument(json.status().message());
  auto policy = api::decode_json<api::networkingv1::NetworkPolicy>(*json);
  if (!policy.ok()) throw std::invalid_argument(policy.status().message());
  policy->metadata.namespace_ = parts.ns;
  policy->metadata.name = parts.name;
  policy->metadata.uid = key;
  return std::make_shared<const api::networkingv1::NetworkPolicy>(std::move(*policy));
}

std::shared_ptr<const api::corev1::Namespace> make_namespace(const std::string& name, const std::string& labels) {
  auto ns = std::make_shared<api::corev1::Namespace>();
  ns->metadata.name = name;
  ns->metadata.uid = name;
  set_labels(ns->metadata, labels);
  ns->metadata.labels["kubernetes.io/metadata.name"] = name;
  return ns;
}

std::shared_ptr<const api::corev1::Pod> make_pod(const PodSpec& spec) {
  auto pod = std::make_shared<api::corev1::Pod>();
  const auto parts = client::split_key(spec.key);
  pod->metadata.namespace_ = parts.ns;
  pod->metadata.name = parts.name;
  pod->metadata.uid = spec.uid.empty() ? spec.key : spec.uid;
  pod->metadata.resource_version = std::to_string(spec.version);
  set_labels(pod->metadata, spec.labels);
  pod->spec.node_name = spec.node;
  pod->spec.host_network = spec.host_network;
  api::corev1::Container container;
  container.name = "main";
  for (const std::string& text : spec.ports) {
    const auto words = split(text, '/');
    api::corev1::ContainerPort port;
    port.name = words.at(0);
    port.protocol = words.at(1);
    port.container_port = std::stoi(words.at(2));
    container.ports.push_back(port);
  }
  pod->spec.containers.push_back(container);
  pod->status.phase = spec.phase;
  for (const std::string& address : spec.addresses) {
    api::corev1::PodIP ip;
    ip.ip = address;
    pod->status.pod_ips.push_back(ip);
  }
  if (!spec.addresses.empty()) pod->status.pod_ip = spec.addresses.front();
  return pod;
}

}  // namespace trireme::policy
