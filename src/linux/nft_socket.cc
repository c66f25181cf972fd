#include <endian.h>
#include <fmt/format.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <functional>
#include <optional>

#include "linux/nft_wire.h"

namespace trireme::linux::nft {
namespace {

constexpr size_t kReceiveBuffer = 1 << 16;
constexpr int kErrorsRoom = 1 << 20;
constexpr int kMonitorRoom = 4 << 20;
constexpr int kDumpTries = 20;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using MnlSocket = std::unique_ptr<mnl_socket, CloseSocket>;

Result<MnlSocket> open_socket(unsigned groups) {
  MnlSocket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) < 0) {
    return status_of(errno, "open a netlink socket");
  }
  return socket;
}

void set_option(const MnlSocket& socket, int level, int option, int value) {
  ::setsockopt(mnl_socket_get_fd(socket.get()), level, option, &value, sizeof(value));
}

template <typename T, void (*kFree)(const T*)>
struct Freed {
  void operator()(const T* object) const { kFree(object); }
};
template <typename T, void (*kFree)(const T*)>
using Owned = std::unique_ptr<T, Freed<T, kFree>>;

}  // namespace

struct Socket::Impl {
  MnlSocket socket;
  uint32_t sequence = 0;
  int send_room = 0;

  Status query(nlmsghdr* request, bool dumping, const std::string& doing,
               const std::function<void(const nlmsghdr*)>& each);
  Status dump(uint16_t type, const Table& table, const std::string& doing, const std::function<void(nlmsghdr*)>& ask,
              const std::function<void()>& restart, const std::function<void(const nlmsghdr*)>& each);
};

Socket::Socket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Result<Socket> Socket::open() {
  TRY_ASSIGN(MnlSocket socket, open_socket(0));
  set_option(socket, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  // Errors come without the message they are about: it may be 60 KB.
  set_option(socket, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  set_option(socket, SOL_SOCKET, SO_RCVBUFFORCE, kErrorsRoom);
  auto impl = std::make_unique<Impl>();
  impl->socket = std::move(socket);
  return Socket(std::move(impl));
}

uint32_t Socket::port_id() const { return mnl_socket_get_portid(impl_->socket.get()); }

Status Socket::commit(const Batch& batch) {
  if (batch.empty()) return {};
  Impl& impl = *impl_;
  // The whole transaction is one datagram between two marks, and must fit into the socket's buffer.
  struct Mark {
    nlmsghdr header{};
    nfgenmsg generic{};
  };
  Mark begin;
  begin.header.nlmsg_len = sizeof(Mark);
  begin.header.nlmsg_type = NFNL_MSG_BATCH_BEGIN;
  begin.header.nlmsg_flags = NLM_F_REQUEST;
  begin.generic.nfgen_family = AF_UNSPEC;
  begin.generic.version = NFNETLINK_V0;
  begin.generic.res_id = htobe16(NFNL_SUBSYS_NFTABLES);
  Mark end = begin;
  end.header.nlmsg_type = NFNL_MSG_BATCH_END;
  end.header.nlmsg_seq = batch.operations() + 1;

  std::array<iovec, 3> parts = {iovec{&begin, sizeof(begin)},
                                iovec{const_cast<char*>(batch.buffer_.data()), batch.buffer_.size()},
                                iovec{&end, sizeof(end)}};
  auto room = static_cast<int>(batch.buffer_.size() + (1 << 16));
  if (room > impl.send_room) {
    set_option(impl.socket, SOL_SOCKET, SO_SNDBUFFORCE, room);
    impl.send_room = room;
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof(kernel);
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  int fd = mnl_socket_get_fd(impl.socket.get());
  if (::sendmsg(fd, &message, 0) < 0) return status_of(errno, "send a transaction");

  // The kernel has worked it off when sendmsg returns: what it has to say has been said.
  Status first;
  std::vector<char> buffer(kReceiveBuffer);
  for (;;) {
    ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      if (first.ok()) first = Status::internal("nftables: a transaction failed with more errors than can be told");
      continue;
    }
    if (got <= 0) break;
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR || !first.ok()) continue;
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
      if (error->error == 0) continue;
      std::string doing = header->nlmsg_seq == 0 ? std::string("transaction") : batch.describe(header->nlmsg_seq);
      if ((header->nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
        for_each_attribute(header, sizeof(nlmsgerr), [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) {
            doing += fmt::format(" ({})", mnl_attr_get_str(attribute));
          }
        });
      }
      first = status_of(-error->error, doing);
    }
  }
  return first;
}

