#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "api/names.h"
#include "api/types/corev1.h"
#include "apiserver/registry/service_range.h"
#include "apiserver/watch/caches.h"
#include "base/result.h"

namespace trireme::apiserver {

/// Gives services their cluster IPs, node ports and health check ports. What is taken is known from the stored
/// services, read at the first use; claims keep concurrent writers apart until they are stored. Thread-safe within the
/// one process that writes.
class ServiceAllocator {
 public:
  /// `cidrs` is a range such as "10.96.0.0/16", or one of each family with a comma between them, of which the first is
  /// that of services that ask for none. BadRequest when it is not.
  static Result<std::shared_ptr<ServiceAllocator>> create(std::shared_ptr<Caches> caches, std::string_view cidrs,
                                                          uint16_t first_port, uint16_t last_port,
                                                          api::RandomSource random);

  /// What one write has taken and what it gives back; undone unless committed.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept { *this = std::move(other); }
    Claim& operator=(Claim&& other) noexcept;
    ~Claim();
    void commit();

   private:
    friend class ServiceAllocator;
    ServiceAllocator* owner_ = nullptr;
    std::vector<std::string> taken_ips_, freed_ips_;
    std::vector<uint32_t> taken_ports_, freed_ports_;
  };

  /// Fills in `service.spec`'s address families, cluster IPs, node ports and health check port as its type and policy
  /// want them, `stored` being what there was (null: a new service). To be called before the service is validated:
  /// validation wants what is allocated here. Invalid when an address or port asked for is taken or out of range, or
  /// for families that the cluster has not; InternalError when none is left.
  Result<Claim> claim(const api::corev1::Service* stored, api::corev1::Service& service);
  /// A deleted service's.
  void release(const api::corev1::Service& service);

  /// The first address of the first range, which default/kubernetes has.
  std::string first_ip() const { return ranges_.front().address(1); }
  const std::string& first_family() const { return families_.front(); }

 private:
  ServiceAllocator(std::shared_ptr<Caches> caches, std::vector<ServiceRange> ranges, uint16_t first_port,
                   uint16_t last_port, api::RandomSource random);
  Status load();
  Status take(const api::corev1::Service* stored, api::corev1::Service& service, Claim& claim);
  Status take_ips(const api::corev1::Service* stored, api::corev1::Service& service, Claim& claim);
  Status take_ports(const api::corev1::Service* stored, api::corev1::Service& service, Claim& claim);
  Status take_health_port(const api::corev1::Service* stored, api::corev1::Service& service, Claim& claim);
  /// The `index`-th address, of the `index`-th family.
  Status take_ip(size_t index, api::corev1::Service& service, Claim& claim);
  Result<int32_t> take_port(int32_t asked, size_t index, std::string_view protocol, const api::corev1::Service& service,
                            Claim& claim);
  Result<int32_t> any_port(std::string_view protocol, Claim& claim);
  void undo(Claim& claim);
  /// A port is one claim per protocol.
  static uint32_t port_key(int32_t port, std::string_view protocol);

  const std::shared_ptr<Caches> caches_;
  const std::vector<ServiceRange> ranges_;
  std::vector<std::string> families_;  ///< Of the ranges, in their order.
  const uint16_t first_port_;
  const uint16_t last_port_;
  const api::RandomSource random_;

  std::mutex mutex_;
  bool loaded_ = false;
  std::unordered_set<std::string> ips_;  ///< In canonical form.
  std::unordered_set<uint32_t> ports_;
};

}  // namespace trireme::apiserver
