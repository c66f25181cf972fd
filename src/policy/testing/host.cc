#include "policy/testing/host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "linux/file.h"
#include "linux/process.h"

namespace trireme::policy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kServerPollMs = 20;

void ip(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ip");
  auto out = linux::run_program(arguments);
  if (!out.ok()) throw std::runtime_error(out.status().message());
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const std::string& text, uint16_t port) {
  SocketAddress out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.size = sizeof(sockaddr_in);
  } else {
    ::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.size = sizeof(sockaddr_in6);
  }
  return out;
}

}  // namespace

bool skip_address_checks() {
  for (const char* scope : {"all", "default"}) {
    const std::string path = std::string("/proc/sys/net/ipv6/conf/") + scope + "/accept_dad";
    if (!linux::write_existing(path, "0\n").ok()) return false;
  }
  return true;
}

Host::Host() {
  thread_ = std::jthread([this](std::stop_token stop) { loop(std::move(stop)); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return thread_id_ != 0; });
}

Host::~Host() {
  server_.request_stop();
  if (server_.joinable()) server_.join();
  thread_.request_stop();
}

void Host::loop(std::stop_token stop) {
  const bool own = ::unshare(CLONE_NEWNET) == 0 && skip_address_checks();
  std::unique_lock lock(mutex_);
  thread_id_ = own ? ::gettid() : -1;
  changed_.notify_all();
  while (changed_.wait(lock, stop, [&] { return static_cast<bool>(task_); })) {
    task_();
    task_ = nullptr;
    changed_.notify_all();
  }
}

void Host::run(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  if (thread_id_ < 0) throw std::runtime_error("no network namespace");
  task_ = std::move(task);
  changed_.notify_all();
  changed_.wait(lock, [&] { return !task_; });
}

void Host::connect(const std::string& peer, const std::vector<std::string>& addresses,
                   const std::vector<std::string>& gateways) {
  ip({"link", "add", peer, "type", "veth", "peer", "name", "eth0", "netns", std::to_string(thread_id_)});
  ip({"link", "set", peer, "up"});
  run([&] {
    ip({"link", "set", "lo", "up"});
    for (const std::string& address : addresses) {
      std::vector<std::string> words{"addr", "add", address, "dev", "eth0"};
      if (address.find(':') != std::string::npos) words.emplace_back("nodad");
      ip(words);
    }
    ip({"link", "set", "eth0", "up"});
    for (const std::string& gateway : gateways) {
      ip({gateway.find(':') != std::string::npos ? "-6" : "-4", "route", "add", "default", "via", gateway});
    }
  });
}

void Host::serve(const std::vector<uint16_t>& ports) {
  std::promise<void> listening;
  run([&] {
    server_ = std::jthread([&, ports](std::stop_token stop) { serve_loop(std::move(stop), ports, &listening); });
  });
  listening.get_future().wait();
}

void Host::serve_loop(std::stop_token stop, std::vector<uint16_t> ports, std::promise<void>* listening) {
  std::vector<pollfd> sockets;
  for (uint16_t port : ports) {
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
      const int fd = ::socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      const SocketAddress any = socket_address("::", port);
      if (::bind(fd, any.get(), any.size) != 0) throw std::runtime_error("bind");
      if (type == SOCK_STREAM) ::listen(fd, 64);
      sockets.push_back({fd, POLLIN, 0});
    }
  }
  listening->set_value();
  while (!stop.stop_requested()) {
    if (::poll(sockets.data(), sockets.size(), kServerPollMs) <= 0) continue;
    for (size_t i = 0; i < sockets.size(); ++i) {
      if ((sockets[i].revents & POLLIN) == 0) continue;
      if (i % 2 == 0) {
        ::close(::accept4(sockets[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
        continue;
      }
      char byte = 0;
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      if (::recvfrom(sockets[i].fd, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size) == 1) {
        ::sendto(sockets[i].fd, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), size);
      }
    }
  }
  for (const pollfd& socket : sockets) ::close(socket.fd);
}

std::vector<bool> Host::reach(const std::vector<Target>& targets, std::chrono::milliseconds patience) {
  std::vector<bool> reached(targets.size());
  run([&] {
    std::vector<pollfd> sockets;
    for (const Target& target : targets) {
      const SocketAddress to = socket_address(target.address, target.port);
      const int fd =
          ::socket(to.storage.ss_family, (target.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      (void)::connect(fd, to.get(), to.size);
      if (target.udp) (void)::send(fd, "x", 1, 0);
      sockets.push_back({fd, static_cast<short>(target.udp ? POLLIN : POLLOUT), 0});
    }
    const auto end = Clock::now() + patience;
    size_t open = sockets.size();
    while (open > 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      if (left.count() <= 0 || ::poll(sockets.data(), sockets.size(), static_cast<int>(left.count())) <= 0) break;
      for (size_t i = 0; i < sockets.size(); ++i) {
        if (sockets[i].fd < 0 || sockets[i].revents == 0) continue;
        int error = 0;
        socklen_t size = sizeof(error);
        ::getsockopt(sockets[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
        reached[i] = error == 0 && (sockets[i].revents & sockets[i].events) != 0;
        ::close(sockets[i].fd);
        sockets[i].fd = -1;
        --open;
      }
    }
    for (const pollfd& socket : sockets) {
      if (socket.fd >= 0) ::close(socket.fd);
    }
  });
  return reached;
}

bool Host::ping(const std::string& address, std::chrono::milliseconds patience) {
  bool answered = false;
  run([&] {
    const SocketAddress to = socket_address(address, 0);
    const bool v6 = to.storage.ss_family == AF_INET6;
    // A raw socket sees its own host's other ICMP packets, too: the answer is told by its identifier.
    const int fd =
        ::socket(to.storage.ss_family, SOCK_RAW | SOCK_CLOEXEC, v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP});
    std::array<unsigned char, 8> request{static_cast<unsigned char>(v6 ? 128 : 8), 0, 0, 0, 0x12, 0x34, 0, 1};
    if (!v6) {
      uint32_t sum = 0;
      for (size_t i = 0; i < request.size(); i += 2) sum += static_cast<uint32_t>(request[i] << 8 | request[i + 1]);
      sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
      request[2] = static_cast<unsigned char>(sum >> 8);
      request[3] = static_cast<unsigned char>(sum & 0xff);
    }
    (void)::sendto(fd, request.data(), request.size(), 0, to.get(), to.size);
    const auto end = Clock::now() + patience;
    while (!answered) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      pollfd wait{fd, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) break;
      std::array<unsigned char, 256> packet{};
      const ssize_t size = ::recv(fd, packet.data(), packet.size(), 0);
      const size_t header = v6 ? 0 : static_cast<size_t>(packet[0] & 15) * 4;
      answered = size >= static_cast<ssize_t>(header + 8) && packet[header] == (v6 ? 129 : 0) &&
                 packet[header + 4] == 0x12 && packet[header + 5] == 0x34;
    }
    ::close(fd);
  });
  return answered;
}

}  // namespace trireme::policy
