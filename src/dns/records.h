#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "dns/wire.h"

/// What the cluster's names are made from: an index of Services, EndpointSlices and Namespaces, kept up to date one
/// object at a time. Not thread-safe.
namespace trireme::dns {

struct Address {
  std::array<uint8_t, 16> bytes{};
  bool v6 = false;

  Bytes wire() const { return {bytes.data(), v6 ? size_t{16} : size_t{4}}; }
  auto operator<=>(const Address&) const = default;
};
/// "10.1.2.3" or "fd00::1".
std::optional<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);

struct AddressHash {
  size_t operator()(const Address& address) const {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(address.bytes.data()), 16});
  }
};

struct Port {
  std::string name;      ///< In lower case; empty for a port without a name.
  std::string protocol;  ///< "tcp", "udp", "sctp"
  uint16_t number = 0;
};

struct EndpointRecord {
  std::string host;  ///< A label: the endpoint's host name, else its address with dashes.
  Address address;
  uint32_t ports = 0;  ///< Index in ServiceRecords::port_lists.
};

struct ServiceRecords {
  enum class Kind : uint8_t { kAbsent, kClusterIp, kHeadless, kExternalName };

  std::string ns;
  std::string name;
  Kind kind = Kind::kAbsent;  ///< kAbsent: only slices are known so far.
  std::vector<Address> cluster_ips;
  std::vector<Port> ports;
  std::string external_name;  ///< As the spec has it.

  /// Ready endpoints of all slices, by host and address.
  std::vector<EndpointRecord> endpoints;
  std::vector<std::vector<Port>> port_lists;
  /// Of a headless service: each address once, IPv4 first.
  std::vector<Address> addresses;
  size_t v4_addresses = 0;

  std::map<std::string, std::shared_ptr<const api::discoveryv1::EndpointSlice>> slices;
};

/// Whose address it is.
struct ReverseEntry {
  const ServiceRecords* service = nullptr;
  std::string host;  ///< Of an endpoint; empty for a cluster address.
};

class Records {
 public:
  using Service = api::corev1::Service;
  using EndpointSlice = api::discoveryv1::EndpointSlice;

  /// Takes a change as informers report it: null for "not there".
  void apply(const std::shared_ptr<const Service>& before, const std::shared_ptr<const Service>& after);
  void apply(const std::shared_ptr<const EndpointSlice>& before, const std::shared_ptr<const EndpointSlice>& after);
  void set_namespace(const std::string& name, bool exists);

  /// Both in lower case. Null when there is no such service.
  const ServiceRecords* find(std::string_view ns, std::string_view service) const;
  bool has_namespace(std::string_view name) const { return namespaces_.contains(name); }
  /// Null when nothing here has it.
  const std::vector<ReverseEntry>* reverse(const Address& address) const;

  size_t services() const { return services_.size(); }
  /// Grows with every change: the zone's serial number.
  uint32_t serial() const { return serial_; }
  void set_serial(uint32_t serial) { serial_ = serial; }

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  ServiceRecords& at(const std::string& ns, const std::string& name);
  void rebuild_endpoints(ServiceRecords& service);
  void index_reverse(const ServiceRecords& service, bool add);
  void drop_if_unused(const ServiceRecords& service);

  /// By "namespace/name".
  std::unordered_map<std::string, std::unique_ptr<ServiceRecords>, TextHash, std::equal_to<>> services_;
  std::unordered_map<Address, std::vector<ReverseEntry>, AddressHash> reverse_;
  std::unordered_set<std::string, TextHash, std::equal_to<>> namespaces_;
  uint32_t serial_ = 1;
};

}  // namespace trireme::dns
