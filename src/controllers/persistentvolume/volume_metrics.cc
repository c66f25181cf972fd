// Counts of volumes and claims by upstream's names, taken when somebody asks.
// https://kubernetes.io/docs/reference/instrumentation/metrics/
#include <fmt/format.h>

#include <map>

#include "api/volumes.h"
#include "controllers/persistentvolume/persistent_volume_binder.h"

namespace trireme::controllers {
namespace {

using Counts = std::map<metrics::Labels, size_t>;

void print(std::string& out, std::string_view name, std::string_view help, const metrics::Labels& labels,
           const Counts& counts) {
  const std::string full = fmt::format("pv_collector_{}", name);
  metrics::print_head(out, full, "gauge", help);
  for (const auto& [values, count] : counts) {
    out += fmt::format("{}{} {}\n", full, metrics::label_text(labels, values), count);
  }
}

std::string plugin_of(const api::corev1::PersistentVolume& volume) {
  const auto& source = volume.spec.persistent_volume_source;
  if (source.csi) return "kubernetes.io/csi:" + source.csi->driver;
  if (source.local) return "kubernetes.io/local-volume";
  if (source.host_path) return "kubernetes.io/host-path";
  if (source.nfs) return "kubernetes.io/nfs";
  if (source.iscsi) return "kubernetes.io/iscsi";
  if (source.fc) return "kubernetes.io/fc";
  return "N/A";
}

}  // namespace

void PersistentVolumeBinder::print_metrics(std::string& out) const {
  Counts bound, unbound, total, bound_claims, unbound_claims;
  for (const auto& volume : volume_cache_.list()) {
    ++total[{plugin_of(*volume), std::string(api::volume_mode(volume->spec.volume_mode))}];
    ++(volume->status.phase == api::corev1::kVolumeBound ? bound : unbound)[{api::class_of(*volume)}];
  }
  for (const auto& claim : claim_cache_.list()) {
    ++(claim->status.phase == api::corev1::kClaimBound ? bound_claims : unbound_claims)[{
        claim->metadata.namespace_, api::class_of(*claim), claim->spec.volume_attributes_class_name.value_or("")}];
  }
  const metrics::Labels of_volume{"storage_class"};
  const metrics::Labels of_claim{"namespace", "storage_class", "volume_attributes_class"};
  print(out, "total_pv_count", "Gauge measuring total number of persistent volumes", {"plugin_name", "volume_mode"},
        total);
  print(out, "bound_pv_count", "Gauge measuring number of persistent volume currently bound", of_volume, bound);
  print(out, "unbound_pv_count", "Gauge measuring number of persistent volume currently unbound", of_volume, unbound);
  print(out, "bound_pvc_count", "Gauge measuring number of persistent volume claim currently bound", of_claim,
        bound_claims);
  print(out, "unbound_pvc_count", "Gauge measuring number of persistent volume claim currently unbound", of_claim,
        unbound_claims);
  default_class_attempts_.print(out);
  default_class_failures_.print(out);
}

}  // namespace trireme::controllers
