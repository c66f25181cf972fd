#include <fmt/format.h>
#include <libnftnl/udata.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "linux/nft_wire.h"

namespace trireme::linux::nft {
namespace {

// The nft tool's numbers (include/datatype.h, include/expression.h, include/proto.h of nftables): they are kept in
// kernels across its versions, so it cannot change them.
constexpr uint32_t kByteOrderHost = 1;
constexpr uint32_t kByteOrderNetwork = 2;
constexpr uint32_t kExpressionPayload = 7;
constexpr uint32_t kExpressionMeta = 9;
constexpr uint32_t kExpressionConcat = 13;
constexpr uint32_t kExpressionNumgen = 23;
constexpr uint32_t kHeaderTransport = 11;
constexpr uint32_t kHeaderIp = 12;
constexpr uint32_t kHeaderIp6 = 13;
constexpr uint32_t kIpDaddr = 12;
constexpr uint32_t kIp6Daddr = 7;
constexpr uint32_t kThDport = 2;

void put(std::string& out, uint8_t type, std::string_view value) {
  assert(value.size() < 256);
  out += static_cast<char>(type);
  out += static_cast<char>(static_cast<uint8_t>(value.size()));
  out += value;
}

void put_number(std::string& out, uint8_t type, uint32_t number) { put(out, type, bytes_of(number)); }

/// An expression by which a part of a key could be loaded: the nft tool prints "typeof" it.
std::string example(Type type) {
  auto build = [](uint32_t kind, std::initializer_list<uint32_t> numbers) {
    std::string data;
    uint8_t attribute = 0;
    for (uint32_t number : numbers) put_number(data, attribute++, number);
    std::string out;
    put_number(out, 0, kind);
    put(out, 1, data);
    return out;
  };
  switch (type) {
    case Type::kIpv4:
      return build(kExpressionPayload, {kHeaderIp, kIpDaddr});
    case Type::kIpv6:
      return build(kExpressionPayload, {kHeaderIp6, kIp6Daddr});
    case Type::kInetService:
      return build(kExpressionPayload, {kHeaderTransport, kThDport});
    case Type::kInetProto:
      return build(kExpressionMeta, {NFT_META_L4PROTO});
    case Type::kNfProto:
      return build(kExpressionMeta, {NFT_META_NFPROTO});
    case Type::kMark:
      return build(kExpressionMeta, {NFT_META_MARK});
    case Type::kIfName:
      return build(kExpressionMeta, {NFT_META_IIFNAME});
    case Type::kIndex:
      return build(kExpressionNumgen, {NFT_NG_RANDOM, 65536, 0});
    case Type::kVerdict:
      break;
  }
  return {};
}

bool needs_example(const std::vector<Type>& types) {
  for (Type type : types) {
    if (type == Type::kIndex) return true;
  }
  return false;
}

/// `full`: with the parts of a concatenation.
std::string example(const std::vector<Type>& types, bool full) {
  if (types.size() == 1) return example(types[0]);
  std::string out;
  put_number(out, 0, kExpressionConcat);
  std::string data;
  if (full) {
    for (size_t i = 0; i < types.size(); ++i) put(data, static_cast<uint8_t>(i), example(types[i]));
  }
  put(out, 1, data);
  return out;
}

uint32_t byte_order(const std::vector<Type>& types) {
  if (types.size() != 1) return 0;
  switch (types[0]) {
    case Type::kIpv4:
    case Type::kIpv6:
    case Type::kInetService:
      return kByteOrderNetwork;
    case Type::kMark:
    case Type::kIfName:
    case Type::kIndex:
      return kByteOrderHost;
    default:
      return 0;
  }
}

}  // namespace

size_t size_of(Type type) {
  switch (type) {
    case Type::kIpv4:
    case Type::kMark:
    case Type::kIndex:
      return 4;
    case Type::kIpv6:
    case Type::kIfName:
      return 16;
    case Type::kInetService:
      return 2;
    case Type::kInetProto:
    case Type::kNfProto:
      return 1;
    case Type::kVerdict:
      break;
  }
  return 0;
}

Key& Key::port(uint16_t number) { return part(port_bytes(number)); }
Key& Key::interface(std::string_view name) { return part(interface_bytes(name)); }
Key& Key::part(std::string_view bytes) {
  bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0');
  bytes_ += bytes;
  // A second part makes it a concatenation, in which also the last part is padded.
  if (bytes_.size() > bytes.size()) bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0');
  return *this;
}

uint32_t type_number(const std::vector<Type>& types) {
  if (types.size() == 1 && types[0] == Type::kVerdict) return kVerdictDataType;
  assert(types.size() <= kMaxParts);
  uint32_t number = 0;
  for (Type type : types) number = number << kTypeBits | static_cast<uint32_t>(type);
  return number;
}

uint32_t data_size(const std::vector<Type>& types) {
  if (types.size() == 1) return types[0] == Type::kVerdict ? 16 : static_cast<uint32_t>(size_of(types[0]));
  uint32_t size = 0;
  for (Type type : types) size += static_cast<uint32_t>((size_of(type) + 3) / 4 * 4);
  return size;
}

std::vector<Type> types_of(uint32_t number) {
  if (number == kVerdictDataType) return {Type::kVerdict};
  std::vector<Type> types;
  for (; number != 0; number >>= kTypeBits) {
    auto type = static_cast<Type>(number & ((1U << kTypeBits) - 1));
    if (size_of(type) == 0) return {};
    types.insert(types.begin(), type);
  }
  return types;
}

std::string set_user_data(const Set& set) {
  std::string out;
  put_number(out, NFTNL_UDATA_SET_KEYBYTEORDER, byte_order(set.key));
  if (!set.data.empty()) put_number(out, NFTNL_UDATA_SET_DATABYTEORDER, byte_order(set.data));
  // Once the key is told by example the data must be, too.
  bool by_example = needs_example(set.key) || needs_example(set.data);
  if (set.key.size() > 1 || by_example) put(out, NFTNL_UDATA_SET_KEY_TYPEOF, example(set.key, by_example));
  bool verdicts = set.data.size() == 1 && set.data[0] == Type::kVerdict;
  if (!set.data.empty() && !verdicts && (set.data.size() > 1 || by_example)) {
    put(out, NFTNL_UDATA_SET_DATA_TYPEOF, example(set.data, by_example));
  }
  if (!set.data.empty()) put_number(out, NFTNL_UDATA_SET_DATA_INTERVAL, 0);
  if (!set.comment.empty()) out += comment_user_data(NFTNL_UDATA_SET_COMMENT, set.comment);
  return out;
}

std::string comment_user_data(uint8_t type, std::string_view comment) {
  std::string out;
  std::string text(comment.substr(0, 120));
  text += '\0';
  put(out, type, text);
  return out;
}

std::string comment_of(std::string_view user_data, uint8_t type) {
  while (user_data.size() >= 2) {
    auto size = static_cast<uint8_t>(user_data[1]);
    if (user_data.size() < 2U + size) break;
    if (static_cast<uint8_t>(user_data[0]) == type && size > 0) return std::string(user_data.substr(2, size - 1U));
    user_data.remove_prefix(2U + size);
  }
  return {};
}

Status status_of(int error, const std::string& doing) {
  std::string message = fmt::format("nftables: {}: {}", doing, std::strerror(error));
  switch (error) {
    case ENOENT:
      return Status::not_found(std::move(message));
    case EEXIST:
    case ENOTEMPTY:
      return {Reason::kAlreadyExists, std::move(message)};
    case EBUSY:
      return {Reason::kConflict, std::move(message)};
    case EPERM:
    case EACCES:
      return {Reason::kForbidden, std::move(message)};
    case EINVAL:
    case EOPNOTSUPP:
    case EOVERFLOW:
    case ERANGE:
    case ENAMETOOLONG:
      return {Reason::kInvalid, std::move(message)};
    case ENOMEM:
    case ENOBUFS:
    case ENFILE:
    case EAGAIN:
      return Status::unavailable(std::move(message));
    default:
      return Status::internal(std::move(message));
  }
}

}  // namespace trireme::linux::nft