/// One request and its answers. Conflict: something changed while it was being answered.
Status Socket::Impl::query(nlmsghdr* request, bool dumping, const std::string& doing,
                           const std::function<void(const nlmsghdr*)>& each) {
  request->nlmsg_seq = ++sequence;
  request->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | (dumping ? NLM_F_DUMP : NLM_F_ACK));
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return status_of(errno, doing);
  std::vector<char> buffer(kReceiveBuffer);
  bool interrupted = false;
  for (;;) {
    ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return status_of(errno, doing);
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sequence) continue;
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        if (header->nlmsg_type == NLMSG_ERROR) {
          error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
        }
        if (error != 0 && error != EINTR) return status_of(error, doing);
        if (interrupted || error == EINTR) return {Reason::kConflict, "changed while being read"};
        return {};
      }
      each(header);
    }
  }
}

/// `restart` forgets what `each` gathered: a dump that was overtaken by a change is begun anew.
Status Socket::Impl::dump(uint16_t type, const Table& table, const std::string& doing,
                          const std::function<void(nlmsghdr*)>& ask, const std::function<void()>& restart,
                          const std::function<void(const nlmsghdr*)>& each) {
  Status status;
  for (int i = 0; i < kDumpTries; ++i) {
    restart();
    std::array<char, 1024> buffer{};
    nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), type, static_cast<uint16_t>(table.family), NLM_F_DUMP, 0);
    if (ask) ask(request);
    status = query(request, true, doing, each);
    if (!status.is(Reason::kConflict)) break;
  }
  return status;
}

namespace {

using NftTable = Owned<nftnl_table, nftnl_table_free>;
using NftChain = Owned<nftnl_chain, nftnl_chain_free>;
using NftRule = Owned<nftnl_rule, nftnl_rule_free>;
using NftSet = Owned<nftnl_set, nftnl_set_free>;
using NftObject = Owned<nftnl_obj, nftnl_obj_free>;

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

std::string_view view_of(const void* data, uint32_t size) {
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

std::optional<ListedTable> parse_table(const nlmsghdr* message) {
  NftTable parsed(nftnl_table_alloc());
  if (nftnl_table_nlmsg_parse(message, parsed.get()) < 0) return std::nullopt;
  ListedTable out;
  out.table.family = static_cast<Family>(nftnl_table_get_u32(parsed.get(), NFTNL_TABLE_FAMILY));
  out.table.name = text_of(nftnl_table_get_str(parsed.get(), NFTNL_TABLE_NAME));
  out.handle = nftnl_table_get_u64(parsed.get(), NFTNL_TABLE_HANDLE);
  out.uses = nftnl_table_get_u32(parsed.get(), NFTNL_TABLE_USE);
  uint32_t size = 0;
  const void* data = nftnl_table_get_data(parsed.get(), NFTNL_TABLE_USERDATA, &size);
  out.comment = comment_of(view_of(data, size), NFTNL_UDATA_TABLE_COMMENT);
  return out;
}

std::string rule_text(const nftnl_rule* rule) {
  std::string text(16384, '\0');
  int size = nftnl_rule_snprintf(text.data(), text.size(), rule, NFTNL_OUTPUT_DEFAULT, 0);
  text.resize(size < 0 ? 0 : std::min(static_cast<size_t>(size), text.size() - 1));
  return text;
}

}  // namespace

Result<std::vector<ListedTable>> Socket::tables() {
  std::vector<ListedTable> out;
  Status status = impl_->dump(
      NFT_MSG_GETTABLE, {static_cast<Family>(NFPROTO_UNSPEC), {}}, "list tables", {}, [&] { out.clear(); },
      [&](const nlmsghdr* message) {
        if (auto table = parse_table(message)) out.push_back(std::move(*table));
      });
  TRY(status);
  return out;
}

Result<uint32_t> Socket::generation() {
  std::array<char, 256> buffer{};
  nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETGEN, NFPROTO_UNSPEC, NLM_F_ACK, 0);
  uint32_t id = 0;
  TRY(impl_->query(request, false, "read the generation", [&](const nlmsghdr* message) {
    for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) == NFTA_GEN_ID) id = be32toh(mnl_attr_get_u32(attribute));
    });
  }));
  return id;
}

