#include "dns/dns_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "apiserver/api_server.h"
#include "client/informer_factory.h"
#include "dns/loop.h"
#include "dns/relay.h"
#include "dns/udp_worker.h"
#include "net/transport.h"
#include "store/memory_store.h"

namespace trireme::dns {
namespace {

using api::corev1::Namespace;
using api::corev1::Service;

constexpr int kTimeout = 5000;  // milliseconds

std::vector<uint8_t> make_query(std::string_view name, uint16_t type, uint16_t id = 7, int payload = 1232) {
  std::vector<uint8_t> packet(kHeaderSize, 0);
  put16(packet.data(), id);
  put16(packet.data() + 2, flag::kRecursionDesired);
  packet[5] = 1;
  Name parsed;
  EXPECT_TRUE(parse_name(name, parsed));
  packet.insert(packet.end(), parsed.wire().begin(), parsed.wire().end());
  packet.resize(packet.size() + 4);
  put16(packet.data() + packet.size() - 4, type);
  put16(packet.data() + packet.size() - 2, kClassIn);
  if (payload > 0) {
    packet[11] = 1;
    packet.resize(packet.size() + 11);
    put16(packet.data() + packet.size() - 10, type::kOpt);
    put16(packet.data() + packet.size() - 8, static_cast<uint16_t>(payload));
  }
  return packet;
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// An upstream server on loopback, which answers by a function from question to addresses.
class FakeUpstream {
 public:
  /// How it answers: address records of the name; none: NXDOMAIN with SOA; nothing at all: silent.
  struct Answer {
    std::vector<std::string> addresses;
    uint32_t ttl = 300;
    bool silent = false;
    bool truncated_over_udp = false;
    uint8_t rcode = rcode::kNoError;
  };
  using Behaviour = std::function<Answer(const std::string& name, uint16_t type)>;

  explicit FakeUpstream(Behaviour behaviour) : behaviour_(std::move(behaviour)) {
    auto udp = bind_socket({*parse_address("127.0.0.1"), 0}, SOCK_DGRAM);
    EXPECT_TRUE(udp.ok());
    udp_ = std::move(*udp);
    endpoint_ = bound_endpoint(udp_.get(), {*parse_address("127.0.0.1"), 0});
    auto tcp = bind_socket(endpoint_, SOCK_STREAM);
    EXPECT_TRUE(tcp.ok());
    tcp_ = std::move(*tcp);
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  std::string text() const { return to_text(endpoint_); }
  int queries() const { return queries_; }
  std::set<uint16_t> ports() {
    const std::lock_guard lock(mutex_);
    return ports_;
  }

 private:
  void run(const std::stop_token& stop) {
    std::array<uint8_t, 4096> buffer;
    while (!stop.stop_requested()) {
      pollfd polled[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
      ::poll(polled, 2, 20);
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      ssize_t got =
          ::recvfrom(udp_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&peer), &size);
      if (got > 0) {
        {
          const std::lock_guard lock(mutex_);
          ports_.insert(ntohs(peer.sin_port));
        }
        const auto out = reply({buffer.data(), static_cast<size_t>(got)}, false);
        if (!out.empty()) {
          ::sendto(udp_.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
        }
      }
      if (OwnedFd client(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC)); client) {
        got = ::recv(client.get(), buffer.data(), buffer.size(), 0);
        if (got <= 2) continue;
        auto out = reply({buffer.data() + 2, static_cast<size_t>(got) - 2}, true);
        std::array<uint8_t, 2> length;
        put16(length.data(), static_cast<uint16_t>(out.size()));
        out.insert(out.begin(), length.begin(), length.end());
        ::send(client.get(), out.data(), out.size(), MSG_NOSIGNAL);
      }
    }
  }

  std::vector<uint8_t> reply(Bytes packet, bool tcp) {
    Query query;
    if (parse_query(packet, query) != Verdict::kGood) return {};
    if (query.type != type::kHinfo) ++queries_;
    const Answer answer = behaviour_(to_text(query.name), query.type);
    if (answer.silent) return {};
    std::vector<uint8_t> out(kMaxMessage);
    Writer writer(out, kMaxMessage);
    writer.begin(query, packet, flag::kRecursionAvailable);
    if (answer.truncated_over_udp && !tcp) {
      writer.set_flag(flag::kTruncated);
    } else {
      for (const std::string& text : answer.addresses) {
        const auto address = parse_address(text);
        writer.record(nullptr, type::kA, answer.ttl, address->wire());
      }
      if (answer.addresses.empty()) {
        Name zone;
        zone.clear();
        writer.section(Writer::Section::kAuthority);
        writer.soa(zone, 900, zone, zone, 1, 60);
      }
    }
    writer.set_rcode(answer.rcode);
    out.resize(writer.finish());
    return out;
  }

  const Behaviour behaviour_;
  OwnedFd udp_;
  OwnedFd tcp_;
  Endpoint endpoint_;
  std::atomic<int> queries_ = 0;
  std::mutex mutex_;
  std::set<uint16_t> ports_;
  std::jthread thread_;
};

class Server : public ::testing::Test {
 protected:
  void SetUp() override {
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    api_ = std::move(*server);
    raw_ = std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*api_, {})),
                                               "test");
    factory_ = std::make_unique<client::InformerFactory>(raw_, real_clock());
  }
  void TearDown() override {
    dns_.reset();
    factory_.reset();
    if (api_) api_->begin_shutdown();
  }
  void start(DnsOptions options = {}) {
    options.addresses = {"127.0.0.1"};
    options.port = 0;
    options.metrics_port = 0;
    options.resolv_conf = "";
    options.reverse_ranges = {"10.96.0.0/16"};
    auto dns = DnsServer::start(std::move(options), {factory_.get(), real_clock()});
    ASSERT_TRUE(dns.ok()) << dns.status().to_string();
    dns_ = std::move(*dns);
    factory_->start();
    ASSERT_TRUE(factory_->wait_synced());
  }

