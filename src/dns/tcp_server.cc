#include "dns/tcp_server.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace trireme::dns {

struct TcpServer::Connection {
  uint64_t id = 0;
  OwnedFd socket;
  bool v6 = false;
  std::vector<uint8_t> in;
  std::vector<uint8_t> out;
  size_t pending = 0;  ///< Forwarded queries.
  Duration last_use{};
  std::list<uint64_t>::iterator place;
  uint32_t interest = EPOLLIN;
  bool ended = false;  ///< The client sends no more.
};

TcpServer::TcpServer(Loop& loop, Responder& responder, TcpOptions options)
    : loop_(loop), responder_(responder), options_(options), scratch_(kMaxMessage) {}

TcpServer::~TcpServer() = default;

bool TcpServer::listen(OwnedFd socket, bool v6) {
  const int fd = socket.get();
  listeners_.push_back(std::move(socket));
  return loop_.watch(fd, EPOLLIN, [this, fd, v6](uint32_t) { accept(fd, v6); });
}

void TcpServer::accept(int listener, bool v6) {
  constexpr int kAtOnce = 64;
  for (int i = 0; i < kAtOnce; ++i) {
    OwnedFd socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      // Out of descriptors: whoever was silent longest gives up its own.
      const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (exhausted && !by_use_.empty()) {
        close(by_use_.front());
      } else if (exhausted) {
        loop_.change(listener, 0);
        loop_.after(std::chrono::milliseconds(100), [this, listener] { loop_.change(listener, EPOLLIN); });
      }
      break;
    }
    if (connections_.size() >= options_.max_connections) close(by_use_.front());
    auto connection = std::make_shared<Connection>();
    connection->id = ++last_id_;
    connection->v6 = v6;
    connection->last_use = loop_.now();
    const int fd = socket.get();
    connection->socket = std::move(socket);
    connection->place = by_use_.insert(by_use_.end(), connection->id);
    connections_.emplace(connection->id, connection);
    const bool watched = loop_.watch(fd, EPOLLIN, [this, weak = std::weak_ptr(connection)](uint32_t events) {
      if (const auto strong = weak.lock()) on_ready(strong, events);
    });
    if (!watched) close(connection->id);
  }
  if (sweeper_ == 0 && !connections_.empty()) sweeper_ = loop_.after(options_.idle_timeout, [this] { sweep(); });
}

/// Ends connections that were silent too long; runs only while there are any.
void TcpServer::sweep() {
  sweeper_ = 0;
  const Duration limit = loop_.now() - options_.idle_timeout;
  while (!by_use_.empty() && connections_.at(by_use_.front())->last_use <= limit) close(by_use_.front());
  if (by_use_.empty()) return;
  sweeper_ = loop_.after(connections_.at(by_use_.front())->last_use - limit, [this] { sweep(); });
}

void TcpServer::close(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  loop_.forget(found->second->socket.get());
  by_use_.erase(found->second->place);
  connections_.erase(found);
}

void TcpServer::on_ready(const std::shared_ptr<Connection>& connection, uint32_t events) {
  if ((events & EPOLLERR) != 0) return close(connection->id);
  if ((events & EPOLLOUT) != 0 && !flush(*connection)) return;
  if ((events & (EPOLLIN | EPOLLHUP)) != 0 && !connection->ended) {
    std::array<uint8_t, 8192> buffer;
    const ssize_t got = ::recv(connection->socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR) return close(connection->id);
    if (got == 0) connection->ended = true;
    if (got > 0) connection->in.insert(connection->in.end(), buffer.begin(), buffer.begin() + got);
  }
  serve(connection);
}

/// Answers the whole queries that have arrived, as long as the client may have more under way.
void TcpServer::serve(const std::shared_ptr<Connection>& connection) {
  size_t taken = 0;
  while (connection->out.size() <= options_.max_unsent && connection->pending < options_.max_pending) {
    const Bytes rest(connection->in.data() + taken, connection->in.size() - taken);
    if (rest.size() < 2) break;
    const size_t size = get16(rest, 0);
    if (size > kMaxQuerySize || size < kHeaderSize) return close(connection->id);
    if (rest.size() < 2 + size) break;
    taken += 2 + size;
    // A query keeps a connection alive, single bytes of one do not.
    connection->last_use = loop_.now();
    by_use_.splice(by_use_.end(), by_use_, connection->place);
    const Bytes packet = rest.subspan(2, size);
    const Duration began = loop_.now();
    size_t written = 0;
    {
      const SharedRecords::Reading records(responder_.records());
      written = responder_.respond(*records, packet, true, connection->v6, rotation_++, scratch_, metrics_,
                                   [&]() -> Responder::Reply {
                                     const std::weak_ptr weak(connection);
                                     ++connection->pending;
                                     // Counts down with the request's end, also when it was not taken at all.
                                     std::shared_ptr<void> under_way(nullptr, [weak](void*) {
                                       if (const auto strong = weak.lock()) --strong->pending;
                                     });
                                     return [this, weak, under_way](Bytes response) mutable {
                                       under_way.reset();
                                       const auto strong = weak.lock();
                                       if (!strong || !connections_.contains(strong->id)) return;
                                       send(*strong, response);
                                       if (!flush(*strong)) return;
                                       serve(strong);
                                     };
                                   });
    }
    if (written > 0) {
      metrics_.observe(loop_.now() - began, 1);
      send(*connection, {scratch_.data(), written});
    }
  }
  if (taken > 0) connection->in.erase(connection->in.begin(), connection->in.begin() + static_cast<ptrdiff_t>(taken));
  if (!flush(*connection)) return;
  update_interest(*connection);
}

void TcpServer::send(Connection& connection, Bytes response) {
  const size_t at = connection.out.size();
  connection.out.resize(at + 2 + response.size());
  put16(connection.out.data() + at, static_cast<uint16_t>(response.size()));
  std::copy(response.begin(), response.end(), connection.out.begin() + static_cast<ptrdiff_t>(at + 2));
}

/// False when the connection is over.
bool TcpServer::flush(Connection& connection) {
  size_t sent = 0;
  while (sent < connection.out.size()) {
    const ssize_t now =
        ::send(connection.socket.get(), connection.out.data() + sent, connection.out.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) {
      if (errno == EAGAIN) break;
      close(connection.id);
      return false;
    }
    sent += static_cast<size_t>(now);
  }
  connection.out.erase(connection.out.begin(), connection.out.begin() + static_cast<ptrdiff_t>(sent));
  if (connection.ended && connection.out.empty() && connection.pending == 0) {
    close(connection.id);
    return false;
  }
  return true;
}

void TcpServer::update_interest(Connection& connection) {
  uint32_t interest = 0;
  const bool full = connection.out.size() > options_.max_unsent || connection.pending >= options_.max_pending ||
                    connection.in.size() > 2 * kMaxQuerySize;
  if (!connection.ended && !full) interest |= EPOLLIN;
  if (!connection.out.empty()) interest |= EPOLLOUT;
  if (interest == connection.interest) return;
  connection.interest = interest;
  loop_.change(connection.socket.get(), interest);
}

}  // namespace trireme::dns
