#include "dns/dns_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/log.h"
#include "client/informer_factory.h"
#include "dns/forwarder.h"
#include "dns/loop.h"
#include "dns/responder.h"
#include "dns/tcp_server.h"
#include "dns/udp_worker.h"
#include "net/server.h"

namespace trireme::dns {
namespace {

/// What the informers' handlers hold on to: they outlive the server.
struct Followed {
  SharedRecords records;
};

class DnsServerImpl final : public DnsServer, net::Handler {
 public:
  DnsServerImpl(DnsOptions options, DnsDeps deps)
      : options_(std::move(options)), deps_(std::move(deps)), followed_(std::make_shared<Followed>()) {}

  ~DnsServerImpl() override {
    http_.reset();
    for (const auto& worker : workers_) worker->stop();
    if (loop_) loop_->stop();
    if (thread_.joinable()) thread_.join();
    // Replies that wait in the loop name the workers' sockets; the loop's thread is gone now.
  }

  Status begin() {
    TRY_ASSIGN(zones_, make_zones(options_.domain, options_.reverse_ranges, options_.addresses));
    if (options_.addresses.empty()) return Status::bad_request("the DNS server has no address to listen on");
    ForwardOptions forward;
    forward.resolv_conf = options_.resolv_conf;
    forward.max_concurrent = options_.max_concurrent;
    forward.cache_bytes = options_.cache_bytes;
    for (const std::string& text : options_.upstreams) {
      TRY_ASSIGN(Endpoint endpoint, parse_endpoint(text));
      forward.servers.push_back(endpoint);
    }
    for (const std::string& text : options_.stub_domains) {
      TRY_ASSIGN(StubDomain stub, parse_stub_domain(text));
      forward.stub_domains.push_back(std::move(stub));
    }
    TRY_ASSIGN(loop_, Loop::create(deps_.clock));

    int count = options_.workers;
    if (count <= 0) count = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 4);
    std::vector<std::vector<OwnedFd>> datagrams(static_cast<size_t>(count));
    std::vector<OwnedFd> listeners;
    std::vector<bool> v6;
    for (const Address& address : zones_.name_servers) {
      Endpoint endpoint{address, options_.port};
      for (auto& sockets : datagrams) {
        TRY_ASSIGN(OwnedFd socket, bind_socket(endpoint, SOCK_DGRAM));
        endpoint = bound_endpoint(socket.get(), endpoint);
        sockets.push_back(std::move(socket));
      }
      TRY_ASSIGN(OwnedFd listener, bind_socket(endpoint, SOCK_STREAM));
      listeners.push_back(std::move(listener));
      v6.push_back(address.v6);
      forward.own.push_back(endpoint);
      options_.port = endpoint.port;
    }
    forwarder_ = std::make_unique<Forwarder>(*loop_, std::move(forward));
    responder_ = std::make_unique<Responder>(followed_->records, zones_, *forwarder_, [this] { return synced(); });
    TcpOptions tcp;
    tcp.max_connections = options_.max_tcp_connections;
    tcp_ = std::make_unique<TcpServer>(*loop_, *responder_, tcp);
    for (size_t i = 0; i < listeners.size(); ++i) {
      if (!tcp_->listen(std::move(listeners[i]), v6[i])) return Status::internal("listen: epoll refused");
    }
    for (auto& sockets : datagrams) {
      workers_.push_back(std::make_unique<UdpWorker>(std::move(sockets), v6, *responder_, deps_.clock));
    }
    follow();
    thread_ = std::thread([this] { loop_->run(); });
    for (const auto& worker : workers_) worker->start();
    if (options_.metrics_port >= 0) serve_metrics();
    return {};
  }

  uint16_t port() const override { return options_.port; }
  uint16_t metrics_port() const override { return http_ ? http_->port() : 0; }
  bool synced() const override { return services_->synced() && slices_->synced() && namespaces_->synced(); }

  std::string metrics() const override {
    Metrics sum;
    for (const auto& worker : workers_) sum.add(worker->metrics());
    sum.add(tcp_->metrics());
    sum.add(forwarder_->metrics());
    std::string text;
    sum.print(text, forwarder_->cache().entries());
    return text;
  }

 private:
  void follow() {
    using api::corev1::Namespace;
    using api::corev1::Service;
    using api::discoveryv1::EndpointSlice;
    // The serial number must not go back when the process starts anew.
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(deps_.clock->now().time_since_epoch()).count();
    followed_->records.change([&](Records& records) { records.set_serial(static_cast<uint32_t>(now)); });
    services_ = &deps_.informers->informer<Service>();
    slices_ = &deps_.informers->informer<EndpointSlice>();
    namespaces_ = &deps_.informers->informer<Namespace>();
    services_->add_handler([followed = followed_](const auto& before, const auto& after) {
      followed->records.change([&](Records& records) { records.apply(before, after); });
    });
    slices_->add_handler([followed = followed_](const auto& before, const auto& after) {
      followed->records.change([&](Records& records) { records.apply(before, after); });
    });
    namespaces_->add_handler([followed = followed_](const auto& before, const auto& after) {
      if (before && after) return;
      const std::string& name = (after ? after : before)->metadata.name;
      followed->records.change([&](Records& records) { records.set_namespace(name, after != nullptr); });
    });
  }

  /// Metrics are worth having, not worth failing for: another program may have the port.
  void serve_metrics() {
    net::ServerOptions server;
    server.address = options_.addresses.front();
    server.port = static_cast<uint16_t>(options_.metrics_port);
    server.workers = 1;
    server.max_connections = 64;
    auto started = net::Server::start(server, *this);
    if (started.ok()) {
      http_ = std::move(*started);
    } else {
      log::warning("The DNS server's metrics are not served", {{"error", started.status()}});
    }
  }

  void handle(std::shared_ptr<net::Exchange> exchange) override {
    const std::string_view path = exchange->request().path();
    const net::Headers text{{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
    if (path == "/metrics") return exchange->respond(200, text, metrics());
    if (path == "/health") return exchange->respond(200, text, std::string("OK"));
    if (path == "/ready") {
      return synced() ? exchange->respond(200, text, std::string("OK"))
                      : exchange->respond(503, text, std::string("kubernetes"));
    }
    exchange->respond(404, text, std::string("404 page not found\n"));
  }

  DnsOptions options_;
  const DnsDeps deps_;
  const std::shared_ptr<Followed> followed_;
  Zones zones_;
  client::Informer<api::corev1::Service>* services_ = nullptr;
  client::Informer<api::discoveryv1::EndpointSlice>* slices_ = nullptr;
  client::Informer<api::corev1::Namespace>* namespaces_ = nullptr;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Responder> responder_;
  std::unique_ptr<TcpServer> tcp_;
  std::vector<std::unique_ptr<UdpWorker>> workers_;
  std::thread thread_;
  std::unique_ptr<net::Server> http_;
};

}  // namespace

Result<std::unique_ptr<DnsServer>> DnsServer::start(DnsOptions options, DnsDeps deps) {
  auto server = std::make_unique<DnsServerImpl>(std::move(options), std::move(deps));
  TRY(server->begin());
  return std::unique_ptr<DnsServer>(std::move(server));
}

}  // namespace trireme::dns