Result<ListedTable> Socket::table(const Table& table) {
  std::array<char, 1024> buffer{};
  nlmsghdr* request =
      nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETTABLE, static_cast<uint16_t>(table.family), NLM_F_ACK, 0);
  mnl_attr_put_strz(request, NFTA_TABLE_NAME, table.name.c_str());
  std::optional<ListedTable> out;
  TRY(impl_->query(request, false, "read table " + table.name, [&](const nlmsghdr* message) {
    if (auto parsed = parse_table(message)) out = std::move(parsed);
  }));
  if (!out) return Status::internal("the kernel's answer is no table");
  return *out;
}

namespace {

/// Nothing when it is of another table.
std::optional<Chain> parse_chain(const nlmsghdr* message, const Table& table) {
  NftChain parsed(nftnl_chain_alloc());
  if (nftnl_chain_nlmsg_parse(message, parsed.get()) < 0) return {};
  const nftnl_chain* chain = parsed.get();
  if (text_of(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE)) != table.name) return {};
  Chain out{.name = text_of(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME))};
  if (nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM)) {
    out.hook = static_cast<Hook>(nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM));
    out.priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
    out.type = text_of(nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE));
    out.drop_by_default = nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) == NF_DROP;
  }
  return out;
}

}  // namespace

Result<std::vector<Chain>> Socket::chains(const Table& table) {
  std::vector<Chain> out;
  TRY(impl_->dump(
      NFT_MSG_GETCHAIN, table, "list chains of " + table.name, {}, [&] { out.clear(); },
      [&](const nlmsghdr* message) {
        if (auto chain = parse_chain(message, table)) out.push_back(std::move(*chain));
      }));
  return out;
}

Result<Chain> Socket::chain(const Table& table, std::string_view name) {
  std::array<char, 1024> buffer{};
  nlmsghdr* request =
      nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETCHAIN, static_cast<uint16_t>(table.family), NLM_F_ACK, 0);
  mnl_attr_put_strz(request, NFTA_CHAIN_TABLE, table.name.c_str());
  mnl_attr_put_strz(request, NFTA_CHAIN_NAME, std::string(name).c_str());
  std::optional<Chain> out;
  TRY(impl_->query(request, false, fmt::format("read chain {} of {}", name, table.name),
                   [&](const nlmsghdr* message) { out = parse_chain(message, table); }));
  if (!out) return Status::internal("the kernel's answer is no chain");
  return *out;
}

Result<std::vector<ListedRule>> Socket::rules(const Table& table) { return rules(table, {}); }

