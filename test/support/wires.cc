#include "support/wires.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "linux/file.h"
#include "linux/process.h"

namespace trireme::test {
namespace {

constexpr int kPatienceMs = 1500;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "test network: {}: {}\n", what, std::strerror(errno));
  std::abort();
}

void ip(const std::string& words) {
  std::vector<std::string> arguments = {"ip"};
  for (size_t at = 0; at < words.size();) {
    size_t end = std::min(words.find(' ', at), words.size());
    arguments.push_back(words.substr(at, end - at));
    at = end + 1;
  }
  auto done = linux::run_program(arguments);
  if (!done.ok()) fail(words + ": " + done.status().message());
}

void set(const std::string& name, const std::string& value) {
  int fd = ::open(("/proc/sys/net/" + name).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;  // no IPv6 here, for instance
  if (::write(fd, value.data(), value.size()) < 0) fail(name);
  ::close(fd);
}

sockaddr_storage address_of(const std::string& text, int port, socklen_t& size) {
  sockaddr_storage out{};
  auto* four = reinterpret_cast<sockaddr_in*>(&out);
  auto* six = reinterpret_cast<sockaddr_in6*>(&out);
  if (::inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(static_cast<uint16_t>(port));
    size = sizeof(*four);
  } else if (::inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(static_cast<uint16_t>(port));
    size = sizeof(*six);
  } else {
    fail(text);
  }
  return out;
}

std::string text_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto* six = reinterpret_cast<const sockaddr_in6*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
    ::inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, &six->sin6_addr, text.data(), text.size());
  }
  return text.data();
}

}  // namespace

Peer::Peer() {
  std::thread([this] {
    if (::unshare(CLONE_NEWNET) != 0) fail("unshare");
    fd_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    ip("link set lo up");
  }).join();
  if (fd_ < 0) fail("namespace");
}

Peer::~Peer() { ::close(fd_); }

void Peer::in(const std::function<void()>& act) const {
  std::thread([&] {
    if (::setns(fd_, CLONE_NEWNET) != 0) fail("setns");
    act();
  }).join();
}

std::string Peer::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_); }

