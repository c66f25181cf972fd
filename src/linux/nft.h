#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "linux/nft_rule.h"

/// nftables through netlink: what is to change is gathered in a Batch and takes effect in one transaction, or not at
/// all. What is written prints with `nft list ruleset` as if that tool had written it.
///
///   Batch batch;
///   Table table{Family::kIp, "trireme-proxy"};
///   batch.add_table(table);
///   batch.add_set(table, {.name = "ports", .key = {Type::kInetProto, Type::kInetService}});
///   batch.add_elements(table, "ports", {{.key = Key().proto(6).port(80)}});
///   batch.add_chain(table, {.name = "input", .hook = Hook::kInput, .priority = 0});
///   batch.add_rule(table, "input", Rule().match_set({Field::kL4Proto, Field::kThDport}, "ports").verdict(drop()));
///   TRY_ASSIGN(Socket socket, Socket::open());
///   TRY(socket.commit(batch));
///
/// Needs CAP_NET_ADMIN in the network namespace of the thread that opens the socket.
namespace trireme::linux::nft {

/// The address families' numbers are the kernel's NFPROTO_*.
enum class Family : uint8_t { kInet = 1, kIp = 2, kBridge = 7, kIp6 = 10 };

struct Table {
  Family family = Family::kIp;
  std::string name;
  auto operator<=>(const Table&) const = default;
};

/// Data types of keys and values; the numbers are those by which the nft tool remembers them.
enum class Type : uint8_t {
  kVerdict = 0,
  kNfProto = 2,  ///< meta nfproto
  kIndex = 4,    ///< A number as numgen or jhash makes it: 4 bytes in the machine's order.
  kIpv4 = 7,
  kIpv6 = 8,
  kInetProto = 12,
  kInetService = 13,
  kMark = 19,  ///< 4 bytes in the machine's order.
  kIfName = 41,
};
/// Bytes of one value, without the padding to 4 bytes that it has inside a concatenation. A verdict's is 0.
size_t size_of(Type type);

enum class Hook : uint8_t { kPrerouting = 0, kInput = 1, kForward = 2, kOutput = 3, kPostrouting = 4, kNone = 255 };

struct Chain {
  std::string name;
  std::string type = "filter";  ///< "filter", "nat" or "route"; counts for base chains only.
  Hook hook = Hook::kNone;      ///< kNone: an ordinary chain, to be jumped to.
  int32_t priority = 0;
  bool drop_by_default = false;
  auto operator<=>(const Chain&) const = default;
};

/// A set; with `data` a map; with data {kVerdict} a verdict map.
struct Set {
  std::string name;
  std::vector<Type> key;  ///< At most five parts.
  std::vector<Type> data;
  bool interval = false;                 ///< Keys may be ranges.
  bool dynamic = false;                  ///< Rules add elements; `size` bounds them.
  bool timeouts = false;                 ///< Elements may have a timeout of their own.
  std::chrono::milliseconds timeout{0};  ///< Of elements that name none. 0: they stay.
  uint32_t size = 0;                     ///< 0: no bound.
  std::string comment;                   ///< At most 120 bytes.
  auto operator<=>(const Set&) const = default;
};

/// The bytes of a key or value, padded as a concatenation needs it. A key of one part has no padding behind it:
/// `bytes()` of `Key().port(80)` are two.
class Key {
 public:
  /// 4 or 16 bytes in network order.
  Key& address(std::string_view bytes) { return part(bytes); }
  Key& proto(uint8_t number) { return part({reinterpret_cast<const char*>(&number), 1}); }
  Key& port(uint16_t number);
  Key& mark(uint32_t number) { return part({reinterpret_cast<const char*>(&number), sizeof(number)}); }
  Key& index(uint32_t number) { return mark(number); }
  Key& interface(std::string_view name);
  Key& part(std::string_view bytes);

  const std::string& bytes() const { return bytes_; }
  operator std::string() const { return bytes_; }  // NOLINT: implicit by intent

 private:
  std::string bytes_;
};

struct Element {
  std::string key;
  std::string key_end;                      ///< Interval sets: the last key of the range; empty: the key alone.
  std::variant<std::string, Verdict> data;  ///< Maps: the value.
  std::chrono::milliseconds timeout{0};
  std::string comment;
};

/// One transaction in the making. Reusable after `clear`.
class Batch {
 public:
  /// There already counts as added.
  void add_table(const Table& table, std::string_view comment = {});
  /// With everything in it; absent fails.
  void delete_table(const Table& table);
  /// The same, absent or not.
  void destroy_table(const Table& table);

  void add_chain(const Table& table, const Chain& chain);
  void flush_chain(const Table& table, std::string_view chain);
  /// Of all chains.
  void flush_rules(const Table& table);
  void delete_chain(const Table& table, std::string_view chain);

