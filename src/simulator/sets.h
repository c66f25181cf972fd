#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulator/population.h"

namespace trireme::simulator {

/// A population of StatefulSets, most of them ordered, and of DaemonSets, some of them for one zone only, and what must
/// be true of it in the end. Together they ask for about `pods` pods.
class Sets final : public Population {
 public:
  Sets(World& world, int64_t pods);

  /// Creates them, evenly over `over`, beginning now.
  void plan(Duration over);
  size_t count() const { return apps_.size(); }
  /// Whether the app is a StatefulSet; else it is a DaemonSet.
  bool is_stateful(size_t app) const { return apps_[app].stateful; }
  std::string name(size_t app) const { return apps_[app].name; }
  int32_t replicas(size_t app) const { return apps_[app].replicas; }

  // What a user does now.
  void scale(size_t stateful_set, int32_t replicas);
  void roll_out(size_t app);
  void delete_a_pod(size_t app, Random& random);

  std::string_view kind() const override { return "sets"; }
  int64_t wanted_pods() const override;
  /// Every status says that its rollout is through.
  bool is_complete() const override;
  /// Every set has exactly the pods it asks for, by ordinal or by node, of its newest template, and its status says so.
  void check() const override;

  static constexpr std::string_view kNamespace = "sets";

 private:
  struct App {
    std::string name;
    bool stateful = false, parallel = false, created = false;
    int32_t replicas = 0;  ///< Of a StatefulSet.
    int32_t start = 0;     ///< Its first ordinal.
    std::string zone;      ///< Of a DaemonSet; empty: all nodes.
    int version = 1;
  };
  void create(size_t app);
  void create_stateful_set(const App& app);
  void create_daemon_set(const App& app);
  /// Its status says that it has what it wants.
  bool is_complete(const App& app) const;
  std::vector<std::string> wanted_nodes(const App& app) const;
  void check_stateful_set(const App& app) const;
  void check_daemon_set(const App& app) const;

  World& world_;
  Random random_;
  std::vector<App> apps_;
};

}  // namespace trireme::simulator
