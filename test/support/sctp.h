#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace trireme::test {

/// SCTP by raw sockets, as far as the first two packets of an association (RFC 9260): enough to see where rules send
/// them, also on a kernel whose own sockets do not know the protocol. Of the network namespace of the thread that makes
/// it.
class SctpEnd {
 public:
  static constexpr uint8_t kInit = 1;
  static constexpr uint8_t kInitAck = 2;
  static constexpr int kPatienceMs = 700;

  struct Packet {
    std::string from;  ///< Known for IPv4 and IPv6.
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint8_t type = 0;
    uint32_t tag = 0;  ///< The sender's, which answers have to bear.
  };

  explicit SctpEnd(bool ipv6 = false)
      : ipv6_(ipv6), socket_(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_SCTP)) {}
  ~SctpEnd() {
    if (socket_ >= 0) ::close(socket_);
  }
  SctpEnd(const SctpEnd&) = delete;
  SctpEnd& operator=(const SctpEnd&) = delete;

  /// Asks for an association, or (with `answered`) agrees to one.
  bool send(const std::string& to, uint16_t source_port, uint16_t destination_port,
            const Packet* answered = nullptr) const {
    std::array<uint32_t, 8> words{};  // the common header, then one chunk without options
    words[0] = htonl(static_cast<uint32_t>(source_port) << 16 | destination_port);
    words[1] = htonl(answered != nullptr ? answered->tag : 0);
    words[3] = htonl(static_cast<uint32_t>(answered != nullptr ? kInitAck : kInit) << 24 | 20);
    words[4] = htonl(0x1234567 + source_port);  // its own tag
    words[5] = htonl(65536);                    // window
    words[6] = htonl(1U << 16 | 1);             // streams
    words[7] = htonl(1);                        // first sequence number
    words[2] = crc32c(words);
    sockaddr_storage address{};
    socklen_t size = sizeof(sockaddr_in);
    if (ipv6_) {
      auto* six = reinterpret_cast<sockaddr_in6*>(&address);
      size = sizeof *six;
      six->sin6_family = AF_INET6;
      ::inet_pton(AF_INET6, to.c_str(), &six->sin6_addr);
    } else {
      auto* four = reinterpret_cast<sockaddr_in*>(&address);
      four->sin_family = AF_INET;
      ::inet_pton(AF_INET, to.c_str(), &four->sin_addr);
    }
    return ::sendto(socket_, words.data(), sizeof words, 0, reinterpret_cast<sockaddr*>(&address), size) > 0;
  }

  /// The next one; none within a while.
  std::optional<Packet> receive() const {
    pollfd wait{socket_, POLLIN, 0};
    if (::poll(&wait, 1, kPatienceMs) != 1) return std::nullopt;
    std::array<uint8_t, 256> buffer{};
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(socket_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    const size_t head = ipv6_ ? 0 : (buffer[0] & 0x0fU) * size_t{4};
    if (got < static_cast<ssize_t>(head + 20)) return std::nullopt;
    const uint8_t* packet = buffer.data() + head;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* address = ipv6_ ? static_cast<const void*>(&reinterpret_cast<sockaddr_in6*>(&from)->sin6_addr)
                                : &reinterpret_cast<sockaddr_in*>(&from)->sin_addr;
    ::inet_ntop(from.ss_family, address, text.data(), text.size());
    const auto number = [&](size_t at, size_t bytes) {
      uint32_t out = 0;
      for (size_t i = 0; i < bytes; ++i) out = out << 8 | packet[at + i];
      return out;
    };
    return Packet{text.data(), static_cast<uint16_t>(number(0, 2)), static_cast<uint16_t>(number(2, 2)), packet[12],
                  number(16, 4)};
  }

 private:
  /// Castagnoli's, as RFC 9260 has it: of the packet with a checksum of zero, sent lowest byte first.
  static uint32_t crc32c(const std::array<uint32_t, 8>& words) {
    std::array<uint8_t, sizeof words> bytes{};
    std::memcpy(bytes.data(), words.data(), bytes.size());
    uint32_t crc = ~0U;
    for (const uint8_t byte : bytes) {
      crc ^= byte;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
    }
    return ~crc;  // in memory order of a little-endian machine, which is what is sent
  }

  const bool ipv6_;
  const int socket_;
};

}  // namespace trireme::test
