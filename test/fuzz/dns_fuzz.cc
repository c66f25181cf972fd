// Packets as a client sends them, and as an upstream server answers: whatever comes in, what goes out is a well-formed
// message within its limit.
#include <vector>

#include "dns/answer.h"
#include "dns/relay.h"
#include "fuzz.h"

namespace trireme::fuzz {

// The driver's seeds are text without zero bytes; '~' stands for one in these, and every input is read that way too.
const char* const kSeeds[] = {
    "\0224\001~~\001~~~~~~\003web\007default\003svc\007cluster\005local~~\001~\001",
    "\0224\001~~\001~~~~~\001\005_http\004_tcp\002db\007default\003svc\007cluster\005local~~!~\001~~)\004\320~~~~~~",
    "\0224\001~~\001~~~~~\001\002db\007default\003svc\007cluster\005local~~\001~\001~~)\004\320~~~~~~",
    "\0224\001~~\001~~~~~~\0011\0010\00296\00210\007in-addr\004arpa~~\014~\001",
    "\0224\201\200~\001~\001~\001~~\003www\007example~~\001~\001\300\014~\001~\001~~~\036~\004\012\001\002\003\300\020~"
    "\006~\001~~~\036~\034\001m\300\020\001n\300\020~~~\001~~~\001~~~\001~~~\001~~~\001",
    nullptr};

namespace {

/// The records of a message can be read to its end.
void require_well_formed(dns::Bytes message, size_t limit) {
  require(message.size() >= dns::kHeaderSize && message.size() <= limit, "a response is within its limit");
  size_t at = dns::kHeaderSize;
  dns::Name name;
  if (dns::get16(message, 4) == 1) {
    require(dns::read_name(message, at, name) && at + 4 <= message.size(), "the question can be read");
    at += 4;
  }
  const int records = dns::get16(message, 6) + dns::get16(message, 8) + dns::get16(message, 10);
  for (int i = 0; i < records; ++i) {
    dns::Record record;
    require(dns::read_record(message, at, record), "every record can be read");
  }
  require(at == message.size(), "nothing stands behind the records");
}

const dns::Records& records() {
  static const dns::Records* const kept = [] {
    auto* made = new dns::Records();
    made->set_namespace("default", true);
    auto service = std::make_shared<api::corev1::Service>();
    service->metadata.namespace_ = "default";
    service->metadata.name = "db";
    service->spec.cluster_ip = "None";
    made->apply(nullptr, service);
    auto slice = std::make_shared<api::discoveryv1::EndpointSlice>();
    slice->metadata.namespace_ = "default";
    slice->metadata.name = "db-1";
    slice->metadata.labels["kubernetes.io/service-name"] = "db";
    slice->address_type = "IPv4";
    slice->ports.resize(1);
    slice->ports[0].name = "http";
    slice->ports[0].port = 80;
    for (int i = 0; i < 200; ++i) {
      slice->endpoints.emplace_back().addresses = {"10.244.0." + std::to_string(i)};
    }
    made->apply(nullptr, slice);
    auto web = std::make_shared<api::corev1::Service>(*service);
    web->metadata.name = "web";
    web->spec.cluster_ip = "10.96.0.1";
    made->apply(nullptr, web);
    return made;
  }();
  return *kept;
}

}  // namespace
}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;  // NOLINT
  static const dns::Zones zones = *dns::make_zones("cluster.local", {"10.96.0.0/12"}, {"10.96.0.10"});
  std::vector<uint8_t> packet(data, data + size);
  for (uint8_t& byte : packet) byte = byte == '~' ? 0 : byte;

  dns::Query query;
  dns::Answer answer;
  std::vector<uint8_t> out(dns::kMaxMessage);
  for (const bool tcp : {false, true}) {
    dns::answer(fuzz::records(), zones, packet, tcp, 1, out, query, answer);
    if (answer.outcome == dns::Outcome::kDone || answer.outcome == dns::Outcome::kChase) {
      const size_t limit = tcp ? dns::kMaxMessage : dns::response_limit(query, false);
      fuzz::require_well_formed({out.data(), answer.size}, limit);
    }
  }

  // As a response to the question that it has itself.
  dns::Name name;
  size_t at = dns::kHeaderSize;
  if (packet.size() < dns::kHeaderSize || !dns::read_name(packet, at, name) || at + 4 > packet.size()) return 0;
  name.lower();
  const auto relayed = dns::read_response(packet, name, dns::get16(packet, at), {}, 30);
  if (!relayed) return 0;
  std::vector<uint8_t> asked(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(relayed->question_end));
  dns::put16(asked.data() + 2, dns::flag::kRecursionDesired);
  for (size_t i = 6; i < dns::kHeaderSize; ++i) asked[i] = 0;
  if (dns::parse_query(asked, query) != dns::Verdict::kGood) return 0;
  for (const bool edns : {false, true}) {
    query.edns = edns;
    for (const size_t limit : {size_t{512}, size_t{1232}, dns::kMaxMessage}) {
      fuzz::require_well_formed({out.data(), dns::render(*relayed, query, asked, std::chrono::seconds(2), limit, out)},
                                limit);
      std::vector<uint8_t> partial(asked);
      fuzz::require_well_formed(
          {out.data(), dns::render_chased(partial, *relayed, query, asked, std::chrono::seconds(2), limit, out)},
          limit);
    }
  }
  return 0;
}
