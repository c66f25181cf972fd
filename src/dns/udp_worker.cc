#include "dns/udp_worker.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

namespace trireme::dns {
namespace {

constexpr size_t kBatch = 32;
constexpr size_t kMaxDatagram = 2048;  // of a query

}  // namespace

Result<OwnedFd> bind_socket(const Endpoint& endpoint, int kind) {
  const int family = endpoint.address.v6 ? AF_INET6 : AF_INET;
  OwnedFd socket(::socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto fail = [&] {
    return Status::internal(fmt::format("listen on {}: {}", to_text(endpoint), std::strerror(errno)));
  };
  if (!socket) return fail();
  const int on = 1;
  if (endpoint.address.v6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // The address may be assigned later, or be taken away and come back.
  ::setsockopt(socket.get(), endpoint.address.v6 ? IPPROTO_IPV6 : IPPROTO_IP,
               endpoint.address.v6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, kind == SOCK_DGRAM ? SO_REUSEPORT : SO_REUSEADDR, &on, sizeof on);
  const int room = 1 << 20;
  if (kind == SOCK_DGRAM) ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  sockaddr_storage address;
  const socklen_t size = to_sockaddr(endpoint, address);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return fail();
  if (kind == SOCK_STREAM && ::listen(socket.get(), 128) != 0) return fail();
  return socket;
}

Endpoint bound_endpoint(int fd, const Endpoint& endpoint) {
  sockaddr_storage address;
  socklen_t size = sizeof address;
  Endpoint bound = endpoint;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    bound.port = ntohs(endpoint.address.v6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  }
  return bound;
}

struct UdpWorker::Batch {
  std::array<std::array<uint8_t, kMaxDatagram>, kBatch> in;
  std::array<std::array<uint8_t, kMaxUdpPayload>, kBatch> out;
  std::array<sockaddr_storage, kBatch> peers;
  std::array<iovec, kBatch> in_vectors;
  std::array<iovec, kBatch> out_vectors;
  std::array<mmsghdr, kBatch> received;
  std::array<mmsghdr, kBatch> sent;
};

UdpWorker::UdpWorker(std::vector<OwnedFd> sockets, std::vector<bool> v6, Responder& responder,
                     std::shared_ptr<Clock> clock)
    : sockets_(std::move(sockets)),
      v6_(std::move(v6)),
      responder_(responder),
      clock_(std::move(clock)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

UdpWorker::~UdpWorker() { stop(); }

void UdpWorker::start() {
  thread_ = std::thread([this] { run(); });
}

void UdpWorker::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void UdpWorker::run() {
  auto batch = std::make_unique<Batch>();
  std::memset(batch.get(), 0, sizeof *batch);
  std::vector<pollfd> polled;
  for (const OwnedFd& socket : sockets_) polled.push_back({socket.get(), POLLIN, 0});
  polled.push_back({wake_.get(), POLLIN, 0});
  while (true) {
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled.back().revents != 0) return;
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (polled[i].revents != 0) serve(polled[i].fd, v6_[i], *batch);
    }
  }
}

bool UdpWorker::serve(int fd, bool v6, Batch& batch) {
  for (size_t i = 0; i < kBatch; ++i) {
    batch.in_vectors[i] = {batch.in[i].data(), kMaxDatagram};
    msghdr& header = batch.received[i].msg_hdr;
    header.msg_name = &batch.peers[i];
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &batch.in_vectors[i];
    header.msg_iovlen = 1;
    header.msg_control = nullptr;
    header.msg_controllen = 0;
  }
  const int received = ::recvmmsg(fd, batch.received.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (received <= 0) return false;
  const Duration began = clock_->monotonic();
  unsigned ready = 0;
  {
    const SharedRecords::Reading records(responder_.records());
    for (size_t i = 0; i < static_cast<size_t>(received); ++i) {
      const Bytes packet(batch.in[i].data(), batch.received[i].msg_len);
      const msghdr& from = batch.received[i].msg_hdr;
      const auto make_reply = [&]() -> Responder::Reply {
        return [fd, peer = batch.peers[i], length = from.msg_namelen](Bytes response) {
          (void)::sendto(fd, response.data(), response.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&peer),
                         length);
        };
      };
      // By reference: a function object of its own would be an allocation for each query.
      const size_t size =
          responder_.respond(*records, packet, false, v6, rotation_++, batch.out[i], metrics_, std::ref(make_reply));
      if (size == 0) continue;
      batch.out_vectors[ready] = {batch.out[i].data(), size};
      msghdr& header = batch.sent[ready].msg_hdr;
      header.msg_name = from.msg_name;
      header.msg_namelen = from.msg_namelen;
      header.msg_iov = &batch.out_vectors[ready];
      header.msg_iovlen = 1;
      ++ready;
    }
  }
  for (unsigned done = 0; done < ready;) {
    const int sent = ::sendmmsg(fd, batch.sent.data() + done, ready - done, MSG_DONTWAIT);
    // Whom the kernel cannot send to is left out: the client asks again.
    done += sent > 0 ? static_cast<unsigned>(sent) : 1;
  }
  if (ready > 0) metrics_.observe(clock_->monotonic() - began, ready);
  return true;
}

}  // namespace trireme::dns
