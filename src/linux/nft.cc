#include "linux/nft.h"

#include <endian.h>
#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>

#include <algorithm>

#include "linux/nft_wire.h"

namespace trireme::linux::nft {
namespace {

// An attribute's length is 16 bits, and a list of elements is one attribute.
constexpr size_t kMaxElementBytes = 60000;

constexpr size_t align(size_t size) { return (size + NLMSG_ALIGNTO - 1) & ~static_cast<size_t>(NLMSG_ALIGNTO - 1); }

}  // namespace

/// Appends one netlink message to a batch's buffer.
class Batch::Message {
 public:
  Message(Batch& batch, uint16_t type, uint16_t flags, const Table& table)
      : Message(batch, message_type(type), flags, static_cast<uint8_t>(table.family), 0) {
    // A transaction that others overtook is begun anew by the kernel itself; sequence numbers tell operations apart.
  }
  Message(Batch& batch, uint16_t full_type, uint16_t flags, uint8_t family, uint16_t resource)
      : buffer_(batch.buffer_), start_(batch.buffer_.size()) {
    nlmsghdr header{};
    header.nlmsg_type = full_type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = ++batch.operations_;
    append(&header, sizeof(header));
    nfgenmsg generic{};
    generic.nfgen_family = family;
    generic.version = NFNETLINK_V0;
    generic.res_id = htobe16(resource);
    append(&generic, sizeof(generic));
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() {
    auto size = static_cast<uint32_t>(buffer_.size() - start_);
    std::memcpy(buffer_.data() + start_, &size, sizeof(size));
  }

  void put(uint16_t type, std::string_view bytes) {
    nlattr header{};
    header.nla_len = static_cast<uint16_t>(sizeof(nlattr) + bytes.size());
    header.nla_type = type;
    append(&header, sizeof(header));
    append(bytes.data(), bytes.size());
    buffer_.resize(start_ + align(buffer_.size() - start_), '\0');
  }
  void put_u32(uint16_t type, uint32_t number) {
    number = htobe32(number);
    put(type, {reinterpret_cast<const char*>(&number), sizeof(number)});
  }
  void put_u64(uint16_t type, uint64_t number) {
    number = htobe64(number);
    put(type, {reinterpret_cast<const char*>(&number), sizeof(number)});
  }
  void put_text(uint16_t type, std::string_view text) {
    nlattr header{};
    header.nla_len = static_cast<uint16_t>(sizeof(nlattr) + text.size() + 1);
    header.nla_type = type;
    append(&header, sizeof(header));
    append(text.data(), text.size());
    buffer_ += '\0';
    buffer_.resize(start_ + align(buffer_.size() - start_), '\0');
  }
  size_t begin(uint16_t type) {
    size_t at = buffer_.size();
    nlattr header{};
    header.nla_type = static_cast<uint16_t>(type | NLA_F_NESTED);
    append(&header, sizeof(header));
    return at;
  }
  void end(size_t at) {
    auto size = static_cast<uint16_t>(buffer_.size() - at);
    std::memcpy(buffer_.data() + at, &size, sizeof(size));
  }
  void put_value(uint16_t type, std::string_view bytes) {
    size_t nest = begin(type);
    put(NFTA_DATA_VALUE, bytes);
    end(nest);
  }
  void put_verdict(uint16_t type, const Verdict& verdict) {
    size_t nest = begin(type);
    size_t inner = begin(NFTA_DATA_VERDICT);
    put_u32(NFTA_VERDICT_CODE, static_cast<uint32_t>(static_cast<int32_t>(verdict.code)));
    if (!verdict.chain.empty()) put_text(NFTA_VERDICT_CHAIN, verdict.chain);
    end(inner);
    end(nest);
  }
  size_t size() const { return buffer_.size() - start_; }

 private:
  void append(const void* data, size_t size) { buffer_.append(static_cast<const char*>(data), size); }
  std::string& buffer_;
  const size_t start_;
};

void Batch::clear() {
  buffer_.clear();
  operations_ = 0;
}

void Batch::add_table(const Table& table, std::string_view comment) {
  Message message(*this, NFT_MSG_NEWTABLE, NLM_F_CREATE, table);
  message.put_text(NFTA_TABLE_NAME, table.name);
  message.put_u32(NFTA_TABLE_FLAGS, 0);
  if (!comment.empty()) message.put(NFTA_TABLE_USERDATA, comment_user_data(NFTNL_UDATA_TABLE_COMMENT, comment));
}

void Batch::delete_table(const Table& table) {
  Message message(*this, NFT_MSG_DELTABLE, 0, table);
  message.put_text(NFTA_TABLE_NAME, table.name);
}

void Batch::destroy_table(const Table& table) {
  add_table(table);
  delete_table(table);
}

void Batch::chain_message(uint16_t type, uint16_t flags, const Table& table, const Chain& chain) {
  Message message(*this, type, flags, table);
  message.put_text(NFTA_CHAIN_TABLE, table.name);
  message.put_text(NFTA_CHAIN_NAME, chain.name);
  if (chain.hook == Hook::kNone) return;
  size_t hook = message.begin(NFTA_CHAIN_HOOK);
  message.put_u32(NFTA_HOOK_HOOKNUM, static_cast<uint32_t>(chain.hook));
  message.put_u32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(chain.priority));
  message.end(hook);
  message.put_u32(NFTA_CHAIN_POLICY, chain.drop_by_default ? NF_DROP : NF_ACCEPT);
  message.put_text(NFTA_CHAIN_TYPE, chain.type);
}

void Batch::add_chain(const Table& table, const Chain& chain) {
  chain_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table, chain);
}

