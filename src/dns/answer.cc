#include "dns/answer.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace trireme::dns {
namespace {

constexpr std::string_view kSchemaVersion = "1.1.0";
constexpr int kMaxChain = 8;  // of ExternalNames that lead to each other
constexpr uint16_t kWeight = 100;

enum class Found { kNothing, kName, kRecords };

/// One query on its way through the zones.
class Answering {
 public:
  Answering(const Records& records, const Zones& zones, const Query& query, uint32_t rotation, Writer& writer)
      : records_(records), zones_(zones), query_(query), rotation_(rotation), writer_(writer) {}

  /// `chase` is set when the answer leads outside.
  void cluster_name(Answer& answer) {
    Name name;
    const Name* current = &query_.name;
    for (int i = 0; i < kMaxChain; ++i) {
      target_ = nullptr;
      owner_ = current == &query_.name ? nullptr : current;
      const Found found = in_domain(*current);
      if (target_ == nullptr) {
        finish(found, zones_.domain);
        return;
      }
      Name next;
      next.clear();
      if (!parse_name(target_->external_name, next)) {
        writer_.set_rcode(rcode::kServFail);
        return;
      }
      if (!writer_.name_record(owner_, type::kCname, zones_.ttl, next)) truncated();
      if (query_.type == type::kCname || query_.type == type::kAny) return;
      next.lower();
      name = next;
      current = &name;
      if (!name.within(zones_.domain)) {
        answer.outcome = Outcome::kChase;
        answer.chase = name;
        return;
      }
    }
    writer_.set_rcode(rcode::kServFail);
  }

  /// False when the name is for others.
  bool reverse_name() {
    Address address;
    size_t complete = 0;
    const bool valid = read_reverse(query_.name, address, complete);
    const size_t whole = address.v6 ? 32 : 4;
    const uint8_t bits = address.v6 ? 4 : 8;
    const Zones::Range* range = nullptr;
    for (const Zones::Range& each : zones_.reverse) {
      if (each.address.v6 == address.v6 && complete * bits >= each.length && contains(each, address)) range = &each;
    }
    const size_t labels = query_.name.labels - size_t{2};
    if (valid && labels == whole) {
      if (const auto* entries = records_.reverse(address)) {
        if (query_.type == type::kPtr || query_.type == type::kAny) {
          pointers(*entries);
          return true;
        }
        if (range == nullptr) return false;
        finish(Found::kName, apex(*range));
        return true;
      }
    }
    if (range == nullptr) return false;
    const Name zone = apex(*range);
    const bool above = valid && labels < whole;
    if (above && query_.name.labels == zone.labels && query_.type == type::kSoa) {
      soa(zone, Writer::Section::kAnswer);
      return true;
    }
    if (above && query_.name.labels == zone.labels && query_.type == type::kNs) {
      name_servers();
      return true;
    }
    finish(above ? Found::kName : Found::kNothing, zone);
    return true;
  }

 private:
  void truncated() { writer_.set_flag(flag::kTruncated); }

  void finish(Found found, const Name& zone) {
    if (found == Found::kRecords) return;
    if (found == Found::kNothing) writer_.set_rcode(rcode::kNxDomain);
    soa(zone, Writer::Section::kAuthority);
  }

  void soa(const Name& zone, Writer::Section section) {
    Name primary = relative({"ns", "dns"});
    Name mailbox = relative({"hostmaster"});
    writer_.section(section);
    if (!writer_.soa(zone, zones_.ttl, primary, mailbox, records_.serial(), zones_.ttl)) truncated();
  }

  Name relative(std::initializer_list<std::string_view> labels) const {
    Name name;
    name.clear();
    for (const std::string_view label : labels) name.append(label);
    name.append(zones_.domain.wire());
    return name;
  }

  Name service_name(const ServiceRecords& service) const { return relative({service.name, service.ns, "svc"}); }

  void name_servers() {
    const Name server = relative({"ns", "dns"});
    if (!writer_.name_record(owner_, type::kNs, zones_.ttl, server)) truncated();
    additional(&server, zones_.name_servers);
  }

  void additional(const Name* owner, const std::vector<Address>& addresses) {
    writer_.section(Writer::Section::kAdditional);
    for (const Address& address : addresses) {
      (void)writer_.record(owner, address.v6 ? type::kAaaa : type::kA, zones_.ttl, address.wire());
    }
  }

