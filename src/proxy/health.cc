#include "proxy/health.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <atomic>

#include "client/informer.h"
#include "net/server.h"

namespace trireme::proxy {
namespace {

const net::Headers& json_headers() {
  static const net::Headers headers = {{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}};
  return headers;
}

std::string time_text(WallTime time) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(time - seconds).count();
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:09} +0000 UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     nanoseconds);
}

}  // namespace

void Health::change_waits() {
  const std::lock_guard lock(mutex_);
  if (!waits_since_) waits_since_ = clock_->monotonic();
}

void Health::up_to_date() {
  const std::lock_guard lock(mutex_);
  waits_since_.reset();
  last_updated_ = clock_->now();
}

void Health::set_node_eligible(bool eligible) {
  const std::lock_guard lock(mutex_);
  node_eligible_ = eligible;
}

bool Health::healthy() const {
  const std::lock_guard lock(mutex_);
  return !waits_since_ || clock_->monotonic() - *waits_since_ < timeout_;
}

bool Health::node_eligible() const {
  const std::lock_guard lock(mutex_);
  return node_eligible_;
}

Health::Answer Health::answer(bool with_node) const {
  bool well = healthy();
  const std::lock_guard lock(mutex_);
  if (with_node) well = well && node_eligible_;
  WallTime now = clock_->now();
  std::string body = fmt::format(R"({{"lastUpdated": "{}","currentTime": "{}")", time_text(well ? now : last_updated_),
                                 time_text(now));
  if (with_node) body += fmt::format(R"(, "nodeEligible": {})", node_eligible_);
  return {well ? 200 : 503, body + "}"};
}

Health::Answer Health::healthz() const { return answer(true); }
Health::Answer Health::livez() const { return answer(false); }

class HealthCheckPorts::Port final : public net::Handler {
 public:
  Port(std::string service, uint16_t number, const Health& health)
      : number(number), service_(std::move(service)), health_(health) {}

  Status open(const std::string& address) {
    net::ServerOptions options;
    options.address = address;
    options.port = number;
    options.workers = 1;
    options.max_connections = 256;
    TRY_ASSIGN(server_, net::Server::start(std::move(options), *this));
    return {};
  }

  void handle(std::shared_ptr<net::Exchange> exchange) override {
    const bool well = health_.healthy();
    const int count = local_endpoints;
    client::ObjectKey key = client::split_key(service_);
    std::string body = fmt::format(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\"localEndpoints\": "
        "{},\n\t\"serviceProxyHealthy\": {}\n}}",
        key.ns, key.name, count, well);
    exchange->respond(count != 0 && well ? 200 : 503, json_headers(), std::move(body));
  }

  const uint16_t number;
  std::atomic<int> local_endpoints = 0;

 private:
  const std::string service_;
  const Health& health_;
  std::unique_ptr<net::Server> server_;
};

HealthCheckPorts::HealthCheckPorts(std::string address, const Health& health)
    : address_(std::move(address)), health_(health) {}
HealthCheckPorts::~HealthCheckPorts() = default;

Status HealthCheckPorts::set(const std::string& service, const HealthCheck& check) {
  const std::lock_guard lock(mutex_);
  auto at = ports_.find(service);
  if (at != ports_.end() && at->second->number != check.port) {
    ports_.erase(at);
    at = ports_.end();
  }
  if (check.port == 0) return {};
  if (at == ports_.end()) {
    auto port = std::make_unique<Port>(service, check.port, health_);
    port->local_endpoints = check.local_endpoints;
    TRY(port->open(address_));
    at = ports_.emplace(service, std::move(port)).first;
  }
  at->second->local_endpoints = check.local_endpoints;
  return {};
}

}  // namespace trireme::proxy