void Batch::delete_chain(const Table& table, std::string_view chain) {
  chain_message(NFT_MSG_DELCHAIN, 0, table, {.name = std::string(chain)});
}

void Batch::rule_message(uint16_t type, uint16_t flags, const Table& table, std::string_view chain, uint64_t handle,
                         const Rule* rule) {
  Message message(*this, type, flags, table);
  message.put_text(NFTA_RULE_TABLE, table.name);
  if (!chain.empty()) message.put_text(NFTA_RULE_CHAIN, chain);
  if (handle != 0) message.put_u64(NFTA_RULE_HANDLE, handle);
  if (rule == nullptr) return;
  message.put(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, rule->expressions());
  if (!rule->comment().empty()) {
    message.put(NFTA_RULE_USERDATA, comment_user_data(NFTNL_UDATA_RULE_COMMENT, rule->comment()));
  }
}

void Batch::add_rule(const Table& table, std::string_view chain, const Rule& rule) {
  rule_message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table, chain, 0, &rule);
}
void Batch::insert_rule(const Table& table, std::string_view chain, const Rule& rule) {
  rule_message(NFT_MSG_NEWRULE, NLM_F_CREATE, table, chain, 0, &rule);
}
void Batch::replace_rule(const Table& table, std::string_view chain, uint64_t handle, const Rule& rule) {
  rule_message(NFT_MSG_NEWRULE, NLM_F_REPLACE, table, chain, handle, &rule);
}
void Batch::delete_rule(const Table& table, std::string_view chain, uint64_t handle) {
  rule_message(NFT_MSG_DELRULE, 0, table, chain, handle, nullptr);
}
void Batch::flush_chain(const Table& table, std::string_view chain) {
  rule_message(NFT_MSG_DELRULE, 0, table, chain, 0, nullptr);
}
void Batch::flush_rules(const Table& table) { rule_message(NFT_MSG_DELRULE, 0, table, {}, 0, nullptr); }