  /// Names below the cluster's domain.
  Found in_domain(const Name& name) {
    const size_t labels = static_cast<size_t>(name.labels - zones_.domain.labels);
    if (labels == 0) {
      if (query_.type == type::kSoa) return soa(zones_.domain, Writer::Section::kAnswer), Found::kRecords;
      if (query_.type == type::kNs) return name_servers(), Found::kRecords;
      return any();
    }
    const std::string_view last = name.label(labels - 1);
    if (last == "dns-version") {
      if (labels != 1) return Found::kNothing;
      if (query_.type != type::kTxt) return any();
      std::array<uint8_t, 1 + kSchemaVersion.size()> text;
      text[0] = static_cast<uint8_t>(kSchemaVersion.size());
      std::memcpy(text.data() + 1, kSchemaVersion.data(), kSchemaVersion.size());
      if (!writer_.record(owner_, type::kTxt, zones_.ttl, text)) truncated();
      return Found::kRecords;
    }
    if (last == "dns") {
      if (labels == 1) return any();
      if (labels != 2 || name.label(0) != "ns") return Found::kNothing;
      return addresses(zones_.name_servers);
    }
    const bool pod = last == "pod";
    if (!pod && last != "svc") return Found::kNothing;
    if (labels == 1) return any();
    const std::string_view ns = name.label(labels - 2);
    if (!records_.has_namespace(ns)) return Found::kNothing;
    if (labels == 2) return any();
    if (pod) return labels == 3 ? pod_name(name.label(0)) : Found::kNothing;
    const ServiceRecords* service = records_.find(ns, name.label(labels - 3));
    if (service == nullptr) return Found::kNothing;
    return service_records(*service, name, labels - 3);
  }

  /// The name exists; ANY gets the answer that RFC 8482 proposes.
  Found any() {
    if (query_.type != type::kAny) return Found::kName;
    constexpr std::array<uint8_t, 9> kHinfo{7, 'R', 'F', 'C', '8', '4', '8', '2', 0};
    return writer_.record(owner_, type::kHinfo, zones_.ttl, kHinfo) ? Found::kRecords : Found::kName;
  }

  /// "10-1-2-3" is what it says.
  Found pod_name(std::string_view label) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (label.size() >= text.size()) return Found::kNothing;
    const bool v6 = std::count(label.begin(), label.end(), '-') != 3 || label.find("--") != std::string_view::npos;
    std::transform(label.begin(), label.end(), text.begin(), [&](char c) { return c == '-' ? (v6 ? ':' : '.') : c; });
    Address address;
    address.v6 = v6;
    const bool valid = label.find_first_of(".:") == std::string_view::npos &&
                       ::inet_pton(v6 ? AF_INET6 : AF_INET, text.data(), address.bytes.data()) == 1;
    if (!valid) return Found::kNothing;
    return addresses({&address, 1});
  }

  /// Those of the family that was asked for, beginning anywhere.
  Found addresses(std::span<const Address> list) {
    const bool v6 = query_.type == type::kAaaa;
    if (query_.type == type::kAny && !list.empty()) return any();
    if (query_.type != type::kA && !v6) return Found::kName;
    bool written = false;
    for (size_t i = 0; i < list.size(); ++i) {
      const Address& address = list[(i + rotation_) % list.size()];
      if (address.v6 != v6) continue;
      written = true;
      if (writer_.record(owner_, query_.type, zones_.ttl, address.wire())) continue;
      truncated();
      break;
    }
    return written ? Found::kRecords : Found::kName;
  }

  /// What stands before the service's name: nothing, an endpoint, or port and protocol.
  struct Filter {
    std::string_view endpoint;
    std::string_view port;
    std::string_view protocol;
    bool matches(const Port& candidate) const {
      return (port.empty() || candidate.name == port) && (protocol.empty() || candidate.protocol == protocol);
    }
  };

