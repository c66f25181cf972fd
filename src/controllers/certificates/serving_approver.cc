#include "controllers/certificates/serving_approver.h"

#include <algorithm>

#include "base/log.h"

namespace trireme::controllers {

using namespace api::certificatesv1;  // NOLINT: the constants of conditions and signers
using api::corev1::Node;

namespace {

constexpr std::string_view kNodeUser = "system:node:";
constexpr std::string_view kNodeGroup = "system:nodes";

bool is_ip_type(std::string_view type) { return type == "InternalIP" || type == "ExternalIP"; }

bool has_address(const Node& node, std::string_view address) {
  return std::ranges::any_of(node.status.addresses, [&](const auto& each) { return each.address == address; });
}

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::ranges::find(all, one) != all.end();
}

bool is_waiting(const CertificateSigningRequest& request) {
  return request.spec.signer_name == kKubeletServingSignerName && request.status.certificate.empty() &&
         !is_decided(request);
}

}  // namespace

Status check_serving_names(const net::CertificateInfo& info, const Node& node,
                           const std::vector<std::shared_ptr<const Node>>& nodes,
                           const std::vector<std::string>& reserved) {
  for (const std::string& name : info.dns_names) {
    const bool own = name == node.metadata.name || std::ranges::any_of(node.status.addresses, [&](const auto& each) {
                       return !is_ip_type(each.type) && each.address == name;
                     });
    if (!own) return Status::bad_request("the DNS name " + name + " is not the node's");
  }
  for (const std::string& address : info.ip_addresses) {
    const bool own = std::ranges::any_of(
        node.status.addresses, [&](const auto& each) { return is_ip_type(each.type) && each.address == address; });
    if (!own) return Status::bad_request("the address " + address + " is not in the node's status");
    if (contains(reserved, address)) return Status::bad_request("the address " + address + " is the cluster's own");
    for (const auto& other : nodes) {
      if (other->metadata.name != node.metadata.name && has_address(*other, address)) {
        return Status::bad_request("the address " + address + " is also that of node " + other->metadata.name);
      }
    }
  }
  return {};
}

ServingApprovingController::ServingApprovingController(const ControllerContext& context)
    : Controller(context, "kubelet-serving-approving-controller"),
      requests_(context.informers->informer<CertificateSigningRequest>()),
      nodes_(context.informers->informer<Node>()),
      services_(context.informers->informer<api::corev1::Service>()) {
  requests_.add_handler([this](const auto&, const auto& after) {
    if (after && is_waiting(*after)) enqueue(after->metadata.name);
  });
  // A request may come before the node's status tells the addresses it is for.
  nodes_.add_handler([this](const auto& before, const auto& after) {
    if (!after) return;
    const auto same = [](const auto& a, const auto& b) { return a.type == b.type && a.address == b.address; };
    if (before && std::ranges::equal(before->status.addresses, after->status.addresses, same)) return;
    const std::string user = std::string(kNodeUser) + after->metadata.name;
    for (const auto& request : requests_.list()) {
      if (request->spec.username == user && is_waiting(*request)) enqueue(request->metadata.name);
    }
  });
}

Result<std::vector<std::string>> ServingApprovingController::reserved_addresses() {
  std::vector<std::string> out;
  for (const auto& service : services_.list()) {
    for (const std::string& address : service->spec.cluster_ips) out.push_back(address);
  }
  auto endpoints = client().get<api::corev1::Endpoints>("default", "kubernetes");
  if (!endpoints.ok()) {
    return endpoints.status().is(Reason::kNotFound) ? Result<std::vector<std::string>>(std::move(out))
                                                    : endpoints.status();
  }
  for (const auto& subset : endpoints->subsets) {
    for (const auto& address : subset.addresses) out.push_back(address.ip);
  }
  return out;
}

Result<Outcome> ServingApprovingController::reconcile(const std::string& key) {
  const auto request = requests_.get(key);
  if (!request || !is_waiting(*request)) return Outcome::done();
  const auto info = net::parse_request(request->spec.request);
  if (!info.ok() || !check_kubelet_serving(*info, request->spec).ok()) return Outcome::done();
  const std::string& user = request->spec.username;
  if (user != info->common_name || !contains(request->spec.groups, kNodeGroup)) return Outcome::done();
  const auto node = nodes_.get(user.substr(kNodeUser.size()));
  if (!node) return Outcome::done();
  TRY_ASSIGN(const std::vector<std::string> reserved, reserved_addresses());
  if (Status fits = check_serving_names(*info, *node, nodes_.list(), reserved); !fits.ok()) {
    log::info("A node's serving certificate is left for people to approve",
              {{"request", key}, {"node", node->metadata.name}, {"reason", fits}});
    return Outcome::done();
  }
  CertificateSigningRequest approved = *request;
  auto& condition = approved.status.conditions.emplace_back();
  condition.type = kCertificateApproved;
  condition.status = "True";
  condition.reason = "AutoApproved";
  condition.message = "Auto approving kubelet serving certificate: its names are those of the node's status.";
  condition.last_update_time = api::Time(clock().now());
  condition.last_transition_time = api::Time(clock().now());
  TRY(client().update_subresource(approved, "approval").status());
  return Outcome::done();
}

}  // namespace trireme::controllers
