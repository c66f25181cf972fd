#include "linux/own_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "linux/route.h"

namespace trireme::linux {
namespace {

struct FreeAddresses {
  void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

std::string text_of(const ifaddrs& entry) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* data = nullptr;
  if (entry.ifa_addr->sa_family == AF_INET) {
    data = &reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr;
  } else {
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_MULTICAST(&address)) return {};
    data = &address;
  }
  const char* written = ::inet_ntop(entry.ifa_addr->sa_family, data, text.data(), text.size());
  return written ? written : "";
}

}  // namespace

std::vector<std::string> own_addresses() {
  const std::string primary = primary_address();
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {primary};
  const std::unique_ptr<ifaddrs, FreeAddresses> owner(list);
  const auto each = [&](int family, auto visit) {
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
      const bool usable = entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == family &&
                          (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_LOOPBACK) == 0;
      if (!usable) continue;
      if (const std::string text = text_of(*entry); !text.empty()) visit(std::string(entry->ifa_name), text);
    }
  };
  std::string interface;
  each(AF_INET, [&](const std::string& name, const std::string& text) {
    if (text == primary) interface = name;
  });
  std::string ipv6;
  each(AF_INET6, [&](const std::string& name, const std::string& text) {
    if (ipv6.empty() && (interface.empty() || name == interface)) ipv6 = text;
  });
  std::vector<std::string> result;
  if (!interface.empty()) result.push_back(primary);
  if (!ipv6.empty()) result.push_back(ipv6);
  if (result.empty()) result.push_back(primary);
  return result;
}

bool has_ipv6() {
  const int socket = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0;
  ::close(socket);
  return bound;
}

}  // namespace trireme::linux