Result<std::vector<ListedRule>> Socket::rules(const Table& table, std::string_view chain) {
  std::vector<ListedRule> out;
  TRY(impl_->dump(
      NFT_MSG_GETRULE, table, "list rules of " + table.name,
      [&](nlmsghdr* request) {
        mnl_attr_put_strz(request, NFTA_RULE_TABLE, table.name.c_str());
        if (!chain.empty()) mnl_attr_put_strz(request, NFTA_RULE_CHAIN, std::string(chain).c_str());
      },
      [&] { out.clear(); },
      [&](const nlmsghdr* message) {
        NftRule parsed(nftnl_rule_alloc());
        if (nftnl_rule_nlmsg_parse(message, parsed.get()) < 0) return;
        if (text_of(nftnl_rule_get_str(parsed.get(), NFTNL_RULE_TABLE)) != table.name) return;
        ListedRule rule;
        rule.chain = text_of(nftnl_rule_get_str(parsed.get(), NFTNL_RULE_CHAIN));
        if (!chain.empty() && rule.chain != chain) return;
        rule.handle = nftnl_rule_get_u64(parsed.get(), NFTNL_RULE_HANDLE);
        uint32_t size = 0;
        const void* data = nftnl_rule_get_data(parsed.get(), NFTNL_RULE_USERDATA, &size);
        rule.comment = comment_of(view_of(data, size), NFTNL_UDATA_RULE_COMMENT);
        rule.text = rule_text(parsed.get());
        out.push_back(std::move(rule));
      }));
  return out;
}

Result<std::vector<Set>> Socket::sets(const Table& table) {
  std::vector<Set> out;
  TRY(impl_->dump(
      NFT_MSG_GETSET, table, "list sets of " + table.name,
      [&](nlmsghdr* request) { mnl_attr_put_strz(request, NFTA_SET_TABLE, table.name.c_str()); }, [&] { out.clear(); },
      [&](const nlmsghdr* message) {
        NftSet parsed(nftnl_set_alloc());
        if (nftnl_set_nlmsg_parse(message, parsed.get()) < 0) return;
        const nftnl_set* set = parsed.get();
        Set one{.name = text_of(nftnl_set_get_str(set, NFTNL_SET_NAME))};
        uint32_t flags = nftnl_set_get_u32(set, NFTNL_SET_FLAGS);
        one.key = types_of(nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE));
        if ((flags & NFT_SET_MAP) != 0) one.data = types_of(nftnl_set_get_u32(set, NFTNL_SET_DATA_TYPE));
        one.interval = (flags & NFT_SET_INTERVAL) != 0;
        one.dynamic = (flags & NFT_SET_EVAL) != 0;
        one.timeouts = (flags & NFT_SET_TIMEOUT) != 0;
        one.timeout = std::chrono::milliseconds(nftnl_set_get_u64(set, NFTNL_SET_TIMEOUT));
        one.size = nftnl_set_get_u32(set, NFTNL_SET_DESC_SIZE);
        uint32_t size = 0;
        const void* data = nftnl_set_get_data(set, NFTNL_SET_USERDATA, &size);
        one.comment = comment_of(view_of(data, size), NFTNL_UDATA_SET_COMMENT);
        out.push_back(std::move(one));
      }));
  return out;
}

namespace {

/// Of an attribute that holds attributes: the one of `type`.
const nlattr* find(const nlattr* nest, uint16_t type) {
  const nlattr* found = nullptr;
  for_each_attribute(nest, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == type) found = attribute;
  });
  return found;
}

std::string value_of(const nlattr* data) {
  const nlattr* value = data == nullptr ? nullptr : find(data, NFTA_DATA_VALUE);
  if (value == nullptr) return {};
  return {static_cast<const char*>(mnl_attr_get_payload(value)), mnl_attr_get_payload_len(value)};
}

std::variant<std::string, Verdict> data_of(const nlattr* data) {
  const nlattr* verdict = data == nullptr ? nullptr : find(data, NFTA_DATA_VERDICT);
  if (verdict == nullptr) return value_of(data);
  Verdict out;
  if (const nlattr* code = find(verdict, NFTA_VERDICT_CODE)) {
    out.code = static_cast<Verdict::Code>(be32toh(mnl_attr_get_u32(code)));
  }
  if (const nlattr* chain = find(verdict, NFTA_VERDICT_CHAIN)) out.chain = mnl_attr_get_str(chain);
  return out;
}

