#include "kubelet/pods/admission.h"

#include <gtest/gtest.h>

namespace trireme::kubelet {
namespace {

using api::corev1::Node;
using api::corev1::Pod;
using PodPointer = std::shared_ptr<const Pod>;

Pod with_port(int32_t port, const std::string& address = "", const std::string& protocol = "TCP") {
  Pod pod;
  auto& each = pod.spec.containers.emplace_back().ports.emplace_back();
  each.host_port = port;
  each.container_port = port;
  each.host_ip = address;
  each.protocol = protocol;
  return pod;
}

Pod asking(const char* name, const char* amount) {
  Pod pod;
  pod.spec.containers.emplace_back().resources.requests.insert_or_assign(name, *Quantity::parse(amount));
  return pod;
}

std::string reason(const Pod& pod, const std::vector<Pod>& present, const Node* node = nullptr) {
  std::vector<PodPointer> others;
  for (const Pod& each : present) others.push_back(std::make_shared<const Pod>(each));
  const auto refused = refusal(pod, others, node);
  return refused ? refused->reason + ": " + refused->message : "";
}

TEST(Refusal, PortsThatAreTaken) {
  const std::string taken =
      "NodePorts: Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod "
      "ports";
  EXPECT_EQ(reason(with_port(80), {}), "");
  EXPECT_EQ(reason(with_port(80), {with_port(81)}), "");
  EXPECT_EQ(reason(with_port(80), {with_port(81), with_port(80)}), taken);
  EXPECT_EQ(reason(with_port(80, "10.0.0.1"), {with_port(80, "10.0.0.2")}), "");
  EXPECT_EQ(reason(with_port(80, "10.0.0.1"), {with_port(80, "0.0.0.0")}), taken);
  EXPECT_EQ(reason(with_port(80), {with_port(80, "", "UDP")}), "");
  Pod starting;
  starting.spec.init_containers = with_port(80).spec.containers;
  EXPECT_EQ(reason(with_port(80), {starting}), "") << "it ends before the others begin";
}

TEST(Refusal, WhatTheNodeDoesNotHave) {
  Node node;
  node.metadata.labels.insert_or_assign("disk", "ssd");
  node.status.allocatable.insert_or_assign("cpu", *Quantity::parse("1"));
  node.status.allocatable.insert_or_assign("pods", *Quantity::parse("3"));
  EXPECT_EQ(reason(asking("cpu", "500m"), {asking("cpu", "500m")}, &node), "");
  EXPECT_EQ(reason(asking("cpu", "600m"), {asking("cpu", "500m")}, &node),
            "OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: "
            "1000");
  EXPECT_EQ(reason(Pod(), {Pod(), Pod(), Pod()}, &node),
            "OutOfpods: Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3");
  EXPECT_EQ(reason(asking("example.com/dongle", "1"), {}, &node), "") << "nothing is known of it";
  Pod picky;
  picky.spec.node_selector.insert_or_assign("disk", "hdd");
  EXPECT_EQ(reason(picky, {}, &node).substr(0, 13), "NodeAffinity:");
  picky.spec.node_selector.insert_or_assign("disk", "ssd");
  EXPECT_EQ(reason(picky, {}, &node), "");
}

TEST(Refusal, ConcernsWhatHasNotStarted) {
  Pod pod;
  EXPECT_TRUE(awaits_admission(pod));
  pod.status.phase = "Running";
  EXPECT_FALSE(awaits_admission(pod));
  pod.status.phase = "Pending";
  pod.status.start_time = api::Time::from_unix(1);
  EXPECT_FALSE(awaits_admission(pod));
}

}  // namespace
}  // namespace trireme::kubelet
