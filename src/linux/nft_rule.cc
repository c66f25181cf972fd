#include "linux/nft_rule.h"

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cassert>
#include <cstring>

namespace trireme::linux::nft {
namespace {

constexpr size_t kNameSize = IFNAMSIZ;
constexpr size_t kMaxComment = 120;

enum class Source : uint8_t { kNetwork, kTransport, kMeta, kCt, kCtOriginal, kFib };

struct FieldInfo {
  Source source;
  uint32_t key;  ///< The offset in the header, or the kernel's number of the key.
  uint8_t size;
};

constexpr auto kFields = std::to_array<FieldInfo>({
    {Source::kNetwork, 12, 4},                   // kIpSaddr
    {Source::kNetwork, 16, 4},                   // kIpDaddr
    {Source::kNetwork, 8, 16},                   // kIp6Saddr
    {Source::kNetwork, 24, 16},                  // kIp6Daddr
    {Source::kTransport, 0, 2},                  // kThSport
    {Source::kTransport, 2, 2},                  // kThDport
    {Source::kTransport, 0, 1},                  // kIcmpType
    {Source::kTransport, 13, 1},                 // kTcpFlags
    {Source::kMeta, NFT_META_L4PROTO, 1},        // kL4Proto
    {Source::kMeta, NFT_META_NFPROTO, 1},        // kNfProto
    {Source::kMeta, NFT_META_PROTOCOL, 2},       // kProtocol
    {Source::kMeta, NFT_META_MARK, 4},           // kMark
    {Source::kMeta, NFT_META_IIFNAME, 16},       // kIifName
    {Source::kMeta, NFT_META_OIFNAME, 16},       // kOifName
    {Source::kMeta, NFT_META_PKTTYPE, 1},        // kPktType
    {Source::kCt, NFT_CT_STATE, 4},              // kCtState
    {Source::kCt, NFT_CT_STATUS, 4},             // kCtStatus
    {Source::kCt, NFT_CT_MARK, 4},               // kCtMark
    {Source::kCt, NFT_CT_DIRECTION, 1},          // kCtDirection
    {Source::kCtOriginal, NFT_CT_SRC_IP, 4},     // kCtOriginalIpSaddr
    {Source::kCtOriginal, NFT_CT_DST_IP, 4},     // kCtOriginalIpDaddr
    {Source::kCtOriginal, NFT_CT_SRC_IP6, 16},   // kCtOriginalIp6Saddr
    {Source::kCtOriginal, NFT_CT_DST_IP6, 16},   // kCtOriginalIp6Daddr
    {Source::kCtOriginal, NFT_CT_PROTO_DST, 2},  // kCtOriginalProtoDst
    {Source::kFib, NFTA_FIB_F_DADDR, 4},         // kFibDaddrType
    {Source::kFib, NFTA_FIB_F_SADDR, 4},         // kFibSaddrType
});

const FieldInfo& info(Field field) { return kFields[static_cast<size_t>(field)]; }

uint32_t register_number(int number) {
  assert(number >= 0 && number < NFT_REG32_COUNT);
  return NFT_REG32_00 + static_cast<uint32_t>(number);
}

nftnl_expr* make(const char* name) {
  nftnl_expr* expression = nftnl_expr_alloc(name);
  assert(expression != nullptr);  // an unknown name, or no memory
  return expression;
}

void set_data(nftnl_expr* expression, uint16_t attribute, std::string_view bytes) {
  nftnl_expr_set(expression, attribute, bytes.data(), static_cast<uint32_t>(bytes.size()));
}

void set_register(nftnl_expr* expression, uint16_t attribute, int number) {
  nftnl_expr_set_u32(expression, attribute, register_number(number));
}

void set_name(nftnl_expr* expression, uint16_t attribute, std::string_view name) {
  nftnl_expr_set_str(expression, attribute, std::string(name).c_str());
}

nftnl_expr* make_load(const FieldInfo& field, int into, uint32_t size) {
  nftnl_expr* expression = nullptr;
  switch (field.source) {
    case Source::kNetwork:
    case Source::kTransport:
      expression = make("payload");
      set_register(expression, NFTNL_EXPR_PAYLOAD_DREG, into);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE,
                         field.source == Source::kNetwork ? NFT_PAYLOAD_NETWORK_HEADER : NFT_PAYLOAD_TRANSPORT_HEADER);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, field.key);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, size);
      break;
    case Source::kMeta:
      expression = make("meta");
      set_register(expression, NFTNL_EXPR_META_DREG, into);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, field.key);
      break;
    case Source::kCt:
    case Source::kCtOriginal:
      expression = make("ct");
      set_register(expression, NFTNL_EXPR_CT_DREG, into);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, field.key);
      if (field.source == Source::kCtOriginal) nftnl_expr_set_u8(expression, NFTNL_EXPR_CT_DIR, 0);
      break;
    case Source::kFib:
      expression = make("fib");
      set_register(expression, NFTNL_EXPR_FIB_DREG, into);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
      nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_FLAGS, field.key);
      break;
  }
  return expression;
}

}  // namespace

