#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/log.h"
#include "linux/conntrack.h"
#include "proxy/applier.h"

namespace trireme::proxy {
namespace {

constexpr size_t kChunk = 512;

/// Gathers elements set by set and hands them to the batch in pieces: 60,000 at once would be held twice.
class Elements {
 public:
  Elements(nft::Batch& batch, bool ip6, bool adding) : batch_(batch), ip6_(ip6), adding_(adding) {}
  ~Elements() {
    for (size_t i = 0; i < kSets; ++i) flush(i);
  }
  void add(const Entry& entry) {
    auto set = static_cast<size_t>(entry.set);
    waiting_[set].push_back(element_of(entry));
    if (waiting_[set].size() >= kChunk) flush(set);
  }

 private:
  void flush(size_t set) {
    if (waiting_[set].empty()) return;
    const nft::Set& spec = set_of(static_cast<SetId>(set), ip6_);
    if (adding_) {
      batch_.add_elements(table_of(ip6_), spec, waiting_[set]);
    } else {
      batch_.delete_elements(table_of(ip6_), spec, waiting_[set]);
    }
    waiting_[set].clear();
  }
  nft::Batch& batch_;
  const bool ip6_;
  const bool adding_;
  std::array<std::vector<nft::Element>, kSets> waiting_;
};

class NftApplier final : public Applier {
 public:
  explicit NftApplier(nft::Socket socket) : socket_(std::move(socket)) {}

  Status replace(const Planner& planner) override {
    // While somebody listens the kernel makes a notice of each of the elements, which costs as much as adding them: the
    // monitor is away meanwhile, and that nobody else changed anything is seen by the count of transactions.
    TRY_ASSIGN(uint32_t before, socket_.generation());
    const bool changed_before = monitor_ && !monitor_->read().empty();
    monitor_.reset();
    Status status = replace_table(planner);
    TRY_ASSIGN(nft::Monitor monitor, nft::Monitor::open(socket_.port_id()));
    monitor_.emplace(std::move(monitor));
    TRY(status);
    TRY_ASSIGN(uint32_t after, socket_.generation());
    if (after - before <= 1 && !changed_before) return {};
    // It may have been in the other family's table, too: the caller writes all of them once more.
    return {Reason::kConflict, "nftables: somebody else changed rules while they were written"};
  }

  Status apply(bool ip6, const Change& change) override {
    if (!change.changes_table()) return {};
    const nft::Table table = table_of(ip6);
    nft::Batch batch;
    write_chains(batch, table, change.chains);
    {
      Elements removed(batch, ip6, false);
      for (const Entry& entry : change.removed) removed.add(entry);
    }
    {
      Elements added(batch, ip6, true);
      for (const Entry& entry : change.added) added.add(entry);
    }
    for (const std::string& name : change.gone_chains) {
      batch.flush_chain(table, name);
      batch.delete_chain(table, name);
    }
    TRY(socket_.commit(batch));
    Standing& standing = standing_[ip6 ? 1 : 0];
    for (const auto& [name, rules] : change.chains) standing.chains[name] = rules.size();
    for (const std::string& name : change.gone_chains) standing.chains.erase(name);
    return {};
  }

  Result<size_t> forget(bool ip6, const std::vector<DatagramPort>& stale) override {
    if (stale.empty()) return static_cast<size_t>(0);
    std::map<std::pair<uint8_t, Target>, std::set<Target>> fronts;
    std::map<std::pair<uint8_t, uint16_t>, std::set<Target>> node_ports;
    std::set<uint8_t> protocols;
    for (const DatagramPort& port : stale) {
      protocols.insert(port.protocol);
      for (const Target& front : port.fronts) {
        fronts[{port.protocol, front}].insert(port.targets.begin(), port.targets.end());
      }
      if (port.node_port != 0) {
        node_ports[{port.protocol, port.node_port}].insert(port.targets.begin(), port.targets.end());
      }
    }
    size_t total = 0;
    for (uint8_t protocol : protocols) {
      TRY_ASSIGN(
          size_t gone, linux::delete_flows(ip6, protocol, [&](const linux::Flow& flow) {
            const Target goes_to{flow.reply_source, flow.reply_source_port};
            if (auto at = fronts.find({protocol, {flow.destination, flow.destination_port}}); at != fronts.end()) {
              return !at->second.contains(goes_to);
            }
            auto at = node_ports.find({protocol, flow.destination_port});
            // Untranslated flows to that port may be to another machine's.
            return at != node_ports.end() && flow.reply_source != flow.destination && !at->second.contains(goes_to);
          }));
      total += gone;
    }
    return total;
  }

