#include "linux/netlink_parse.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace trireme::linux {
namespace {

/// The attributes of a message or of a nested attribute, by type; of several of one type the last.
class Attributes {
 public:
  Attributes(const void* data, size_t size) { read(data, size); }

  std::string_view bytes(size_t type) const { return type < found_.size() ? found_[type] : std::string_view(); }
  bool has(size_t type) const { return type < found_.size() && found_[type].data() != nullptr; }
  Attributes nested(size_t type) const { return {bytes(type).data(), bytes(type).size()}; }

  /// Zero when it is absent or of another size.
  template <typename T>
  T number(size_t type) const {
    T value{};
    if (bytes(type).size() == sizeof value) std::memcpy(&value, bytes(type).data(), sizeof value);
    return value;
  }
  std::string text(size_t type) const {
    std::string_view raw = bytes(type);
    return std::string(raw.substr(0, raw.find('\0')));
  }
  IpAddress address(size_t type) const { return IpAddress::from_bytes(bytes(type).data(), bytes(type).size()); }
  MacAddress mac(size_t type) const {
    MacAddress value;
    if (bytes(type).size() == value.bytes.size()) std::memcpy(value.bytes.data(), bytes(type).data(), 6);
    return value;
  }

 private:
  void read(const void* data, size_t size) {
    const char* at = static_cast<const char*>(data);
    while (size >= sizeof(nlattr)) {
      const auto* attribute = reinterpret_cast<const nlattr*>(at);
      if (mnl_attr_ok(attribute, static_cast<int>(size)) == 0) return;
      const size_t type = mnl_attr_get_type(attribute);
      if (type < kMaxType) {
        if (found_.size() <= type) found_.resize(type + 1);
        found_[type] = {static_cast<const char*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
      }
      const size_t step = MNL_ALIGN(attribute->nla_len);
      if (step >= size) return;
      at += step;
      size -= step;
    }
  }

  static constexpr size_t kMaxType = 128;
  std::vector<std::string_view> found_;
};

template <typename Header>
const Header* header_of(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(Header)) return nullptr;
  return static_cast<const Header*>(mnl_nlmsg_get_payload(message));
}

template <typename Header>
Attributes attributes_of(const nlmsghdr* message) {
  const size_t offset = MNL_ALIGN(sizeof(Header));
  const size_t size = mnl_nlmsg_get_payload_len(message);
  if (size <= offset) return {nullptr, 0};
  return {static_cast<const char*>(mnl_nlmsg_get_payload(message)) + offset, size - offset};
}

uint16_t from_network(uint16_t value) { return static_cast<uint16_t>(value << 8 | value >> 8); }

Vxlan parse_vxlan(const Attributes& data) {
  Vxlan vxlan;
  vxlan.vni = data.number<uint32_t>(IFLA_VXLAN_ID);
  vxlan.port = from_network(data.number<uint16_t>(IFLA_VXLAN_PORT));
  vxlan.local = data.address(data.has(IFLA_VXLAN_LOCAL6) ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL);
  vxlan.link = data.number<int32_t>(IFLA_VXLAN_LINK);
  vxlan.learning = data.number<uint8_t>(IFLA_VXLAN_LEARNING) != 0;
  vxlan.gbp = data.has(IFLA_VXLAN_GBP);
  return vxlan;
}

void parse_link(const nlmsghdr* message, NetlinkMessage& out) {
  const auto* header = header_of<ifinfomsg>(message);
  // Bridges report their ports' own settings as links of the family AF_BRIDGE: not what is meant here.
  if (header == nullptr || header->ifi_family == AF_BRIDGE) return;
  const Attributes attributes = attributes_of<ifinfomsg>(message);
  Link link;
  link.index = header->ifi_index;
  link.name = attributes.text(IFLA_IFNAME);
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
  link.mtu = attributes.number<uint32_t>(IFLA_MTU);
  link.mac = attributes.mac(IFLA_ADDRESS);
  link.master = attributes.number<int32_t>(IFLA_MASTER);
  const Attributes info = attributes.nested(IFLA_LINKINFO);
  link.kind = info.text(IFLA_INFO_KIND);
  if (link.kind == "vxlan") link.vxlan = parse_vxlan(info.nested(IFLA_INFO_DATA));
  out.object = std::move(link);
}

void parse_address(const nlmsghdr* message, NetlinkMessage& out) {
  const auto* header = header_of<ifaddrmsg>(message);
  if (header == nullptr) return;
  const Attributes attributes = attributes_of<ifaddrmsg>(message);
  Address address;
  address.link = static_cast<int>(header->ifa_index);
  // IFA_ADDRESS is the other end's on point-to-point links.
  address.prefix.address = attributes.address(attributes.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS);
  if (address.prefix.empty() || header->ifa_prefixlen > address.prefix.address.bits()) return;
  address.prefix.length = header->ifa_prefixlen;
  address.scope = header->ifa_scope;
  address.flags = attributes.has(IFA_FLAGS) ? attributes.number<uint32_t>(IFA_FLAGS) : header->ifa_flags;
  out.object = address;
}

void parse_hop(const Attributes& attributes, Route& route) {
  route.gateway = attributes.address(RTA_GATEWAY);
  // RTA_VIA: a gateway of the other family, behind its family number.
  if (const std::string_view via = attributes.bytes(RTA_VIA); via.size() > 2) {
    route.gateway = IpAddress::from_bytes(via.data() + 2, via.size() - 2);
  }
}

void parse_route(const nlmsghdr* message, NetlinkMessage& out) {
  const auto* header = header_of<rtmsg>(message);
  if (header == nullptr || (header->rtm_family != AF_INET && header->rtm_family != AF_INET6)) return;
  const Attributes attributes = attributes_of<rtmsg>(message);
  Route route;
  route.destination.address = attributes.address(RTA_DST);
  if (route.destination.empty()) route.destination.address.family = header->rtm_family;
  if (header->rtm_dst_len > route.destination.address.bits()) return;
  route.destination.length = header->rtm_dst_len;
  parse_hop(attributes, route);
  route.link = attributes.number<int32_t>(RTA_OIF);
  route.source = attributes.address(RTA_PREFSRC);
  route.protocol = header->rtm_protocol;
  route.scope = header->rtm_scope;
  switch (header->rtm_type) {
    case RTN_UNICAST:
    case RTN_LOCAL:
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
      route.type = static_cast<RouteType>(header->rtm_type);
      break;
    default:
      route.type = RouteType::kOther;
  }
  route.metric = attributes.number<uint32_t>(RTA_PRIORITY);
  route.table = attributes.has(RTA_TABLE) ? attributes.number<uint32_t>(RTA_TABLE) : header->rtm_table;
  route.onlink = (header->rtm_flags & RTNH_F_ONLINK) != 0;
  if (const std::string_view hops = attributes.bytes(RTA_MULTIPATH); hops.size() >= sizeof(rtnexthop)) {
    rtnexthop hop;
    std::memcpy(&hop, hops.data(), sizeof hop);
    if (hop.rtnh_len >= sizeof hop && hop.rtnh_len <= hops.size()) {
      route.link = hop.rtnh_ifindex;
      route.onlink = (hop.rtnh_flags & RTNH_F_ONLINK) != 0;
      parse_hop(Attributes(hops.data() + sizeof hop, hop.rtnh_len - sizeof hop), route);
    }
  }
  out.object = route;
}

void parse_neighbour(const nlmsghdr* message, NetlinkMessage& out) {
  const auto* header = header_of<ndmsg>(message);
  if (header == nullptr) return;
  const Attributes attributes = attributes_of<ndmsg>(message);
  Neighbour neighbour;
  neighbour.link = header->ndm_ifindex;
  neighbour.address = attributes.address(NDA_DST);
  neighbour.mac = attributes.mac(NDA_LLADDR);
  neighbour.fdb = header->ndm_family == AF_BRIDGE;
  neighbour.permanent = (header->ndm_state & NUD_PERMANENT) != 0;
  neighbour.proxy = (header->ndm_flags & NTF_PROXY) != 0;
  if (neighbour.proxy) neighbour.protocol = attributes.number<uint8_t>(NDA_PROTOCOL);
  out.object = neighbour;
}

void parse_error(const nlmsghdr* message, NetlinkMessage& out) {
  const auto* error = header_of<nlmsgerr>(message);
  if (error == nullptr) return;
  out.error = -error->error;
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return;
  // The request stands between the code and the attributes, its payload only when it failed and was not capped.
  size_t offset = sizeof(nlmsgerr);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0 && error->msg.nlmsg_len > sizeof(nlmsghdr)) {
    offset += MNL_ALIGN(error->msg.nlmsg_len - sizeof(nlmsghdr));
  }
  const size_t size = mnl_nlmsg_get_payload_len(message);
  if (offset >= size) return;
  const Attributes attributes(static_cast<const char*>(mnl_nlmsg_get_payload(message)) + offset, size - offset);
  out.explanation = attributes.text(NLMSGERR_ATTR_MSG);
}

}  // namespace

