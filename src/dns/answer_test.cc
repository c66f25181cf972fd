#include "dns/answer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/codec.h"

namespace trireme::dns {
namespace {

using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

std::vector<uint8_t> make_query(std::string_view name, uint16_t type, int payload = 0, uint16_t klass = kClassIn) {
  std::vector<uint8_t> packet(kHeaderSize, 0);
  put16(packet.data(), 0x1234);
  put16(packet.data() + 2, flag::kRecursionDesired);
  packet[5] = 1;
  Name parsed;
  EXPECT_TRUE(parse_name(name, parsed)) << name;
  packet.insert(packet.end(), parsed.wire().begin(), parsed.wire().end());
  packet.resize(packet.size() + 4);
  put16(packet.data() + packet.size() - 4, type);
  put16(packet.data() + packet.size() - 2, klass);
  if (payload > 0) {
    packet[11] = 1;
    packet.resize(packet.size() + 11);
    uint8_t* opt = packet.data() + packet.size() - 11;
    put16(opt + 1, type::kOpt);
    put16(opt + 3, static_cast<uint16_t>(payload));
  }
  return packet;
}

std::string data_text(Bytes message, const Record& record) {
  size_t at = record.fixed + 10;
  Name name;
  const Bytes data = record.data(message);
  switch (record.type) {
    case type::kA:
    case type::kAaaa: {
      Address address;
      address.v6 = record.type == type::kAaaa;
      std::copy(data.begin(), data.end(), address.bytes.begin());
      return to_text(address);
    }
    case type::kSrv:
      at += 6;
      EXPECT_TRUE(read_name(message, at, name));
      return fmt::format("{} {} {} {}", get16(data, 0), get16(data, 2), get16(data, 4), to_text(name));
    case type::kTxt:
      return std::string(data.begin() + 1, data.end());
    case type::kHinfo:
      return std::string(data.begin() + 1, data.begin() + 1 + data[0]);
    case type::kCname:
    case type::kPtr:
    case type::kNs:
    case type::kSoa:
      EXPECT_TRUE(read_name(message, at, name));
      return to_text(name);
    default:
      return fmt::format("{} bytes", data.size());
  }
}

std::string type_text(uint16_t type) {
  switch (type) {
    case type::kA:
      return "A";
    case type::kAaaa:
      return "AAAA";
    case type::kSrv:
      return "SRV";
    case type::kPtr:
      return "PTR";
    case type::kCname:
      return "CNAME";
    case type::kSoa:
      return "SOA";
    case type::kNs:
      return "NS";
    case type::kTxt:
      return "TXT";
    case type::kHinfo:
      return "HINFO";
    default:
      return fmt::to_string(type);
  }
}

/// "NOERROR aa: name A 10.0.0.1, …" with ";" before authority and additional records, OPT left out.
std::string response_text(Bytes message) {
  if (message.size() < kHeaderSize) return "nothing";
  static constexpr const char* kCodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  const uint16_t flags = get16(message, 2);
  EXPECT_EQ(get16(message, 0), 0x1234);
  EXPECT_NE(flags & flag::kResponse, 0);
  std::string text = kCodes[flags & 0xf];
  if (flags & flag::kAuthoritative) text += " aa";
  if (flags & flag::kTruncated) text += " tc";
  text += ":";
  size_t at = kHeaderSize;
  if (get16(message, 4) == 1) {
    Name name;
    EXPECT_TRUE(read_name(message, at, name));
    at += 4;
  }
  for (size_t section = 0; section < 3; ++section) {
    std::vector<std::string> lines;
    for (int i = get16(message, 6 + 2 * section); i > 0; --i) {
      Record record;
      const size_t begin = at;
      if (!read_record(message, at, record)) return text + " broken";
      if (record.type == type::kOpt) continue;
      size_t name_at = begin;
      Name owner;
      EXPECT_TRUE(read_name(message, name_at, owner));
      EXPECT_EQ(record.ttl, 30u);
      lines.push_back(fmt::format("{} {} {}", to_text(owner), type_text(record.type), data_text(message, record)));
    }
    if (!lines.empty()) text += fmt::format("{} {}", section == 0 ? "" : ";", fmt::join(lines, ", "));
  }
  EXPECT_EQ(at, message.size());
  return text;
}

template <typename T>
std::shared_ptr<const T> object(std::string_view json) {
  auto decoded = api::decode_json<T>(std::string(json));
  EXPECT_TRUE(decoded.ok()) << decoded.status().to_string();
  return std::make_shared<const T>(*decoded);
}

class Names : public ::testing::Test {
 protected:
  void SetUp() override {
    auto zones = make_zones("cluster.local", {"10.96.0.0/16", "10.244.0.0/14", "fd00:10::/112"}, {"10.96.0.10"});
    ASSERT_TRUE(zones.ok()) << zones.status().to_string();
    zones_ = *zones;
    for (const char* name : {"default", "kube-system", "empty"}) records_.set_namespace(name, true);
    service(R"({"metadata":{"namespace":"default","name":"kubernetes"},"spec":{"clusterIP":"10.96.0.1",
      "clusterIPs":["10.96.0.1","fd00:10::1"],"ports":[{"name":"https","port":443},{"name":"Web","port":80,"protocol":"TCP"},
      {"port":53,"protocol":"UDP"}]}})");
    slice(
        R"({"metadata":{"namespace":"default","name":"kubernetes","labels":{"kubernetes.io/service-name":"kubernetes"}},
      "addressType":"IPv4","endpoints":[{"addresses":["10.244.9.9"]}],"ports":[{"name":"https","port":6443,"protocol":"TCP"}]})");
    service(
        R"({"metadata":{"namespace":"default","name":"db"},"spec":{"clusterIP":"None","ports":[{"name":"sql","port":5432}]}})");
    slice(R"({"metadata":{"namespace":"default","name":"db-1","labels":{"kubernetes.io/service-name":"db"}},
      "addressType":"IPv4","ports":[{"name":"sql","port":5432,"protocol":"TCP"}],"endpoints":[
      {"addresses":["10.244.0.5"],"hostname":"db-0"},
      {"addresses":["10.244.0.6"],"hostname":"db-1","conditions":{"ready":true}},
      {"addresses":["10.244.0.7"],"conditions":{"ready":false}},
      {"addresses":["10.244.0.8"]}]})");
    slice(R"({"metadata":{"namespace":"default","name":"db-2","labels":{"kubernetes.io/service-name":"db"}},
      "addressType":"IPv6","ports":[{"name":"sql","port":5432,"protocol":"TCP"}],"endpoints":[
      {"addresses":["fd00:20::5"],"hostname":"db-0"}]})");
    service(
        R"({"metadata":{"namespace":"default","name":"nobody"},"spec":{"clusterIP":"None","ports":[{"name":"x","port":1}]}})");
    service(
        R"({"metadata":{"namespace":"default","name":"out"},"spec":{"type":"ExternalName","externalName":"www.Example.com"}})");
    service(
        R"({"metadata":{"namespace":"default","name":"alias"},"spec":{"type":"ExternalName","externalName":"kubernetes.default.svc.cluster.local"}})");
    service(
        R"({"metadata":{"namespace":"default","name":"ghost"},"spec":{"type":"ExternalName","externalName":"x.default.svc.cluster.local."}})");
    service(
        R"({"metadata":{"namespace":"default","name":"round"},"spec":{"type":"ExternalName","externalName":"round.default.svc.cluster.local"}})");
    service(
        R"({"metadata":{"namespace":"default","name":"literal"},"spec":{"type":"ExternalName","externalName":"192.0.2.1"}})");
  }
  void service(std::string_view json) { records_.apply(nullptr, object<Service>(json)); }
  void slice(std::string_view json) { records_.apply(nullptr, object<EndpointSlice>(json)); }

  std::string ask_packet(const std::vector<uint8_t>& packet, bool tcp = false) {
    std::vector<uint8_t> out(kMaxMessage);
    Query query;
    dns::answer(records_, zones_, packet, tcp, 0, out, query, answer_);
    switch (answer_.outcome) {
      case Outcome::kIgnore:
        return "ignored";
      case Outcome::kForward:
        return "forward";
      default:
        break;
    }
    last_.assign(out.begin(), out.begin() + static_cast<ptrdiff_t>(answer_.size));
    std::string text = response_text(last_);
    if (answer_.outcome == Outcome::kChase) text += " | chase " + to_text(answer_.chase);
    return text;
  }
  std::string ask(std::string_view name, uint16_t type, int payload = 1232, bool tcp = false) {
    return ask_packet(make_query(name, type, payload), tcp);
  }

  Zones zones_;
  Records records_;
  Answer answer_;
  std::vector<uint8_t> last_;
};

