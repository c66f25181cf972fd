// Tallies, node sets and kept refusals against the same thing computed anew.

#include "scheduler/topology.h"

#include <gmock/gmock.h>

#include <random>

#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using testing::asking;
using testing::Cluster;
using testing::make_info;
using testing::make_node;

/// Decides with everything that was kept, and on a cluster built anew from the same state.
class KeptAndAnewTest : public ::testing::Test {
 protected:
  void node(int number, const std::string& labels, const std::string& spec = "{}") {
    nodes_[number] = make_node("n" + std::to_string(number), labels, spec);
    kept_.cache.set_node(nodes_[number]);
  }
  void remove_node(int number) {
    nodes_.erase(number);
    kept_.cache.remove_node("n" + std::to_string(number));
  }
  void place(int node, const PodInfoPointer& pod) {
    placed_[pod->uid()] = {pod, "n" + std::to_string(node)};
    kept_.cache.set_pod(pod, "n" + std::to_string(node));
  }
  void remove(std::string uid) {
    placed_.erase(uid);
    kept_.cache.remove_pod(uid);
  }
  /// What every node says to the pod, and the scores of those that would take it.
  static std::string verdicts(Cluster& cluster, const PodInfo& pod) {
    PodFilters filters(cluster.profile, cluster.cache, cluster.nominations, pod);
    std::map<std::string, std::string> by_name;
    std::vector<const NodeInfo*> feasible;
    for (const NodeInfo* each : cluster.cache.nodes()) {
      Reasons reasons;
      uint32_t plugins = 0;
      const Fit fit = filters.check(*each, reasons, plugins);
      if (fit == Fit::kFits) feasible.push_back(each);
      std::string& text = by_name[each->name];
      text = std::to_string(static_cast<int>(fit)) + std::to_string(plugins);
      for (const Reasons::Text reason : reasons.texts()) text += *reason;
    }
    std::vector<int64_t> scores(feasible.size());
    for (const Profile::Use& use : cluster.profile.at(Point::kScore)) {
      const auto scorer = cluster.profile.plugins[use.plugin]->plan_score(pod, cluster.cache, feasible);
      if (!scorer || feasible.empty()) continue;
      scorer->score(feasible, scores);
      for (size_t i = 0; i < feasible.size(); ++i) by_name[feasible[i]->name] += " " + std::to_string(scores[i]);
    }
    std::string out;
    for (const auto& [name, text] : by_name) out += name + ": " + text + "\n";
    return out;
  }
  void compare(const PodInfoPointer& pod) {
    Cluster anew;
    for (const auto& [number, object] : nodes_) anew.cache.set_node(object);
    for (const auto& [uid, each] : placed_) anew.cache.set_pod(each.first, each.second);
    EXPECT_EQ(verdicts(kept_, *pod), verdicts(anew, *pod));
    const std::string kept = kept_.decide(pod);
    const std::string fresh = anew.decide(pod);
    if (kept.starts_with("0/") || fresh.starts_with("0/")) {
      EXPECT_EQ(kept, fresh);
    }
  }

  Cluster kept_;
  std::map<int, NodePointer> nodes_;
  std::map<std::string, std::pair<PodInfoPointer, std::string>> placed_;
};

TEST_F(KeptAndAnewTest, AgreeWhateverHappens) {
  const std::string web = "labelSelector: {matchLabels: {app: web}}";
  const std::vector<std::string> specs = {
      asking("{cpu: 1}"),
      asking("{cpu: 1}", ", nodeSelector: {zone: a}"),
      asking("{cpu: 9}"),
      asking("{cpu: 1}", ", tolerations: [{operator: Exists}]"),
      asking("{cpu: 1}",
             ", topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: "
             "DoNotSchedule, nodeTaintsPolicy: Honor, " +
                 web + "}]"),
      asking("{cpu: 1}",
             ", nodeSelector: {disk: ssd}, topologySpreadConstraints: [{maxSkew: 2, topologyKey: "
             "kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, " +
                 web +
                 "}, {maxSkew: 1, "
                 "topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, " +
                 web + "}]"),
      asking("{cpu: 1}",
             ", affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
             "[{topologyKey: kubernetes.io/hostname, " +
                 web + "}]}}"),
      asking("{cpu: 1}",
             ", affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
             "[{topologyKey: zone, " +
                 web + "}]}}"),
      asking("{cpu: 1}",
             ", affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 5, "
             "podAffinityTerm: {topologyKey: zone, " +
                 web +
                 "}}]}, podAntiAffinity: "
                 "{preferredDuringSchedulingIgnoredDuringExecution: [{weight: 3, podAffinityTerm: {topologyKey: "
                 "kubernetes.io/hostname, " +
                 web + "}}]}}"),
  };
  const std::vector<std::string> node_labels = {"{zone: a}", "{zone: b}", "{zone: a, disk: ssd}", "{disk: ssd}"};
  const std::vector<std::string> node_specs = {"{}", "{}", "{taints: [{key: k, effect: NoSchedule}]}"};
  std::mt19937 random(7);
  const auto below = [&](size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random); };
  const auto any_pod = [&](int number) {
    return make_info("p" + std::to_string(number), specs[below(specs.size())], below(2) ? "{app: web}" : "{app: db}");
  };
  for (int i = 0; i < 6; ++i) node(i, node_labels[below(4)], node_specs[below(3)]);
  for (int step = 0; step < 150 && !HasFailure(); ++step) {
    const int number = static_cast<int>(below(8));
    switch (below(5)) {
      case 0:
        node(number, node_labels[below(4)], node_specs[below(3)]);
        break;
      case 1:
        if (nodes_.size() > 2 && nodes_.contains(number)) remove_node(number);
        break;
      case 2:
        if (!placed_.empty()) remove(std::next(placed_.begin(), static_cast<long>(below(placed_.size())))->first);
        break;
      default:
        place(number, any_pod(step));
    }
    for (int i = 0; i < 3; ++i) compare(any_pod(1000 + i));
  }
}

TEST(KeptRefusals, AreForgottenOnceSomethingHelps) {
  Cluster cluster;
  for (int i = 0; i < 3; ++i) cluster.cache.set_node(make_node("n" + std::to_string(i)));
  const std::string refusal = "0/3 nodes are available: 3 Insufficient cpu.";
  EXPECT_EQ(cluster.decide(make_info("a", asking("{cpu: 5}"))), refusal);
  EXPECT_EQ(cluster.decide(make_info("b", asking("{cpu: 5}"))), refusal);
  cluster.cache.set_node(make_node("n1", "{}", "{unschedulable: true}"));
  EXPECT_EQ(cluster.decide(make_info("c", asking("{cpu: 5}"))),
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.");
  EXPECT_EQ(cluster.decide(make_info("d", asking("{cpu: 1}"))).substr(0, 1), "n") << "another shape";
  cluster.cache.set_node(make_node("n1", "{}", "{}", "{cpu: 8, memory: 8Gi, pods: 10}"));
  EXPECT_EQ(cluster.decide(make_info("e", asking("{cpu: 5}"))), "n1");
}

}  // namespace
}  // namespace trireme::scheduler