  Found service_records(const ServiceRecords& service, const Name& name, size_t before) {
    Filter filter;
    if (before > 2) return Found::kNothing;
    if (before == 2) {
      filter.port = name.label(0);
      filter.protocol = name.label(1);
      if (!filter.port.starts_with('_') || !filter.protocol.starts_with('_')) return Found::kNothing;
      filter.port.remove_prefix(1);
      filter.protocol.remove_prefix(1);
      if (filter.port.empty()) return Found::kNothing;
    } else if (before == 1) {
      filter.endpoint = name.label(0);
      // "_tcp" alone has no records, but names below it.
      if (filter.endpoint.starts_with('_')) {
        filter.protocol = filter.endpoint.substr(1);
        return has_named_port(service, filter) ? any() : Found::kNothing;
      }
    }
    if (service.kind == ServiceRecords::Kind::kExternalName) {
      Address literal;
      const bool is_address = parse_address(service.external_name).has_value();
      if (before != 0 || is_address || service.external_name.empty()) return Found::kNothing;
      target_ = &service;
      return Found::kRecords;
    }
    const bool by_endpoint = service.kind == ServiceRecords::Kind::kHeadless || !filter.endpoint.empty();
    return by_endpoint ? endpoint_records(service, filter) : cluster_ip_records(service, filter);
  }

  static bool has_named_port(const ServiceRecords& service, const Filter& filter) {
    const auto named = [&](const Port& port) { return !port.name.empty() && filter.matches(port); };
    if (std::any_of(service.ports.begin(), service.ports.end(), named)) return true;
    return std::any_of(service.port_lists.begin(), service.port_lists.end(),
                       [&](const auto& list) { return std::any_of(list.begin(), list.end(), named); });
  }

  Found cluster_ip_records(const ServiceRecords& service, const Filter& filter) {
    const auto matching = std::count_if(service.ports.begin(), service.ports.end(),
                                        [&](const Port& port) { return filter.matches(port); });
    if (matching == 0 && (!filter.port.empty() || service.cluster_ips.empty())) return Found::kNothing;
    if (query_.type != type::kSrv) return addresses(service.cluster_ips);
    const Name target = service_name(service);
    const auto weight = static_cast<uint16_t>(std::max<int64_t>(1, kWeight / std::max<int64_t>(1, matching)));
    for (const Port& port : service.ports) {
      if (!filter.matches(port)) continue;
      if (!writer_.srv(owner_, zones_.ttl, 0, weight, port.number, target)) truncated();
    }
    if (matching == 0) return Found::kName;
    additional(&target, service.cluster_ips);
    return Found::kRecords;
  }

  /// The range of endpoints that the filter names.
  std::span<const EndpointRecord> chosen(const ServiceRecords& service, const Filter& filter) const {
    std::span<const EndpointRecord> all = service.endpoints;
    if (filter.endpoint.empty()) return all;
    const auto [begin, end] = std::equal_range(all.begin(), all.end(), filter.endpoint, HostOrder());
    return {begin, end};
  }
  struct HostOrder {
    bool operator()(const EndpointRecord& record, std::string_view host) const { return record.host < host; }
    bool operator()(std::string_view host, const EndpointRecord& record) const { return host < record.host; }
  };

  Found endpoint_records(const ServiceRecords& service, const Filter& filter) {
    const bool everything = filter.endpoint.empty() && filter.port.empty();
    const auto endpoints = chosen(service, filter);
    if (endpoints.empty()) return Found::kNothing;
    if (everything && query_.type != type::kSrv) return addresses(service.addresses);
    const auto matches = [&](const EndpointRecord& endpoint) {
      if (filter.port.empty()) return true;
      const auto& ports = service.port_lists[endpoint.ports];
      return std::any_of(ports.begin(), ports.end(), [&](const Port& port) { return filter.matches(port); });
    };
    if (query_.type == type::kSrv) return endpoint_srv(service, endpoints, filter);
    const bool v6 = query_.type == type::kAaaa;
    bool any_match = false;
    bool written = false;
    const Address* last = nullptr;
    for (size_t i = 0; i < endpoints.size(); ++i) {
      // One endpoint's addresses keep their order; it is how doubles are seen.
      const EndpointRecord& endpoint = endpoints[filter.endpoint.empty() ? (i + rotation_) % endpoints.size() : i];
      if (!matches(endpoint)) continue;
      any_match = true;
      if (query_.type == type::kAny) return any();
      const bool asked = (query_.type == type::kA || v6) && endpoint.address.v6 == v6;
      if (!asked || (last != nullptr && *last == endpoint.address)) continue;
      last = &endpoint.address;
      written = true;
      if (writer_.record(owner_, query_.type, zones_.ttl, endpoint.address.wire())) continue;
      truncated();
      break;
    }
    if (written) return Found::kRecords;
    return any_match ? Found::kName : Found::kNothing;
  }

