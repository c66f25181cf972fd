#include "net/server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "net/session.h"
#include "net/socket_stream.h"
#include "net/tls_context.h"
#include "net/worker_pool.h"

namespace trireme::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Steady = std::chrono::steady_clock;

constexpr size_t kReadBuffer = 64 * 1024;    // one for all connections: what is read is used or copied at once
constexpr size_t kOutputTarget = 64 * 1024;  // taken from exchanges ahead of the socket
constexpr size_t kTurn = 1024 * 1024;        // read or written before other connections have their turn
constexpr Duration kLinger = std::chrono::seconds(2);  // for the peer to read a last answer
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

class Connection;

/// The event loop and what all connections share. Outlives the server for as long as a connection is referred to.
class Loop {
 public:
  Loop(ServerOptions server_options, WorkerPool& workers)
      : options(std::move(server_options)), timer_(io), workers_(workers) {}

  // On any thread.
  void enqueue_wake(std::shared_ptr<Connection> connection, int32_t stream);
  /// Runs `work` on the loop, unless it has stopped.
  template <typename Work>
  bool post(Work work) {
    std::lock_guard lock(mutex_);
    if (stopped_) return false;
    asio::post(io, std::move(work));
    return true;
  }
  void stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    wakes_.clear();
    io.stop();
  }

  // On the loop.
  void dispatch(std::shared_ptr<ServerExchange> exchange) { workers_.enqueue(std::move(exchange)); }
  void schedule(Connection& connection, Steady::time_point when);
  void unschedule(Connection& connection);

  const ServerOptions options;
  asio::io_context io{1};
  std::array<char, kReadBuffer> read_buffer;

 private:
  void run_wakes();
  void arm_timer();
  void run_deadlines();

  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::pair<std::shared_ptr<Connection>, int32_t>> wakes_;

  // One timer for all deadlines, armed only while there are any.
  asio::steady_timer timer_;
  std::set<std::pair<Steady::time_point, Connection*>> deadlines_;
  std::optional<Steady::time_point> armed_for_;

  WorkerPool& workers_;  // the server's: alive while the loop runs
};