  std::vector<uint8_t> ask_udp(const std::vector<uint8_t>& packet) {
    OwnedFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(dns_->port());
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_GT(::send(socket.get(), packet.data(), packet.size(), 0), 0);
    pollfd polled{socket.get(), POLLIN, 0};
    if (::poll(&polled, 1, kTimeout) != 1) return {};
    std::vector<uint8_t> response(kMaxMessage);
    const ssize_t got = ::recv(socket.get(), response.data(), response.size(), 0);
    response.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return response;
  }
  OwnedFd connect_tcp() {
    OwnedFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(dns_->port());
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval limit{kTimeout / 1000, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return socket;
  }
  static std::vector<uint8_t> framed(const std::vector<uint8_t>& packet) {
    std::vector<uint8_t> out(2);
    put16(out.data(), static_cast<uint16_t>(packet.size()));
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
  }
  static std::vector<uint8_t> read_tcp(int fd) {
    std::array<uint8_t, 2> length;
    if (::recv(fd, length.data(), 2, MSG_WAITALL) != 2) return {};
    std::vector<uint8_t> response(get16(length, 0));
    if (::recv(fd, response.data(), response.size(), MSG_WAITALL) != static_cast<ssize_t>(response.size())) return {};
    return response;
  }

  /// "NOERROR 10.0.0.1 10.0.0.2", addresses of the answer section; "tc" where it is cut; "-" for no response.
  static std::string summary(const std::vector<uint8_t>& response) {
    if (response.size() < kHeaderSize) return "-";
    std::string text = fmt::to_string(response[3] & 0xf);
    if ((response[2] & 2) != 0) text += " tc";
    size_t at = kHeaderSize;
    Name name;
    EXPECT_TRUE(read_name(response, at, name));
    at += 4;
    for (int i = get16(response, 6); i > 0; --i) {
      Record record;
      if (!read_record(response, at, record)) return text + " broken";
      Address address;
      if (record.type == type::kA) {
        std::copy_n(record.data(response).begin(), 4, address.bytes.begin());
        text += " " + to_text(address);
      } else {
        text += fmt::format(" type{}", record.type);
      }
    }
    return text;
  }
  std::string udp(std::string_view name, uint16_t type = type::kA) { return summary(ask_udp(make_query(name, type))); }
  std::string tcp(std::string_view name) {
    const OwnedFd socket = connect_tcp();
    const auto packet = framed(make_query(name, type::kA));
    EXPECT_GT(::send(socket.get(), packet.data(), packet.size(), 0), 0);
    return summary(read_tcp(socket.get()));
  }
  uint64_t metric(const std::string& line_start) {
    const std::string text = dns_->metrics();
    const size_t at = text.find("\n" + line_start);
    if (at == std::string::npos) return 0;
    const size_t end = text.find('\n', at + 1);
    return std::stoull(text.substr(text.rfind(' ', end)));
  }

  std::unique_ptr<apiserver::ApiServer> api_;
  std::shared_ptr<client::RawClient> raw_;
  std::unique_ptr<client::InformerFactory> factory_;
  std::unique_ptr<DnsServer> dns_;
};

TEST_F(Server, FollowsTheApiOverUdpAndTcp) {
  start();
  client::Client client(raw_);
  std::mutex mutex;
  std::condition_variable changed;
  int seen = 0;
  // Handlers are called in the order of their making: when this one has been, the server's has.
  factory_->informer<Service>().add_handler([&](const auto&, const auto&) {
    const std::lock_guard lock(mutex);
    ++seen;
    changed.notify_all();
  });
  Service service;
  service.metadata.namespace_ = "default";
  service.metadata.name = "web";
  service.spec.cluster_ip = "10.96.7.8";
  service.spec.ports.resize(1);
  service.spec.ports[0].port = 80;
  // The server's own service "kubernetes" may or may not be there.
  auto made = client.create(service);
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  std::string got;
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] {
      return factory_->informer<Service>().get("default", "web") != nullptr && seen > 0 &&
             (got = udp("web.default.svc.cluster.local")) != "3";
    }));
  }
  const std::string address = made->spec.cluster_ip;
  EXPECT_EQ(got, "0 " + address);
  EXPECT_EQ(tcp("web.default.svc.cluster.local"), "0 " + address);
  EXPECT_EQ(udp("nothing.default.svc.cluster.local"), "3");
  EXPECT_GE(metric("coredns_dns_requests_total{family=\"1\",proto=\"udp\",server=\"dns://:53\",type=\"A\""), 2u);
  EXPECT_EQ(metric("coredns_dns_responses_total{plugin=\"\",rcode=\"NXDOMAIN\""), 1u);
}