size_t size_of(Field field) { return info(field).size; }

std::string bytes_of(uint32_t number) { return {reinterpret_cast<const char*>(&number), sizeof(number)}; }
std::string byte_of(uint8_t number) { return {static_cast<char>(number)}; }
std::string port_bytes(uint16_t port) {
  return {static_cast<char>(static_cast<unsigned char>(port >> 8)), static_cast<char>(port & 0xff)};
}
std::string interface_bytes(std::string_view name) {
  std::string bytes(name.substr(0, kNameSize - 1));
  bytes.resize(kNameSize, '\0');
  return bytes;
}

void Rule::append(void* any) {
  auto* expression = static_cast<nftnl_expr*>(any);
  std::array<char, 1024> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  nlattr* nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  nftnl_expr_build_payload(message, expression);
  mnl_attr_nest_end(message, nest);
  expressions_.append(static_cast<const char*>(mnl_nlmsg_get_payload(message)), mnl_nlmsg_get_payload_len(message));
  nftnl_expr_free(expression);
}

Rule& Rule::match(Field field, std::string_view value, Compare how) { return load(field, 0).compare(0, how, value); }

Rule& Rule::match_prefix(Field field, std::string_view address, unsigned length, bool invert) {
  const FieldInfo& of = info(field);
  assert(length <= of.size * 8U);
  if (length == 0) return *this;
  Compare how = invert ? Compare::kNotEqual : Compare::kEqual;
  if (of.source == Source::kNetwork && length % 8 == 0) {  // as the nft tool does: a shorter load
    append(make_load(of, 0, length / 8));
    return compare(0, how, address.substr(0, length / 8));
  }
  std::string mask(of.size, '\0');
  std::string masked(of.size, '\0');
  for (unsigned i = 0; i < of.size; ++i) {
    unsigned bits = length > i * 8 ? std::min(8U, length - i * 8) : 0;
    mask[i] = static_cast<char>(0xff00U >> bits & 0xffU);
    masked[i] = static_cast<char>(address[i] & mask[i]);
  }
  return load(field, 0).bitwise(0, 0, mask, std::string(of.size, '\0')).compare(0, how, masked);
}

Rule& Rule::match_range(Field field, std::string_view first, std::string_view last, bool invert) {
  load(field, 0);
  if (!invert) return compare(0, Compare::kGreaterOrEqual, first).compare(0, Compare::kLessOrEqual, last);
  nftnl_expr* range = make("range");
  set_register(range, NFTNL_EXPR_RANGE_SREG, 0);
  nftnl_expr_set_u32(range, NFTNL_EXPR_RANGE_OP, NFT_RANGE_NEQ);
  set_data(range, NFTNL_EXPR_RANGE_FROM_DATA, first);
  set_data(range, NFTNL_EXPR_RANGE_TO_DATA, last);
  append(range);
  return *this;
}

Rule& Rule::match_bits(Field field, uint32_t bits, bool invert) {
  return load(field, 0)
      .bitwise(0, 0, bytes_of(bits), bytes_of(0))
      .compare(0, invert ? Compare::kEqual : Compare::kNotEqual, bytes_of(0));
}

Rule& Rule::match_name_prefix(Field field, std::string_view prefix, bool invert) {
  return load(field, 0).compare(0, invert ? Compare::kNotEqual : Compare::kEqual, prefix);
}

Rule& Rule::match_set(std::initializer_list<Field> fields, std::string_view set, bool invert) {
  return load(fields, 0).lookup(set, 0, invert);
}