constexpr const char* kSoa = "; cluster.local. SOA ns.dns.cluster.local.";

// The sections named are those of the specification.
TEST_F(Names, SchemaVersion_2_2) {
  EXPECT_EQ(ask("dns-version.cluster.local", type::kTxt), "NOERROR aa: dns-version.cluster.local. TXT 1.1.0");
  EXPECT_EQ(ask("dns-version.cluster.local", type::kA), fmt::format("NOERROR aa:{}", kSoa));
}

TEST_F(Names, ServiceWithClusterIp_2_3) {
  const std::string name = "kubernetes.default.svc.cluster.local.";
  EXPECT_EQ(ask(name, type::kA), "NOERROR aa: " + name + " A 10.96.0.1");
  EXPECT_EQ(ask(name, type::kAaaa), "NOERROR aa: " + name + " AAAA fd00:10::1");
  EXPECT_EQ(ask("_https._tcp." + name, type::kSrv),
            fmt::format("NOERROR aa: _https._tcp.{0} SRV 0 100 443 {0}; {0} A 10.96.0.1, {0} AAAA fd00:10::1", name));
  EXPECT_EQ(ask("_web._tcp." + name, type::kSrv).substr(0, 24), "NOERROR aa: _web._tcp.ku");
  EXPECT_EQ(ask("1.0.96.10.in-addr.arpa", type::kPtr), "NOERROR aa: 1.0.96.10.in-addr.arpa. PTR " + name);
  const std::string v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa.";
  EXPECT_EQ(ask(v6, type::kPtr), "NOERROR aa: " + v6 + " PTR " + name);
}

