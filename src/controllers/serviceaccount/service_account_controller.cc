#include "controllers/serviceaccount/service_account_controller.h"

#include "controllers/support/statuses.h"

namespace trireme::controllers {
namespace {

using api::corev1::ConfigMap;
using api::corev1::Namespace;
using api::corev1::ServiceAccount;

constexpr std::string_view kDefaultAccount = "default";
constexpr std::string_view kRootCaMap = "kube-root-ca.crt";
constexpr std::string_view kRootCaKey = "ca.crt";
constexpr std::string_view kDescriptionAnnotation = "kubernetes.io/description";
// The words clients find on upstream's map.
constexpr std::string_view kDescription =
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters.";

bool is_active(const std::shared_ptr<const Namespace>& ns) {
  return ns && !ns->metadata.deletion_timestamp && ns->status.phase != api::corev1::kNamespaceTerminating;
}

/// What a namespace's end or a race with another writer brings about is no failure.
Result<Outcome> unless_expected(const Status& status) {
  if (status.ok() || status.is(Reason::kAlreadyExists) || status.is(Reason::kNotFound) || namespace_is_ending(status)) {
    return Outcome::done();
  }
  return status;
}

}  // namespace

ServiceAccountController::ServiceAccountController(const ControllerContext& context)
    : Controller(context, "serviceaccount-controller"),
      namespaces_(context.informers->informer<Namespace>()),
      accounts_(context.informers->informer<ServiceAccount>()) {
  namespaces_.add_handler([this](const auto&, const auto& after) {
    if (after) enqueue(after->metadata.name);
  });
  accounts_.add_handler([this](const auto& before, const auto& after) {
    if (!after && before->metadata.name == kDefaultAccount) enqueue(before->metadata.namespace_);
  });
}

Result<Outcome> ServiceAccountController::reconcile(const std::string& key) {
  if (!is_active(namespaces_.get(key)) || accounts_.get(key, kDefaultAccount)) return Outcome::done();
  ServiceAccount account;
  account.metadata.namespace_ = key;
  account.metadata.name = kDefaultAccount;
  return unless_expected(client().create(account).status());
}

RootCaPublisher::RootCaPublisher(const ControllerContext& context)
    : Controller(context, "root-ca-certificate-publisher-controller"),
      namespaces_(context.informers->informer<Namespace>()),
      maps_(context.informers->metadata(api::resource_of<ConfigMap>())),
      syncs_("root_ca_cert_publisher_sync_total", "Number of namespace syncs happened in root ca cert publisher.",
             {"code"}),
      duration_("root_ca_cert_publisher_sync_duration_seconds",
                "Duration of namespace syncs that happened in root ca cert publisher.", {"code"},
                metrics::exponential_bounds(0.001, 2, 15)) {
  namespaces_.add_handler([this](const auto& before, const auto& after) {
    if (after) {
      enqueue(after->metadata.name);
      return;
    }
    const std::lock_guard lock(mutex_);
    verified_.erase(before->metadata.name);
  });
  maps_->add_handler([this](const client::AnyPointer& before, const client::AnyPointer& after) {
    const auto& metadata = maps_->metadata(after ? after : before);
    if (metadata.name == kRootCaMap) enqueue(metadata.namespace_);
  });
}

Status RootCaPublisher::publish(const std::string& ns) {
  const std::string& ca = context().options.root_ca_pem;
  Result<ConfigMap> found = client().get<ConfigMap>(ns, kRootCaMap);
  const bool present = found.ok();
  if (!present && !found.status().is(Reason::kNotFound)) return found.status();
  ConfigMap map = present ? std::move(*found) : ConfigMap();
  const bool right = map.data.size() == 1 && map.data.get(kRootCaKey) == ca &&
                     map.metadata.annotations.get(kDescriptionAnnotation) == kDescription;
  if (!present || !right) {
    map.metadata.namespace_ = ns;
    map.metadata.name = kRootCaMap;
    map.metadata.annotations.insert_or_assign(kDescriptionAnnotation, kDescription);
    map.data.clear();
    map.data.insert_or_assign(kRootCaKey, ca);
    TRY_ASSIGN(map, present ? client().update(map) : client().create(map));
  }
  const std::lock_guard lock(mutex_);
  verified_[ns] = map.metadata.resource_version;
  return {};
}

Result<Outcome> RootCaPublisher::reconcile(const std::string& key) {
  if (context().options.root_ca_pem.empty() || !is_active(namespaces_.get(key))) return Outcome::done();
  if (const client::AnyPointer map = maps_->cache().get(key + "/" + std::string(kRootCaMap))) {
    const std::lock_guard lock(mutex_);
    const auto verified = verified_.find(key);
    if (verified != verified_.end() && verified->second == maps_->metadata(map).resource_version)
      return Outcome::done();
  }
  const Duration begin = clock().monotonic();
  const Status published = publish(key);
  const metrics::Labels labels{std::to_string(published.code())};
  syncs_.add(labels);
  duration_.observe(labels, clock().monotonic() - begin);
  return unless_expected(published);
}

void RootCaPublisher::print_metrics(std::string& out) const {
  syncs_.print(out);
  duration_.print(out);
}

}  // namespace trireme::controllers
