#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

/// Rules of nftables as values: built step by step, kept as the bytes that the kernel reads, compared by them.
namespace trireme::linux::nft {

struct Verdict {
  enum class Code : int8_t { kDrop = 0, kAccept = 1, kContinue = -1, kJump = -3, kGoto = -4, kReturn = -5 };
  Code code = Code::kAccept;
  std::string chain;  ///< kJump and kGoto.
  auto operator<=>(const Verdict&) const = default;
};
inline Verdict accept() { return {Verdict::Code::kAccept, {}}; }
inline Verdict drop() { return {Verdict::Code::kDrop, {}}; }
inline Verdict return_() { return {Verdict::Code::kReturn, {}}; }
inline Verdict jump(std::string_view chain) { return {Verdict::Code::kJump, std::string(chain)}; }
inline Verdict goto_(std::string_view chain) { return {Verdict::Code::kGoto, std::string(chain)}; }

/// What can be loaded of a packet and its connection.
enum class Field : uint8_t {
  kIpSaddr,
  kIpDaddr,
  kIp6Saddr,
  kIp6Daddr,
  kThSport,
  kThDport,
  kIcmpType,
  kTcpFlags,
  kL4Proto,   ///< One byte.
  kNfProto,   ///< One byte: 2 or 10.
  kProtocol,  ///< EtherType, two bytes in network order.
  kMark,
  kIifName,
  kOifName,
  kPktType,
  kCtState,   ///< Bits: kCtNew and so on.
  kCtStatus,  ///< Bits: kCtDnat and so on.
  kCtMark,
  kCtDirection,
  kCtOriginalIpSaddr,
  kCtOriginalIpDaddr,
  kCtOriginalIp6Saddr,
  kCtOriginalIp6Daddr,
  kCtOriginalProtoDst,
  kFibDaddrType,  ///< RTN_*: 2 is an address of this machine.
  kFibSaddrType,
};
size_t size_of(Field field);

constexpr uint32_t kCtInvalid = 1;
constexpr uint32_t kCtEstablished = 2;
constexpr uint32_t kCtRelated = 4;
constexpr uint32_t kCtNew = 8;
constexpr uint32_t kCtUntracked = 64;
/// Bits of kCtStatus.
constexpr uint32_t kCtSnatStatus = 16;
constexpr uint32_t kCtDnatStatus = 32;
/// A value of kFib…Type.
constexpr uint32_t kFibLocal = 2;

enum class Compare : uint8_t {
  kEqual = 0,
  kNotEqual = 1,
  kLess = 2,
  kLessOrEqual = 3,
  kGreater = 4,
  kGreaterOrEqual = 5
};
enum class DynamicOperation : uint8_t { kAdd = 0, kUpdate = 1, kDelete = 2 };
enum class RejectWith : uint8_t {
  kTcpReset,
  // In tables of family ip, ip6 and inet.
  kIcmpPortUnreachable,
  kIcmp6PortUnreachable,
  kInetPortUnreachable,
  kIcmpAdminProhibited,
  kIcmp6AdminProhibited,
  kInetAdminProhibited,
};

/// Values as a rule compares them. Numbers in the machine's order but ports, which are in the network's.
std::string bytes_of(uint32_t number);
std::string byte_of(uint8_t number);
std::string port_bytes(uint16_t port);
/// An interface's name, padded to its 16 bytes.
std::string interface_bytes(std::string_view name);

/// Steps run in order; the first that does not match ends the rule. Registers are numbered 0 to 15 and hold 4 bytes
/// each; a longer value takes as many as it needs. The kernel refuses to read a register that no step of the same rule
/// has written. What a lookup gave may be jumped by or translated to, but not be part of another lookup's key: the nft
/// tool (1.0.6) aborts when it lists such a rule.
class Rule {
 public:
  // Matching.
  Rule& match(Field field, std::string_view value, Compare compare = Compare::kEqual);
  /// The first `length` bits of an address.
  Rule& match_prefix(Field field, std::string_view address, unsigned length, bool invert = false);
  /// First and last count in. For numbers in network order.
  Rule& match_range(Field field, std::string_view first, std::string_view last, bool invert = false);
  /// Of a field of 4 bytes: any of the bits is set (or, inverted, none).
  Rule& match_bits(Field field, uint32_t bits, bool invert = false);
  /// Interface names that begin with `prefix`.
  Rule& match_name_prefix(Field field, std::string_view prefix, bool invert = false);
  /// The concatenation of `fields` is in the set.
  Rule& match_set(std::initializer_list<Field> fields, std::string_view set, bool invert = false);
  /// Looks the concatenation up in a verdict map and acts by what is found; nothing found: the rule ends.
  Rule& verdict_map(std::initializer_list<Field> fields, std::string_view map);

  // Registers.
  Rule& load(Field field, int into);
  /// Loads fields one after the other, each beginning at a register of its own; `next_register` is what follows.
  Rule& load(std::initializer_list<Field> fields, int into, int* next_register = nullptr);
  Rule& immediate(std::string_view bytes, int into);
  Rule& compare(int from, Compare compare, std::string_view value);
  /// `into` = (`from` & mask) ^ xor_with.
  Rule& bitwise(int from, int into, std::string_view mask, std::string_view xor_with);
  Rule& lookup(std::string_view set, int from, bool invert = false);
  Rule& lookup_value(std::string_view map, int from, int into);
  Rule& lookup_verdict(std::string_view map, int from);
  /// A random number below `modulus`, or each in turn; plus `offset`.
  Rule& random(uint32_t modulus, int into, uint32_t offset = 0);
  Rule& round_robin(uint32_t modulus, int into, uint32_t offset = 0);
  Rule& jhash(int from, uint32_t length, uint32_t modulus, uint32_t seed, int into);
  /// Changes a dynamic set, or with `data_from` a map. `timeout` zero: the set's own.
  Rule& dynamic(DynamicOperation operation, std::string_view set, int key_from, std::optional<int> data_from = {},
                std::chrono::milliseconds timeout = {});
  Rule& set_mark(int from);
  Rule& set_ct_mark(int from);
  /// mark = (mark & ~mask) | value
  Rule& set_mark_bits(uint32_t mask, uint32_t value);

  // Actions.
  Rule& counter();
  Rule& counter(std::string_view name);
  Rule& log(std::string_view prefix);
  /// `ip6`: of which family the address in the registers is.
  Rule& dnat(bool ip6, int address_from, std::optional<int> port_from = {});
  Rule& snat(bool ip6, int address_from, std::optional<int> port_from = {});
  Rule& masquerade(bool fully_random = false);
  Rule& redirect(uint16_t port);
  Rule& reject(RejectWith with);
  Rule& verdict(const Verdict& verdict);
  /// At most 120 bytes are kept.
  Rule& comment(std::string_view text);

  const std::string& expressions() const { return expressions_; }
  const std::string& comment() const { return comment_; }
  /// Every step in the words of libnftnl, for tests and logs.
  std::string text() const;
  auto operator<=>(const Rule&) const = default;

 private:
  void append(void* expression);
  Rule& number(uint32_t type, uint32_t modulus, int into, uint32_t offset);
  Rule& nat(uint32_t type, bool ip6, int address_from, std::optional<int> port_from);

  std::string expressions_;
  std::string comment_;
};

}  // namespace trireme::linux::nft
