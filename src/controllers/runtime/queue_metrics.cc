#include "controllers/runtime/queue_metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/metrics.h"

namespace trireme::controllers {
namespace {

const metrics::Labels kNames = {"name"};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::string_view queue_name(std::string_view controller) {
  struct Entry {
    std::string_view controller, queue;
  };
  static constexpr Entry kQueues[] = {
      {"bootstrap-signer-controller", "bootstrap_signer_queue"},
      {"certificatesigningrequest-approving-controller", "certificate"},
      {"clusterrole-aggregation-controller", "ClusterRoleAggregator"},
      {"cronjob-controller", "cronjob"},
      {"daemonset-controller", "daemonset"},
      {"deployment-controller", "deployment"},
      {"disruption-controller", "disruption"},
      {"endpoints-controller", "endpoint"},
      {"endpointslice-controller", "endpoint_slice"},
      {"endpointslice-mirroring-controller", "endpoint_slice_mirroring"},
      {"ephemeral-volume-controller", "ephemeral_volume"},
      {"garbage-collector-controller", "garbage_collector_attempt_to_delete"},
      {"horizontal-pod-autoscaler-controller", "horizontalpodautoscaler"},
      {"job-controller", "job"},
      {"namespace-controller", "namespace"},
      {"node-lifecycle-controller", "node_lifecycle_controller"},
      {"persistentvolume-attach-detach-controller", "pvcs"},
      {"persistentvolume-binder-controller", "claims"},
      {"persistentvolume-expander-controller", "volume_expand"},
      {"persistentvolume-protection-controller", "pvprotection"},
      {"persistentvolumeclaim-protection-controller", "pvcprotection"},
      {"pod-garbage-collector-controller", "orphaned_pods_nodes"},
      {"replicaset-controller", "replicaset"},
      {"replicationcontroller-controller", "replicationmanager"},
      {"resourcequota-controller", "resourcequota_primary"},
      {"root-ca-certificate-publisher-controller", "root_ca_cert_publisher"},
      {"serviceaccount-controller", "serviceaccount"},
      {"serviceaccount-token-controller", "serviceaccount_tokens_secret"},
      {"statefulset-controller", "statefulset"},
      {"taint-eviction-controller", "noexec_taint_pod"},
      {"token-cleaner-controller", "token_cleaner"},
      {"ttl-after-finished-controller", "ttl_jobs_to_delete"},
      {"ttl-controller", "ttlcontroller"},
  };
  const auto* found = std::ranges::find(kQueues, controller, &Entry::controller);
  return found == std::end(kQueues) ? controller : found->queue;
}

void print_queue_metrics(std::string& out, std::span<const std::unique_ptr<Controller>> controllers) {
  const auto labels = [](const Controller& controller) {
    return metrics::Labels{std::string(queue_name(controller.name()))};
  };
  const auto number = [&](std::string_view metric, std::string_view type, std::string_view help, auto value) {
    metrics::print_head(out, metric, type, help);
    for (const auto& each : controllers) {
      out += fmt::format("{}{} {}\n", metric, metrics::label_text(kNames, labels(*each)), value(each->queue()));
    }
  };
  const auto distribution = [&](std::string_view metric, std::string_view help, auto value) {
    metrics::print_head(out, metric, "histogram", help);
    for (const auto& each : controllers) value(each->queue().statistics()).print(out, metric, kNames, labels(*each));
  };
  using Queue = client::WorkQueue;
  using Statistics = client::QueueStatistics;
  number("workqueue_depth", "gauge", "Current depth of workqueue", [](Queue& queue) { return queue.size(); });
  number("workqueue_adds_total", "counter", "Total number of adds handled by workqueue",
         [](Queue& queue) { return queue.statistics().adds.load(); });
  number("workqueue_retries_total", "counter", "Total number of retries handled by workqueue",
         [](Queue& queue) { return queue.statistics().retries.load(); });
  number("workqueue_unfinished_work_seconds", "gauge",
         "How many seconds of work is in progress and hasn't been observed by work_duration. Large values indicate "
         "stuck threads.",
         [](Queue& queue) { return seconds(queue.under_way().total); });
  number("workqueue_longest_running_processor_seconds", "gauge",
         "How many seconds has the longest running processor for workqueue been running.",
         [](Queue& queue) { return seconds(queue.under_way().longest); });
  distribution("workqueue_queue_duration_seconds",
               "How long in seconds an item stays in workqueue before being requested.",
               [](const Statistics& all) -> const metrics::Distribution& { return all.waited; });
  distribution("workqueue_work_duration_seconds", "How long in seconds processing an item from workqueue takes.",
               [](const Statistics& all) -> const metrics::Distribution& { return all.worked; });
}

}  // namespace trireme::controllers