  int watch_fd() const override { return monitor_ ? monitor_->fd() : -1; }

  bool disturbed() override {
    if (!monitor_) return false;
    bool look = false;
    for (const nft::Monitor::Event& event : monitor_->read()) {
      if (event.what != nft::Monitor::What::kDeleted) {
        look = true;
      } else if (event.table == table_of(false) || event.table == table_of(true)) {
        return true;
      }
    }
    // Somebody changed something somewhere: a look at the few chains tells whether they stand. Elements that others
    // delete are told one by one.
    return look && !stands();
  }

 private:
  Status replace_table(const Planner& planner) {
    const bool ip6 = planner.ip6();
    auto standing = socket_.table(table_of(ip6));
    if (!standing.ok() && !standing.status().is(Reason::kNotFound)) return standing.status();
    Status status;
    if (standing.ok() && standing->comment == schema(ip6)) {
      status = take_over(planner);
      if (!status.ok())
        log::warning("Service rules could not be taken over; they are written anew", {{"error", status}});
    }
    if (!standing.ok() || standing->comment != schema(ip6) || !status.ok()) TRY(write_anew(planner));
    return remember(planner);
  }

  struct Standing {
    bool applied = false;
    uint64_t handle = 0;
    std::map<std::string, size_t> chains;  ///< And how many rules each has.
  };

  static void write_chains(nft::Batch& batch, const nft::Table& table,
                           const std::map<std::string, std::vector<nft::Rule>>& chains) {
    for (const auto& [name, rules] : chains) {
      batch.add_chain(table, {.name = name});
      batch.flush_chain(table, name);
      for (const nft::Rule& rule : rules) batch.add_rule(table, name, rule);
    }
  }

  static void write_static(nft::Batch& batch, const nft::Table& table, const std::vector<StaticChain>& chains) {
    for (const StaticChain& one : chains) {
      batch.add_chain(table, one.chain);
      batch.flush_chain(table, one.chain.name);
    }
    for (const StaticChain& one : chains) {
      for (const nft::Rule& rule : one.rules) batch.add_rule(table, one.chain.name, rule);
    }
  }

  Status write_anew(const Planner& planner) {
    const bool ip6 = planner.ip6();
    const nft::Table table = table_of(ip6);
    nft::Batch batch;
    batch.destroy_table(table);
    batch.add_table(table, schema(ip6));
    for (size_t i = 0; i < kSets; ++i) batch.add_set(table, set_of(static_cast<SetId>(i), ip6));
    write_static(batch, table, static_chains(planner.options(), planner.node(), ip6));
    write_chains(batch, table, planner.chains());
    {
      Elements added(batch, ip6, true);
      for (const Entry& entry : static_entries(planner.options(), planner.node(), ip6)) added.add(entry);
      planner.for_each([&](const Entry& entry) { added.add(entry); });
    }
    return socket_.commit(batch);
  }

