#include "net/client_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/http.h"

namespace trireme::net {
namespace {

using Steady = std::chrono::steady_clock;

struct AddressListFree {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::string system_error(int code) { return std::strerror(code); }

}  // namespace

Patience Patience::for_duration(Duration duration, std::stop_token stop) {
  Patience patience;
  if (duration > Duration::zero()) patience.deadline = Steady::now() + duration;
  patience.stop = std::move(stop);
  return patience;
}

Result<Endpoint> parse_base_url(const std::string& url) {
  Endpoint endpoint;
  const std::string_view all(url);
  constexpr std::string_view kUnix = "unix://";
  if (all.starts_with(kUnix)) {
    endpoint.unix_path = all.substr(kUnix.size());
    endpoint.authority = "localhost";
    if (!endpoint.unix_path.starts_with('/') || endpoint.unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
      return Status::bad_request("invalid Unix socket URL " + url);
    }
    return endpoint;
  }
  size_t start;
  if (all.starts_with("https://")) {
    endpoint.tls = true;
    start = 8;
  } else if (all.starts_with("http://")) {
    start = 7;
  } else {
    return Status::bad_request("unsupported URL " + url);
  }
  const size_t slash = std::min(all.find('/', start), all.size());
  std::string_view authority = all.substr(start, slash - start);
  std::string_view path = all.substr(slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  endpoint.base_path = path;
  endpoint.authority = authority;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return Status::bad_request("invalid URL " + url);
    endpoint.host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
  } else {
    const size_t colon = std::min(authority.find(':'), authority.size());
    endpoint.host = authority.substr(0, colon);
    authority.remove_prefix(colon);
  }
  endpoint.port = endpoint.tls ? "443" : "80";
  if (authority.starts_with(':') && authority.size() > 1) {
    endpoint.port = authority.substr(1);
  } else if (!authority.empty()) {
    return Status::bad_request("invalid URL " + url);
  }
  const bool clean = !endpoint.host.empty() && endpoint.port.find_first_not_of("0123456789") == std::string::npos &&
                     url.find_first_of(" \r\n\t@?#") == std::string::npos;
  if (!clean) return Status::bad_request("invalid URL " + url);
  return endpoint;
}

Result<std::unique_ptr<ClientConnection>> ClientConnection::open(const Endpoint& endpoint, const TlsClientContext* tls,
                                                                 const Patience& patience) {
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) return Status::unavailable("cannot create an eventfd: " + system_error(errno));
  std::unique_ptr<ClientConnection> connection(new ClientConnection(-1, wake));
  if (!endpoint.unix_path.empty()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    endpoint.unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
    TRY(connection->connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, patience)
            .with_context("connect to " + endpoint.unix_path));
  } else {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int code = getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
    if (code != 0) return Status::unavailable("cannot resolve " + endpoint.host + ": " + gai_strerror(code));
    const std::unique_ptr<addrinfo, AddressListFree> addresses(found);
    Status outcome;
    for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
      outcome = connection->connect_to(address->ai_addr, address->ai_addrlen, patience);
      if (outcome.ok() || outcome.is(Reason::kTimeout)) break;
    }
    TRY(outcome.with_context("connect to " + endpoint.authority));
  }
  ssl_st* session = nullptr;
  if (tls != nullptr) {
    TRY_ASSIGN(session, tls->connect(connection->descriptor_, endpoint.host));
  }
  connection->stream_ = SocketStream(connection->descriptor_, session);
  for (;;) {
    switch (connection->stream_.handshake()) {
      case Io::kDone:
        return connection;
      case Io::kWantRead:
        TRY(connection->wait(POLLIN, patience).with_context("TLS handshake with " + endpoint.authority));
        break;
      case Io::kWantWrite:
        TRY(connection->wait(POLLOUT, patience).with_context("TLS handshake with " + endpoint.authority));
        break;
      case Io::kEnd:
        return Status::unavailable("TLS handshake with " + endpoint.authority + ": connection closed");
      case Io::kFailed:
        return Status::unavailable("TLS handshake with " + endpoint.authority + ": " + connection->stream_.error());
    }
  }
}