  Found endpoint_srv(const ServiceRecords& service, std::span<const EndpointRecord> endpoints, const Filter& filter) {
    size_t count = 0;
    for (const EndpointRecord& endpoint : endpoints) {
      for (const Port& port : service.port_lists[endpoint.ports]) count += filter.matches(port) ? 1 : 0;
    }
    if (count == 0) return filter.port.empty() ? Found::kName : Found::kNothing;
    const auto weight = static_cast<uint16_t>(std::max<size_t>(1, kWeight / count));
    const Name parent = service_name(service);
    Name target;
    const auto name_of = [&](const EndpointRecord& endpoint) {
      target.clear();
      target.append(endpoint.host);
      target.append(parent.wire());
    };
    bool fits = true;
    // A host's addresses of both families share one record.
    const auto repeated = [&](size_t i) {
      return i > 0 && endpoints[i].host == endpoints[i - 1].host && same_ports(service, endpoints[i], endpoints[i - 1]);
    };
    for (size_t i = 0; i < endpoints.size() && fits; ++i) {
      if (repeated(i)) continue;
      name_of(endpoints[i]);
      for (const Port& port : service.port_lists[endpoints[i].ports]) {
        if (fits && filter.matches(port)) fits = writer_.srv(owner_, zones_.ttl, 0, weight, port.number, target);
      }
    }
    if (!fits) {
      truncated();
      return Found::kRecords;
    }
    writer_.section(Writer::Section::kAdditional);
    for (size_t i = 0; i < endpoints.size() && fits; ++i) {
      if (repeated(i) && endpoints[i].address == endpoints[i - 1].address) continue;
      name_of(endpoints[i]);
      const Address& address = endpoints[i].address;
      fits = writer_.record(&target, address.v6 ? type::kAaaa : type::kA, zones_.ttl, address.wire());
    }
    return Found::kRecords;
  }

  static bool same_ports(const ServiceRecords& service, const EndpointRecord& a, const EndpointRecord& b) {
    const auto& x = service.port_lists[a.ports];
    const auto& y = service.port_lists[b.ports];
    return a.ports == b.ports || std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const Port& p, const Port& q) {
             return p.name == q.name && p.protocol == q.protocol && p.number == q.number;
           });
  }

  // Reverse names.

  /// What the labels before in-addr.arpa or ip6.arpa say; false when they are no part of an address. `complete`: how
  /// many were read, from the right.
  static bool read_reverse(const Name& name, Address& address, size_t& complete) {
    static const Name v6_zone = [] {
      Name zone;
      parse_name("ip6.arpa", zone);
      return zone;
    }();
    address.v6 = name.within(v6_zone);
    const size_t whole = address.v6 ? 32 : 4;
    const size_t labels = name.labels - size_t{2};
    for (complete = 0; complete < labels; ++complete) {
      if (complete == whole) return false;
      const std::string_view label = name.label(labels - 1 - complete);
      unsigned value = 0;
      const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), value, address.v6 ? 16 : 10);
      const bool number = error == std::errc() && end == label.data() + label.size() &&
                          (label.size() == 1 || (!address.v6 && label[0] != '0'));
      if (!number || value > 255) return false;
      if (address.v6) {
        address.bytes[complete / 2] |= static_cast<uint8_t>(complete % 2 == 0 ? value << 4 : value);
      } else {
        address.bytes[complete] = static_cast<uint8_t>(value);
      }
    }
    return true;
  }

  static bool contains(const Zones::Range& range, const Address& address) {
    for (size_t bit = 0; bit < range.length; bit += 8) {
      const auto mask = static_cast<uint8_t>(range.length - bit >= 8 ? 0xff : 0xff << (8 - (range.length - bit)));
      if (((range.address.bytes[bit / 8] ^ address.bytes[bit / 8]) & mask) != 0) return false;
    }
    return true;
  }

  /// The zone that the question's name belongs to: the range's, cut at whole labels.
  Name apex(const Zones::Range& range) const {
    const size_t bits = range.address.v6 ? 4 : 8;
    const size_t labels = (range.length + bits - 1) / bits + 2;
    Name zone;
    zone.clear();
    zone.append(query_.name.suffix(query_.name.labels - labels));
    return zone;
  }

  void pointers(const std::vector<ReverseEntry>& entries) {
    const bool cluster_ip =
        std::any_of(entries.begin(), entries.end(), [](const ReverseEntry& entry) { return entry.host.empty(); });
    for (const ReverseEntry& entry : entries) {
      if (cluster_ip && !entry.host.empty()) continue;
      Name target;
      target.clear();
      if (!entry.host.empty()) target.append(entry.host);
      target.append(service_name(*entry.service).wire());
      if (writer_.name_record(nullptr, type::kPtr, zones_.ttl, target)) continue;
      truncated();
      return;
    }
  }

  const Records& records_;
  const Zones& zones_;
  const Query& query_;
  const uint32_t rotation_;
  Writer& writer_;
  const Name* owner_ = nullptr;             ///< Null: the question's name.
  const ServiceRecords* target_ = nullptr;  ///< An ExternalName that the name led to.
};

