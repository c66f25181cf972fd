#include "apiserver/registry/service_allocator.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "api/status_convert.h"
#include "api/validation/service.h"
#include "apiserver/registry/service_families.h"

namespace trireme::apiserver {

namespace {

using api::corev1::Service;

constexpr std::string_view kNone = "None";

bool is_external_name(const Service& service) { return service.spec.type == api::corev1::kServiceTypeExternalName; }

bool is_headless(const Service& service) {
  return !service.spec.cluster_ips.empty() && service.spec.cluster_ips[0] == kNone;
}

/// May have node ports.
bool may_have_ports(const Service& service) {
  return service.spec.type == api::corev1::kServiceTypeNodePort ||
         service.spec.type == api::corev1::kServiceTypeLoadBalancer;
}

/// Gets node ports without asking.
bool wants_ports(const Service& service) {
  return service.spec.type == api::corev1::kServiceTypeNodePort ||
         (service.spec.type == api::corev1::kServiceTypeLoadBalancer &&
          service.spec.allocate_load_balancer_node_ports.value_or(true));
}

Status invalid(const Service& service, StatusCause cause) {
  return api::invalid("", "Service", service.metadata.name, {std::move(cause)});
}

}  // namespace

ServiceAllocator::ServiceAllocator(std::shared_ptr<Caches> caches, std::vector<ServiceRange> ranges,
                                   uint16_t first_port, uint16_t last_port, api::RandomSource random)
    : caches_(std::move(caches)),
      ranges_(std::move(ranges)),
      first_port_(first_port),
      last_port_(last_port),
      random_(std::move(random)) {
  for (const ServiceRange& range : ranges_) families_.push_back(range.family());
}

Result<std::shared_ptr<ServiceAllocator>> ServiceAllocator::create(std::shared_ptr<Caches> caches,
                                                                   std::string_view cidrs, uint16_t first_port,
                                                                   uint16_t last_port, api::RandomSource random) {
  const size_t comma = cidrs.find(',');
  std::vector<ServiceRange> ranges(1);
  TRY_ASSIGN(ranges[0], ServiceRange::parse(cidrs.substr(0, comma)));
  if (comma != std::string_view::npos) {
    TRY_ASSIGN(ServiceRange second, ServiceRange::parse(cidrs.substr(comma + 1)));
    if (second.is_v6() == ranges[0].is_v6()) {
      return Status::bad_request(fmt::format("the service ranges \"{}\" are of one family", cidrs));
    }
    ranges.push_back(second);
  }
  if (first_port > last_port || first_port == 0) {
    return Status::bad_request(fmt::format("{}-{} is no range of node ports", first_port, last_port));
  }
  return std::shared_ptr<ServiceAllocator>(
      new ServiceAllocator(std::move(caches), std::move(ranges), first_port, last_port, std::move(random)));
}

uint32_t ServiceAllocator::port_key(int32_t port, std::string_view protocol) {
  uint32_t kind = protocol == "UDP" ? 1 : protocol == "SCTP" ? 2 : 0;
  return kind << 16 | static_cast<uint32_t>(port & 0xffff);
}

Status ServiceAllocator::load() {
  if (loaded_) return {};
  TRY_ASSIGN(auto services, caches_->list<Service>());
  for (const auto& service : services) {
    for (const std::string& text : service->spec.cluster_ips) ips_.insert(ServiceRange::canonical(text));
    ips_.insert(ServiceRange::canonical(service->spec.cluster_ip));
    for (const auto& port : service->spec.ports) {
      if (port.node_port != 0) ports_.insert(port_key(port.node_port, port.protocol));
    }
    if (service->spec.health_check_node_port != 0) ports_.insert(port_key(service->spec.health_check_node_port, "TCP"));
  }
  ips_.erase("");
  loaded_ = true;
  return {};
}

Status ServiceAllocator::take_ip(size_t index, Service& service, Claim& claim) {
  auto& ips = service.spec.cluster_ips;
  ips.resize(std::max(ips.size(), index + 1));
  const auto position = std::ranges::find(families_, service.spec.ip_families[index]) - families_.begin();
  const ServiceRange& range = ranges_.at(static_cast<size_t>(position));
  const std::string& asked = ips[index];
  if (!asked.empty()) {
    auto refuse = [&](std::string_view why) {
      return invalid(service, api::field_error::invalid("spec.clusterIPs", fmt::format("[\"{}\"]", asked),
                                                        fmt::format("failed to allocate IP {}: {}", asked, why)));
    };
    if (!range.offset_of(asked)) {
      return refuse(fmt::format("the provided IP ({}) is not in the valid range. The range of valid IPs is {}", asked,
                                range.to_string()));
    }
    const std::string ip = ServiceRange::canonical(asked);
    if (!ips_.insert(ip).second) return refuse("provided IP is already allocated");
    claim.taken_ips_.push_back(ip);
    return {};
  }
  // As upstream: the lower part of the range is left to those who ask for an address, while the upper one has room.
  const uint32_t count = range.count();
  uint32_t reserved = std::clamp((count + 2) / 16, uint32_t{16}, uint32_t{256});
  if (count < 32) reserved = 0;
  const uint32_t upper = count - reserved;
  const uint32_t start = random_() % upper;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t offset = i < upper ? reserved + (start + i) % upper : i - upper;
    std::string ip = range.address(1 + offset);
    if (offset == 0 || !ips_.insert(ip).second) continue;
    claim.taken_ips_.push_back(ip);
    ips[index] = std::move(ip);
    return {};
  }
  return Status::internal("failed to allocate a serviceIP: range is full");
}

