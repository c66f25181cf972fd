#pragma once

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "linux/nft.h"

/// What the parts of the nft layer share; not for others.
namespace trireme::linux::nft {

constexpr uint16_t message_type(uint16_t type) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

/// Verdict maps' data type as the nft tool and the kernel name it.
constexpr uint32_t kVerdictDataType = 0xffffff00U;
/// Bits that a type takes in the number of a concatenation.
constexpr uint32_t kTypeBits = 6;
constexpr size_t kMaxParts = 5;

/// What the nft tool keeps beside a set, to print it: byte orders, types where a number alone does not tell them, the
/// comment.
std::string set_user_data(const Set& set);
/// The number of a type or of a concatenation of types.
uint32_t type_number(const std::vector<Type>& types);
/// Bytes of a key or value, concatenations padded.
uint32_t data_size(const std::vector<Type>& types);
std::vector<Type> types_of(uint32_t number);

/// TLVs of one byte each as the nft tool keeps comments.
std::string comment_user_data(uint8_t type, std::string_view comment);
std::string comment_of(std::string_view user_data, uint8_t type);

/// libmnl's loops over attributes are C only.
template <typename Visitor>
void for_each_attribute(const void* first, size_t bytes, Visitor visit) {
  const auto* attribute = static_cast<const nlattr*>(first);
  const char* end = static_cast<const char*>(first) + bytes;
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    visit(attribute);
    attribute = mnl_attr_next(attribute);
  }
}
/// Of a message, behind a header of `offset` bytes.
template <typename Visitor>
void for_each_attribute(const nlmsghdr* message, size_t offset, Visitor visit) {
  offset = NLMSG_ALIGN(offset);
  size_t size = mnl_nlmsg_get_payload_len(message);
  if (size <= offset) return;
  for_each_attribute(static_cast<const void*>(static_cast<const char*>(mnl_nlmsg_get_payload(message)) + offset),
                     size - offset, visit);
}
template <typename Visitor>
void for_each_attribute(const nlattr* nest, Visitor visit) {
  for_each_attribute(static_cast<const void*>(mnl_attr_get_payload(nest)), mnl_attr_get_payload_len(nest), visit);
}

Status status_of(int error, const std::string& doing);

}  // namespace trireme::linux::nft
