#include "policy/kernel_table.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <map>
#include <thread>
#include <utility>

#include "base/log.h"
#include "linux/nft.h"
#include "policy/compile.h"

namespace trireme::policy {
namespace {

namespace nft = linux::nft;

/// After the translation of service addresses, which is done long before, and before the filters of others.
constexpr int32_t kEgressPriority = -5;
constexpr int32_t kIngressPriority = -4;
constexpr uint8_t kNfProtoIpv4 = 2;
constexpr uint8_t kNfProtoIpv6 = 10;
// Multicast listener and neighbour discovery, and the newer listener reports: without them no IPv6 address is found.
constexpr uint8_t kFirstDiscovery = 130;
constexpr uint8_t kLastDiscovery = 137;
constexpr uint8_t kListenerReport = 143;

constexpr Family kFamilies[] = {Family::kIpv4, Family::kIpv6};

const nft::Table& table() {
  static const nft::Table kTable{nft::Family::kInet, kTableName};
  return kTable;
}

nft::Type type_of(Family family) { return family == Family::kIpv4 ? nft::Type::kIpv4 : nft::Type::kIpv6; }
nft::Field source(Family family) { return family == Family::kIpv4 ? nft::Field::kIpSaddr : nft::Field::kIp6Saddr; }
nft::Field destination(Family family) { return family == Family::kIpv4 ? nft::Field::kIpDaddr : nft::Field::kIp6Daddr; }

std::string_view bytes_of(const Address& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.size()};
}

nft::Rule of_family(Family family) {
  nft::Rule rule;
  rule.match(nft::Field::kNfProto, nft::byte_of(family == Family::kIpv4 ? kNfProtoIpv4 : kNfProtoIpv6));
  return rule;
}

nft::Set kernel_set(const SetInfo& info) {
  nft::Set set;
  set.name = info.name;
  set.key = {type_of(info.family)};
  switch (info.kind) {
    case SetKind::kAddresses:
      break;
    case SetKind::kRanges:
      set.interval = true;
      break;
    case SetKind::kPorts:
      set.key.push_back(nft::Type::kInetService);
      break;
    case SetKind::kSelf:
      set.key.push_back(type_of(info.family));
      break;
    case SetKind::kChains:
      set.data = {nft::Type::kVerdict};
      break;
  }
  return set;
}

nft::Element kernel_element(const SetInfo& info, const Changes::MappedElement& mapped) {
  const Element& element = mapped.element;
  nft::Element out;
  nft::Key key;
  key.address(bytes_of(element.address));
  switch (info.kind) {
    case SetKind::kAddresses:
      break;
    case SetKind::kRanges:
      out.key_end = nft::Key().address(bytes_of(element.last)).bytes();
      break;
    case SetKind::kPorts:
      key.port(element.port);
      break;
    case SetKind::kSelf:
      key.address(bytes_of(element.address));
      break;
    case SetKind::kChains:
      out.data = nft::jump(mapped.chain);
      break;
  }
  out.key = key.bytes();
  return out;
}

std::vector<nft::Element> kernel_elements(const SetInfo& info, const std::vector<Changes::MappedElement>& elements) {
  std::vector<nft::Element> out;
  out.reserve(elements.size());
  for (const auto& element : elements) out.push_back(kernel_element(info, element));
  return out;
}

nft::Rule kernel_rule(const Rule& rule, Direction direction) {
  nft::Rule out = rule.family ? of_family(*rule.family) : nft::Rule();
  if (!rule.peers.empty()) {
    out.match_set({direction == Direction::kIngress ? source(*rule.family) : destination(*rule.family)}, rule.peers);
  }
  if (rule.protocol != 0) out.match(nft::Field::kL4Proto, nft::byte_of(rule.protocol));
  if (!rule.ports.empty()) out.match_set({destination(*rule.family), nft::Field::kThDport}, rule.ports);
  if (rule.first_port != 0 && rule.first_port == rule.last_port) {
    out.match(nft::Field::kThDport, nft::port_bytes(rule.first_port));
  } else if (rule.first_port != 0) {
    out.match_range(nft::Field::kThDport, nft::port_bytes(rule.first_port), nft::port_bytes(rule.last_port));
  }
  if (!rule.counter.empty()) out.counter(rule.counter);
  switch (rule.verdict) {
    case Rule::Verdict::kContinue:
      break;
    case Rule::Verdict::kAccept:
      out.verdict(nft::accept());
      break;
    case Rule::Verdict::kDrop:
      out.verdict(nft::drop());
      break;
    case Rule::Verdict::kJump:
      out.verdict(nft::jump(rule.target));
      break;
  }
  return out;
}

/// The chain of a hook, which leads packets of isolated pods to those pods' chains.
void add_base_chain(nft::Batch& batch, Direction direction) {
  const std::string name = name_of(direction);
  nft::Chain chain;
  chain.name = name;
  chain.hook = nft::Hook::kForward;
  chain.priority = direction == Direction::kEgress ? kEgressPriority : kIngressPriority;
  batch.add_chain(table(), chain);
  batch.add_rule(
      table(), name,
      nft::Rule().match_bits(nft::Field::kCtState, nft::kCtEstablished | nft::kCtRelated).verdict(nft::accept()));
  auto discovery = [] { return of_family(Family::kIpv6).match(nft::Field::kL4Proto, nft::byte_of(IPPROTO_ICMPV6)); };
  batch.add_rule(table(), name,
                 discovery()
                     .match_range(nft::Field::kIcmpType, nft::byte_of(kFirstDiscovery), nft::byte_of(kLastDiscovery))
                     .verdict(nft::accept()));
  batch.add_rule(table(), name,
                 discovery().match(nft::Field::kIcmpType, nft::byte_of(kListenerReport)).verdict(nft::accept()));
  for (Family family : kFamilies) {
    batch.add_rule(
        table(), name,
        of_family(family).match_set({source(family), destination(family)}, self_set(family)).verdict(nft::accept()));
  }
  for (Family family : kFamilies) {
    const nft::Field own = direction == Direction::kEgress ? source(family) : destination(family);
    batch.add_rule(table(), name, of_family(family).verdict_map({own}, pods_map(direction, family)));
  }
}

void add_changes(nft::Batch& batch, const Changes& changes, bool with_base_chains) {
  for (const std::string& counter : changes.new_counters) batch.add_counter(table(), counter);
  for (const auto& change : changes.sets) {
    if (change.is_new) batch.add_set(table(), kernel_set(change.set));
  }
  for (const auto& change : changes.chains) {
    if (!change.is_new) {
      batch.flush_chain(table(), change.chain.name);
      continue;
    }
    nft::Chain chain;
    chain.name = change.chain.name;
    batch.add_chain(table(), chain);
  }
  if (with_base_chains) {
    add_base_chain(batch, Direction::kEgress);
    add_base_chain(batch, Direction::kIngress);
  }
  for (const auto& change : changes.chains) {
    for (const Rule& rule : change.chain.rules) {
      batch.add_rule(table(), change.chain.name, kernel_rule(rule, change.chain.direction));
    }
  }
  for (const auto& change : changes.sets) {
    const nft::Set set = kernel_set(change.set);
    if (!change.removed.empty()) batch.delete_elements(table(), set, kernel_elements(change.set, change.removed));
    if (!change.added.empty()) batch.add_elements(table(), set, kernel_elements(change.set, change.added));
  }
  // What is gone refers to one another: first all lose their rules, then they go.
  for (const std::string& chain : changes.gone_chains) batch.flush_chain(table(), chain);
  for (const std::string& chain : changes.gone_chains) batch.delete_chain(table(), chain);
  for (const SetInfo& set : changes.gone_sets) batch.delete_set(table(), set.name);
  for (const std::string& counter : changes.gone_counters) batch.delete_counter(table(), counter);
}

class KernelTableImpl final : public KernelTable {
 public:
  KernelTableImpl(nft::Socket socket, nft::Monitor monitor, int wake, std::function<void()> on_lost)
      : socket_(std::move(socket)), monitor_(std::move(monitor)), wake_(wake), on_lost_(std::move(on_lost)) {
    watcher_ = std::jthread([this](std::stop_token stop) { watch(std::move(stop)); });
  }