/// Half a million of libnftnl's objects would cost more than what they hold: elements are read as they stand.
void parse_elements(const nlmsghdr* message, std::vector<Element>& out, std::vector<bool>& ends) {
  for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS) return;
    for_each_attribute(attribute, [&](const nlattr* nest) {
      Element element;
      bool is_end = false;
      for_each_attribute(nest, [&](const nlattr* part) {
        switch (mnl_attr_get_type(part)) {
          case NFTA_SET_ELEM_KEY:
            element.key = value_of(part);
            break;
          case NFTA_SET_ELEM_KEY_END:
            element.key_end = value_of(part);
            break;
          case NFTA_SET_ELEM_DATA:
            element.data = data_of(part);
            break;
          case NFTA_SET_ELEM_FLAGS:
            is_end = (be32toh(mnl_attr_get_u32(part)) & NFT_SET_ELEM_INTERVAL_END) != 0;
            break;
          case NFTA_SET_ELEM_EXPIRATION:
            element.timeout = std::chrono::milliseconds(be64toh(mnl_attr_get_u64(part)));
            break;
          case NFTA_SET_ELEM_USERDATA:
            element.comment = comment_of(view_of(mnl_attr_get_payload(part), mnl_attr_get_payload_len(part)),
                                         NFTNL_UDATA_SET_ELEM_COMMENT);
            break;
          default:
            break;
        }
      });
      out.push_back(std::move(element));
      ends.push_back(is_end);
    });
  });
}

std::string predecessor(std::string key) {
  for (size_t i = key.size(); i > 0; --i) {
    auto byte = static_cast<uint8_t>(key[i - 1]);
    key[i - 1] = static_cast<char>(static_cast<uint8_t>(byte - 1));
    if (byte != 0) break;
  }
  return key;
}

/// Ranges of one field are kept as their borders, in no promised order: join them again.
std::vector<Element> join_borders(std::vector<Element> borders, const std::vector<bool>& ends) {
  std::vector<size_t> order(borders.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (borders[a].key != borders[b].key) return borders[a].key < borders[b].key;
    return ends[a] && !ends[b];
  });
  std::vector<Element> out;
  for (size_t i : order) {
    if (!ends[i]) {
      out.push_back(std::move(borders[i]));
      out.back().key_end = std::string(out.back().key.size(), '\xff');
    } else if (!out.empty()) {
      out.back().key_end = predecessor(borders[i].key);
      if (out.back().key_end == out.back().key) out.back().key_end.clear();
    }
  }
  return out;
}

}  // namespace

Result<std::vector<Element>> Socket::elements(const Table& table, std::string_view set) {
  std::vector<Element> out;
  std::vector<bool> ends;
  TRY(impl_->dump(
      NFT_MSG_GETSETELEM, table, fmt::format("list elements of {} {}", table.name, set),
      [&](nlmsghdr* request) {
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, table.name.c_str());
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, std::string(set).c_str());
      },
      [&] {
        out.clear();
        ends.clear();
      },
      [&](const nlmsghdr* message) { parse_elements(message, out, ends); }));
  if (std::find(ends.begin(), ends.end(), true) != ends.end()) out = join_borders(std::move(out), ends);
  return out;
}

Result<std::vector<Socket::Counter>> Socket::counters(const Table& table) {
  std::vector<Counter> out;
  TRY(impl_->dump(
      NFT_MSG_GETOBJ, table, "list counters of " + table.name,
      [&](nlmsghdr* request) {
        mnl_attr_put_strz(request, NFTA_OBJ_TABLE, table.name.c_str());
        mnl_attr_put_u32(request, NFTA_OBJ_TYPE, htobe32(NFT_OBJECT_COUNTER));
      },
      [&] { out.clear(); },
      [&](const nlmsghdr* message) {
        NftObject parsed(nftnl_obj_alloc());
        if (nftnl_obj_nlmsg_parse(message, parsed.get()) < 0) return;
        if (text_of(nftnl_obj_get_str(parsed.get(), NFTNL_OBJ_TABLE)) != table.name) return;
        out.push_back({text_of(nftnl_obj_get_str(parsed.get(), NFTNL_OBJ_NAME)),
                       nftnl_obj_get_u64(parsed.get(), NFTNL_OBJ_CTR_PKTS),
                       nftnl_obj_get_u64(parsed.get(), NFTNL_OBJ_CTR_BYTES)});
      }));
  return out;
}

