// What the controllers tell on /metrics, by upstream's names.

#include <set>

#include "api/types/discoveryv1.h"
#include "base/text.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::corev1::Pod;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

class MetricsSuite : public ControllersSuite {
 protected:
  [[nodiscard]] bool tells(std::string_view line) {
    return metrics().find(std::string(line) + "\n") != std::string::npos;
  }
  /// Waits until the line is there, while time goes on.
  [[nodiscard]] ::testing::AssertionResult comes(std::string_view line, Duration step = std::chrono::seconds(1)) {
    for (int i = 0; i < 100; ++i) {
      if (tells(line)) return ::testing::AssertionSuccess();
      clock_->advance(step);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return ::testing::AssertionFailure() << "not told: " << line << "\n" << metrics();
  }
  std::string metrics() { return manager_->metrics(); }
};

TEST_F(MetricsSuite, EveryNameIsToldOnceAndWithItsType) {
  ControllerOptions options;
  options.allocate_node_cidrs = true;
  options.cluster_cidrs = {"10.1.0.0/16"};
  run("*", options);
  create(node("n1"));
  EXPECT_TRUE(comes(R"(node_collector_zone_size{zone=""} 1)"));
  EXPECT_TRUE(comes(R"(node_ipam_controller_cidrset_cidrs_allocations_total{clusterCIDR="10.1.0.0/16"} 1)"));
  std::set<std::string> types;
  std::string type;
  const std::string text = metrics();
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("# TYPE ")) {
      type = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(types.insert(type).second) << type << " is told twice";
    } else if (!line.empty() && !line.starts_with('#')) {
      EXPECT_TRUE(line.starts_with(type)) << line << " follows the head of " << type;
    }
  }
  for (const char* name :
       {"workqueue_depth", "workqueue_queue_duration_seconds", "node_collector_evictions_total",
        "node_collector_zone_health", "node_collector_unhealthy_nodes_in_zone", "endpoint_slice_controller_changes",
        "endpoint_slice_controller_syncs", "endpoint_slice_mirroring_controller_changes",
        "replicaset_controller_sorting_deletion_age_ratio", "pod_gc_collector_force_delete_pods_total",
        "taint_eviction_controller_pod_deletions_total", "ttl_after_finished_controller_job_deletion_duration_seconds",
        "horizontal_pod_autoscaler_controller_reconciliations_total", "ephemeral_volume_controller_create_total",
        "root_ca_cert_publisher_sync_total", "pv_collector_bound_pvc_count", "node_ipam_controller_cirdset_max_cidrs",
        "job_controller_job_syncs_total", "cronjob_controller_job_creation_skew_duration_seconds"}) {
    EXPECT_TRUE(types.contains(name)) << name;
  }
}

TEST_F(MetricsSuite, EndpointsAreCounted) {
  run("endpointslice");
  Service service;
  service.metadata.namespace_ = "default";
  service.metadata.name = "web";
  service.spec.selector.insert_or_assign("app", "redis");
  service.spec.ports.emplace_back().port = 80;
  service.spec.traffic_distribution = "PreferClose";
  create(service);
  for (const char* name : {"a", "b"}) create(pod(name));
  set_running("a", "10.0.0.1");
  set_running("b", "10.0.0.2", false);
  EXPECT_TRUE(comes("endpoint_slice_controller_endpoints_desired 2"));
  EXPECT_TRUE(comes("endpoint_slice_controller_num_endpoint_slices 1"));
  EXPECT_TRUE(tells("endpoint_slice_controller_desired_endpoint_slices 1"));
  EXPECT_TRUE(tells("endpoint_slice_controller_endpoints_added_per_sync_sum 2"));
  EXPECT_TRUE(tells(
      R"(endpoint_slice_controller_services_count_by_traffic_distribution{traffic_distribution="PreferClose"} 1)"));
  ASSERT_TRUE(remove<Pod>("default", "b", {.grace_period_seconds = 0}).ok());
  EXPECT_TRUE(comes("endpoint_slice_controller_endpoints_desired 1"));
  EXPECT_TRUE(tells("endpoint_slice_controller_endpoints_removed_per_sync_sum 1"));
  ASSERT_TRUE(remove<Service>("default", "web").ok());
  EXPECT_TRUE(comes("endpoint_slice_controller_num_endpoint_slices 0"));
}

TEST_F(MetricsSuite, PodsThatAreCollectedAreCounted) {
  ControllerOptions options;
  options.terminated_pod_gc_threshold = 1;
  run("podgc", options);
  for (const char* name : {"a", "b"}) {
    create(pod(name));
    change<Pod>(
        "default", name, [](Pod& each) { each.status.phase = "Succeeded"; }, true);
  }
  EXPECT_TRUE(comes(R"(pod_gc_collector_force_delete_pods_total{namespace="default",reason="terminated"} 1)"));
}

TEST_F(MetricsSuite, NodesThatAreSilentAndTheirPods) {
  run("nodelifecycle,taint-eviction-controller");
  create(node("alive"));
  create(node("silent"));
  set_ready("alive", "True");
  set_ready("silent", "True");
  Pod bound = pod("a");
  bound.spec.node_name = "silent";
  create(bound);
  Watched<Pod> pods(raw());
  ASSERT_TRUE(advance_until(
      pods, std::chrono::seconds(10), [&] { return tells("taint_eviction_controller_pod_deletions_total 1"); },
      /*alive=*/true));
  EXPECT_TRUE(tells(R"(node_collector_evictions_total{zone=""} 1)"));
  EXPECT_TRUE(tells(R"(node_collector_zone_health{zone=""} 50)"));
  EXPECT_TRUE(tells(R"(node_collector_unhealthy_nodes_in_zone{zone=""} 1)"));
  EXPECT_TRUE(tells("taint_eviction_controller_pod_deletion_duration_seconds_count 1"));
}

}  // namespace
}  // namespace trireme::controllers