TEST_F(Names, UnnamedPortsHaveNoSrvOfTheirOwn) {
  EXPECT_EQ(ask("_._udp.kubernetes.default.svc.cluster.local", type::kSrv), fmt::format("NXDOMAIN aa:{}", kSoa));
  EXPECT_EQ(ask("_https._udp.kubernetes.default.svc.cluster.local", type::kSrv), fmt::format("NXDOMAIN aa:{}", kSoa));
  EXPECT_EQ(ask("_udp.kubernetes.default.svc.cluster.local", type::kSrv), fmt::format("NXDOMAIN aa:{}", kSoa));
  EXPECT_EQ(ask("_tcp.kubernetes.default.svc.cluster.local", type::kSrv), fmt::format("NOERROR aa:{}", kSoa));
}

TEST_F(Names, HeadlessService_2_4) {
  const std::string name = "db.default.svc.cluster.local.";
  EXPECT_EQ(ask(name, type::kA), fmt::format("NOERROR aa: {0} A 10.244.0.5, {0} A 10.244.0.6, {0} A 10.244.0.8", name));
  EXPECT_EQ(ask(name, type::kAaaa), fmt::format("NOERROR aa: {} AAAA fd00:20::5", name));
  EXPECT_EQ(ask("db-0." + name, type::kA), fmt::format("NOERROR aa: db-0.{} A 10.244.0.5", name));
  EXPECT_EQ(ask("db-0." + name, type::kAaaa), fmt::format("NOERROR aa: db-0.{} AAAA fd00:20::5", name));
  EXPECT_EQ(ask("10-244-0-8." + name, type::kA), fmt::format("NOERROR aa: 10-244-0-8.{} A 10.244.0.8", name));
  EXPECT_EQ(ask("db-1." + name, type::kAaaa), fmt::format("NOERROR aa:{}", kSoa)) << "NODATA, not NXDOMAIN";
  EXPECT_EQ(ask("db-7." + name, type::kA), fmt::format("NXDOMAIN aa:{}", kSoa));
  EXPECT_EQ(ask("_sql._tcp." + name, type::kSrv),
            fmt::format("NOERROR aa: _sql._tcp.{0} SRV 0 25 5432 10-244-0-8.{0}, _sql._tcp.{0} SRV 0 25 5432 db-0.{0}, "
                        "_sql._tcp.{0} SRV 0 25 5432 db-1.{0}; 10-244-0-8.{0} A 10.244.0.8, db-0.{0} A 10.244.0.5, "
                        "db-0.{0} AAAA fd00:20::5, db-1.{0} A 10.244.0.6",
                        name));
  EXPECT_EQ(ask("5.0.244.10.in-addr.arpa", type::kPtr), "NOERROR aa: 5.0.244.10.in-addr.arpa. PTR db-0." + name);
  EXPECT_EQ(ask("8.0.244.10.in-addr.arpa", type::kPtr), "NOERROR aa: 8.0.244.10.in-addr.arpa. PTR 10-244-0-8." + name);
  EXPECT_EQ(ask("7.0.244.10.in-addr.arpa", type::kPtr), "NXDOMAIN aa:; 244.10.in-addr.arpa. SOA ns.dns.cluster.local.");
  EXPECT_EQ(ask("nobody.default.svc.cluster.local", type::kA), fmt::format("NXDOMAIN aa:{}", kSoa));
}