/// One accepted connection: its socket, TLS and session. Lives on the loop; only `wake` may come from elsewhere.
class Connection final : public Waker, public SessionHost, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Loop> loop, tcp::socket socket, ssl_st* tls, Peer peer, std::function<void()> on_gone)
      : loop_(std::move(loop)),
        socket_(std::move(socket)),
        stream_(socket_.native_handle(), tls),
        peer_(std::move(peer)),
        on_gone_(std::move(on_gone)),
        established_(tls == nullptr) {}

  void begin() {
    set_deadline(Steady::now() + loop_->options.header_timeout);
    arm_read();
  }

  // SessionHost and Waker.
  const ServerOptions& options() const override { return loop_->options; }
  const Peer& peer() const override { return peer_; }
  std::weak_ptr<Waker> waker() override { return weak_from_this(); }
  void dispatch(std::shared_ptr<ServerExchange> exchange) override { loop_->dispatch(std::move(exchange)); }
  void wake(int32_t stream) override { loop_->enqueue_wake(shared_from_this(), stream); }

  /// A wake arrived on the loop; `pump` follows once for all wakes of a batch.
  void deliver_wake(int32_t stream) {
    if (session_ && !closed_) session_->wake(stream);
    pump_due_ = true;
  }
  void pump_if_due() {
    if (std::exchange(pump_due_, false)) pump();
  }

  void shut_down() {
    if (closed_) return;
    if (!session_) return close();
    session_->shut_down();
    pump();
  }

  void close() {
    if (std::exchange(closed_, true)) return;
    const auto self = shared_from_this();
    loop_->unschedule(*this);
    error_code ignored;
    socket_.close(ignored);
    output_.clear();
    if (session_) session_->disconnect();
    on_gone_();
  }

  /// The deadline passed.
  void expire() {
    if (session_ && !lingering_) {
      session_->shut_down();  // lets HTTP/2 say why
      session_->produce(output_, kOutputTarget);
      size_t sent = 0;
      if (!blocked_) stream_.write(output_, kTurn, sent);
      if (output_.empty()) stream_.finish_sending();
    }
    close();
  }

  // The loop's bookkeeping of deadlines.
  std::optional<Steady::time_point> deadline() const { return deadline_; }
  std::optional<Steady::time_point> scheduled;

 private:
  void set_deadline(std::optional<Steady::time_point> when) {
    deadline_ = when;
    // An entry that is too early is corrected when it comes up; so a busy connection seldom touches the set.
    if (when && (!scheduled || *when < *scheduled)) loop_->schedule(*this, *when);
  }

  void arm_read() {
    if (reading_ || closed_) return;
    reading_ = true;
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& error) {
      self->reading_ = false;
      if (self->closed_) return;
      if (error) return self->close();
      self->on_ready();
    });
  }

  void arm_write() {
    if (blocked_ || closed_) return;
    blocked_ = true;
    socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const error_code& error) {
      self->blocked_ = false;
      if (self->closed_) return;
      if (error) return self->close();
      // TLS may have waited for room in order to read.
      if (self->stream_.encrypted()) return self->on_ready();
      self->pump();
    });
  }

  void on_ready() {
    if (!established_ && !handshake()) return;
    read();
    if (!closed_) pump();
  }

  bool handshake() {
    switch (stream_.handshake()) {
      case Io::kDone:
        established_ = true;
        peer_.certificate = stream_.verified_subject();
        if (stream_.protocol() == "h2") session_ = new_http2_session(*this);
        return true;
      case Io::kWantRead:
        arm_read();
        return false;
      case Io::kWantWrite:
        arm_write();
        return false;
      default:
        log::debug("TLS handshake failed", {{"peer", peer_.address}, {"error", stream_.error()}});
        close();
        return false;
    }
  }

  void read() {
    size_t total = 0;
    while (!closed_ && !input_ended_ && total < kTurn && (!session_ || session_->wants_input() || lingering_)) {
      size_t count = 0;
      switch (stream_.read(loop_->read_buffer.data(), loop_->read_buffer.size(), count)) {
        case Io::kDone:
          total += count;
          if (!lingering_) receive({loop_->read_buffer.data(), count});
          // A short read emptied the socket: the next wait tells when there is more.
          if (stream_.encrypted() ? !stream_.has_pending() : count < loop_->read_buffer.size()) return;
          break;
        case Io::kWantRead:
          return;
        case Io::kWantWrite:
          arm_write();
          return;
        case Io::kEnd:
          input_ended_ = true;
          if (!session_ || lingering_) return close();
          session_->receive_end();
          return;
        case Io::kFailed:
          return close();
      }
    }
    more_input_ = total >= kTurn || stream_.has_pending();
  }

  void receive(std::string_view bytes) {
    if (session_) return session_->receive(bytes);
    // The first bytes tell the versions apart; usually they come at once.
    preface_.append(bytes);
    const size_t size = std::min(preface_.size(), kHttp2Preface.size());
    if (preface_.compare(0, size, kHttp2Preface, 0, size) == 0) {
      if (size < kHttp2Preface.size()) return;
      session_ = new_http2_session(*this);
    } else {
      session_ = new_http1_session(*this);
    }
    const std::string first = std::move(preface_);
    std::string().swap(preface_);
    session_->receive(first);
  }

  /// Sends what can be sent and waits for what comes next.
  void pump() {
    if (closed_) return;
    if (session_ && !lingering_ && !send()) return close();
    if (closed_) return;
    if (session_ && !lingering_ && session_->finished() && output_.empty() && !blocked_) {
      stream_.finish_sending();
      if (input_ended_) return close();
      // Closing right away could reset the connection under the last answer.
      lingering_ = true;
      set_deadline(Steady::now() + kLinger);
    }
    if (!input_ended_ && (!session_ || lingering_ || session_->wants_input())) {
      if (std::exchange(more_input_, false) || stream_.has_pending()) {
        repeat();
      } else {
        arm_read();
      }
    }
    if (!lingering_) update_deadline();
  }

  /// False when the connection must go.
  bool send() {
    size_t total = 0;
    while (!blocked_) {
      session_->produce(output_, kOutputTarget);
      if (session_->broken()) return false;
      if (output_.empty()) return true;
      size_t sent = 0;
      const Io outcome = stream_.write(output_, kOutputTarget, sent);
      total += sent;
      if (sent > 0) sent_progress_ = Steady::now();
      switch (outcome) {
        case Io::kDone:
          if (total >= kTurn) {
            repeat();
            return true;
          }
          break;
        case Io::kWantWrite:
          if (sent == 0 && !stalled_) sent_progress_ = Steady::now();
          stalled_ = true;
          arm_write();
          return true;
        case Io::kWantRead:
          arm_read();
          return true;
        default:
          return false;
      }
      stalled_ = false;
    }
    // Blocked: still hear of an abort.
    session_->produce(output_, 0);
    return !session_->broken();
  }

  /// Goes on after the other connections had their turn.
  void repeat() {
    if (std::exchange(repeating_, true)) return;
    asio::post(loop_->io, [self = shared_from_this()] {
      self->repeating_ = false;
      if (!self->closed_) self->on_ready();
    });
  }

  void update_deadline() {
    const ServerOptions& options = loop_->options;
    if (!session_) return;  // the deadline of `begin` holds for handshake and preface
    if (blocked_ && !output_.empty()) return set_deadline(sent_progress_ + options.idle_timeout);
    const auto waiting = session_->waiting();
    switch (waiting) {
      case Session::Waiting::kIdle:
        set_deadline(Steady::now() + options.idle_timeout);
        break;
      case Session::Waiting::kReceiving:
        if (waiting != waited_ || session_->progress() != progress_)
          set_deadline(Steady::now() + options.header_timeout);
        break;
      case Session::Waiting::kAnswering:
        set_deadline(std::nullopt);
        break;
    }
    waited_ = waiting;
    progress_ = session_->progress();
  }

  const std::shared_ptr<Loop> loop_;
  tcp::socket socket_;
  SocketStream stream_;
  Peer peer_;
  const std::function<void()> on_gone_;
  std::unique_ptr<Session> session_;
  OutputQueue output_;
  std::string preface_;

  std::optional<Steady::time_point> deadline_;
  Steady::time_point sent_progress_{};
  uint64_t progress_ = 0;
  Session::Waiting waited_ = Session::Waiting::kIdle;

  bool established_;
  bool reading_ = false;  // a wait for input is armed
  bool blocked_ = false;  // a wait for output is armed
  bool stalled_ = false;
  bool repeating_ = false;
  bool more_input_ = false;
  bool input_ended_ = false;
  bool lingering_ = false;
  bool pump_due_ = false;
  bool closed_ = false;
};

