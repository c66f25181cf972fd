#include "controllers/namespace/namespace_controller.h"

#include <algorithm>

#include "controllers/namespace/namespace_content.h"

namespace trireme::controllers {

using api::corev1::Namespace;

NamespaceController::NamespaceController(const ControllerContext& context)
    : Controller(context, "namespace-controller", context.options.concurrent_namespace_syncs,
                 {std::chrono::milliseconds(5), std::chrono::seconds(60), /*bucket_per_second=*/10, 100}),
      namespaces_(context.informers->informer<Namespace>()),
      pods_(context.informers->informer<api::corev1::Pod>()) {
  namespaces_.add_handler([this](const auto&, const auto& after) {
    if (after && after->metadata.deletion_timestamp) enqueue(after->metadata.name);
  });
  // A pod that has ended may have been the last thing waited for; the timer alone would come late.
  pods_.add_handler([this](const auto& before, const auto& after) {
    if (after) return;
    const auto ns = namespaces_.get("", before->metadata.namespace_);
    if (ns && ns->metadata.deletion_timestamp) enqueue(ns->metadata.name);
  });
}

Result<Outcome> NamespaceController::reconcile(const std::string& key) {
  if (!namespaces_.get("", key)) return Outcome::done();
  // Deleting everything is not done on the word of a cache.
  Result<Namespace> found = client().get<Namespace>("", key);
  if (found.status().is(Reason::kNotFound)) return Outcome::done();
  if (!found.ok()) return found.status();
  Namespace ns = std::move(*found);
  if (!ns.metadata.deletion_timestamp) return Outcome::done();
  if (ns.status.phase != api::corev1::kNamespaceTerminating) {
    ns.status.phase = api::corev1::kNamespaceTerminating;
    TRY_ASSIGN(ns, client().update_status(ns));
  }
  const auto& finalizers = ns.spec.finalizers;
  if (std::ranges::find(finalizers, api::corev1::kFinalizerKubernetes) == finalizers.end()) return Outcome::done();

  const ContentReport report = delete_content(client().raw(), key);
  if (report.empty()) {
    TRY(finalize(std::move(ns)));
    return Outcome::done();
  }
  if (update_conditions(ns.status, report, clock().now())) {
    TRY_ASSIGN(ns, client().update_status(ns));
  }
  if (!report.discovery_failure.ok()) return report.discovery_failure;
  if (!report.deletion_failures.empty()) return Status::internal(report.deletion_failures.front());
  return Outcome::again_after(report.look_again.value_or(Duration::zero()) / 2 + std::chrono::seconds(1));
}

Status NamespaceController::finalize(Namespace ns) {
  std::erase(ns.spec.finalizers, api::corev1::kFinalizerKubernetes);
  const auto result = client().update_subresource(ns, "finalize");
  if (result.ok() || result.status().is(Reason::kNotFound)) return {};
  return result.status();
}

}  // namespace trireme::controllers