TEST_F(Names, ExternalName_2_5) {
  const std::string name = "out.default.svc.cluster.local.";
  EXPECT_EQ(ask(name, type::kCname), fmt::format("NOERROR aa: {} CNAME www.Example.com.", name));
  EXPECT_EQ(ask(name, type::kA), fmt::format("NOERROR aa: {} CNAME www.Example.com. | chase www.example.com.", name));
  EXPECT_EQ(ask("alias.default.svc.cluster.local.", type::kA),
            "NOERROR aa: alias.default.svc.cluster.local. CNAME kubernetes.default.svc.cluster.local., "
            "kubernetes.default.svc.cluster.local. A 10.96.0.1");
  EXPECT_EQ(ask("ghost.default.svc.cluster.local.", type::kA),
            fmt::format("NXDOMAIN aa: ghost.default.svc.cluster.local. CNAME x.default.svc.cluster.local.{}", kSoa));
  EXPECT_EQ(ask("round.default.svc.cluster.local.", type::kA).substr(0, 8), "SERVFAIL");
  EXPECT_EQ(ask("literal.default.svc.cluster.local.", type::kA), fmt::format("NXDOMAIN aa:{}", kSoa));
  EXPECT_EQ(ask("x.out.default.svc.cluster.local.", type::kA), fmt::format("NXDOMAIN aa:{}", kSoa));
}

TEST_F(Names, Pods_2_6) {
  EXPECT_EQ(ask("10-1-2-3.default.pod.cluster.local.", type::kA),
            "NOERROR aa: 10-1-2-3.default.pod.cluster.local. A 10.1.2.3");
  EXPECT_EQ(ask("fd00--1-2.default.pod.cluster.local.", type::kAaaa),
            "NOERROR aa: fd00--1-2.default.pod.cluster.local. AAAA fd00::1:2");
  EXPECT_EQ(ask("10-1-2-3.default.pod.cluster.local.", type::kAaaa), fmt::format("NOERROR aa:{}", kSoa));
  for (const char* bad :
       {"10-1-2-300.default", "10-1-2.default", "x.default", "10-1-2-3.nowhere", "a.10-1-2-3.default"}) {
    EXPECT_EQ(ask(fmt::format("{}.pod.cluster.local", bad), type::kA), fmt::format("NXDOMAIN aa:{}", kSoa)) << bad;
  }
}

TEST_F(Names, WhatExistsWithoutRecords) {
  for (const char* name : {"cluster.local", "svc.cluster.local", "pod.cluster.local", "default.svc.cluster.local",
                           "empty.svc.cluster.local", "default.pod.cluster.local", "dns.cluster.local"}) {
    EXPECT_EQ(ask(name, type::kA), fmt::format("NOERROR aa:{}", kSoa)) << name;
  }
  for (const char* name :
       {"x.cluster.local", "nowhere.svc.cluster.local", "x.default.svc.cluster.local",
        "a.b.c.kubernetes.default.svc.cluster.local", "http.tcp.kubernetes.default.svc.cluster.local",
        "*.default.svc.cluster.local", "x.dns-version.cluster.local"}) {
    EXPECT_EQ(ask(name, type::kA), fmt::format("NXDOMAIN aa:{}", kSoa)) << name;
  }
  EXPECT_EQ(ask("kubernetes.default.svc.cluster.local", type::kMx), fmt::format("NOERROR aa:{}", kSoa));
  EXPECT_EQ(ask("kubernetes.default.svc.cluster.local", type::kAny),
            "NOERROR aa: kubernetes.default.svc.cluster.local. HINFO RFC8482");
  EXPECT_EQ(ask("cluster.local", type::kSoa), "NOERROR aa: cluster.local. SOA ns.dns.cluster.local.");
  EXPECT_EQ(ask("cluster.local", type::kNs),
            "NOERROR aa: cluster.local. NS ns.dns.cluster.local.; ns.dns.cluster.local. A 10.96.0.10");
  EXPECT_EQ(ask("ns.dns.cluster.local", type::kA), "NOERROR aa: ns.dns.cluster.local. A 10.96.0.10");
}