Rule& Rule::verdict_map(std::initializer_list<Field> fields, std::string_view map) {
  return load(fields, 0).lookup_verdict(map, 0);
}

Rule& Rule::load(Field field, int into) {
  append(make_load(info(field), into, info(field).size));
  return *this;
}

Rule& Rule::load(std::initializer_list<Field> fields, int into, int* next_register) {
  for (Field field : fields) {
    load(field, into);
    into += static_cast<int>((size_of(field) + 3) / 4);
  }
  if (next_register != nullptr) *next_register = into;
  return *this;
}

Rule& Rule::immediate(std::string_view bytes, int into) {
  nftnl_expr* expression = make("immediate");
  set_register(expression, NFTNL_EXPR_IMM_DREG, into);
  set_data(expression, NFTNL_EXPR_IMM_DATA, bytes);
  append(expression);
  return *this;
}

Rule& Rule::compare(int from, Compare how, std::string_view value) {
  nftnl_expr* expression = make("cmp");
  set_register(expression, NFTNL_EXPR_CMP_SREG, from);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, static_cast<uint32_t>(how));
  set_data(expression, NFTNL_EXPR_CMP_DATA, value);
  append(expression);
  return *this;
}

Rule& Rule::bitwise(int from, int into, std::string_view mask, std::string_view xor_with) {
  nftnl_expr* expression = make("bitwise");
  set_register(expression, NFTNL_EXPR_BITWISE_SREG, from);
  set_register(expression, NFTNL_EXPR_BITWISE_DREG, into);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, static_cast<uint32_t>(mask.size()));
  set_data(expression, NFTNL_EXPR_BITWISE_MASK, mask);
  set_data(expression, NFTNL_EXPR_BITWISE_XOR, xor_with);
  append(expression);
  return *this;
}

Rule& Rule::lookup(std::string_view set, int from, bool invert) {
  nftnl_expr* expression = make("lookup");
  set_register(expression, NFTNL_EXPR_LOOKUP_SREG, from);
  set_name(expression, NFTNL_EXPR_LOOKUP_SET, set);
  if (invert) nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  append(expression);
  return *this;
}

Rule& Rule::lookup_value(std::string_view map, int from, int into) {
  nftnl_expr* expression = make("lookup");
  set_register(expression, NFTNL_EXPR_LOOKUP_SREG, from);
  set_register(expression, NFTNL_EXPR_LOOKUP_DREG, into);
  set_name(expression, NFTNL_EXPR_LOOKUP_SET, map);
  append(expression);
  return *this;
}

Rule& Rule::lookup_verdict(std::string_view map, int from) {
  nftnl_expr* expression = make("lookup");
  set_register(expression, NFTNL_EXPR_LOOKUP_SREG, from);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  set_name(expression, NFTNL_EXPR_LOOKUP_SET, map);
  append(expression);
  return *this;
}

Rule& Rule::number(uint32_t type, uint32_t modulus, int into, uint32_t offset) {
  nftnl_expr* expression = make("numgen");
  set_register(expression, NFTNL_EXPR_NG_DREG, into);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NG_MODULUS, modulus);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NG_TYPE, type);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NG_OFFSET, offset);
  append(expression);
  return *this;
}

Rule& Rule::random(uint32_t modulus, int into, uint32_t offset) { return number(NFT_NG_RANDOM, modulus, into, offset); }
Rule& Rule::round_robin(uint32_t modulus, int into, uint32_t offset) {
  return number(NFT_NG_INCREMENTAL, modulus, into, offset);
}

Rule& Rule::jhash(int from, uint32_t length, uint32_t modulus, uint32_t seed, int into) {
  nftnl_expr* expression = make("hash");
  set_register(expression, NFTNL_EXPR_HASH_SREG, from);
  set_register(expression, NFTNL_EXPR_HASH_DREG, into);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_HASH_LEN, length);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_HASH_MODULUS, modulus);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_HASH_SEED, seed);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_HASH_OFFSET, 0);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
  append(expression);
  return *this;
}

