#include "linux/conntrack.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace trireme::linux {
namespace {

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
struct DestroyConntrack {
  void operator()(nf_conntrack* flow) const { nfct_destroy(flow); }
};
using Conntrack = std::unique_ptr<nf_conntrack, DestroyConntrack>;

std::string address_of(const nf_conntrack* flow, bool ip6, nf_conntrack_attr ip4_attribute,
                       nf_conntrack_attr ip6_attribute) {
  const void* bytes = nfct_get_attr(flow, ip6 ? ip6_attribute : ip4_attribute);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), ip6 ? 16U : 4U};
}

nlmsghdr* put_header(char* buffer, uint8_t type, uint16_t flags, bool ip6, uint32_t sequence) {
  nlmsghdr* message = mnl_nlmsg_put_header(buffer);
  message->nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  message->nlmsg_seq = sequence;
  auto* generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  generic->nfgen_family = ip6 ? AF_INET6 : AF_INET;
  generic->version = NFNETLINK_V0;
  return message;
}

Status failure(const char* doing) {
  return Status::internal(fmt::format("connection tracking: {}: {}", doing, std::strerror(errno)));
}

struct Search {
  bool ip6;
  uint8_t protocol;
  const std::function<bool(const Flow&)>& wanted;
  std::vector<Conntrack> found;
};

int on_flow(const nlmsghdr* message, void* data) {
  auto& search = *static_cast<Search*>(data);
  Conntrack parsed(nfct_new());
  if (!parsed || nfct_nlmsg_parse(message, parsed.get()) < 0) return MNL_CB_OK;
  const nf_conntrack* at = parsed.get();
  if (nfct_get_attr_u8(at, ATTR_ORIG_L4PROTO) != search.protocol) return MNL_CB_OK;
  Flow flow;
  flow.source = address_of(at, search.ip6, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
  flow.destination = address_of(at, search.ip6, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
  flow.reply_source = address_of(at, search.ip6, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
  flow.source_port = ntohs(nfct_get_attr_u16(at, ATTR_ORIG_PORT_SRC));
  flow.destination_port = ntohs(nfct_get_attr_u16(at, ATTR_ORIG_PORT_DST));
  flow.reply_source_port = ntohs(nfct_get_attr_u16(at, ATTR_REPL_PORT_SRC));
  if (search.wanted(flow)) search.found.push_back(std::move(parsed));
  return MNL_CB_OK;
}

}  // namespace

Result<size_t> delete_flows(bool ip6, uint8_t protocol, const std::function<bool(const Flow&)>& wanted) {
  std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return failure("open a netlink socket");
  const uint32_t port = mnl_socket_get_portid(socket.get());
  std::vector<char> buffer(1 << 16);

  Search search{ip6, protocol, wanted, {}};
  nlmsghdr* request = put_header(buffer.data(), IPCTNL_MSG_CT_GET, NLM_F_DUMP, ip6, 1);
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return failure("list flows");
  for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
    ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("list flows");
    more = mnl_cb_run(buffer.data(), static_cast<size_t>(got), 1, port, on_flow, &search);
    // The table changes all the time; what came of it is good.
    if (more < 0 && errno == EINTR) more = MNL_CB_OK;
    if (more < 0) return failure("list flows");
  }

  uint32_t sequence = 1;
  size_t deleted = 0;
  for (const Conntrack& flow : search.found) {
    nlmsghdr* message = put_header(buffer.data(), IPCTNL_MSG_CT_DELETE, NLM_F_ACK, ip6, ++sequence);
    nfct_nlmsg_build(message, flow.get());
    if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0) return failure("delete a flow");
    ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0) return failure("delete a flow");
    int result = mnl_cb_run(buffer.data(), static_cast<size_t>(got), sequence, port, nullptr, nullptr);
    if (result >= 0) {
      ++deleted;
    } else if (errno != ENOENT) {  // else it ended by itself
      return failure("delete a flow");
    }
  }
  return deleted;
}

}  // namespace trireme::linux