TEST_F(Server, BeforeTheFirstListsNothingIsCalledAbsent) {
  DnsOptions options;
  options.addresses = {"127.0.0.1"};
  options.port = 0;
  options.metrics_port = -1;
  options.resolv_conf = "";
  auto dns = DnsServer::start(std::move(options), {factory_.get(), real_clock()});
  ASSERT_TRUE(dns.ok()) << dns.status().to_string();
  dns_ = std::move(*dns);
  EXPECT_EQ(udp("kubernetes.default.svc.cluster.local"), "2");
  factory_->start();
  ASSERT_TRUE(factory_->wait_synced());
  EXPECT_EQ(udp("nothing.default.svc.cluster.local"), "3");
}

TEST_F(Server, ForwardsAndCaches) {
  FakeUpstream upstream([](const std::string& name, uint16_t) {
    FakeUpstream::Answer answer;
    if (name == "www.example.com.") answer.addresses = {"192.0.2.1", "192.0.2.2"};
    if (name == "absent.example.com.") answer.rcode = rcode::kNxDomain;
    return answer;
  });
  DnsOptions options;
  options.upstreams = {upstream.text()};
  start(options);
  EXPECT_EQ(udp("www.example.com"), "0 192.0.2.1 192.0.2.2");
  EXPECT_EQ(udp("WWW.example.com"), "0 192.0.2.1 192.0.2.2");
  EXPECT_EQ(tcp("www.example.com"), "0 192.0.2.1 192.0.2.2");
  EXPECT_EQ(upstream.queries(), 1) << "the second and third come from the cache";
  EXPECT_EQ(udp("absent.example.com"), "3");
  EXPECT_EQ(udp("absent.example.com"), "3");
  EXPECT_EQ(upstream.queries(), 2);
  EXPECT_EQ(metric("coredns_cache_hits_total"), 3u);
  // The question comes back as it was written, and with the OPT record only where there was one.
  const auto with = ask_udp(make_query("wWw.ExAmPlE.com", type::kA, 99));
  EXPECT_EQ(std::string(with.begin() + 13, with.begin() + 16), "wWw");
  EXPECT_EQ(get16(with, 0), 99);
  EXPECT_EQ(get16(with, 10), 1);
  EXPECT_EQ(get16(ask_udp(make_query("www.example.com", type::kA, 99, 0)), 10), 0);
}

