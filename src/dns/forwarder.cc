#include "dns/forwarder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/log.h"

namespace trireme::dns {
namespace {

constexpr Duration kReadServersEvery = std::chrono::seconds(5);
constexpr Duration kFirstProbe = std::chrono::milliseconds(500);
constexpr Duration kLastProbe = std::chrono::seconds(10);
constexpr int kFailuresUntilDown = 2;
constexpr size_t kMaxAttempts = 4;
constexpr int kMaxForgeries = 100;  // packets that are no answer, before an attempt is given up
constexpr size_t kSmallPacket = 512;

uint64_t random_number() {
  uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) value = static_cast<uint64_t>(::rand());
  return value;
}

/// What goes out: nothing of the client but its question and the flags that change the answer.
std::vector<uint8_t> make_query(uint16_t id, const Name& name, uint16_t type, uint16_t flags, bool dnssec_ok) {
  std::vector<uint8_t> packet(kHeaderSize + name.size + 4 + 11, 0);
  put16(packet.data(), id);
  put16(packet.data() + 2, flags & (flag::kRecursionDesired | flag::kCheckingDisabled | flag::kAuthentic));
  packet[5] = 1;
  packet[11] = 1;
  uint8_t* at = std::copy_n(name.bytes.begin(), name.size, packet.data() + kHeaderSize);
  put16(at, type);
  put16(at + 2, kClassIn);
  put16(at + 5, type::kOpt);
  put16(at + 7, kMaxUdpPayload);
  if (dnssec_ok) at[11] = 0x80;
  return packet;
}

OwnedFd open_socket(const Endpoint& endpoint, int kind) {
  return OwnedFd(::socket(endpoint.address.v6 ? AF_INET6 : AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

int connect_to(int fd, const Endpoint& endpoint) {
  sockaddr_storage address;
  const socklen_t size = to_sockaddr(endpoint, address);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), size);
}

}  // namespace

/// One question on its way, and who waits for the answer.
struct Forwarder::Pending {
  std::string key;
  std::vector<ForwardRequest> waiting;
  Name name;
  uint16_t type = 0;
  bool tcp = false;
  UpstreamGroup group;  // a copy: the groups change when resolv.conf does
  size_t start = 0;
  std::vector<std::shared_ptr<Upstream>> tried;
  Duration deadline{};
  std::shared_ptr<Upstream> upstream;
  OwnedFd socket;
  uint16_t id = 0;
  int forgeries = 0;
  Loop::TimerId timer = 0;
  std::vector<uint8_t> out;  // over TCP: what is left to send
  std::vector<uint8_t> in;
  bool done = false;
};

Forwarder::Forwarder(Loop& loop, ForwardOptions options)
    : loop_(loop), options_(std::move(options)), cache_(options_.cache_bytes) {
  const auto without_own = [&](std::vector<Endpoint> servers) {
    std::erase_if(servers, [&](const Endpoint& server) {
      return std::find(options_.own.begin(), options_.own.end(), server) != options_.own.end();
    });
    return servers;
  };
  for (const StubDomain& stub : options_.stub_domains) {
    stub_groups_.emplace_back(stub.domain, UpstreamGroup(without_own(stub.servers)));
  }
  std::stable_sort(stub_groups_.begin(), stub_groups_.end(),
                   [](const auto& a, const auto& b) { return a.first.labels > b.first.labels; });
  if (!options_.servers.empty()) default_group_ = UpstreamGroup(without_own(options_.servers));
}

Forwarder::~Forwarder() = default;

size_t Forwarder::from_cache(const Query& query, Bytes packet, bool tcp, std::span<uint8_t> out, Metrics& metrics) {
  if ((query.flags & flag::kRecursionDesired) == 0) return 0;
  const auto relayed = cache_.find(QuestionKey(query.name, query.type, query).view(), loop_.now());
  if (relayed == nullptr) {
    metrics.count_miss();
    return 0;
  }
  metrics.count_hit();
  metrics.count_response(relayed->rcode);
  return render(*relayed, query, packet, loop_.now(), response_limit(query, tcp), out);
}

size_t Forwarder::from_cache(const ForwardRequest& request, std::span<uint8_t> out, Metrics& metrics) {
  const Query& query = request.query;
  if ((query.flags & flag::kRecursionDesired) == 0) return 0;
  const auto relayed = cache_.find(QuestionKey(request.ask, query.type, query).view(), loop_.now());
  if (relayed == nullptr) {
    metrics.count_miss();
    return 0;
  }
  metrics.count_hit();
  metrics.count_response(relayed->rcode);
  return render_chased(request.partial, *relayed, query, request.packet, loop_.now(),
                       response_limit(query, request.tcp), out);
}

bool Forwarder::submit(ForwardRequest request) {
  if (in_flight_.fetch_add(1) >= options_.max_concurrent) {
    --in_flight_;
    return false;
  }
  loop_.post([this, moved = std::make_shared<ForwardRequest>(std::move(request))] { start(std::move(*moved)); });
  return true;
}

void Forwarder::reply(ForwardRequest& request, Bytes response) {
  --in_flight_;
  if (!response.empty()) metrics_.count_response(response[3] & 0xf);
  request.reply(response);
}

/// Stub domains first, the longest; names that belong to none go to the servers of resolv.conf.
UpstreamGroup& Forwarder::group_of(const Name& name) {
  for (auto& [domain, group] : stub_groups_) {
    if (name.within(domain)) return group;
  }
  if (options_.servers.empty()) read_servers();
  return default_group_;
}

void Forwarder::read_servers() {
  if (options_.resolv_conf.empty()) return;
  if (servers_read_ >= Duration::zero() && loop_.now() - servers_read_ < kReadServersEvery) return;
  const bool first = servers_read_ < Duration::zero();
  servers_read_ = loop_.now();
  struct stat status {};
  if (::stat(options_.resolv_conf.c_str(), &status) != 0) return;
  const timespec& changed = status.st_mtim;
  if (!first && changed.tv_sec == servers_changed_.tv_sec && changed.tv_nsec == servers_changed_.tv_nsec) return;
  servers_changed_ = changed;
  std::ifstream file(options_.resolv_conf);
  std::stringstream text;
  text << file.rdbuf();
  std::vector<Endpoint> servers = read_resolv_conf(text.str());
  const size_t before = servers.size();
  std::erase_if(servers, [&](const Endpoint& server) {
    return std::find(options_.own.begin(), options_.own.end(), server) != options_.own.end();
  });
  if (before != servers.size()) {
    log::warning("The cluster's DNS server is named as its own upstream server; it is left out",
                 {{"file", options_.resolv_conf}});
  }
  if (!default_group_.same(servers)) default_group_ = UpstreamGroup(servers);
}

/// A question that comes back to us has gone round: who sent it here is never asked again.
bool Forwarder::is_loop_token(const ForwardRequest& request) {
  if (request.query.type != type::kHinfo) return false;
  const auto matches = [&](const UpstreamGroup& group) {
    for (const auto& upstream : group.members()) {
      if (!upstream->checked || upstream->token.wire().size() != request.ask.size) continue;
      if (!std::equal(request.ask.wire().begin(), request.ask.wire().end(), upstream->token.wire().begin())) continue;
      if (!upstream->looped) {
        log::error("Queries loop: an upstream server sends them back here; it is not asked any more",
                   {{"server", to_text(upstream->endpoint)}});
      }
      upstream->looped = true;
      return true;
    }
    return false;
  };
  return matches(default_group_) || std::any_of(stub_groups_.begin(), stub_groups_.end(),
                                                [&](const auto& entry) { return matches(entry.second); });
}

void Forwarder::check_for_loop(const std::shared_ptr<Upstream>& upstream) {
  if (upstream->checked) return;
  upstream->checked = true;
  upstream->token.clear();
  for (const std::string& label :
       {fmt::format("{:016x}", random_number()), fmt::format("{:016x}", random_number()), std::string("loop-check")}) {
    upstream->token.append(std::string_view(label));
  }
  OwnedFd socket = open_socket(upstream->endpoint, SOCK_DGRAM);
  if (!socket || connect_to(socket.get(), upstream->endpoint) != 0) return;
  const auto packet =
      make_query(static_cast<uint16_t>(random_number()), upstream->token, type::kHinfo, flag::kRecursionDesired, false);
  // Nobody waits for the answer: it is the question that would come back.
  (void)::send(socket.get(), packet.data(), packet.size(), 0);
}

void Forwarder::start(ForwardRequest request) {
  std::array<uint8_t, kMinUdpPayload> small;
  if (is_loop_token(request)) {
    reply(request, {small.data(), error_response(request.query, request.packet, rcode::kServFail, small)});
    return;
  }
  std::string key(QuestionKey(request.ask, request.query.type, request.query).view());
  key += request.tcp ? 't' : 'u';
  if (const auto found = pending_.find(key); found != pending_.end()) {
    found->second->waiting.push_back(std::move(request));
    return;
  }
  auto pending = std::make_shared<Pending>();
  pending->key = key;
  pending->name = request.ask;
  pending->type = request.query.type;
  pending->tcp = request.tcp;
  pending->group = group_of(request.ask);
  pending->start = turn_++;
  pending->deadline = loop_.now() + options_.total_timeout;
  pending->waiting.push_back(std::move(request));
  pending_.emplace(std::move(key), pending);
  attempt(pending);
}

void Forwarder::attempt(const std::shared_ptr<Pending>& pending) {
  close(*pending);
  const Duration left = pending->deadline - loop_.now();
  pending->upstream = pending->group.next(pending->start, pending->tried);
  // A single server is asked once more: a datagram may have been lost.
  if (!pending->upstream && pending->tried.size() == 1) pending->upstream = pending->group.next(pending->start, {});
  if (!pending->upstream || left <= Duration::zero() || pending->tried.size() >= kMaxAttempts) {
    give_up(pending);
    return;
  }
  pending->tried.push_back(pending->upstream);
  metrics_.count_forward();
  check_for_loop(pending->upstream);
  pending->id = static_cast<uint16_t>(random_number());
  pending->forgeries = 0;
  pending->timer = loop_.after(std::min(left, options_.attempt_timeout), [this, weak = std::weak_ptr(pending)] {
    const auto strong = weak.lock();
    if (!strong || strong->done) return;
    strong->timer = 0;
    failed(strong);
  });
  pending->tcp ? attempt_tcp(pending) : attempt_udp(pending);
}

void Forwarder::attempt_udp(const std::shared_ptr<Pending>& pending) {
  pending->socket = open_socket(pending->upstream->endpoint, SOCK_DGRAM);
  const auto packet = make_query(pending->id, pending->name, pending->type, pending->waiting[0].query.flags,
                                 pending->waiting[0].query.dnssec_ok);
  const int fd = pending->socket.get();
  // A connected socket takes datagrams of this server only, and hears when nobody listens there.
  const bool sent = pending->socket && connect_to(fd, pending->upstream->endpoint) == 0 &&
                    ::send(fd, packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()) &&
                    loop_.watch(fd, EPOLLIN, [this, weak = std::weak_ptr(pending)](uint32_t) {
                      if (const auto strong = weak.lock()) on_udp(strong);
                    });
  if (!sent) failed(pending);
}

void Forwarder::on_udp(const std::shared_ptr<Pending>& pending) {
  std::array<uint8_t, 4096> buffer;
  while (!pending->done) {
    const ssize_t got = ::recv(pending->socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      failed(pending);
      return;
    }
    const Bytes packet(buffer.data(), static_cast<size_t>(got));
    std::shared_ptr<const Relayed> relayed;
    if (packet.size() >= kHeaderSize && get16(packet, 0) == pending->id) {
      relayed = read_response(packet, pending->name, pending->type, loop_.now(), options_.cache_seconds);
    }
    if (relayed) {
      answered(pending, std::move(relayed));
      return;
    }
    if (++pending->forgeries > kMaxForgeries) {
      failed(pending);
      return;
    }
  }
}

void Forwarder::attempt_tcp(const std::shared_ptr<Pending>& pending) {
  pending->socket = open_socket(pending->upstream->endpoint, SOCK_STREAM);
  const auto packet = make_query(pending->id, pending->name, pending->type, pending->waiting[0].query.flags,
                                 pending->waiting[0].query.dnssec_ok);
  pending->out.resize(2 + packet.size());
  put16(pending->out.data(), static_cast<uint16_t>(packet.size()));
  std::copy(packet.begin(), packet.end(), pending->out.begin() + 2);
  pending->in.clear();
  const int fd = pending->socket.get();
  const bool connecting = pending->socket &&
                          (connect_to(fd, pending->upstream->endpoint) == 0 || errno == EINPROGRESS) &&
                          loop_.watch(fd, EPOLLIN | EPOLLOUT, [this, weak = std::weak_ptr(pending)](uint32_t events) {
                            if (const auto strong = weak.lock()) on_tcp(strong, events);
                          });
  if (!connecting) failed(pending);
}

void Forwarder::on_tcp(const std::shared_ptr<Pending>& pending, uint32_t events) {
  const int fd = pending->socket.get();
  if (!pending->out.empty() && (events & (EPOLLOUT | EPOLLERR)) != 0) {
    const ssize_t sent = ::send(fd, pending->out.data(), pending->out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return failed(pending);
    if (sent > 0) pending->out.erase(pending->out.begin(), pending->out.begin() + sent);
    if (pending->out.empty()) loop_.change(fd, EPOLLIN);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  std::array<uint8_t, 16384> buffer;
  const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return failed(pending);
  pending->in.insert(pending->in.end(), buffer.begin(), buffer.begin() + got);
  if (pending->in.size() < 2) return;
  const size_t size = get16(pending->in, 0);
  if (pending->in.size() < 2 + size) return;
  const Bytes packet(pending->in.data() + 2, size);
  std::shared_ptr<const Relayed> relayed;
  if (size >= kHeaderSize && get16(packet, 0) == pending->id) {
    relayed = read_response(packet, pending->name, pending->type, loop_.now(), options_.cache_seconds);
  }
  if (relayed) return answered(pending, std::move(relayed));
  failed(pending);
}

void Forwarder::close(Pending& pending) {
  if (pending.timer != 0) loop_.cancel(pending.timer);
  pending.timer = 0;
  if (pending.socket) loop_.forget(pending.socket.get());
  pending.socket = OwnedFd();
}

void Forwarder::failed(const std::shared_ptr<Pending>& pending) {
  const auto upstream = pending->upstream;
  if (++upstream->failures >= kFailuresUntilDown && !upstream->down) {
    upstream->down = true;
    log::warning("An upstream DNS server does not answer", {{"server", to_text(upstream->endpoint)}});
    probe(upstream, kFirstProbe);
    const auto& members = pending->group.members();
    if (std::all_of(members.begin(), members.end(), [](const auto& member) { return member->down; })) {
      metrics_.count_broken_health_check();
    }
  }
  // From the loop, so that a failure at once does not go deep.
  close(*pending);
  pending->timer = loop_.after(Duration::zero(), [this, weak = std::weak_ptr(pending)] {
    const auto strong = weak.lock();
    if (!strong || strong->done) return;
    strong->timer = 0;
    attempt(strong);
  });
}

void Forwarder::give_up(const std::shared_ptr<Pending>& pending) {
  close(*pending);
  pending->done = true;
  pending_.erase(pending->key);
  std::vector<uint8_t> out;
  for (ForwardRequest& request : pending->waiting) {
    out.resize(std::max(kSmallPacket, request.partial.size()));
    size_t size = 0;
    if (request.partial.empty()) {
      size = error_response(request.query, request.packet, rcode::kServFail, out);
    } else {
      // What is known goes along: the alias itself.
      std::copy(request.partial.begin(), request.partial.end(), out.begin());
      out[3] = static_cast<uint8_t>((out[3] & 0xf0) | rcode::kServFail);
      size = request.partial.size();
    }
    reply(request, {out.data(), size});
  }
}

void Forwarder::answered(const std::shared_ptr<Pending>& pending, std::shared_ptr<const Relayed> relayed) {
  pending->upstream->failures = 0;
  pending->upstream->down = false;
  // A server that cannot is not asked again, the next may be able to.
  const bool unable =
      relayed->rcode == rcode::kServFail || relayed->rcode == rcode::kRefused || relayed->rcode == rcode::kNotImp;
  if (unable && pending->group.next(pending->start, pending->tried) != nullptr) return attempt(pending);
  close(*pending);
  pending->done = true;
  pending_.erase(pending->key);
  const Query& query = pending->waiting[0].query;
  if ((query.flags & flag::kRecursionDesired) != 0) {
    cache_.store(std::string(QuestionKey(pending->name, pending->type, query).view()), relayed);
  }
  std::vector<uint8_t> out(pending->tcp ? kMaxMessage : kMaxUdpPayload);
  for (ForwardRequest& request : pending->waiting) {
    const size_t limit = response_limit(request.query, request.tcp);
    const size_t size =
        request.partial.empty()
            ? render(*relayed, request.query, request.packet, loop_.now(), limit, out)
            : render_chased(request.partial, *relayed, request.query, request.packet, loop_.now(), limit, out);
    reply(request, {out.data(), size});
  }
}

/// Asks a server that is down again and again, ever more seldom, until it answers anything.
void Forwarder::probe(const std::shared_ptr<Upstream>& upstream, Duration wait) {
  loop_.after(wait, [this, weak = std::weak_ptr(upstream), wait] {
    const auto strong = weak.lock();
    if (!strong || !strong->down) return;
    auto socket = std::make_shared<OwnedFd>(open_socket(strong->endpoint, SOCK_DGRAM));
    Name root;
    root.clear();
    const auto packet =
        make_query(static_cast<uint16_t>(random_number()), root, type::kNs, flag::kRecursionDesired, false);
    const int fd = socket->get();
    const bool sent = *socket && connect_to(fd, strong->endpoint) == 0 &&
                      ::send(fd, packet.data(), packet.size(), 0) > 0 &&
                      loop_.watch(fd, EPOLLIN, [this, weak, fd](uint32_t) {
                        std::array<uint8_t, kSmallPacket> buffer;
                        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
                        const auto server = weak.lock();
                        if (!server || got < static_cast<ssize_t>(kHeaderSize)) return loop_.change(fd, 0);
                        if (server->down) {
                          log::info("An upstream DNS server answers again", {{"server", to_text(server->endpoint)}});
                        }
                        server->down = false;
                        server->failures = 0;
                        loop_.change(fd, 0);
                      });
    loop_.after(options_.attempt_timeout, [this, socket, sent, weak, wait] {
      if (sent) loop_.forget(socket->get());
      const auto server = weak.lock();
      if (server && server->down) probe(server, std::min(wait * 2, kLastProbe));
    });
  });
}

}  // namespace trireme::dns