Rule& Rule::dynamic(DynamicOperation operation, std::string_view set, int key_from, std::optional<int> data_from,
                    std::chrono::milliseconds timeout) {
  nftnl_expr* expression = make("dynset");
  set_register(expression, NFTNL_EXPR_DYNSET_SREG_KEY, key_from);
  if (data_from) set_register(expression, NFTNL_EXPR_DYNSET_SREG_DATA, *data_from);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_OP, static_cast<uint32_t>(operation));
  if (timeout.count() > 0) {
    nftnl_expr_set_u64(expression, NFTNL_EXPR_DYNSET_TIMEOUT, static_cast<uint64_t>(timeout.count()));
  }
  set_name(expression, NFTNL_EXPR_DYNSET_SET_NAME, set);
  append(expression);
  return *this;
}

Rule& Rule::set_mark(int from) {
  nftnl_expr* expression = make("meta");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  set_register(expression, NFTNL_EXPR_META_SREG, from);
  append(expression);
  return *this;
}

Rule& Rule::set_ct_mark(int from) {
  nftnl_expr* expression = make("ct");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
  set_register(expression, NFTNL_EXPR_CT_SREG, from);
  append(expression);
  return *this;
}

Rule& Rule::set_mark_bits(uint32_t mask, uint32_t value) {
  return load(Field::kMark, 0).bitwise(0, 0, bytes_of(~mask), bytes_of(value & mask)).set_mark(0);
}

Rule& Rule::counter() {
  append(make("counter"));
  return *this;
}

Rule& Rule::counter(std::string_view name) {
  nftnl_expr* expression = make("objref");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  set_name(expression, NFTNL_EXPR_OBJREF_IMM_NAME, name);
  append(expression);
  return *this;
}

Rule& Rule::log(std::string_view prefix) {
  nftnl_expr* expression = make("log");
  set_name(expression, NFTNL_EXPR_LOG_PREFIX, prefix);
  append(expression);
  return *this;
}

Rule& Rule::nat(uint32_t type, bool ip6, int address_from, std::optional<int> port_from) {
  nftnl_expr* expression = make("nat");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_TYPE, type);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FAMILY, ip6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
  set_register(expression, NFTNL_EXPR_NAT_REG_ADDR_MIN, address_from);
  if (port_from) {
    set_register(expression, NFTNL_EXPR_NAT_REG_PROTO_MIN, *port_from);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  }
  append(expression);
  return *this;
}

Rule& Rule::dnat(bool ip6, int address_from, std::optional<int> port_from) {
  return nat(NFT_NAT_DNAT, ip6, address_from, port_from);
}
Rule& Rule::snat(bool ip6, int address_from, std::optional<int> port_from) {
  return nat(NFT_NAT_SNAT, ip6, address_from, port_from);
}

Rule& Rule::masquerade(bool fully_random) {
  nftnl_expr* expression = make("masq");
  if (fully_random) nftnl_expr_set_u32(expression, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
  append(expression);
  return *this;
}

Rule& Rule::redirect(uint16_t port) {
  immediate(port_bytes(port), 0);
  nftnl_expr* expression = make("redir");
  set_register(expression, NFTNL_EXPR_REDIR_REG_PROTO_MIN, 0);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  append(expression);
  return *this;
}

Rule& Rule::reject(RejectWith with) {
  nftnl_expr* expression = make("reject");
  struct Answer {
    uint32_t type;
    uint8_t code;
  };
  constexpr auto kAnswers = std::to_array<Answer>({
      {NFT_REJECT_TCP_RST, 0},
      {NFT_REJECT_ICMP_UNREACH, ICMP_PORT_UNREACH},
      {NFT_REJECT_ICMP_UNREACH, ICMPV6_PORT_UNREACH},
      {NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH},
      {NFT_REJECT_ICMP_UNREACH, ICMP_PKT_FILTERED},
      {NFT_REJECT_ICMP_UNREACH, ICMPV6_ADM_PROHIBITED},
      {NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED},
  });
  const auto [type, code] = kAnswers[static_cast<size_t>(with)];
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, type);
  nftnl_expr_set_u8(expression, NFTNL_EXPR_REJECT_CODE, code);
  append(expression);
  return *this;
}

Rule& Rule::verdict(const Verdict& verdict) {
  nftnl_expr* expression = make("immediate");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, static_cast<uint32_t>(verdict.code));
  if (!verdict.chain.empty()) set_name(expression, NFTNL_EXPR_IMM_CHAIN, verdict.chain);
  append(expression);
  return *this;
}

Rule& Rule::comment(std::string_view text) {
  comment_ = text.substr(0, kMaxComment);
  return *this;
}

}  // namespace trireme::linux::nft