TEST_F(Server, OtherClientsWaitForOneQuestion) {
  FakeUpstream upstream([](const std::string&, uint16_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    FakeUpstream::Answer answer;
    answer.addresses = {"192.0.2.7"};
    answer.ttl = 0;
    return answer;
  });
  DnsOptions options;
  options.upstreams = {upstream.text()};
  start(options);
  std::vector<std::jthread> clients;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] { good += udp("slow.example.com") == "0 192.0.2.7" ? 1 : 0; });
  }
  clients.clear();
  EXPECT_EQ(good, 8);
  EXPECT_LT(upstream.queries(), 8);
}

TEST_F(Server, EachQuestionGoesOutFromAPortOfItsOwn) {
  FakeUpstream upstream([](const std::string&, uint16_t) {
    FakeUpstream::Answer answer;
    answer.addresses = {"192.0.2.7"};
    return answer;
  });
  DnsOptions options;
  options.upstreams = {upstream.text()};
  start(options);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(udp(fmt::format("n{}.example.com", i)), "0 192.0.2.7");
  EXPECT_GT(upstream.ports().size(), 15u);
}

TEST_F(Server, TruncatedAnswersAreAskedForAgainOverTcp) {
  FakeUpstream upstream([](const std::string&, uint16_t) {
    FakeUpstream::Answer answer;
    for (int i = 0; i < 200; ++i) answer.addresses.push_back(fmt::format("192.0.2.{}", i));
    answer.truncated_over_udp = true;
    return answer;
  });
  DnsOptions options;
  options.upstreams = {upstream.text()};
  start(options);
  EXPECT_EQ(udp("big.example.com"), "0 tc");
  const std::string whole = tcp("big.example.com");
  EXPECT_EQ(std::count(whole.begin(), whole.end(), ' '), 200);
  // Now it is in the cache: over UDP as much of it as fits.
  const std::string part = udp("big.example.com");
  EXPECT_EQ(part.substr(0, 15), "0 tc 192.0.2.0 ");
  EXPECT_EQ(upstream.queries(), 2);
}

TEST_F(Server, AServerThatIsSilentIsPassedOver) {
  FakeUpstream silent([](const std::string&, uint16_t) {
    FakeUpstream::Answer answer;
    answer.silent = true;
    return answer;
  });
  FakeUpstream good([](const std::string&, uint16_t) {
    FakeUpstream::Answer answer;
    answer.addresses = {"192.0.2.9"};
    return answer;
  });
  DnsOptions options;
  options.upstreams = {"127.0.0.1:1", silent.text(), good.text()};  // nobody listens on port 1
  start(options);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(udp(fmt::format("n{}.example.com", i)), "0 192.0.2.9") << i;
}