const Name& arpa(bool v6) {
  static const std::array<Name, 2> zones = [] {
    std::array<Name, 2> both;
    parse_name("in-addr.arpa", both[0]);
    parse_name("ip6.arpa", both[1]);
    return both;
  }();
  return zones[v6 ? 1 : 0];
}

}  // namespace

Result<Zones> make_zones(const std::string& domain, const std::vector<std::string>& ranges,
                         const std::vector<std::string>& name_servers) {
  Zones zones;
  if (!parse_name(domain, zones.domain) || zones.domain.labels == 0) {
    return Status::bad_request(fmt::format("\"{}\" is no domain such as cluster.local", domain));
  }
  zones.domain.lower();
  for (const std::string& text : ranges) {
    const size_t slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    unsigned length = 0;
    const char* end = text.data() + text.size();
    const bool number = slash != std::string::npos &&
                        std::from_chars(text.data() + slash + 1, end, length).ptr == end && slash + 1 < text.size();
    if (!address || !number || length > (address->v6 ? 128U : 32U)) {
      return Status::bad_request(fmt::format("\"{}\" is no network such as 10.96.0.0/16", text));
    }
    zones.reverse.push_back({*address, static_cast<uint8_t>(length)});
  }
  for (const std::string& text : name_servers) {
    const auto address = parse_address(text);
    if (!address) return Status::bad_request(fmt::format("\"{}\" is no address", text));
    zones.name_servers.push_back(*address);
  }
  return zones;
}

size_t error_response(const Query& query, Bytes packet, uint8_t rcode, std::span<uint8_t> out) {
  Writer writer(out, kMinUdpPayload);
  writer.begin(query, packet, rcode == rcode::kFormErr ? 0 : flag::kRecursionAvailable);
  writer.set_rcode(rcode);
  return writer.finish();
}

void answer(const Records& records, const Zones& zones, Bytes packet, bool tcp, uint32_t rotation,
            std::span<uint8_t> out, Query& query, Answer& answer) {
  answer.outcome = Outcome::kDone;
  answer.rcode = rcode::kNoError;
  const auto fail = [&](uint8_t rcode) {
    answer.rcode = rcode;
    answer.size = error_response(query, packet, rcode, out);
  };
  switch (parse_query(packet, query)) {
    case Verdict::kIgnore:
      answer.outcome = Outcome::kIgnore;
      return;
    case Verdict::kFormErr:
      return fail(rcode::kFormErr);
    case Verdict::kNotImplemented:
      query.question_end = 0;
      return fail(rcode::kNotImp);
    case Verdict::kBadVersion:
      return fail(rcode::kBadVers);
    case Verdict::kGood:
      break;
  }
  if (query.klass != kClassIn) return fail(rcode::kRefused);
  const bool own = query.name.within(zones.domain);
  const bool reverse = !own && (query.name.within(arpa(false)) || query.name.within(arpa(true)));
  const bool transfer = query.type == type::kAxfr || query.type == type::kIxfr;
  if (transfer || query.type == type::kOpt) return fail(rcode::kRefused);
  if (!own && !reverse) {
    answer.outcome = Outcome::kForward;
    return;
  }
  Writer writer(out, response_limit(query, tcp));
  writer.begin(query, packet, flag::kAuthoritative | flag::kRecursionAvailable);
  Answering answering(records, zones, query, rotation, writer);
  if (own) {
    answering.cluster_name(answer);
  } else if (!answering.reverse_name()) {
    answer.outcome = Outcome::kForward;
    return;
  }
  answer.size = writer.finish();
  answer.rcode = out[3] & 0x0f;
}

}  // namespace trireme::dns