void Batch::add_set(const Table& table, const Set& set) {
  uint32_t flags = 0;
  if (set.interval) flags |= NFT_SET_INTERVAL;
  if (set.interval && set.key.size() > 1) flags |= NFT_SET_CONCAT;
  if (!set.data.empty()) flags |= NFT_SET_MAP;
  if (set.dynamic) flags |= NFT_SET_EVAL;
  if (set.timeouts || set.timeout.count() > 0) flags |= NFT_SET_TIMEOUT;
  Message message(*this, NFT_MSG_NEWSET, NLM_F_CREATE, table);
  message.put_text(NFTA_SET_TABLE, table.name);
  message.put_text(NFTA_SET_NAME, set.name);
  message.put_u32(NFTA_SET_FLAGS, flags);
  message.put_u32(NFTA_SET_KEY_TYPE, type_number(set.key));
  message.put_u32(NFTA_SET_KEY_LEN, data_size(set.key));
  if (!set.data.empty()) {
    message.put_u32(NFTA_SET_DATA_TYPE, type_number(set.data));
    message.put_u32(NFTA_SET_DATA_LEN, data_size(set.data));
  }
  // Asked for by the protocol; a set with a name is found by it.
  message.put_u32(NFTA_SET_ID, operations_);
  if (set.timeout.count() > 0) message.put_u64(NFTA_SET_TIMEOUT, static_cast<uint64_t>(set.timeout.count()));
  bool ranges_of_parts = set.interval && set.key.size() > 1;
  if (set.size > 0 || ranges_of_parts) {
    size_t description = message.begin(NFTA_SET_DESC);
    if (set.size > 0) message.put_u32(NFTA_SET_DESC_SIZE, set.size);
    if (ranges_of_parts) {
      size_t parts = message.begin(NFTA_SET_DESC_CONCAT);
      for (Type type : set.key) {
        size_t part = message.begin(NFTA_LIST_ELEM);
        message.put_u32(NFTA_SET_FIELD_LEN, static_cast<uint32_t>(size_of(type)));
        message.end(part);
      }
      message.end(parts);
    }
    message.end(description);
  }
  message.put(NFTA_SET_USERDATA, set_user_data(set));
}

void Batch::delete_set(const Table& table, std::string_view set) {
  Message message(*this, NFT_MSG_DELSET, 0, table);
  message.put_text(NFTA_SET_TABLE, table.name);
  message.put_text(NFTA_SET_NAME, set);
}

void Batch::flush_set(const Table& table, std::string_view set) {
  Message message(*this, NFT_MSG_DELSETELEM, 0, table);
  message.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
  message.put_text(NFTA_SET_ELEM_LIST_SET, set);
}

namespace {

/// The key that follows, in network order; empty after the last.
std::string successor(std::string key) {
  for (size_t i = key.size(); i > 0; --i) {
    auto byte = static_cast<uint8_t>(key[i - 1]);
    key[i - 1] = static_cast<char>(++byte);
    if (byte != 0) return key;
  }
  return {};
}

}  // namespace

void Batch::elements_message(uint16_t type, const Table& table, const Set& set, std::span<const Element> elements) {
  const bool adding = type == NFT_MSG_NEWSETELEM;
  const bool range_of_one = set.interval && set.key.size() == 1;
  size_t next = 0;
  while (next < elements.size()) {
    Message message(*this, type, adding ? NLM_F_CREATE : 0, table);
    message.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    message.put_text(NFTA_SET_ELEM_LIST_SET, set.name);
    size_t list = message.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (; next < elements.size() && message.size() < kMaxElementBytes; ++next) {
      const Element& element = elements[next];
      size_t nest = message.begin(NFTA_LIST_ELEM);
      message.put_value(NFTA_SET_ELEM_KEY, element.key);
      if (set.interval && !range_of_one) {
        message.put_value(NFTA_SET_ELEM_KEY_END, element.key_end.empty() ? element.key : element.key_end);
      }
      if (adding) {
        if (const auto* verdict = std::get_if<Verdict>(&element.data)) {
          message.put_verdict(NFTA_SET_ELEM_DATA, *verdict);
        } else if (!set.data.empty()) {
          message.put_value(NFTA_SET_ELEM_DATA, std::get<std::string>(element.data));
        }
        if (element.timeout.count() > 0) {
          message.put_u64(NFTA_SET_ELEM_TIMEOUT, static_cast<uint64_t>(element.timeout.count()));
        }
        if (!element.comment.empty()) {
          message.put(NFTA_SET_ELEM_USERDATA, comment_user_data(NFTNL_UDATA_SET_ELEM_COMMENT, element.comment));
        }
      }
      message.end(nest);
      if (!range_of_one) continue;
      // Such a set keeps the borders: where a range begins, and where what is outside begins again.
      std::string after = successor(element.key_end.empty() ? element.key : element.key_end);
      if (after.empty()) continue;
      nest = message.begin(NFTA_LIST_ELEM);
      message.put_value(NFTA_SET_ELEM_KEY, after);
      message.put_u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
      message.end(nest);
    }
    message.end(list);
  }
}

