#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/networkingv1.h"

/// Objects for the policy tests, as the API server would hand them out.
namespace trireme::policy {

/// From YAML, "namespace/name" and the spec alone: `policy("a/deny", "{podSelector: {}}")`. With the server's defaults.
std::shared_ptr<const api::networkingv1::NetworkPolicy> make_policy(const std::string& key, const std::string& spec);

/// "app=web,tier=front" as labels.
std::shared_ptr<const api::corev1::Namespace> make_namespace(const std::string& name, const std::string& labels = "");

struct PodSpec {
  std::string key;  ///< "namespace/name"
  std::string labels;
  std::string node = "node-1";
  std::vector<std::string> addresses;
  std::vector<std::string> ports;  ///< "http/TCP/80"
  std::string phase = "Running";
  bool host_network = false;
  std::string uid;  ///< Empty: the key.
  int version = 1;
};
std::shared_ptr<const api::corev1::Pod> make_pod(const PodSpec& spec);

}  // namespace trireme::policy
