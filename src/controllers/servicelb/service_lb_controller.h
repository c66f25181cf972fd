#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "controllers/runtime/controller.h"
#include "controllers/servicelb/balancer_addresses.h"

namespace trireme::controllers {

/// Gives services of type LoadBalancer their addresses, where no cloud does: the nodes' own, at which every node's
/// proxy serves them, or one of a range that the network brings to the nodes. Services of another loadBalancerClass are
/// left alone. Keys are those of services; one worker, so that no address is given twice.
class ServiceLbController final : public Controller {
 public:
  explicit ServiceLbController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  using Service = api::corev1::Service;
  Result<std::vector<std::string>> addresses_for(const Service& service, const std::string& key);
  Result<std::vector<std::string>> addresses_of_nodes(const Service& service, const std::string& key);
  void enqueue_all();

  client::Informer<Service>& services_;
  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::discoveryv1::EndpointSlice>& slices_;
  client::EventRecorder events_;
  std::vector<AddressRange> ranges_;
  bool layer2_ = false;  ///< One node is to answer for each address of the ranges.
  Status bad_ranges_;
  /// What was written and the cache may not show yet. The worker's own.
  std::map<std::string, std::vector<std::string>> given_;
};

}  // namespace trireme::controllers