ClientConnection::~ClientConnection() {
  if (descriptor_ >= 0) ::close(descriptor_);
  ::close(wake_);
}

Status ClientConnection::connect_to(const sockaddr* address, unsigned length, const Patience& patience) {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return Status::unavailable(system_error(errno));
  if (address->sa_family != AF_UNIX) {
    const int on = 1;
    const int idle_seconds = 15;
    const int interval_seconds = 5;
    const int probes = 3;
    const unsigned int patience_milliseconds = 15'000;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A server that vanished ends a silent watch within half a minute, and what was sent to it and never arrived counts
    // as lost sooner than TCP's own growing pauses would tell: a node that was cut off is back when its link is.
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_milliseconds, sizeof patience_milliseconds);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  }
  if (::connect(descriptor_, address, length) == 0) return {};
  if (errno != EINPROGRESS) return Status::unavailable(system_error(errno));
  TRY(wait(POLLOUT, patience));
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? Status() : Status::unavailable(system_error(error));
}

Status ClientConnection::wait(short events, const Patience& patience) {  // NOLINT: poll's type
  if (patience.stop.stop_requested()) return Status::timeout("request was cancelled");
  // Only a wait that would block pays for the callback.
  std::optional<std::stop_callback<std::function<void()>>> waker;
  for (;;) {
    int timeout = -1;
    if (patience.deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*patience.deadline - Steady::now()).count();
      if (left <= 0) return Status::timeout("deadline exceeded");
      timeout = static_cast<int>(std::min<int64_t>(left, INT32_MAX));
    }
    if (!waker && patience.stop.stop_possible()) {
      uint64_t old;
      [[maybe_unused]] const ssize_t emptied = ::read(wake_, &old, sizeof old);
      waker.emplace(patience.stop, [wake = wake_] {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wake, &one, sizeof one);
      });
    }
    pollfd descriptors[] = {{descriptor_, events, 0}, {wake_, POLLIN, 0}};
    const int ready = ::poll(descriptors, patience.stop.stop_possible() ? 2 : 1, timeout);
    if (patience.stop.stop_requested()) return Status::timeout("request was cancelled");
    if (ready < 0 && errno != EINTR) return Status::unavailable("poll: " + system_error(errno));
    if (ready > 0 && descriptors[0].revents != 0) return {};
  }
}

Status ClientConnection::write(OutputQueue& queue, const Patience& patience, size_t& sent) {
  sent = 0;
  while (!queue.empty()) {
    size_t count = 0;
    const Io outcome = stream_.write(queue, queue.size(), count);
    sent += count;
    switch (outcome) {
      case Io::kDone:
        break;
      case Io::kWantRead:
        TRY(wait(POLLIN, patience));
        break;
      case Io::kWantWrite:
        TRY(wait(POLLOUT, patience));
        break;
      default:
        return Status::unavailable("cannot send: " + (outcome == Io::kEnd ? "connection closed" : stream_.error()));
    }
  }
  return {};
}

Result<size_t> ClientConnection::read(char* buffer, size_t capacity, const Patience& patience) {
  if (patience.stop.stop_requested()) return Status::timeout("request was cancelled");
  for (;;) {
    size_t count = 0;
    switch (stream_.read(buffer, capacity, count)) {
      case Io::kDone:
        return count;
      case Io::kEnd:
        return size_t{0};
      case Io::kFailed:
        return Status::unavailable("cannot receive: " + stream_.error());
      case Io::kWantRead:
        TRY(wait(POLLIN, patience));
        break;
      case Io::kWantWrite:
        TRY(wait(POLLOUT, patience));
        break;
    }
  }
}

bool ClientConnection::reusable() {
  pollfd descriptor{descriptor_, POLLIN, 0};
  if (::poll(&descriptor, 1, 0) == 0) return !stream_.has_pending();
  if (!stream_.encrypted()) return false;
  // A TLS server may have sent a session ticket, which is not data.
  char byte;
  size_t count = 0;
  return stream_.read(&byte, 1, count) == Io::kWantRead;
}

}  // namespace trireme::net