void Batch::add_elements(const Table& table, const Set& set, std::span<const Element> elements) {
  elements_message(NFT_MSG_NEWSETELEM, table, set, elements);
}

void Batch::delete_elements(const Table& table, const Set& set, std::span<const Element> elements) {
  elements_message(NFT_MSG_DELSETELEM, table, set, elements);
}

void Batch::add_counter(const Table& table, std::string_view name, std::string_view comment) {
  Message message(*this, NFT_MSG_NEWOBJ, NLM_F_CREATE, table);
  message.put_text(NFTA_OBJ_TABLE, table.name);
  message.put_text(NFTA_OBJ_NAME, name);
  message.put_u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
  size_t data = message.begin(NFTA_OBJ_DATA);
  message.put_u64(NFTA_COUNTER_BYTES, 0);
  message.put_u64(NFTA_COUNTER_PACKETS, 0);
  message.end(data);
  if (!comment.empty()) message.put(NFTA_OBJ_USERDATA, comment_user_data(NFTNL_UDATA_OBJ_COMMENT, comment));
}

void Batch::delete_counter(const Table& table, std::string_view name) {
  Message message(*this, NFT_MSG_DELOBJ, 0, table);
  message.put_text(NFTA_OBJ_TABLE, table.name);
  message.put_text(NFTA_OBJ_NAME, name);
  message.put_u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
}

std::string Batch::describe(uint32_t sequence) const {
  constexpr auto kWords = std::to_array<std::pair<uint16_t, const char*>>({
      {NFT_MSG_NEWTABLE, "add table"},
      {NFT_MSG_DELTABLE, "delete table"},
      {NFT_MSG_NEWCHAIN, "add chain"},
      {NFT_MSG_DELCHAIN, "delete chain"},
      {NFT_MSG_NEWRULE, "add rule to"},
      {NFT_MSG_DELRULE, "delete rule of"},
      {NFT_MSG_NEWSET, "add set"},
      {NFT_MSG_DELSET, "delete set"},
      {NFT_MSG_NEWSETELEM, "add elements to"},
      {NFT_MSG_DELSETELEM, "delete elements of"},
      {NFT_MSG_NEWOBJ, "add counter"},
      {NFT_MSG_DELOBJ, "delete counter"},
  });
  int left = static_cast<int>(buffer_.size());
  for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(header, left);
       header = mnl_nlmsg_next(header, &left)) {
    if (header->nlmsg_seq != sequence) continue;
    const char* what = "operation on";
    for (auto [type, word] : kWords) {
      if (message_type(type) == header->nlmsg_type) what = word;
    }
    // Of every kind of message the first attribute is the table, the second what is in it.
    std::string names;
    const auto* generic = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header));
    switch (static_cast<Family>(generic->nfgen_family)) {
      case Family::kInet:
        names = "inet";
        break;
      case Family::kIp:
        names = "ip";
        break;
      case Family::kIp6:
        names = "ip6";
        break;
      case Family::kBridge:
        names = "bridge";
        break;
    }
    const bool table_only =
        header->nlmsg_type == message_type(NFT_MSG_NEWTABLE) || header->nlmsg_type == message_type(NFT_MSG_DELTABLE);
    for_each_attribute(header, sizeof(nfgenmsg), [&](const nlattr* attribute) {
      uint16_t type = mnl_attr_get_type(attribute);
      if (type == 1 || (type == 2 && !table_only)) names += fmt::format(" {}", mnl_attr_get_str(attribute));
    });
    return fmt::format("{} {}", what, names);
  }
  return fmt::format("operation {}", sequence);
}

}  // namespace trireme::linux::nft
