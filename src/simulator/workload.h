#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulator/world.h"

namespace trireme::simulator {

/// A population of ReplicaSets of many sizes, spread over a few namespaces, and what must be true of it in the end.
class Workload {
 public:
  Workload(World& world, int64_t pods);

  /// Creates the sets, evenly over `over`, beginning now.
  void plan(Duration over);
  size_t count() const { return sets_.size(); }
  int32_t replicas(size_t set) const { return sets_[set].replicas; }
  /// Asks for another number of replicas now.
  void scale(size_t set, int32_t replicas);
  /// Deletes a random pod of the set, if it has one.
  void delete_a_pod(size_t set, Random& random);

  /// Exactly the pods that are wanted exist, and all are ready.
  bool settled() const;
  /// Fails the world for every set whose status is not what was asked for, and for every pod that is bound to a node
  /// that is not there.
  void check() const;

 private:
  struct Set {
    std::string ns, name;
    int32_t replicas = 0;
    bool created = false;
  };
  void create(size_t set);

  World& world_;
  Random random_;
  std::vector<Set> sets_;
  std::vector<std::string> namespaces_;
};

}  // namespace trireme::simulator
