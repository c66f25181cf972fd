#include "apiserver/registry/service_allocator.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "api/names.h"
#include "api/status_convert.h"

namespace trireme::apiserver {

namespace {

using api::corev1::Service;

constexpr std::string_view kNone = "None";

std::optional<uint32_t> parse_ip(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string format_ip(uint32_t ip) {
  return fmt::format("{}.{}.{}.{}", ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255, ip & 255);
}

bool wants_ip(const Service& service) {
  return service.spec.type != api::corev1::kServiceTypeExternalName && service.spec.cluster_ip != kNone;
}

bool wants_ports(const Service& service) {
  if (service.spec.type == api::corev1::kServiceTypeNodePort) return true;
  return service.spec.type == api::corev1::kServiceTypeLoadBalancer &&
         service.spec.allocate_load_balancer_node_ports.value_or(true);
}

Status invalid(const Service& service, StatusCause cause) {
  return api::invalid("", "Service", service.metadata.name, {std::move(cause)});
}

}  // namespace

ServiceAllocator::ServiceAllocator(std::shared_ptr<Caches> caches, uint32_t base, uint32_t size, uint16_t first_port,
                                   uint16_t last_port, api::RandomSource random)
    : caches_(std::move(caches)),
      base_(base),
      size_(size),
      first_port_(first_port),
      last_port_(last_port),
      random_(std::move(random)) {}

Result<std::shared_ptr<ServiceAllocator>> ServiceAllocator::create(std::shared_ptr<Caches> caches,
                                                                   std::string_view cidr, uint16_t first_port,
                                                                   uint16_t last_port, api::RandomSource random) {
  size_t slash = cidr.find('/');
  std::optional<uint32_t> ip = parse_ip(cidr.substr(0, slash));
  int bits = 0;
  if (slash != std::string_view::npos) std::from_chars(cidr.data() + slash + 1, cidr.data() + cidr.size(), bits);
  if (!ip || bits < 8 || bits > 30 || first_port > last_port || first_port == 0) {
    return Status::bad_request(fmt::format("\"{}\" is no IPv4 service range between /8 and /30", cidr));
  }
  uint32_t size = uint32_t{1} << (32 - bits);
  return std::shared_ptr<ServiceAllocator>(
      new ServiceAllocator(std::move(caches), *ip & ~(size - 1), size, first_port, last_port, std::move(random)));
}

std::string ServiceAllocator::first_ip() const { return format_ip(base_ + 1); }

uint32_t ServiceAllocator::port_key(int32_t port, std::string_view protocol) {
  uint32_t kind = protocol == "UDP" ? 1 : protocol == "SCTP" ? 2 : 0;
  return kind << 16 | static_cast<uint32_t>(port & 0xffff);
}

Status ServiceAllocator::load() {
  if (loaded_) return {};
  TRY_ASSIGN(auto services, caches_->list<Service>());
  for (const auto& service : services) {
    for (const std::string& text : service->spec.cluster_ips) {
      if (auto ip = parse_ip(text)) ips_.insert(*ip);
    }
    if (auto ip = parse_ip(service->spec.cluster_ip)) ips_.insert(*ip);
    for (const auto& port : service->spec.ports) {
      if (port.node_port != 0) ports_.insert(port_key(port.node_port, port.protocol));
    }
    if (service->spec.health_check_node_port != 0) ports_.insert(port_key(service->spec.health_check_node_port, "TCP"));
  }
  loaded_ = true;
  return {};
}

Result<std::string> ServiceAllocator::take_ip(std::string_view asked, const Service& service, Claim& claim) {
  if (!asked.empty()) {
    std::optional<uint32_t> ip = parse_ip(asked);
    auto refuse = [&](std::string_view why) {
      return invalid(service, api::field_error::invalid("spec.clusterIPs", fmt::format("[\"{}\"]", asked),
                                                        fmt::format("failed to allocate IP {}: {}", asked, why)));
    };
    if (!ip || *ip <= base_ || *ip >= base_ + size_ - 1) {
      return refuse(fmt::format("the provided IP ({}) is not in the valid range. The range of valid IPs is {}/{}",
                                asked, format_ip(base_), 32 - __builtin_ctz(size_)));
    }
    if (!ips_.insert(*ip).second) return refuse("provided IP is already allocated");
    claim.taken_ips_.push_back(*ip);
    return std::string(asked);
  }
  // As upstream: the lower part of the range is left to those who ask for an address, while the upper one has room.
  uint32_t reserved = std::clamp(size_ / 16, uint32_t{16}, uint32_t{256});
  if (size_ <= 32) reserved = 0;
  uint32_t upper = size_ - 2 - reserved;
  uint32_t start = random_() % upper;
  for (uint32_t i = 0; i < size_ - 2; ++i) {
    uint32_t offset = i < upper ? reserved + (start + i) % upper : i - upper;
    uint32_t ip = base_ + 1 + offset;
    if (offset == 0 || !ips_.insert(ip).second) continue;
    claim.taken_ips_.push_back(ip);
    return format_ip(ip);
  }
  return Status::internal("failed to allocate a serviceIP: range is full");
}

Result<int32_t> ServiceAllocator::take_port(int32_t asked, size_t index, std::string_view protocol,
                                            const Service& service, Claim& claim) {
  std::string field = fmt::format("spec.ports[{}].nodePort", index);
  if (asked != 0) {
    if (asked < first_port_ || asked > last_port_) {
      return invalid(
          service, api::field_error::invalid(field, int64_t{asked},
                                             fmt::format("provided port is not in the valid range. The range of valid "
                                                         "ports is {}-{}",
                                                         first_port_, last_port_)));
    }
    if (!ports_.insert(port_key(asked, protocol)).second) {
      return invalid(service, api::field_error::invalid(field, int64_t{asked}, "provided port is already allocated"));
    }
    claim.taken_ports_.push_back(port_key(asked, protocol));
    return asked;
  }
  int32_t count = last_port_ - first_port_ + 1;
  auto start = static_cast<int32_t>(random_() % static_cast<uint32_t>(count));
  for (int32_t i = 0; i < count; ++i) {
    int32_t port = first_port_ + (start + i) % count;
    // A port free for all protocols, so that one number can serve several of a service's ports later.
    bool taken = ports_.contains(port_key(port, "TCP")) || ports_.contains(port_key(port, "UDP")) ||
                 ports_.contains(port_key(port, "SCTP"));
    if (taken) continue;
    ports_.insert(port_key(port, protocol));
    claim.taken_ports_.push_back(port_key(port, protocol));
    return port;
  }
  return Status::internal("failed to allocate a nodePort: range is full");
}

Result<ServiceAllocator::Claim> ServiceAllocator::claim(const Service* stored, Service& service) {
  Claim claim;
  std::scoped_lock lock(mutex_);
  TRY(load());
  claim.owner_ = this;
  // A failure below destroys the claim, which takes the lock itself: undo by hand first.
  auto fail = [&](Status status) {
    for (uint32_t ip : claim.taken_ips_) ips_.erase(ip);
    for (uint32_t port : claim.taken_ports_) ports_.erase(port);
    claim.owner_ = nullptr;
    return status;
  };

  bool had_ip = stored != nullptr && wants_ip(*stored) && !stored->spec.cluster_ip.empty();
  if (!wants_ip(service)) {
    if (service.spec.type == api::corev1::kServiceTypeExternalName) {
      service.spec.cluster_ip.clear();
      service.spec.cluster_ips.clear();
    } else {
      service.spec.cluster_ips = {std::string(kNone)};
    }
  } else {
    if (service.spec.cluster_ip.empty() && !service.spec.cluster_ips.empty()) {
      service.spec.cluster_ip = service.spec.cluster_ips.front();
    }
    if (had_ip && (service.spec.cluster_ip.empty() || service.spec.cluster_ip == stored->spec.cluster_ip)) {
      service.spec.cluster_ip = stored->spec.cluster_ip;
    } else {
      auto ip = take_ip(service.spec.cluster_ip, service, claim);
      if (!ip.ok()) return fail(ip.status());
      service.spec.cluster_ip = std::move(*ip);
    }
    service.spec.cluster_ips = {service.spec.cluster_ip};
  }
  if (had_ip && service.spec.cluster_ip != stored->spec.cluster_ip) {
    if (auto ip = parse_ip(stored->spec.cluster_ip)) claim.freed_ips_.push_back(*ip);
  }

  std::unordered_set<uint32_t> held;
  if (stored != nullptr) {
    for (const auto& port : stored->spec.ports) {
      if (port.node_port != 0) held.insert(port_key(port.node_port, port.protocol));
    }
  }
  std::unordered_set<uint32_t> kept;
  if (wants_ports(service)) {
    for (size_t i = 0; i < service.spec.ports.size(); ++i) {
      auto& port = service.spec.ports[i];
      uint32_t key = port_key(port.node_port, port.protocol);
      if (port.node_port != 0 && held.contains(key)) {
        kept.insert(key);
        continue;
      }
      auto taken = take_port(port.node_port, i, port.protocol, service, claim);
      if (!taken.ok()) return fail(taken.status());
      port.node_port = *taken;
    }
  } else if (stored == nullptr || wants_ports(*stored)) {
    for (auto& port : service.spec.ports) port.node_port = 0;
  }
  for (uint32_t key : held) {
    if (!kept.contains(key)) claim.freed_ports_.push_back(key);
  }
  return claim;
}

void ServiceAllocator::release_locked(const Service& service) {
  for (const std::string& text : service.spec.cluster_ips) {
    if (auto ip = parse_ip(text)) ips_.erase(*ip);
  }
  for (const auto& port : service.spec.ports) {
    if (port.node_port != 0) ports_.erase(port_key(port.node_port, port.protocol));
  }
}

void ServiceAllocator::release(const Service& service) {
  std::scoped_lock lock(mutex_);
  release_locked(service);
}

ServiceAllocator::Claim& ServiceAllocator::Claim::operator=(Claim&& other) noexcept {
  std::swap(owner_, other.owner_);
  taken_ips_.swap(other.taken_ips_);
  freed_ips_.swap(other.freed_ips_);
  taken_ports_.swap(other.taken_ports_);
  freed_ports_.swap(other.freed_ports_);
  return *this;
}

ServiceAllocator::Claim::~Claim() {
  if (owner_ == nullptr) return;
  std::scoped_lock lock(owner_->mutex_);
  for (uint32_t ip : taken_ips_) owner_->ips_.erase(ip);
  for (uint32_t port : taken_ports_) owner_->ports_.erase(port);
}

void ServiceAllocator::Claim::commit() {
  if (owner_ == nullptr) return;
  std::scoped_lock lock(owner_->mutex_);
  for (uint32_t ip : freed_ips_) owner_->ips_.erase(ip);
  for (uint32_t port : freed_ports_) owner_->ports_.erase(port);
  owner_ = nullptr;
}

}  // namespace trireme::apiserver
