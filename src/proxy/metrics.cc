#include "proxy/metrics.h"

#include <fmt/format.h>

#include <iterator>

namespace trireme::proxy {

void Durations::observe(Duration duration) {
  size_t bucket = 0;
  for (Duration limit = std::chrono::milliseconds(1); bucket < kBuckets && duration > limit; limit *= 2) ++bucket;
  ++counts_[bucket];
  sum_nanoseconds_ += duration.count();
}

void Durations::print(std::string& out, std::string_view name, std::string_view help) const {
  fmt::format_to(std::back_inserter(out), "# HELP {0} [ALPHA] {1}\n# TYPE {0} histogram\n", name, help);
  uint64_t total = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    total += counts_[i];
    fmt::format_to(std::back_inserter(out), "{}_bucket{{le=\"{}\"}} {}\n", name, 0.001 * static_cast<double>(1U << i),
                   total);
  }
  total += counts_[kBuckets];
  fmt::format_to(std::back_inserter(out), "{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, total,
                 static_cast<double>(sum_nanoseconds_) / 1e9);
}

std::string Metrics::print() const {
  std::string out;
  const auto one = [&out](std::string_view name, std::string_view type, std::string_view help, auto value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} [ALPHA] {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help,
                   value);
  };
  sync.print(out, "kubeproxy_sync_proxy_rules_duration_seconds", "How long writing the rules took");
  sync_full.print(out, "kubeproxy_sync_full_proxy_rules_duration_seconds", "How long writing all rules took");
  sync_partial.print(out, "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                     "How long writing what had changed took");
  programming.print(out, "kubeproxy_network_programming_duration_seconds",
                    "From a change of a pod or service until the rules had it");
  one("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", "When the rules were last written",
      last_sync_seconds.load());
  one("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge", "When a change last began to wait",
      last_queued_seconds.load());
  one("kubeproxy_sync_proxy_rules_service_changes_total", "counter", "Changes of services", service_changes.load());
  one("kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter", "Changes of endpoint slices",
      endpoint_changes.load());
  one("kubeproxy_sync_proxy_rules_service_changes_pending", "gauge", "Changes of services that wait",
      service_changes_pending.load());
  one("kubeproxy_sync_proxy_rules_endpoint_changes_pending", "gauge", "Changes of endpoint slices that wait",
      endpoint_changes_pending.load());
  one("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "counter", "Writes that failed", failures.load());
  one("trireme_proxy_restores_total", "counter", "Times that rules had to be restored after others changed them",
      restores.load());
  one("trireme_proxy_forgotten_flows_total", "counter", "Stale connections that were deleted", flows_forgotten.load());
  one("trireme_proxy_elements", "gauge", "Elements of sets and maps", elements.load());
  one("trireme_proxy_services", "gauge", "Services with rules, by family counted", services.load());
  return out;
}

}  // namespace trireme::proxy