Answerer::Answerer(const Peer& where, std::string name, int port) : name_(std::move(name)), stop_(::eventfd(0, 0)) {
  where.in([&] {
    tcp_ = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    udp_ = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(static_cast<uint16_t>(port));
    const int off = 0;
    for (int fd : {tcp_, udp_}) {
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
      if (::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) fail("bind");
    }
    if (::listen(tcp_, 64) != 0) fail("listen");
  });
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Answerer::~Answerer() {
  thread_.request_stop();
  const uint64_t one = 1;
  if (::write(stop_, &one, sizeof(one)) < 0) fail("eventfd");
  thread_.join();
  for (int fd : {tcp_, udp_, stop_}) ::close(fd);
}

void Answerer::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::array<pollfd, 3> waits = {pollfd{tcp_, POLLIN, 0}, pollfd{udp_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
    ::poll(waits.data(), waits.size(), -1);
    sockaddr_storage from{};
    socklen_t size = sizeof(from);
    if ((waits[0].revents & POLLIN) != 0) {
      int connection = ::accept4(tcp_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC);
      std::string answer = name_ + " " + text_of(from);
      if (connection >= 0 && ::write(connection, answer.data(), answer.size()) < 0) continue;
      ::close(connection);
    }
    if ((waits[1].revents & POLLIN) != 0) {
      std::array<char, 16> buffer{};
      ssize_t got =
          ::recvfrom(udp_, buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
      std::string answer = name_ + " " + text_of(from);
      if (got >= 0) ::sendto(udp_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
}

UdpClient::UdpClient(const Peer& where) {
  where.in([&] { socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); });
}

UdpClient::~UdpClient() { ::close(socket_); }

std::string UdpClient::ask(const std::string& address, int port) {
  socklen_t size = 0;
  sockaddr_storage to = address_of(address, port, size);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), size) != 0) return "unreachable";
  if (::send(socket_, "?", 1, 0) < 0) return errno == ECONNREFUSED ? "refused" : "unreachable";
  pollfd wait{socket_, POLLIN, 0};
  if (::poll(&wait, 1, kPatienceMs) != 1) return "timeout";
  std::array<char, 128> buffer{};
  ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
  if (got < 0) return errno == ECONNREFUSED ? "refused" : "failed";
  return {buffer.data(), static_cast<size_t>(got)};
}

Wires::Wires() {
  if (!node_.entered()) fail("namespace");
  set("ipv4/ip_forward", "1");
  set("ipv6/conf/all/forwarding", "1");
  set("ipv6/conf/all/accept_dad", "0");
  set("ipv6/conf/default/accept_dad", "0");
  set("bridge/bridge-nf-call-iptables", "1");
  set("bridge/bridge-nf-call-ip6tables", "1");
  ip("link set lo up");
  client_ = std::make_unique<Peer>();
  ip("link add out type veth peer name eth0");
  ip("link set eth0 netns " + client_->path());
  ip("addr add 192.0.2.1/24 dev out");
  ip("-6 addr add 2001:db8:2::1/64 dev out nodad");
  ip("link set out up");
  client_->in([] {
    ip("addr add 192.0.2.2/24 dev eth0");
    ip("addr add 192.0.2.3/24 dev eth0");
    ip("-6 addr add 2001:db8:2::2/64 dev eth0 nodad");
    ip("link set eth0 up");
    ip("route add default via 192.0.2.1");
    ip("-6 route add default via 2001:db8:2::1");
  });
  for (int subnet : {1, 2}) {
    ip(fmt::format("link add br{} type bridge", subnet));
    ip(fmt::format("addr add 10.244.{0}.1/24 dev br{0}", subnet));
    ip(fmt::format("-6 addr add fd00:244:{0}::1/64 dev br{0} nodad", subnet));
    ip(fmt::format("link set br{} up", subnet));
  }
  // What no rule takes must not leave: there is nowhere to leave to.
  ip("route add unreachable 203.0.113.0/24 metric 4278198272");
}

Wires::~Wires() = default;

Peer& Wires::add(int number, bool local) {
  const int subnet = local ? 1 : 2;
  auto peer = std::make_unique<Peer>();
  std::string wire = fmt::format("p{}-{}", subnet, number);
  ip(fmt::format("link add {} type veth peer name eth0", wire));
  ip(fmt::format("link set eth0 netns {}", peer->path()));
  ip(fmt::format("link set {} master br{}", wire, subnet));
  ip(fmt::format("link set {} type bridge_slave hairpin on", wire));
  ip(fmt::format("link set {} up", wire));
  peer->in([&] {
    ip(fmt::format("addr add 10.244.{}.{}/24 dev eth0", subnet, number));
    ip(fmt::format("-6 addr add fd00:244:{}::{}/64 dev eth0 nodad", subnet, number));
    ip("link set eth0 up");
    ip(fmt::format("route add default via 10.244.{}.1", subnet));
    ip(fmt::format("-6 route add default via fd00:244:{}::1", subnet));
  });
  pods_.push_back(std::move(peer));
  return *pods_.back();
}

std::string Wires::connect(const Peer* from, const std::string& address, int port) {
  std::string answer;
  const auto act = [&] {
    socklen_t size = 0;
    sockaddr_storage to = address_of(address, port, size);
    int fd = ::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = ::connect(fd, reinterpret_cast<sockaddr*>(&to), size);
    if (result != 0 && errno == EINPROGRESS) {
      pollfd wait{fd, POLLOUT, 0};
      if (::poll(&wait, 1, kPatienceMs) != 1) {
        answer = "timeout";
        ::close(fd);
        return;
      }
      socklen_t length = sizeof(errno);
      int error = 0;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
      errno = error;
      result = error == 0 ? 0 : -1;
    }
    if (result != 0) {
      answer = errno == ECONNREFUSED ? "refused" : errno == EHOSTUNREACH ? "unreachable" : std::strerror(errno);
    } else {
      pollfd wait{fd, POLLIN, 0};
      std::array<char, 128> buffer{};
      ssize_t got = ::poll(&wait, 1, kPatienceMs) == 1 ? ::read(fd, buffer.data(), buffer.size()) : -1;
      answer = got < 0 ? std::string("silent") : std::string(buffer.data(), static_cast<size_t>(got));
    }
    ::close(fd);
  };
  if (from == nullptr) {
    act();
  } else {
    from->in(act);
  }
  return answer;
}

std::string nft_list() {
  auto out = linux::run_program({"nft", "list", "ruleset"});
  if (!out.ok()) fail(out.status().message());
  return std::move(*out);
}

}  // namespace trireme::test
