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
#include "apiserver/watch/caches.h"
#include "base/result.h"

namespace trireme::apiserver {

/// Gives services their cluster IPs and node ports. What is taken is known from the stored services, read at the first
/// use; claims keep concurrent writers apart until they are stored. Thread-safe within the one process that writes.
class ServiceAllocator {
 public:
  /// `cidr` is an IPv4 range such as "10.96.0.0/16". BadRequest when it is not.
  static Result<std::shared_ptr<ServiceAllocator>> create(std::shared_ptr<Caches> caches, std::string_view cidr,
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
    std::vector<uint32_t> taken_ips_, freed_ips_;
    std::vector<uint32_t> taken_ports_, freed_ports_;
  };

  /// Fills in `service.spec`'s cluster IPs and node ports as its type wants them, `stored` being what there was (null:
  /// a new service). Invalid when an address or port asked for is taken or out of range, or none is left.
  Result<Claim> claim(const api::corev1::Service* stored, api::corev1::Service& service);
  /// A deleted service's.
  void release(const api::corev1::Service& service);

  /// The first address of the range, which default/kubernetes has.
  std::string first_ip() const;

 private:
  ServiceAllocator(std::shared_ptr<Caches> caches, uint32_t base, uint32_t size, uint16_t first_port,
                   uint16_t last_port, api::RandomSource random);
  Status load();
  Result<std::string> take_ip(std::string_view asked, const api::corev1::Service& service, Claim& claim);
  Result<int32_t> take_port(int32_t asked, size_t index, std::string_view protocol, const api::corev1::Service& service,
                            Claim& claim);
  /// A port is one claim per protocol.
  static uint32_t port_key(int32_t port, std::string_view protocol);
  void release_locked(const api::corev1::Service& service);

  const std::shared_ptr<Caches> caches_;
  const uint32_t base_;
  const uint32_t size_;
  const uint16_t first_port_;
  const uint16_t last_port_;
  const api::RandomSource random_;

  std::mutex mutex_;
  bool loaded_ = false;
  std::unordered_set<uint32_t> ips_;
  std::unordered_set<uint32_t> ports_;
};

}  // namespace trireme::apiserver