bool parse_netlink(std::string_view bytes, const std::function<void(const NetlinkMessage&)>& each) {
  while (!bytes.empty()) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
    // libmnl's own check takes a length beyond 2^31 for a small one.
    const bool whole =
        bytes.size() >= sizeof *message && message->nlmsg_len >= sizeof *message && message->nlmsg_len <= bytes.size();
    if (!whole) return false;
    NetlinkMessage out;
    out.sequence = message->nlmsg_seq;
    out.interrupted = (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    switch (message->nlmsg_type) {
      case NLMSG_DONE:
        out.done = true;
        if (const auto* code = header_of<int32_t>(message); code != nullptr && *code < 0) out.error = -*code;
        break;
      case NLMSG_ERROR:
        parse_error(message, out);
        break;
      case RTM_NEWLINK:
      case RTM_DELLINK:
        parse_link(message, out);
        break;
      case RTM_NEWADDR:
      case RTM_DELADDR:
        parse_address(message, out);
        break;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        parse_route(message, out);
        break;
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH:
        parse_neighbour(message, out);
        break;
      default:
        break;
    }
    out.removed = message->nlmsg_type == RTM_DELLINK || message->nlmsg_type == RTM_DELADDR ||
                  message->nlmsg_type == RTM_DELROUTE || message->nlmsg_type == RTM_DELNEIGH;
    each(out);
    bytes.remove_prefix(std::min<size_t>(MNL_ALIGN(message->nlmsg_len), bytes.size()));
  }
  return true;
}

}  // namespace trireme::linux