TEST_F(Server, StubDomainsHaveServersOfTheirOwn) {
  const auto answering = [](const char* address) {
    return [address](const std::string&, uint16_t) {
      FakeUpstream::Answer answer;
      answer.addresses = {address};
      return answer;
    };
  };
  FakeUpstream general(answering("192.0.2.1"));
  FakeUpstream corp(answering("192.0.2.2"));
  FakeUpstream lab(answering("192.0.2.3"));
  DnsOptions options;
  options.upstreams = {general.text()};
  options.stub_domains = {"corp.example=" + corp.text(), "lab.corp.example=" + lab.text()};
  start(options);
  EXPECT_EQ(udp("www.example"), "0 192.0.2.1");
  EXPECT_EQ(udp("www.corp.example"), "0 192.0.2.2");
  EXPECT_EQ(udp("www.lab.Corp.example"), "0 192.0.2.3");
  EXPECT_EQ(udp("notcorp.example"), "0 192.0.2.1");
}

TEST_F(Server, ExternalNamesAreFollowed) {
  FakeUpstream upstream([](const std::string& name, uint16_t) {
    FakeUpstream::Answer answer;
    if (name == "www.example.com.") answer.addresses = {"192.0.2.1"};
    if (name != "www.example.com.") answer.rcode = rcode::kNxDomain;
    return answer;
  });
  client::Client client(raw_);
  for (const auto& [name, target] : {std::pair("out", "www.example.com"), std::pair("gone", "gone.example.com")}) {
    Service service;
    service.metadata.namespace_ = "default";
    service.metadata.name = name;
    service.spec.type = "ExternalName";
    service.spec.external_name = target;
    auto made = client.create(service);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
  }
  DnsOptions options;
  options.upstreams = {upstream.text()};
  start(options);
  EXPECT_EQ(udp("out.default.svc.cluster.local"), "0 type5 192.0.2.1");
  EXPECT_EQ(udp("out.default.svc.cluster.local"), "0 type5 192.0.2.1");
  EXPECT_EQ(tcp("out.default.svc.cluster.local"), "0 type5 192.0.2.1");
  EXPECT_EQ(upstream.queries(), 1);
  EXPECT_EQ(udp("gone.default.svc.cluster.local"), "3 type5");
  EXPECT_EQ(udp("out.default.svc.cluster.local", type::kCname), "0 type5");
}