void Loop::enqueue_wake(std::shared_ptr<Connection> connection, int32_t stream) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  wakes_.emplace_back(std::move(connection), stream);
  if (wakes_.size() == 1) asio::post(io, [this] { run_wakes(); });
}

void Loop::run_wakes() {
  std::vector<std::pair<std::shared_ptr<Connection>, int32_t>> wakes;
  {
    std::lock_guard lock(mutex_);
    wakes.swap(wakes_);
  }
  for (const auto& [connection, stream] : wakes) connection->deliver_wake(stream);
  for (const auto& [connection, stream] : wakes) connection->pump_if_due();
}

void Loop::schedule(Connection& connection, Steady::time_point when) {
  unschedule(connection);
  connection.scheduled = when;
  deadlines_.emplace(when, &connection);
  arm_timer();
}

void Loop::unschedule(Connection& connection) {
  if (!connection.scheduled) return;
  deadlines_.erase({*connection.scheduled, &connection});
  connection.scheduled.reset();
}

void Loop::arm_timer() {
  if (deadlines_.empty()) return;
  const Steady::time_point first = deadlines_.begin()->first;
  if (armed_for_ && *armed_for_ <= first) return;
  armed_for_ = first;
  timer_.expires_at(first);
  timer_.async_wait([this](const error_code& error) {
    if (error) return;  // armed anew for an earlier time
    armed_for_.reset();
    run_deadlines();
  });
}

void Loop::run_deadlines() {
  const auto now = Steady::now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const std::shared_ptr<Connection> connection = deadlines_.begin()->second->shared_from_this();
    unschedule(*connection);
    if (const auto deadline = connection->deadline(); !deadline)
      continue;
    else if (*deadline > now)
      schedule(*connection, *deadline);
    else
      connection->expire();
  }
  arm_timer();
}

class HttpServer final : public Server {
 public:
  HttpServer(ServerOptions options, Handler& handler)
      : workers_(options.workers, handler),
        loop_(std::make_shared<Loop>(std::move(options), workers_)),
        acceptor_(loop_->io),
        accept_pause_(loop_->io) {}