  ~KernelTableImpl() override {
    watcher_.request_stop();
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
    watcher_.join();
    ::close(wake_);
  }

  Status replace(const Changes& everything) override {
    nft::Batch batch;
    batch.destroy_table(table());
    batch.add_table(table());
    add_changes(batch, everything, true);
    return socket_.commit(batch);
  }

  Status apply(const Changes& changes) override {
    nft::Batch batch;
    add_changes(batch, changes, false);
    return socket_.commit(batch);
  }

  Status remove() override {
    if (Status there = socket_.table(table()).status(); !there.ok()) {
      return there.is(Reason::kNotFound) ? Status() : there;
    }
    nft::Batch batch;
    batch.destroy_table(table());
    return socket_.commit(batch);
  }

 private:
  void watch(std::stop_token stop) {
    std::array<pollfd, 2> waits{{{monitor_.fd(), POLLIN, 0}, {wake_, POLLIN, 0}}};
    while (!stop.stop_requested()) {
      if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
        log::error("Changes of the policies' rules by others go unnoticed from now on", {{"errno", errno}});
        return;
      }
      if (stop.stop_requested()) return;
      bool lost = false;
      for (const nft::Monitor::Event& event : monitor_.read()) {
        lost = lost || event.what == nft::Monitor::What::kOverrun ||
               (event.what == nft::Monitor::What::kDeleted && event.table == table());
      }
      if (lost) on_lost_();
    }
  }

  nft::Socket socket_;
  nft::Monitor monitor_;
  const int wake_;
  const std::function<void()> on_lost_;
  std::jthread watcher_;
};

}  // namespace

Result<std::unique_ptr<KernelTable>> KernelTable::open(std::function<void()> on_lost) {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  TRY_ASSIGN(nft::Monitor monitor, nft::Monitor::open(socket.port_id()));
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) return Status::internal("eventfd failed");
  return std::unique_ptr<KernelTable>(
      std::make_unique<KernelTableImpl>(std::move(socket), std::move(monitor), wake, std::move(on_lost)));
}

Result<std::vector<PolicyCount>> policy_counts() {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  if (Status there = socket.table(table()).status(); !there.ok()) {
    if (there.is(Reason::kNotFound)) return std::vector<PolicyCount>();
    return there;
  }
  TRY_ASSIGN(const auto counters, socket.counters(table()));
  std::map<std::array<std::string, 3>, PolicyCount> counts;
  for (const auto& counter : counters) {
    const CounterName parts = parse_counter_name(counter.name);
    PolicyCount& count = counts[{parts.ns, parts.policy, name_of(parts.direction)}];
    count.ns = parts.ns;
    count.name = parts.policy;
    count.direction = parts.direction;
    (parts.allowed ? count.allowed : count.denied) = counter.packets;
  }
  std::vector<PolicyCount> out;
  for (auto& [key, count] : counts) out.push_back(std::move(count));
  return out;
}

Status remove_kernel_table() {
  TRY_ASSIGN(nft::Socket socket, nft::Socket::open());
  if (Status there = socket.table(table()).status(); !there.ok()) {
    return there.is(Reason::kNotFound) ? Status() : there;
  }
  nft::Batch batch;
  batch.destroy_table(table());
  return socket.commit(batch);
}

}  // namespace trireme::policy