  void add_rule(const Table& table, std::string_view chain, const Rule& rule);
  void insert_rule(const Table& table, std::string_view chain, const Rule& rule);
  void replace_rule(const Table& table, std::string_view chain, uint64_t handle, const Rule& rule);
  void delete_rule(const Table& table, std::string_view chain, uint64_t handle);

  void add_set(const Table& table, const Set& set);
  void flush_set(const Table& table, std::string_view set);
  void delete_set(const Table& table, std::string_view set);

  /// Elements of single-field interval sets must neither overlap nor touch.
  /// An element that is there already with the same data counts as added; with other data it fails: delete it first.
  void add_elements(const Table& table, const Set& set, std::span<const Element> elements);
  void add_element(const Table& table, const Set& set, const Element& element) {
    add_elements(table, set, {&element, 1});
  }
  /// By their keys; an absent one fails.
  void delete_elements(const Table& table, const Set& set, std::span<const Element> elements);
  void delete_element(const Table& table, const Set& set, const Element& element) {
    delete_elements(table, set, {&element, 1});
  }

  void add_counter(const Table& table, std::string_view name, std::string_view comment = {});
  void delete_counter(const Table& table, std::string_view name);

  bool empty() const { return operations_ == 0; }
  /// Messages; many elements share one.
  uint32_t operations() const { return operations_; }
  size_t bytes() const { return buffer_.size(); }
  void clear();

 private:
  friend class Socket;
  class Message;
  void chain_message(uint16_t type, uint16_t flags, const Table& table, const Chain& chain);
  void rule_message(uint16_t type, uint16_t flags, const Table& table, std::string_view chain, uint64_t handle,
                    const Rule* rule);
  void elements_message(uint16_t type, const Table& table, const Set& set, std::span<const Element> elements);
  std::string describe(uint32_t sequence) const;

  std::string buffer_;
  uint32_t operations_ = 0;
};

/// What the kernel has of a table.
struct ListedTable {
  Table table;
  uint64_t handle = 0;  ///< Another one after the table was deleted and made anew.
  uint32_t uses = 0;    ///< Its chains, sets and objects.
  std::string comment;
};
struct ListedRule {
  std::string chain;
  uint64_t handle = 0;
  std::string comment;
  std::string text;  ///< In the words of libnftnl, for tests and logs.
};

/// A connection to the kernel's nftables. Calls block briefly; one thread at a time.
class Socket {
 public:
  static Result<Socket> open();
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  /// All of the batch or nothing. The failure names the operation: NotFound, AlreadyExists, Conflict (busy),
  /// Forbidden, Invalid, or Internal. An empty batch does nothing.
  Status commit(const Batch& batch);

  Result<std::vector<ListedTable>> tables();
  /// NotFound when absent.
  Result<ListedTable> table(const Table& table);
  Result<std::vector<Chain>> chains(const Table& table);
  /// NotFound when the chain or its table is absent.
  Result<Chain> chain(const Table& table, std::string_view name);
  Result<std::vector<ListedRule>> rules(const Table& table);
  /// Of one chain.
  Result<std::vector<ListedRule>> rules(const Table& table, std::string_view chain);
  /// Names, and of their making flags, key and data sizes that the caller compares: types that are unknown here are
  /// left out.
  Result<std::vector<Set>> sets(const Table& table);
  /// Timeouts are what remains of them.
  Result<std::vector<Element>> elements(const Table& table, std::string_view set);
  struct Counter {
    std::string name;
    uint64_t packets = 0;
    uint64_t bytes = 0;
  };
  Result<std::vector<Counter>> counters(const Table& table);

  /// Raised by one with every transaction in this network namespace, whoever makes it.
  Result<uint32_t> generation();

  /// By which the kernel's notices tell who made a change.
  uint32_t port_id() const;

 private:
  struct Impl;
  explicit Socket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Tells of changes that others make. One thread at a time.
class Monitor {
 public:
  enum class What : uint8_t {
    kDeleted,     ///< Something of `table` was deleted.
    kChainAdded,  ///< `table` has a chain more, or a chain another policy.
    kGeneration,  ///< Somebody changed something somewhere.
    kOverrun,     ///< The kernel had more to tell than fitted.
  };
  struct Event {
    What what = What::kGeneration;
    Table table;  ///< Of kDeleted and kChainAdded.
  };

  /// Changes made through the socket of `own_port_id` are not told.
  static Result<Monitor> open(uint32_t own_port_id);
  Monitor(Monitor&&) noexcept;
  Monitor& operator=(Monitor&&) noexcept;
  ~Monitor();

  /// Readable when there is something to read.
  int fd() const;
  /// What has come in; empty when nothing has. Does not wait.
  std::vector<Event> read();

 private:
  struct Impl;
  explicit Monitor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trireme::linux::nft