  Status listen() {
    const ServerOptions& options = loop_->options;
    error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error) return Status::bad_request("invalid listen address " + options.address);
    if (options.tls) {
      TRY_ASSIGN(tls_, TlsServerContext::load(*options.tls));
    }
    const tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(!address.is_unspecified()), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor_.non_blocking(true, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) return Status::unavailable("cannot listen on " + options.address + ": " + error.message());
    accept();
    thread_ = std::jthread([loop = loop_] { loop->io.run(); });
    return {};
  }

  ~HttpServer() override {
    if (thread_.joinable()) {
      shutdown(Duration::zero());
      loop_->stop();
      thread_.join();
    }
    // What was posted before the stop refers to closed connections: run it to release them.
    error_code ignored;
    acceptor_.close(ignored);
    accept_pause_.cancel();
    loop_->io.restart();
    loop_->io.poll();
  }

  uint16_t port() const override { return port_; }

  void shutdown(Duration grace) override {
    loop_->post([this] {
      stopping_ = true;
      error_code ignored;
      acceptor_.close(ignored);
      for (const auto& connection : present()) connection->shut_down();
      count();
    });
    std::unique_lock lock(mutex_);
    if (grace > Duration::zero()) gone_.wait_for(lock, grace, [&] { return stopping_ && open_ == 0; });
    lock.unlock();
    loop_->post([this] {
      for (const auto& connection : present()) connection->close();
    });
    lock.lock();
    gone_.wait(lock, [&] { return stopping_ && open_ == 0; });
  }

 private:
  std::vector<std::shared_ptr<Connection>> present() const {
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections_.size());
    for (const auto& [address, connection] : connections_) all.push_back(connection);
    return all;
  }

  void accept() {
    if (accepting_ || stopping_ || connections_.size() >= loop_->options.max_connections) return;
    accepting_ = true;
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      accepting_ = false;
      if (stopping_ || error == asio::error::operation_aborted) return;
      if (!error) {
        admit(std::move(socket));
        return accept();
      }
      // Out of descriptors, most likely: the backlog waits until some are free.
      log::warning("Cannot accept a connection", {{"error", error.message()}});
      accept_pause_.expires_after(kAcceptPause);
      accept_pause_.async_wait([this](const error_code& cancelled) {
        if (!cancelled) accept();
      });
    });
  }

  void admit(tcp::socket socket) {
    error_code error;
    const tcp::endpoint remote = socket.remote_endpoint(error);
    if (!error) socket.non_blocking(true, error);
    if (error) return;
    const int descriptor = socket.native_handle();
    const int on = 1;
    const int idle_seconds = 30;
    const int interval_seconds = 10;
    const int probes = 3;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A peer that vanished ends its watches within a minute, whether something is on its way to it or not.
    const unsigned int patience_milliseconds = 30'000;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_milliseconds, sizeof patience_milliseconds);
    ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);

    ssl_st* tls = nullptr;
    if (tls_) {
      tls = tls_->accept(descriptor);
      if (tls == nullptr) return;
    }
    const uint64_t id = ++last_id_;
    auto connection = std::make_shared<Connection>(loop_, std::move(socket), tls, Peer{text_of(remote), std::nullopt},
                                                   [this, id] { remove(id); });
    connections_.emplace(id, connection);
    count();
    connection->begin();
  }

  static std::string text_of(const tcp::endpoint& endpoint) {
    auto address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
      address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    const std::string text = address.to_string();
    return (address.is_v6() ? "[" + text + "]" : text) + ":" + std::to_string(endpoint.port());
  }

  void remove(uint64_t id) {
    connections_.erase(id);
    count();
    accept();
  }

  void count() {
    {
      std::lock_guard lock(mutex_);
      open_ = connections_.size();
      if (open_ > 0 || !stopping_) return;
    }
    gone_.notify_all();
  }

  WorkerPool workers_;
  const std::shared_ptr<Loop> loop_;
  tcp::acceptor acceptor_;
  asio::steady_timer accept_pause_;
  std::unique_ptr<TlsServerContext> tls_;
  uint16_t port_ = 0;
  bool accepting_ = false;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<Connection>> connections_;

  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable gone_;
  size_t open_ = 0;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler& handler) {
  try {
    auto server = std::make_unique<HttpServer>(std::move(options), handler);
    TRY(server->listen());
    return std::unique_ptr<Server>(std::move(server));
  } catch (const std::exception& error) {
    return Status::unavailable(std::string("cannot start the server: ") + error.what());
  }
}

}  // namespace trireme::net
