#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/rules.h"

namespace trireme::proxy {

/// What must be done to a table that stands as it was planned before. Applied in this order: chains written, elements
/// removed, elements added, chains deleted.
struct Change {
  std::map<std::string, std::vector<nft::Rule>> chains;  ///< Made where absent; their rules are replaced.
  std::vector<Entry> removed;
  std::vector<Entry> added;
  std::vector<std::string> gone_chains;
  std::vector<DatagramPort> stale;  ///< Flows to these fronts that do not go to these targets are to be forgotten.

  bool changes_table() const { return !chains.empty() || !removed.empty() || !added.empty() || !gone_chains.empty(); }
};

/// Remembers what stands in one family's table, service by service, and plans changes of as much as changed. Pure: does
/// nothing to the kernel. Not thread-safe.
class Planner {
 public:
  Planner(Options options, bool ip6) : options_(std::move(options)), ip6_(ip6) {}

  bool ip6() const { return ip6_; }
  const Options& options() const { return options_; }
  const NodeView& node() const { return node_; }
  /// True when services must be planned anew: update all.
  bool set_node(const NodeView& node);

  using Look = std::function<ServiceView(const std::string& key)>;
  /// Takes up what has become of the services of `keys`. A front that two services want is the first one's until it
  /// gives it up.
  Change update(const std::vector<std::string>& keys, const Look& look);

  // What is to stand, all of it.
  void for_each(const std::function<void(const Entry&)>& each) const;
  std::map<std::string, std::vector<nft::Rule>> chains() const;
  std::vector<std::string> services() const;
  size_t entries() const { return entries_; }

 private:
  struct Kept {
    std::string packed;
    std::vector<std::string> fronts;
    std::map<std::string, std::vector<nft::Rule>> chains;
    std::vector<PickChain> picks;
    std::vector<DatagramPort> datagrams;
    std::string arranged;  ///< Its Arrangements, packed.
  };
  void release(const std::string& key, const std::vector<std::string>& fronts, std::vector<std::string>& more);
  void replan(const std::string& key, const ServiceView& view, Change& change);
  void count(const Entry& entry, bool up, Change& change);

  Options options_;
  const bool ip6_;
  NodeView node_;
  std::unordered_map<std::string, Kept> kept_;
  std::unordered_map<std::string, std::string> owners_;      ///< By front.
  std::map<std::string, std::vector<std::string>> waiting_;  ///< By front: who else wants it.
  std::unordered_map<std::string, uint32_t> shared_;         ///< Elements that several services may have.
  std::map<PickChain, uint32_t> picks_;
  size_t entries_ = 0;
};

}  // namespace trireme::proxy
