// The cluster's DNS server: queries a second and their latency for names of the cluster, names that are not there and
// names outside from the cache, then memory under a flood. `dns_bench [SERVICES] [SECONDS]` (default: 10,000 services
// of five endpoints, two seconds each). Server, clients and the upstream server share this process and a network
// namespace of their own: the figures are those of the whole machine, not of the server alone.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "apiserver/api_server.h"
#include "client/informer_factory.h"
#include "dns/dns_server.h"
#include "dns/loop.h"
#include "dns/records.h"
#include "dns/udp_worker.h"
#include "dns/wire.h"
#include "in_process.h"
#include "net/transport.h"
#include "store/memory_store.h"

namespace trireme::bench {
namespace {

using Steady = std::chrono::steady_clock;

void enter_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) {
    fmt::print("not root: in the machine's own network namespace, on loopback\n");
    return;
  }
  const dns::OwnedFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) fail("lo cannot be set up");
}

double resident_megabytes() { return static_cast<double>(resident_bytes()) / 1e6; }

std::vector<uint8_t> make_query(std::string_view name, uint16_t type) {
  std::vector<uint8_t> packet(dns::kHeaderSize, 0);
  dns::put16(packet.data() + 2, dns::flag::kRecursionDesired);
  packet[5] = 1;
  dns::Name parsed;
  if (!dns::parse_name(name, parsed)) fail(std::string(name));
  packet.insert(packet.end(), parsed.wire().begin(), parsed.wire().end());
  packet.resize(packet.size() + 4);
  dns::put16(packet.data() + packet.size() - 4, type);
  dns::put16(packet.data() + packet.size() - 2, dns::kClassIn);
  return packet;
}

/// Answers everything with one address.
class Upstream {
 public:
  Upstream() {
    const dns::Endpoint any{*dns::parse_address("127.0.0.1"), 0};
    auto socket = dns::bind_socket(any, SOCK_DGRAM);
    if (!socket.ok()) fail(socket.status().message());
    socket_ = std::move(*socket);
    endpoint_ = dns::bound_endpoint(socket_.get(), any);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      std::array<uint8_t, 2048> in;
      std::array<uint8_t, 2048> out;
      while (!stop.stop_requested()) {
        pollfd polled{socket_.get(), POLLIN, 0};
        if (::poll(&polled, 1, 20) != 1) continue;
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        const ssize_t got =
            ::recvfrom(socket_.get(), in.data(), in.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size);
        dns::Query query;
        const dns::Bytes packet(in.data(), got > 0 ? static_cast<size_t>(got) : 0);
        if (dns::parse_query(packet, query) != dns::Verdict::kGood) continue;
        dns::Writer writer(out, out.size());
        writer.begin(query, packet, dns::flag::kRecursionAvailable);
        const std::array<uint8_t, 4> address{192, 0, 2, 1};
        writer.record(nullptr, dns::type::kA, 300, address);
        const size_t length = writer.finish();
        ::sendto(socket_.get(), out.data(), length, 0, reinterpret_cast<sockaddr*>(&peer), size);
      }
    });
  }
  const dns::Endpoint& endpoint() const { return endpoint_; }

 private:
  dns::OwnedFd socket_;
  dns::Endpoint endpoint_;
  std::jthread thread_;
};