  /// The chains are written anew, of the elements only what differs; affinity stays.
  Status take_over(const Planner& planner) {
    const bool ip6 = planner.ip6();
    const nft::Table table = table_of(ip6);
    std::array<std::unordered_map<std::string, std::string>, kSets> there;
    for (size_t i = 0; i < kSets; ++i) {
      auto set = static_cast<SetId>(i);
      if (set_of(set, ip6).dynamic) continue;
      TRY_ASSIGN(auto elements, socket_.elements(table, set_of(set, ip6).name));
      there[i].reserve(elements.size());
      for (const nft::Element& element : elements) {
        Entry entry = entry_of(set, element);
        there[i].emplace(entry.key, entry.key_end + '\n' + entry.data);
      }
    }
    TRY_ASSIGN(auto chains_there, socket_.chains(table));

    nft::Batch batch;
    std::vector<StaticChain> fixed = static_chains(planner.options(), planner.node(), ip6);
    write_static(batch, table, fixed);
    auto chains = planner.chains();
    write_chains(batch, table, chains);
    std::vector<Entry> missing;
    {
      Elements removed(batch, ip6, false);
      const auto want = [&](const Entry& entry) {
        auto& of_set = there[static_cast<size_t>(entry.set)];
        auto at = of_set.find(entry.key);
        const std::string& end = entry.key_end == entry.key ? std::string() : entry.key_end;
        if (at != of_set.end() && at->second == end + '\n' + entry.data) {
          of_set.erase(at);  // what remains at the end is not wanted
        } else {
          missing.push_back(entry);
        }
      };
      for (const Entry& entry : static_entries(planner.options(), planner.node(), ip6)) want(entry);
      planner.for_each(want);
      for (size_t i = 0; i < kSets; ++i) {
        for (const auto& [key, rest] : there[i]) {
          removed.add({static_cast<SetId>(i), key, rest.substr(0, rest.find('\n')), {}});
        }
      }
    }
    {
      Elements added(batch, ip6, true);
      for (const Entry& entry : missing) added.add(entry);
    }
    std::vector<std::string> gone;
    for (const nft::Chain& chain : chains_there) {
      bool wanted = chains.contains(chain.name) || std::any_of(fixed.begin(), fixed.end(), [&](const StaticChain& one) {
                      return one.chain.name == chain.name;
                    });
      if (!wanted) gone.push_back(chain.name);
    }
    for (const std::string& name : gone) batch.flush_chain(table, name);
    for (const std::string& name : gone) batch.delete_chain(table, name);
    return socket_.commit(batch);
  }

  Status remember(const Planner& planner) {
    Standing& standing = standing_[planner.ip6() ? 1 : 0];
    TRY_ASSIGN(auto table, socket_.table(table_of(planner.ip6())));
    standing.applied = true;
    standing.handle = table.handle;
    standing.chains.clear();
    for (const StaticChain& one : static_chains(planner.options(), planner.node(), planner.ip6())) {
      standing.chains[one.chain.name] = one.rules.size();
    }
    for (const auto& [name, rules] : planner.chains()) standing.chains[name] = rules.size();
    return {};
  }

  bool stands() {
    for (bool ip6 : {false, true}) {
      const Standing& standing = standing_[ip6 ? 1 : 0];
      if (!standing.applied) continue;
      auto table = socket_.table(table_of(ip6));
      if (!table.ok() || table->handle != standing.handle) return false;
      auto rules = socket_.rules(table_of(ip6));
      if (!rules.ok()) return false;
      std::map<std::string, size_t> counts;
      for (const nft::ListedRule& rule : *rules) ++counts[rule.chain];
      for (const auto& [name, count] : standing.chains) {
        if (counts[name] != count) return false;
      }
    }
    return true;
  }

  nft::Socket socket_;
  std::optional<nft::Monitor> monitor_;
  std::array<Standing, 2> standing_;
};

}  // namespace

Result<std::unique_ptr<Applier>> nft_applier() {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  return std::unique_ptr<Applier>(std::make_unique<NftApplier>(std::move(socket)));
}

Status remove_tables() {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  for (bool ip6 : {false, true}) {
    nft::Batch batch;
    batch.delete_table(table_of(ip6));
    Status status = socket.commit(batch);
    if (!status.ok() && !status.is(Reason::kNotFound)) return status;
  }
  return {};
}

}  // namespace trireme::proxy