Result<int32_t> ServiceAllocator::any_port(std::string_view protocol, Claim& claim) {
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

Result<int32_t> ServiceAllocator::take_port(int32_t asked, size_t index, std::string_view protocol,
                                            const Service& service, Claim& claim) {
  if (asked == 0) return any_port(protocol, claim);
  std::string field = fmt::format("spec.ports[{}].nodePort", index);
  if (asked < first_port_ || asked > last_port_) {
    return invalid(service,
                   api::field_error::invalid(field, int64_t{asked},
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

Status ServiceAllocator::take_ips(const Service* stored, Service& service, Claim& claim) {
  auto& spec = service.spec;
  if (keeps_preferred_families(stored, service)) return {};
  const auto take_from = [&](size_t first) -> Status {
    for (size_t i = first; i < spec.ip_families.size(); ++i) TRY(take_ip(i, service, claim));
    spec.cluster_ip = spec.cluster_ips.empty() ? "" : spec.cluster_ips.front();
    return {};
  };
  if (stored == nullptr || is_external_name(*stored)) {
    if (is_external_name(service) || is_headless(service)) return {};
    return take_from(0);
  }
  if (is_headless(*stored)) return {};
  const auto& before = stored->spec;
  const auto free_from = [&](size_t first) {
    for (size_t i = first; i < before.cluster_ips.size(); ++i) {
      claim.freed_ips_.push_back(ServiceRange::canonical(before.cluster_ips[i]));
    }
  };
  if (is_external_name(service)) {
    free_from(0);
    return {};
  }
  // Other changes of addresses are validation's to refuse.
  if (before.cluster_ips.size() == 1 && spec.ip_families.size() == 2) return take_from(1);
  if (before.cluster_ips.size() == 2 && spec.ip_families.size() == 1) free_from(1);
  return {};
}

Status ServiceAllocator::take_ports(const Service* stored, Service& service, Claim& claim) {
  std::unordered_set<uint32_t> held;
  if (stored != nullptr) {
    for (const auto& port : stored->spec.ports) {
      if (port.node_port != 0) held.insert(port_key(port.node_port, port.protocol));
    }
  }
  auto& ports = service.spec.ports;
  std::unordered_set<uint32_t> kept;
  if (may_have_ports(service)) {
    // Ports of several protocols with one number share a node port: those asked for first, wherever they stand.
    std::map<int32_t, int32_t> by_port;
    for (const auto& port : ports) {
      if (port.node_port != 0) by_port.emplace(port.port, port.node_port);
    }
    for (size_t i = 0; i < ports.size(); ++i) {
      auto& port = ports[i];
      if (port.node_port == 0) {
        if (!wants_ports(service)) continue;
        const auto shared = by_port.find(port.port);
        if (shared != by_port.end() && !ports_.contains(port_key(shared->second, port.protocol))) {
          port.node_port = shared->second;
        }
      }
      const uint32_t key = port_key(port.node_port, port.protocol);
      if (port.node_port != 0 && held.contains(key)) {
        kept.insert(key);
        continue;
      }
      TRY_ASSIGN(port.node_port, take_port(port.node_port, i, port.protocol, service, claim));
      by_port.emplace(port.port, port.node_port);
    }
  }
  for (uint32_t key : held) {
    if (!kept.contains(key)) claim.freed_ports_.push_back(key);
  }
  return {};
}

Status ServiceAllocator::take_health_port(const Service* stored, Service& service, Claim& claim) {
  const int32_t before = stored != nullptr ? stored->spec.health_check_node_port : 0;
  const bool needed = stored != nullptr && api::validation::needs_health_check_port(*stored);
  int32_t& port = service.spec.health_check_node_port;
  if (api::validation::needs_health_check_port(service)) {
    // Another one instead is validation's to refuse.
    if (needed && before != 0) return {};
    if (port == 0) {
      TRY_ASSIGN(port, any_port("TCP", claim));
      return {};
    }
    const uint32_t key = port_key(port, "TCP");
    if (port < first_port_ || port > last_port_ || !ports_.insert(key).second) {
      return Status::internal(fmt::format(
          "failed to allocate requested HealthCheck NodePort {}: provided port is {}", port,
          port < first_port_ || port > last_port_
              ? fmt::format("not in the valid range. The range of valid ports is {}-{}", first_port_, last_port_)
              : "already allocated"));
    }
    claim.taken_ports_.push_back(key);
    return {};
  }
  if (needed && before != 0) {
    claim.freed_ports_.push_back(port_key(before, "TCP"));
    if (port == before) port = 0;
  }
  return {};
}

Status ServiceAllocator::take(const Service* stored, Service& service, Claim& claim) {
  api::validation::ErrorList errors;
  init_families(families_, stored, service, errors);
  if (!errors.empty()) return api::invalid("", "Service", service.metadata.name, errors.take());
  TRY(take_ips(stored, service, claim));
  TRY(take_ports(stored, service, claim));
  return take_health_port(stored, service, claim);
}

Result<ServiceAllocator::Claim> ServiceAllocator::claim(const Service* stored, Service& service) {
  Claim claim;
  std::scoped_lock lock(mutex_);
  TRY(load());
  const Status taken = take(stored, service, claim);
  // The claim's destructor would take the lock itself.
  if (!taken.ok()) {
    undo(claim);
    return taken;
  }
  claim.owner_ = this;
  return claim;
}

void ServiceAllocator::undo(Claim& claim) {
  for (const std::string& ip : claim.taken_ips_) ips_.erase(ip);
  for (uint32_t port : claim.taken_ports_) ports_.erase(port);
}

void ServiceAllocator::release(const Service& service) {
  std::scoped_lock lock(mutex_);
  for (const std::string& text : service.spec.cluster_ips) ips_.erase(ServiceRange::canonical(text));
  for (const auto& port : service.spec.ports) {
    if (port.node_port != 0) ports_.erase(port_key(port.node_port, port.protocol));
  }
  if (service.spec.health_check_node_port != 0) ports_.erase(port_key(service.spec.health_check_node_port, "TCP"));
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
  owner_->undo(*this);
}

void ServiceAllocator::Claim::commit() {
  if (owner_ == nullptr) return;
  std::scoped_lock lock(owner_->mutex_);
  for (const std::string& ip : freed_ips_) owner_->ips_.erase(ip);
  for (uint32_t port : freed_ports_) owner_->ports_.erase(port);
  owner_ = nullptr;
}

}  // namespace trireme::apiserver