TEST_F(Names, WhatOthersKnow) {
  for (const char* name : {"www.example.com", ".", "local", "xcluster.local", "1.0.0.127.in-addr.arpa",
                           "9.9.9.10.in-addr.arpa", "10.in-addr.arpa", "in-addr.arpa", "x.8.10.in-addr.arpa"}) {
    EXPECT_EQ(ask(name, type::kA), "forward") << name;
  }
  // 10.244.0.0/14 ends with 10.247.255.255.
  EXPECT_EQ(ask("1.0.247.10.in-addr.arpa", type::kPtr), "NXDOMAIN aa:; 247.10.in-addr.arpa. SOA ns.dns.cluster.local.");
  EXPECT_EQ(ask("1.0.248.10.in-addr.arpa", type::kPtr), "forward");
  EXPECT_EQ(ask("0.96.10.in-addr.arpa", type::kPtr), "NOERROR aa:; 96.10.in-addr.arpa. SOA ns.dns.cluster.local.");
  EXPECT_EQ(ask("x.0.96.10.in-addr.arpa", type::kPtr), "NXDOMAIN aa:; 96.10.in-addr.arpa. SOA ns.dns.cluster.local.");
  EXPECT_EQ(ask("1.1.0.96.10.in-addr.arpa", type::kPtr), "NXDOMAIN aa:; 96.10.in-addr.arpa. SOA ns.dns.cluster.local.");
  EXPECT_EQ(ask("96.10.in-addr.arpa", type::kSoa), "NOERROR aa: 96.10.in-addr.arpa. SOA ns.dns.cluster.local.");
}

TEST_F(Names, CaseIsKeptAndDoesNotCount) {
  EXPECT_EQ(ask("KuBernetes.DEFAULT.svc.Cluster.Local", type::kA),
            "NOERROR aa: KuBernetes.DEFAULT.svc.Cluster.Local. A 10.96.0.1");
}

TEST_F(Names, ChangesAreFollowed) {
  const std::string name = "db.default.svc.cluster.local.";
  const auto before = object<EndpointSlice>(
      R"({"metadata":{"namespace":"default","name":"db-1","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4"})");
  records_.apply(before, nullptr);
  EXPECT_EQ(ask(name, type::kA), fmt::format("NOERROR aa:{}", kSoa));
  EXPECT_EQ(ask(name, type::kAaaa), fmt::format("NOERROR aa: {} AAAA fd00:20::5", name));
  EXPECT_EQ(ask("5.0.244.10.in-addr.arpa", type::kPtr).substr(0, 8), "NXDOMAIN");
  // From ClusterIP to ExternalName and back, as the conformance suite does.
  service(
      R"({"metadata":{"namespace":"default","name":"out"},"spec":{"clusterIP":"10.96.7.7","ports":[{"port":80}]}})");
  EXPECT_EQ(ask("out.default.svc.cluster.local.", type::kA), "NOERROR aa: out.default.svc.cluster.local. A 10.96.7.7");
  const auto gone = object<Service>(R"({"metadata":{"namespace":"default","name":"out"}})");
  records_.apply(gone, nullptr);
  EXPECT_EQ(ask("out.default.svc.cluster.local.", type::kA), fmt::format("NXDOMAIN aa:{}", kSoa));
  EXPECT_EQ(ask("7.7.96.10.in-addr.arpa", type::kPtr).substr(0, 8), "NXDOMAIN");
  // A slice that comes before its service.
  slice(R"({"metadata":{"namespace":"default","name":"e-1","labels":{"kubernetes.io/service-name":"early"}},
    "addressType":"IPv4","endpoints":[{"addresses":["10.244.3.3"],"hostname":"one"}]})");
  EXPECT_EQ(ask("one.early.default.svc.cluster.local.", type::kA), fmt::format("NXDOMAIN aa:{}", kSoa));
  service(R"({"metadata":{"namespace":"default","name":"early"},"spec":{"clusterIP":"None"}})");
  EXPECT_EQ(ask("one.early.default.svc.cluster.local.", type::kA),
            "NOERROR aa: one.early.default.svc.cluster.local. A 10.244.3.3");
  EXPECT_EQ(ask("3.3.244.10.in-addr.arpa", type::kPtr),
            "NOERROR aa: 3.3.244.10.in-addr.arpa. PTR one.early.default.svc.cluster.local.");
  records_.set_namespace("default", false);
  EXPECT_EQ(ask("one.early.default.svc.cluster.local.", type::kA).substr(0, 8), "NXDOMAIN");
}

