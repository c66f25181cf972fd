#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "dns/records.h"
#include "dns/wire.h"

/// The cluster's names answered from an index: bytes in, bytes out. Pure: no clock, no network, no allocation.
/// The names are those of the DNS specification for Kubernetes, version 1.1.0
/// (https://github.com/kubernetes/dns/blob/master/docs/specification.md); where it leaves a choice, CoreDNS's is taken.
namespace trireme::dns {

/// What the server is responsible for.
struct Zones {
  struct Range {
    Address address;
    uint8_t length = 0;
  };
  Name domain;  ///< "cluster.local."
  std::vector<Range>
      reverse;  ///< Of pods and services: addresses that nobody has are answered NXDOMAIN, not forwarded.
  std::vector<Address> name_servers;  ///< What ns.dns.<domain> has.
  uint32_t ttl = 30;                  ///< Seconds; also that of negative answers.
};

/// `domain`: "cluster.local"; `ranges`: "10.96.0.0/16"; `name_servers`: addresses. BadRequest tells what is wrong.
Result<Zones> make_zones(const std::string& domain, const std::vector<std::string>& ranges,
                         const std::vector<std::string>& name_servers);

enum class Outcome {
  kIgnore,   ///< Send nothing.
  kDone,     ///< The response is complete.
  kForward,  ///< Not our name: ask an upstream server.
  kChase,  ///< The response ends in a CNAME that leads outside; `chase` is to be asked of an upstream server, and what
           ///< it answers belongs behind.
};

struct Answer {
  Outcome outcome = Outcome::kIgnore;
  size_t size = 0;  ///< Of the response; with kChase of the one that holds what is known.
  uint8_t rcode = 0;
  Name chase;  ///< In lower case.
};

/// Parses `packet` and answers it into `out` (at least kMaxMessage for TCP, kMaxUdpPayload for UDP). `query` is filled
/// in for who forwards. `rotation`: any number; answers of several addresses begin at another one with each.
void answer(const Records& records, const Zones& zones, Bytes packet, bool tcp, uint32_t rotation,
            std::span<uint8_t> out, Query& query, Answer& answer);

/// A response without records: for what could not be forwarded.
size_t error_response(const Query& query, Bytes packet, uint8_t rcode, std::span<uint8_t> out);

}  // namespace trireme::dns