TEST_F(Server, AQuestionThatComesBackIsALoop) {
  // The upstream server hands everything to the cluster's, as a node's own resolver would that was told to.
  std::atomic<uint16_t> port = 0;
  auto udp_socket = bind_socket({*parse_address("127.0.0.1"), 0}, SOCK_DGRAM);
  ASSERT_TRUE(udp_socket.ok());
  const Endpoint relay = bound_endpoint(udp_socket->get(), {*parse_address("127.0.0.1"), 0});
  std::atomic<int> passed = 0;
  std::jthread relaying([&](std::stop_token stop) {
    std::array<uint8_t, 2048> buffer;
    while (!stop.stop_requested()) {
      pollfd polled{udp_socket->get(), POLLIN, 0};
      if (::poll(&polled, 1, 20) != 1) continue;
      const ssize_t got = ::recv(udp_socket->get(), buffer.data(), buffer.size(), 0);
      if (got <= 0 || ++passed > 1000) continue;
      const sockaddr_in address = loopback(port);
      ::sendto(udp_socket->get(), buffer.data(), static_cast<size_t>(got), 0,
               reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
  });
  DnsOptions options;
  options.upstreams = {to_text(relay)};
  start(options);
  port = dns_->port();
  EXPECT_EQ(udp("www.example.com"), "2");
  EXPECT_EQ(udp("other.example.com"), "2");
  EXPECT_LT(passed, 20) << "nothing goes round and round";
}

TEST_F(Server, SeveralQueriesOnOneConnectionAndAPeerThatSendsRubbish) {
  start();
  const OwnedFd socket = connect_tcp();
  std::vector<uint8_t> stream;
  for (uint16_t id = 1; id <= 50; ++id) {
    const auto packet = framed(make_query("ns.dns.cluster.local", type::kA, id));
    stream.insert(stream.end(), packet.begin(), packet.end());
  }
  for (size_t at = 0; at < stream.size(); at += 100) {
    const size_t size = std::min<size_t>(100, stream.size() - at);
    ASSERT_EQ(::send(socket.get(), stream.data() + at, size, 0), static_cast<ssize_t>(size));
  }
  for (uint16_t id = 1; id <= 50; ++id) {
    const auto response = read_tcp(socket.get());
    ASSERT_EQ(summary(response), "0 127.0.0.1");
    EXPECT_EQ(get16(response, 0), id);
  }
  const OwnedFd bad = connect_tcp();
  ASSERT_EQ(::send(bad.get(), "\xff\xff garbage", 10, 0), 10);
  EXPECT_TRUE(read_tcp(bad.get()).empty()) << "closed";
}

TEST_F(Server, AFloodOfConnectionsPushesOutTheSilentOnes) {
  DnsOptions options;
  options.max_tcp_connections = 16;
  start(options);
  std::vector<OwnedFd> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(connect_tcp());
  EXPECT_EQ(tcp("ns.dns.cluster.local"), "0 127.0.0.1");
}

TEST_F(Server, TooManyForwardsAreRefused) {
  FakeUpstream upstream([](const std::string&, uint16_t) {
    FakeUpstream::Answer answer;
    answer.silent = true;
    return answer;
  });
  DnsOptions options;
  options.upstreams = {upstream.text()};
  options.max_concurrent = 4;
  start(options);
  OwnedFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(dns_->port());
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  for (int i = 0; i < 10; ++i) {
    const auto packet = make_query(fmt::format("n{}.example.com", i), type::kA, static_cast<uint16_t>(i));
    ::send(socket.get(), packet.data(), packet.size(), 0);
  }
  for (int i = 0; i < 6; ++i) {
    pollfd polled{socket.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&polled, 1, kTimeout), 1) << i;
    std::vector<uint8_t> response(512);
    ASSERT_GT(::recv(socket.get(), response.data(), response.size(), 0), 0);
    EXPECT_EQ(response[3] & 0xf, rcode::kRefused);
  }
  EXPECT_EQ(metric("coredns_forward_max_concurrent_rejects_total"), 6u);
}

TEST(Upstreams, AreReadFromText) {
  EXPECT_EQ(to_text(*parse_endpoint("10.0.0.1")), "10.0.0.1:53");
  EXPECT_EQ(to_text(*parse_endpoint("10.0.0.1:5353")), "10.0.0.1:5353");
  EXPECT_EQ(to_text(*parse_endpoint("fd00::1")), "[fd00::1]:53");
  EXPECT_EQ(to_text(*parse_endpoint("[fd00::1]:99")), "[fd00::1]:99");
  for (const char* bad : {"", "x", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:x", "[fd00::1", "[fd00::1]x", "1.2.3"}) {
    EXPECT_FALSE(parse_endpoint(bad).ok()) << bad;
  }
  const auto servers = read_resolv_conf("# x\nsearch a b\nnameserver 10.0.0.1\nnameserver bad\n nameserver fd00::1\n");
  ASSERT_EQ(servers.size(), 2u);
  EXPECT_EQ(to_text(servers[1]), "[fd00::1]:53");
  EXPECT_FALSE(parse_stub_domain("corp.example").ok());
  EXPECT_FALSE(parse_stub_domain("corp.example=").ok());
}

TEST(RelayedAnswers, TheCacheStaysBelowItsBytes) {
  Cache cache(64 * 1024);
  for (int i = 0; i < 5000; ++i) {
    auto relayed = std::make_shared<Relayed>();
    relayed->bytes.resize(200);
    relayed->keep_seconds = 30;
    cache.store(fmt::format("name-{}", i), relayed);
    EXPECT_LE(cache.bytes(), 64u * 1024);
  }
  EXPECT_GT(cache.entries(), 50u);
  EXPECT_NE(cache.find("name-4999", {}), nullptr);
  EXPECT_EQ(cache.find("name-0", {}), nullptr);
  EXPECT_EQ(cache.find("name-4999", std::chrono::seconds(30)), nullptr) << "its time is over";
}

}  // namespace
}  // namespace trireme::dns