std::string Rule::text() const {
  std::vector<char> buffer(NLMSG_HDRLEN + sizeof(nfgenmsg) + expressions_.size() + 64);
  nlmsghdr* message = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_NEWRULE, NFPROTO_INET, 0, 0);
  mnl_attr_put(message, NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, expressions_.size(), expressions_.data());
  NftRule parsed(nftnl_rule_alloc());
  if (nftnl_rule_nlmsg_parse(message, parsed.get()) < 0) return {};
  return rule_text(parsed.get());
}

struct Monitor::Impl {
  MnlSocket socket;
};

Monitor::Monitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Monitor::Monitor(Monitor&&) noexcept = default;
Monitor& Monitor::operator=(Monitor&&) noexcept = default;
Monitor::~Monitor() = default;

int Monitor::fd() const { return mnl_socket_get_fd(impl_->socket.get()); }

Result<Monitor> Monitor::open(uint32_t own_port_id) {
  MnlSocket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return status_of(errno, "open a netlink socket");
  // Of all that is told about each transaction, what others do is let through, without the elements that they add:
  // these are many. The kernel packs a transaction's messages together, and only the first of a packet is looked at
  // here: a deletion that follows something else is let through with it. Own numbers and types are compared as they
  // stand in memory; the filter loads them as network order.
  constexpr auto kType = static_cast<uint32_t>(offsetof(nlmsghdr, nlmsg_type));
  constexpr auto kPort = static_cast<uint32_t>(offsetof(nlmsghdr, nlmsg_pid));
  auto program = std::to_array<sock_filter>({
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kPort),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htobe32(own_port_id), 2, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htobe16(message_type(NFT_MSG_NEWSETELEM)), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
  });
  sock_fprog filter{static_cast<uint16_t>(program.size()), program.data()};
  int fd = mnl_socket_get_fd(socket.get());
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0) {
    return status_of(errno, "filter notices");
  }
  set_option(socket, SOL_SOCKET, SO_RCVBUFFORCE, kMonitorRoom);
  if (mnl_socket_bind(socket.get(), 1U << (NFNLGRP_NFTABLES - 1), MNL_SOCKET_AUTOPID) < 0) {
    return status_of(errno, "listen to changes");
  }
  auto impl = std::make_unique<Impl>();
  impl->socket = std::move(socket);
  return Monitor(std::move(impl));
}

namespace {

/// What a notice of the kernel's tells; nothing for what nobody asks for.
std::optional<Monitor::What> what_of(uint16_t type) {
  if (type >> 8 != NFNL_SUBSYS_NFTABLES) return {};
  switch (type & 0xff) {
    case NFT_MSG_NEWGEN:
      return Monitor::What::kGeneration;
    case NFT_MSG_NEWCHAIN:
      return Monitor::What::kChainAdded;
    case NFT_MSG_DELTABLE:
    case NFT_MSG_DELCHAIN:
    case NFT_MSG_DELRULE:
    case NFT_MSG_DELSET:
    case NFT_MSG_DELSETELEM:
    case NFT_MSG_DELOBJ:
      return Monitor::What::kDeleted;
    default:
      return {};
  }
}

}  // namespace

std::vector<Monitor::Event> Monitor::read() {
  std::vector<Event> out;
  std::vector<char> buffer(kReceiveBuffer);
  for (;;) {
    ssize_t got = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      out.push_back({What::kOverrun, {}});
      continue;
    }
    if (got <= 0) return out;
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      const auto what = what_of(header->nlmsg_type);
      if (!what) continue;
      Event event{.what = *what, .table = {}};
      if (*what != What::kGeneration) {
        event.table.family =
            static_cast<Family>(static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header))->nfgen_family);
        for_each_attribute(header, sizeof(nfgenmsg), [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == 1) event.table.name = mnl_attr_get_str(attribute);
        });
      }
      if (out.empty() || event.what != out.back().what || event.table != out.back().table) out.push_back(event);
    }
  }
}

}  // namespace trireme::linux::nft
