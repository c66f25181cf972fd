#include <gtest/gtest.h>

#include "controllers/endpoints/endpoints_controller.h"
#include "controllers/endpoints/slice_plan.h"

namespace trireme::controllers {
namespace {

using api::corev1::Pod;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

Service service() {
  Service out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "web";
  out.metadata.uid = "svc";
  out.spec.cluster_ip = "10.96.0.10";
  out.spec.selector.insert_or_assign("app", "web");
  auto& port = out.spec.ports.emplace_back();
  port.name = "http";
  port.protocol = "TCP";
  port.port = 80;
  port.target_port = "web";
  return out;
}

PodPointer pod(const std::string& name, const std::string& ip, bool ready = true,
               const std::function<void(Pod&)>& change = {}) {
  Pod out;
  out.metadata.namespace_ = "default";
  out.metadata.name = name;
  out.metadata.uid = name;
  out.spec.node_name = "n1";
  auto& port = out.spec.containers.emplace_back().ports.emplace_back();
  port.name = "web";
  port.protocol = "TCP";
  port.container_port = 8080;
  out.status.phase = "Running";
  out.status.pod_ip = ip;
  if (!ip.empty()) out.status.pod_ips.emplace_back().ip = ip;
  auto& condition = out.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = ready ? "True" : "False";
  if (change) change(out);
  return std::make_shared<const Pod>(std::move(out));
}

std::string text(const std::vector<api::corev1::EndpointSubset>& subsets) {
  std::string out;
  for (const auto& subset : subsets) {
    for (const auto& address : subset.addresses) out += address.ip + " ";
    out += "| ";
    for (const auto& address : subset.not_ready_addresses) out += address.ip + " ";
    for (const auto& port : subset.ports) out += ":" + port.name + "=" + std::to_string(port.port);
    out += "; ";
  }
  return out;
}

TEST(EndpointSubsetsTest, GroupAddressesByTheirPorts) {
  const auto other_port = [](Pod& each) { each.spec.containers[0].ports[0].container_port = 9090; };
  const auto no_port = [](Pod& each) { each.spec.containers[0].ports.clear(); };
  const auto ending = [](Pod& each) { each.metadata.deletion_timestamp = api::Time::from_unix(1); };
  const auto finished = [](Pod& each) { each.status.phase = "Failed"; };
  const std::vector<PodPointer> pods{pod("b", "10.0.0.2"),
                                     pod("a", "10.0.0.1"),
                                     pod("c", "10.0.0.3", false),
                                     pod("d", "10.0.0.4", true, other_port),
                                     pod("e", "10.0.0.5", true, no_port),
                                     pod("f", ""),
                                     pod("g", "10.0.0.7", true, ending),
                                     pod("h", "10.0.0.8", true, finished)};
  EXPECT_EQ(text(endpoint_subsets(service(), pods)),
            "10.0.0.1 10.0.0.2 | 10.0.0.3 :http=8080; 10.0.0.4 | :http=9090; ");
  Service unready = service();
  unready.spec.publish_not_ready_addresses = true;
  EXPECT_EQ(text(endpoint_subsets(unready, pods)),
            "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.7 | :http=8080; 10.0.0.4 | :http=9090; ");
}

TEST(EndpointSubsetsTest, HeadlessServicesNeedNoPorts) {
  Service headless = service();
  headless.spec.cluster_ip = "None";
  headless.spec.ports.clear();
  const auto named = [](Pod& each) {
    each.spec.hostname = "first";
    each.spec.subdomain = "web";
  };
  const auto subsets = endpoint_subsets(headless, std::vector<PodPointer>{pod("a", "10.0.0.1", true, named)});
  EXPECT_EQ(text(subsets), "10.0.0.1 | ; ");
  EXPECT_EQ(subsets[0].addresses[0].hostname, "first");
  EXPECT_EQ(subsets[0].addresses[0].node_name, "n1");
  EXPECT_EQ(subsets[0].addresses[0].target_ref->uid, "a");
}

TEST(EndpointSubsetsTest, LargeOnesAreCutReadyFirst) {
  std::vector<PodPointer> pods;
  for (int i = 0; i < 4; ++i) pods.push_back(pod("p" + std::to_string(i), "10.0.0." + std::to_string(i), i % 2 == 0));
  auto subsets = endpoint_subsets(service(), pods);
  EXPECT_FALSE(truncate_subsets(subsets, 4));
  EXPECT_TRUE(truncate_subsets(subsets, 3));
  EXPECT_EQ(text(subsets), "10.0.0.0 10.0.0.2 | 10.0.0.1 :http=8080; ");
}

TEST(TargetPortTest, ByNumberByNameOrTheServicePort) {
  const PodPointer any = pod("a", "10.0.0.1");
  api::corev1::ServicePort port;
  port.protocol = "TCP";
  port.port = 80;
  EXPECT_EQ(target_port(*any, port), 80);
  port.target_port = 81;
  EXPECT_EQ(target_port(*any, port), 81);
  port.target_port = "web";
  EXPECT_EQ(target_port(*any, port), 8080);
  port.protocol = "UDP";
  EXPECT_EQ(target_port(*any, port), std::nullopt);
}

std::string no_zone(const std::string&) { return {}; }

std::vector<SliceGroup> groups(const Service& of, const std::vector<PodPointer>& pods) {
  return slice_groups(of, pods, no_zone);
}

std::vector<PodPointer> many(int count, int first = 0) {
  std::vector<PodPointer> pods;
  for (int i = first; i < first + count; ++i) {
    pods.push_back(pod("p" + std::to_string(100 + i), "10.0.1." + std::to_string(i)));
  }
  return pods;
}

/// The slices after the plan was carried out.
std::vector<SlicePointer> carry_out(const SlicePlan& plan, std::vector<SlicePointer> present) {
  static int made = 0;
  std::erase_if(present, [&](const SlicePointer& slice) {
    return std::ranges::find(plan.remove, slice) != plan.remove.end() ||
           std::ranges::any_of(plan.update,
                               [&](const auto& each) { return each.metadata.name == slice->metadata.name; });
  });
  for (const auto& slice : plan.update) present.push_back(std::make_shared<const EndpointSlice>(slice));
  for (EndpointSlice slice : plan.create) {
    slice.metadata.name = slice.metadata.generate_name + std::to_string(++made);
    present.push_back(std::make_shared<const EndpointSlice>(std::move(slice)));
  }
  return present;
}

TEST(SlicePlanTest, FillsReusesAndEmptiesSlices) {
  const Service web = service();
  SlicePlan plan = plan_slices(slice_owner(web), groups(web, {}), {}, 3);
  ASSERT_EQ(plan.create.size(), 1u);
  EXPECT_TRUE(plan.create[0].endpoints.empty());
  EXPECT_EQ(plan.create[0].metadata.labels.get("kubernetes.io/service-name"), "web");
  EXPECT_EQ(plan.create[0].metadata.labels.get("endpointslice.kubernetes.io/managed-by"),
            "endpointslice-controller.k8s.io");
  EXPECT_EQ(plan.create[0].metadata.owner_references[0].uid, "svc");
  auto present = carry_out(plan, {});

  plan = plan_slices(slice_owner(web), groups(web, many(7)), present, 3);
  EXPECT_EQ(plan.create.size(), 3u);
  EXPECT_EQ(plan.remove.size(), 1u);
  present = carry_out(plan, {});
  ASSERT_EQ(present.size(), 3u);

  plan = plan_slices(slice_owner(web), groups(web, many(7)), present, 3);
  EXPECT_TRUE(plan.create.empty() && plan.update.empty() && plan.remove.empty());

  // One more endpoint goes where there is room: one write.
  plan = plan_slices(slice_owner(web), groups(web, many(8)), present, 3);
  EXPECT_EQ(plan.update.size(), 1u);
  EXPECT_TRUE(plan.create.empty() && plan.remove.empty());
  present = carry_out(plan, present);

  // The first three gone: their slice goes, nothing else is touched.
  plan = plan_slices(slice_owner(web), groups(web, many(5, 3)), present, 3);
  EXPECT_EQ(plan.remove.size(), 1u);
  EXPECT_TRUE(plan.create.empty() && plan.update.empty());
  present = carry_out(plan, present);

  plan = plan_slices(slice_owner(web), groups(web, {}), present, 3);
  EXPECT_EQ(plan.create.size(), 1u);
  EXPECT_EQ(plan.remove.size(), 2u);
}

TEST(SlicePlanTest, ConditionsTellOfEndingPods) {
  const auto ending = [](Pod& each) { each.metadata.deletion_timestamp = api::Time::from_unix(1); };
  const auto made = groups(service(), {pod("a", "10.0.0.1", true, ending), pod("b", "10.0.0.2", false)});
  ASSERT_EQ(made.size(), 1u);
  ASSERT_EQ(made[0].endpoints.size(), 2u);
  const auto& a = made[0].endpoints[0].conditions;
  EXPECT_EQ(a.ready, false);
  EXPECT_EQ(a.serving, true);
  EXPECT_EQ(a.terminating, true);
  const auto& b = made[0].endpoints[1].conditions;
  EXPECT_EQ(b.ready, false);
  EXPECT_EQ(b.serving, false);
  EXPECT_EQ(b.terminating, false);
}

}  // namespace
}  // namespace trireme::controllers
