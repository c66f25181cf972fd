#include "linux/tell_neighbours.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "linux/file.h"

namespace trireme::linux {
namespace {

class Socket {
 public:
  Socket(int family, int type, int protocol) : descriptor_(::socket(family, type | SOCK_CLOEXEC, protocol)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

Status sending_failed(const IpAddress& address) {
  return errno_status("tell the neighbours of", address.to_string(), errno);
}

Status send_arp(int link, const MacAddress& mac, const IpAddress& address) {
  const Socket socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
  sockaddr_ll everybody{};
  everybody.sll_family = AF_PACKET;
  everybody.sll_protocol = htons(ETH_P_ARP);
  everybody.sll_ifindex = link;
  everybody.sll_halen = ETH_ALEN;
  std::fill_n(everybody.sll_addr, ETH_ALEN, 0xff);
  ether_arp packet{};
  packet.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
  packet.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
  packet.ea_hdr.ar_hln = ETH_ALEN;
  packet.ea_hdr.ar_pln = 4;
  std::copy_n(mac.bytes.begin(), ETH_ALEN, packet.arp_sha);
  std::copy_n(address.bytes.begin(), 4, packet.arp_spa);
  std::copy_n(address.bytes.begin(), 4, packet.arp_tpa);
  // Some listen to the one, some to the other.
  for (const uint16_t operation : {ARPOP_REQUEST, ARPOP_REPLY}) {
    packet.ea_hdr.ar_op = htons(operation);
    std::fill_n(packet.arp_tha, ETH_ALEN, operation == ARPOP_REPLY ? 0xff : 0);
    if (::sendto(socket.get(), &packet, sizeof packet, 0, reinterpret_cast<const sockaddr*>(&everybody),
                 sizeof everybody) < 0) {
      return sending_failed(address);
    }
  }
  return {};
}

Status send_advertisement(int link, const MacAddress& mac, const IpAddress& address) {
  constexpr int kHops = 255;  // receivers take no other for one of a neighbour
  const Socket socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &kHops, sizeof kHops);
  ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &link, sizeof link);
  struct {
    nd_neighbor_advert head;
    nd_opt_hdr option;
    std::array<uint8_t, ETH_ALEN> mac;
  } packet{};
  packet.head.nd_na_type = ND_NEIGHBOR_ADVERT;
  packet.head.nd_na_flags_reserved = ND_NA_FLAG_ROUTER | ND_NA_FLAG_OVERRIDE;
  std::memcpy(&packet.head.nd_na_target, address.bytes.data(), sizeof packet.head.nd_na_target);
  packet.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
  packet.option.nd_opt_len = 1;
  std::copy_n(mac.bytes.begin(), ETH_ALEN, packet.mac.begin());
  sockaddr_in6 everybody{};
  everybody.sin6_family = AF_INET6;
  everybody.sin6_scope_id = static_cast<uint32_t>(link);
  everybody.sin6_addr = {{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};
  const ssize_t sent = ::sendto(socket.get(), &packet, sizeof packet, 0, reinterpret_cast<const sockaddr*>(&everybody),
                                sizeof everybody);
  return sent < 0 ? sending_failed(address) : Status();
}

}  // namespace

Status tell_neighbours(int link, const MacAddress& mac, const IpAddress& address) {
  return address.is_ipv6() ? send_advertisement(link, mac, address) : send_arp(link, mac, address);
}

}  // namespace trireme::linux