dns::OwnedFd connect_to(uint16_t port, int kind) {
  dns::OwnedFd socket(::socket(AF_INET, kind | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

/// One client: `window` queries under way, each answered before the next. Returns how many were answered with `rcode`.
uint64_t ask(uint16_t port, const std::vector<std::vector<uint8_t>>& queries, size_t window, Duration time,
             uint8_t rcode, std::vector<float>* latencies) {
  const dns::OwnedFd socket = connect_to(port, SOCK_DGRAM);
  const timeval limit{0, 200'000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::vector<std::array<uint8_t, 1500>> buffers(window);
  std::vector<iovec> vectors(window);
  std::vector<mmsghdr> messages(window);
  std::mt19937 random(static_cast<unsigned>(socket.get()));
  const auto end = Steady::now() + time;
  uint64_t answered = 0;
  while (Steady::now() < end) {
    const auto began = Steady::now();
    for (size_t i = 0; i < window; ++i) {
      const auto& query = queries[random() % queries.size()];
      vectors[i] = {const_cast<uint8_t*>(query.data()), query.size()};
      messages[i].msg_hdr = {};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    ::sendmmsg(socket.get(), messages.data(), static_cast<unsigned>(window), 0);
    for (size_t left = window; left > 0;) {
      for (size_t i = 0; i < left; ++i) {
        vectors[i] = {buffers[i].data(), buffers[i].size()};
        messages[i].msg_hdr.msg_iov = &vectors[i];
      }
      const int got = ::recvmmsg(socket.get(), messages.data(), static_cast<unsigned>(left), MSG_WAITFORONE, nullptr);
      if (got <= 0) break;
      for (int i = 0; i < got; ++i) answered += (buffers[static_cast<size_t>(i)][3] & 0xf) == rcode ? 1 : 0;
      left -= static_cast<size_t>(got);
    }
    if (latencies != nullptr) {
      latencies->push_back(std::chrono::duration<float, std::micro>(Steady::now() - began).count());
    }
  }
  return answered;
}

void measure(const char* what, uint16_t port, const std::vector<std::vector<uint8_t>>& queries, Duration time,
             uint8_t rcode) {
  constexpr size_t kClients = 2;
  constexpr size_t kWindow = 32;
  std::atomic<uint64_t> total = 0;
  const double cpu = cpu_seconds();
  const auto began = Steady::now();
  {
    std::vector<std::jthread> clients;
    for (size_t i = 0; i < kClients; ++i) {
      clients.emplace_back([&] { total += ask(port, queries, kWindow, time, rcode, nullptr); });
    }
  }
  const double seconds = std::chrono::duration<double>(Steady::now() - began).count();
  const double used = cpu_seconds() - cpu;
  std::vector<float> latencies;
  ask(port, queries, 1, time / 2, rcode, &latencies);
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](double share) {
    return latencies[static_cast<size_t>(share * static_cast<double>(latencies.size() - 1))];
  };
  fmt::print(
      "{:<28} {:>8.0f} queries/s, {:>5.2f} us of CPU each with the clients; one at a time: p50 {:.0f} us, p99 {:.0f} "
      "us\n",
      what, static_cast<double>(total) / seconds, used * 1e6 / static_cast<double>(total), at(0.5), at(0.99));
}

int run(int argc, char** argv) {
  const int services = argc > 1 ? std::atoi(argv[1]) : 10'000;
  const auto time = std::chrono::milliseconds(argc > 2 ? static_cast<int>(std::atof(argv[2]) * 1000) : 2000);
  enter_namespace();
  Upstream upstream;
  apiserver::Options options;
  options.store = store::memory_store(real_clock());
  options.clock = real_clock();
  options.advertise_address = "192.0.2.1";
  options.service_cidr = "10.96.0.0/12";
  auto api = apiserver::ApiServer::create(std::move(options));
  if (!api.ok()) fail(api.status().message());
  auto raw = std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(**api, {})),
                                                 "bench");
  client::Client admin(raw);
  std::vector<std::vector<uint8_t>> cluster;
  std::vector<std::vector<uint8_t>> headless;
  std::vector<std::vector<uint8_t>> srv;
  for (int i = 0; i < services; ++i) {
    api::corev1::Service service;
    service.metadata.namespace_ = "default";
    service.metadata.name = fmt::format("service-{}", i);
    if (i % 10 == 0) service.spec.cluster_ip = "None";
    service.spec.ports.resize(1);
    service.spec.ports[0].name = "http";
    service.spec.ports[0].port = 80;
    if (auto made = admin.create(service); !made.ok()) fail(made.status().message());
    api::discoveryv1::EndpointSlice slice;
    slice.metadata.namespace_ = "default";
    slice.metadata.name = service.metadata.name;
    slice.metadata.labels["kubernetes.io/service-name"] = service.metadata.name;
    slice.address_type = "IPv4";
    slice.ports.resize(1);
    slice.ports[0].name = "http";
    slice.ports[0].port = 8080;
    for (int j = 0; j < 5; ++j) {
      const int n = i * 5 + j;
      slice.endpoints.emplace_back().addresses = {
          fmt::format("10.{}.{}.{}", 200 + n / 62'500, n / 250 % 250, n % 250 + 1)};
    }
    if (auto made = admin.create(slice); !made.ok()) fail(made.status().message());
    const std::string name = service.metadata.name + ".default.svc.cluster.local";
    (i % 10 == 0 ? headless : cluster).push_back(make_query(name, dns::type::kA));
    srv.push_back(make_query("_http._tcp." + name, dns::type::kSrv));
  }
  const double before = resident_megabytes();
  client::InformerFactory factory(raw, real_clock());
  dns::DnsOptions server;
  server.addresses = {"127.0.0.1"};
  server.port = 0;
  server.metrics_port = -1;
  server.resolv_conf = "";
  server.upstreams = {dns::to_text(upstream.endpoint())};
  server.reverse_ranges = {"10.96.0.0/12", "10.200.0.0/14"};
  const auto began = Steady::now();
  auto dns = dns::DnsServer::start(server, {&factory, real_clock()});
  if (!dns.ok()) fail(dns.status().message());
  factory.start();
  factory.wait_synced();
  fmt::print("{} services of 5 endpoints: index in {:.0f} ms, {:.1f} MB\n", services,
             std::chrono::duration<double, std::milli>(Steady::now() - began).count(), resident_megabytes() - before);
  const uint16_t port = (*dns)->port();
  measure("cluster address", port, cluster, time, dns::rcode::kNoError);
  measure("headless, 5 addresses", port, headless, time, dns::rcode::kNoError);
  measure("SRV", port, srv, time, dns::rcode::kNoError);
  std::vector<std::vector<uint8_t>> absent;
  std::vector<std::vector<uint8_t>> outside;
  std::vector<std::vector<uint8_t>> reverse;
  for (int i = 0; i < 1000; ++i) {
    absent.push_back(make_query(fmt::format("nothing-{}.default.svc.cluster.local", i), dns::type::kA));
    outside.push_back(make_query(fmt::format("www-{}.example.com", i), dns::type::kA));
    reverse.push_back(make_query(fmt::format("{}.{}.200.10.in-addr.arpa", i % 250 + 1, i % 100), dns::type::kPtr));
  }
  measure("NXDOMAIN", port, absent, time, dns::rcode::kNxDomain);
  measure("PTR", port, reverse, time, dns::rcode::kNoError);
  measure("outside, from the cache", port, outside, time, dns::rcode::kNoError);

  const double calm = resident_megabytes();
  std::vector<std::vector<uint8_t>> flood;
  for (int i = 0; i < 300'000; ++i) {
    flood.push_back(make_query(fmt::format("flood-{}.with-a-rather-long-name.example.com", i), dns::type::kA));
  }
  const double with_queries = resident_megabytes();
  std::vector<dns::OwnedFd> connections;
  for (int i = 0; i < 900; ++i) {
    if (dns::OwnedFd socket = connect_to(port, SOCK_STREAM)) connections.push_back(std::move(socket));
  }
  std::atomic<uint64_t> answered = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] { answered += ask(port, flood, 256, time * 3, dns::rcode::kNoError, nullptr); });
    }
  }
  fmt::print(
      "flood of 300,000 names outside and 900 connections: {} answered; memory {:.1f} MB before, {:.1f} MB more "
      "after\n",
      answered.load(), calm, resident_megabytes() - with_queries);
  return 0;
}

}  // namespace
}  // namespace trireme::bench

int main(int argc, char** argv) { return trireme::bench::run(argc, argv); }