TEST_F(Names, LargeAnswersAreCutOverUdpAndWholeOverTcp) {
  service(
      R"({"metadata":{"namespace":"default","name":"big"},"spec":{"clusterIP":"None","ports":[{"name":"p","port":1}]}})");
  for (int part = 0; part < 20; ++part) {
    std::string endpoints;
    for (int i = 0; i < 100; ++i) {
      endpoints += fmt::format("{}{{\"addresses\":[\"10.244.{}.{}\"]}}", i == 0 ? "" : ",", part + 50, i);
    }
    slice(fmt::format(
        R"({{"metadata":{{"namespace":"default","name":"big-{}","labels":{{"kubernetes.io/service-name":"big"}}}},
      "addressType":"IPv4","ports":[{{"name":"p","port":1}}],"endpoints":[{}]}})",
        part, endpoints));
  }
  const auto count = [&] { return get16(last_, 6); };
  for (const int payload : {0, 512, 600, 1232, 4096}) {
    const std::string text = ask("big.default.svc.cluster.local", type::kA, payload);
    EXPECT_EQ(text.substr(0, 15), "NOERROR aa tc: ") << payload;
    const size_t limit = payload <= 512 ? 512 : std::min(payload, 1232);
    EXPECT_LE(last_.size(), limit);
    EXPECT_GT(last_.size(), limit - 32) << "as much as fits";
  }
  EXPECT_EQ(ask("big.default.svc.cluster.local", type::kA, 0, true).substr(0, 12), "NOERROR aa: ");
  EXPECT_EQ(count(), 2000);
  EXPECT_EQ(ask("_p._tcp.big.default.svc.cluster.local", type::kSrv, 0, true).substr(0, 15), "NOERROR aa tc: ");
  EXPECT_GT(count(), 1900) << "65,535 bytes are all that TCP has";
}

TEST_F(Names, RotationChangesTheFirst) {
  std::vector<uint8_t> out(kMaxUdpPayload);
  Query query;
  const auto packet = make_query("db.default.svc.cluster.local", type::kA);
  std::set<std::string> first;
  for (uint32_t i = 0; i < 8; ++i) {
    dns::answer(records_, zones_, packet, false, i, out, query, answer_);
    const std::string text = response_text(Bytes(out.data(), answer_.size));
    first.insert(text.substr(0, text.find(',')));
    EXPECT_EQ(get16(out, 6), 3);
  }
  EXPECT_EQ(first.size(), 3u);
}

TEST_F(Names, WhatIsNoGoodQuery) {
  auto good = make_query("kubernetes.default.svc.cluster.local", type::kA, 1232);
  auto packet = good;
  packet[2] |= 0x80;
  EXPECT_EQ(ask_packet(packet), "ignored") << "a response is not answered";
  packet = good;
  packet[2] |= 0x28;  // UPDATE
  EXPECT_EQ(ask_packet(packet), "NOTIMP:");
  packet = good;
  packet[5] = 2;
  EXPECT_EQ(ask_packet(packet), "FORMERR:");
  packet[5] = 0;
  EXPECT_EQ(ask_packet(packet), "FORMERR:");
  packet = good;
  packet[12] = 0xc0;
  EXPECT_EQ(ask_packet(packet), "FORMERR:") << "a compressed question";
  packet = good;
  packet.resize(20);
  EXPECT_EQ(ask_packet(packet), "FORMERR:");
  packet.resize(11);
  EXPECT_EQ(ask_packet(packet), "ignored");
  packet = good;
  packet[packet.size() - 5] = 1;  // EDNS version 1
  EXPECT_EQ(ask_packet(packet), "NOERROR:");
  EXPECT_EQ(last_[last_.size() - 6], 1) << "BADVERS is 16: its upper bits stand in the OPT record";
  EXPECT_EQ(ask_packet(make_query("version.bind", type::kTxt, 0, 3)), "REFUSED:");
  EXPECT_EQ(ask("cluster.local", type::kAxfr), "REFUSED:");
}

}  // namespace
}  // namespace trireme::dns
