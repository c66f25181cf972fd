#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <optional>
#include <thread>

#include "linux/nft.h"
#include "linux/process.h"
#include "support/net_namespace.h"

namespace trireme::linux::nft {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

std::string ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
}

/// Every test has a network namespace of its own.
class NftRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
    namespace_.emplace();
    ASSERT_TRUE(namespace_->entered());
    auto opened = Socket::open();
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    socket_.emplace(std::move(*opened));
  }

  void commit(const Batch& batch) {
    Status status = socket_->commit(batch);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  static std::string nft(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "nft");
    auto out = run_program(arguments);
    EXPECT_TRUE(out.ok()) << out.status().to_string();
    return out.ok() ? *out : std::string();
  }
  static std::string listing() { return nft({"list", "ruleset"}); }

  std::optional<test::NetNamespace> namespace_;
  std::optional<Socket> socket_;
  const Table table_{Family::kIp, "t"};
};

TEST_F(NftRootTest, SetsAndMapsPrintAsTheToolWritesThem) {
  Batch batch;
  batch.add_table(table_, "mine");
  batch.add_chain(table_, {.name = "c"});
  Set ports{.name = "ports", .key = {Type::kIpv4, Type::kInetProto, Type::kInetService}, .comment = "a remark"};
  Set verdicts{.name = "verdicts", .key = {Type::kInetProto, Type::kInetService}, .data = {Type::kVerdict}};
  Set picks{.name = "picks", .key = {Type::kMark, Type::kIndex}, .data = {Type::kIpv4, Type::kInetService}};
  Set ranges{.name = "ranges", .key = {Type::kIpv4}, .interval = true};
  Set parts{.name = "parts", .key = {Type::kInetService, Type::kIpv4}, .interval = true};
  Set recent{.name = "recent", .key = {Type::kIpv4}, .dynamic = true, .timeout = milliseconds(10800000), .size = 1000};
  Set links{.name = "links", .key = {Type::kIfName}};
  for (const Set& set : {ports, verdicts, picks, ranges, parts, recent, links}) batch.add_set(table_, set);
  batch.add_element(table_, ports, {.key = Key().address(ip4(10, 0, 0, 1)).proto(6).port(80)});
  batch.add_element(table_, verdicts, {.key = Key().proto(17).port(53), .data = goto_("c")});
  batch.add_element(table_, verdicts, {.key = Key().proto(17).port(54), .data = drop()});
  batch.add_element(table_, picks,
                    {.key = Key().mark(42).index(3), .data = Key().address(ip4(10, 1, 2, 3)).port(8080).bytes()});
  batch.add_element(table_, ranges, {.key = ip4(10, 0, 0, 0), .key_end = ip4(10, 255, 255, 255), .comment = "ten"});
  batch.add_element(table_, ranges, {.key = ip4(255, 0, 0, 0), .key_end = ip4(255, 255, 255, 255)});
  batch.add_element(
      table_, parts,
      {.key = Key().port(80).address(ip4(192, 168, 0, 0)), .key_end = Key().port(80).address(ip4(192, 168, 255, 255))});
  batch.add_element(table_, recent, {.key = ip4(1, 2, 3, 4), .timeout = milliseconds(3600000)});
  batch.add_element(table_, links, {.key = interface_bytes("eth0")});
  commit(batch);

  std::string text = listing();
  for (const char* expected : {
           "type ipv4_addr . inet_proto . inet_service\n\t\tcomment \"a remark\"",
           "elements = { 10.0.0.1 . tcp . 80 }",
           "type inet_proto . inet_service : verdict",
           "elements = { udp . 53 : goto c,\n\t\t\t     udp . 54 : drop }",
           "typeof meta mark . numgen random mod 65536 : ip daddr . th dport",
           "elements = { 0x0000002a . 3 : 10.1.2.3 . 8080 }",
           "elements = { 10.0.0.0/8 comment \"ten\", 255.0.0.0/8 }",
           "elements = { 80 . 192.168.0.0/16 }",
           "size 1000\n\t\tflags dynamic,timeout\n\t\ttimeout 3h",
           "1.2.3.4 timeout 1h expires",
           "type ifname\n\t\telements = { \"eth0\" }",
       }) {
    EXPECT_THAT(text, HasSubstr(expected));
  }

  auto read = socket_->elements(table_, "ranges");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].key, ip4(10, 0, 0, 0));
  EXPECT_EQ((*read)[0].key_end, ip4(10, 255, 255, 255));
  EXPECT_EQ((*read)[1].key_end, ip4(255, 255, 255, 255));
  read = socket_->elements(table_, "picks");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ((*read)[0].key, Key().mark(42).index(3).bytes());
  EXPECT_EQ(std::get<std::string>((*read)[0].data), Key().address(ip4(10, 1, 2, 3)).port(8080).bytes());
  read = socket_->elements(table_, "verdicts");
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(*read,
              ::testing::Contains(::testing::Field(&Element::data, ::testing::VariantWith<Verdict>(goto_("c")))));
  auto sets = socket_->sets(table_);
  ASSERT_TRUE(sets.ok());
  EXPECT_THAT(*sets, ::testing::Contains(ports));
  EXPECT_THAT(*sets, ::testing::Contains(picks));
  auto listed = socket_->table(table_);
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->comment, "mine");
  EXPECT_EQ(listed->uses, 8U);

  // Both kinds of intervals can be taken out again.
  batch.clear();
  batch.delete_element(table_, ranges, {.key = ip4(10, 0, 0, 0), .key_end = ip4(10, 255, 255, 255)});
  batch.delete_element(
      table_, parts,
      {.key = Key().port(80).address(ip4(192, 168, 0, 0)), .key_end = Key().port(80).address(ip4(192, 168, 255, 255))});
  batch.delete_element(table_, verdicts, {.key = Key().proto(17).port(54)});
  commit(batch);
  EXPECT_THAT(listing(), Not(HasSubstr("192.168.0.0/16")));
}

TEST_F(NftRootTest, RulesPrintAsTheToolWritesThem) {
  Batch batch;
  batch.add_table(table_);
  batch.add_counter(table_, "drops", "counted");
  batch.add_chain(table_, {.name = "nat", .type = "nat", .hook = Hook::kPrerouting, .priority = -100});
  batch.add_chain(table_, {.name = "post", .type = "nat", .hook = Hook::kPostrouting, .priority = 100});
  batch.add_chain(table_, {.name = "filter", .hook = Hook::kInput, .drop_by_default = true});
  batch.add_chain(table_, {.name = "c"});
  batch.add_set(table_, {.name = "picks",
                         .key = {Type::kInetProto, Type::kInetService, Type::kIndex},
                         .data = {Type::kIpv4, Type::kInetService}});
  batch.add_set(table_, {.name = "verdicts", .key = {Type::kIpv4}, .data = {Type::kVerdict}});
  batch.add_set(
      table_, {.name = "recent", .key = {Type::kIpv4}, .dynamic = true, .timeout = milliseconds(10000), .size = 1000});
  auto rule = [&](const char* chain, const Rule& r) { batch.add_rule(table_, chain, r); };
  rule("nat", Rule()
                  .load({Field::kL4Proto, Field::kThDport}, 0)
                  .random(3, 2, 16)
                  .lookup_value("picks", 0, 0)
                  .dnat(false, 0, 1));
  rule("nat", Rule().match(Field::kL4Proto, byte_of(6)).match(Field::kThDport, port_bytes(80)).redirect(8080));
  rule("nat", Rule().match(Field::kFibDaddrType, bytes_of(kFibLocal)).verdict_map({Field::kIpDaddr}, "verdicts"));
  rule("post", Rule()
                   .match_bits(Field::kCtStatus, kCtDnatStatus)
                   .match_prefix(Field::kIpSaddr, ip4(10, 244, 0, 0), 16, true)
                   .masquerade(true)
                   .comment("from outside"));
  rule("filter", Rule().match_bits(Field::kCtState, kCtEstablished | kCtRelated).verdict(accept()));
  rule("filter", Rule().match_prefix(Field::kIpDaddr, ip4(10, 96, 0, 0), 12).counter("drops").verdict(drop()));
  rule("filter", Rule().match(Field::kL4Proto, byte_of(6)).reject(RejectWith::kTcpReset));
  rule("filter", Rule().reject(RejectWith::kIcmpPortUnreachable));
  rule("filter", Rule().match_set({Field::kIpSaddr}, "recent", true).verdict(jump("c")));
  rule("filter",
       Rule().load(Field::kIpSaddr, 0).dynamic(DynamicOperation::kUpdate, "recent", 0, {}, milliseconds(5000)));
  rule("filter", Rule()
                     .match(Field::kIifName, interface_bytes("eth0"))
                     .match_name_prefix(Field::kOifName, "veth", true)
                     .counter()
                     .verdict(return_()));
  rule("filter", Rule().set_mark_bits(0x4000, 0x4000));
  rule("filter", Rule().match_bits(Field::kMark, 0x4000).log("seen "));
  rule("filter", Rule()
                     .match(Field::kL4Proto, byte_of(6))
                     .match_range(Field::kThDport, port_bytes(80), port_bytes(90))
                     .verdict(accept()));
  commit(batch);

  std::string text = listing();
  for (const char* expected : {
           "type nat hook prerouting priority dstnat; policy accept;",
           "type filter hook input priority filter; policy drop;",
           "dnat ip to meta l4proto . th dport . numgen random mod 3 offset 16 map @picks",
           "tcp dport 80 redirect to :8080",
           "fib daddr type local ip daddr vmap @verdicts",
           "ct status dnat ip saddr != 10.244.0.0/16 masquerade fully-random comment \"from outside\"",
           "ct state established,related accept",
           "ip daddr 10.96.0.0/12 counter name \"drops\" drop",
           "reject with tcp reset",
           "\t\treject\n",
           "ip saddr != @recent jump c",
           "update @recent { ip saddr timeout 5s }",
           "iifname \"eth0\" oifname != \"veth*\" counter packets 0 bytes 0 return",
           "meta mark set meta mark | 0x00004000",
           "log prefix \"seen \"",
           "tcp dport 80-90 accept",
       }) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
  auto rules = socket_->rules(table_);
  ASSERT_TRUE(rules.ok());
  EXPECT_EQ(rules->size(), 14U);
  EXPECT_EQ((*rules)[3].comment, "from outside");
  auto counters = socket_->counters(table_);
  ASSERT_TRUE(counters.ok());
  ASSERT_EQ(counters->size(), 1U);
  EXPECT_EQ((*counters)[0].name, "drops");
  auto chains = socket_->chains(table_);
  ASSERT_TRUE(chains.ok());
  EXPECT_THAT(*chains,
              ::testing::Contains(Chain{.name = "nat", .type = "nat", .hook = Hook::kPrerouting, .priority = -100}));

  batch.clear();
  batch.replace_rule(table_, "filter", (*rules)[4].handle, Rule().verdict(accept()).comment("instead"));
  batch.delete_rule(table_, "nat", (*rules)[1].handle);
  batch.insert_rule(table_, "c", Rule().counter());
  commit(batch);
  text = listing();
  EXPECT_THAT(text, HasSubstr("accept comment \"instead\""));
  EXPECT_THAT(text, Not(HasSubstr("redirect")));
  batch.clear();
  batch.flush_rules(table_);
  commit(batch);
  rules = socket_->rules(table_);
  ASSERT_TRUE(rules.ok());
  EXPECT_TRUE(rules->empty());
}

TEST_F(NftRootTest, AFailureNamesItsOperationAndNothingIsDone) {
  Batch batch;
  batch.add_table(table_);
  batch.add_chain(table_, {.name = "c"});
  batch.add_rule(table_, "absent", Rule().verdict(accept()));
  batch.add_chain(table_, {.name = "d"});
  Status status = socket_->commit(batch);
  EXPECT_TRUE(status.is(Reason::kNotFound)) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr("add rule to ip t absent"));
  EXPECT_TRUE(socket_->table(table_).status().is(Reason::kNotFound));

  Set set{.name = "s", .key = {Type::kIpv4}, .data = {Type::kMark}};
  batch.clear();
  batch.add_table(table_);
  batch.add_set(table_, set);
  batch.add_element(table_, set, {.key = ip4(1, 1, 1, 1), .data = bytes_of(1)});
  commit(batch);
  commit(batch);  // what is there already counts as added
  batch.clear();
  batch.add_element(table_, set, {.key = ip4(1, 1, 1, 1), .data = bytes_of(2)});
  status = socket_->commit(batch);
  EXPECT_TRUE(status.is(Reason::kAlreadyExists)) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr("add elements to ip t s"));
  batch.clear();
  batch.delete_element(table_, set, {.key = ip4(1, 1, 1, 1)});
  batch.add_element(table_, set, {.key = ip4(1, 1, 1, 1), .data = bytes_of(2)});
  commit(batch);

  batch.clear();
  batch.destroy_table(table_);
  batch.destroy_table(table_);
  commit(batch);
  EXPECT_EQ(listing(), "");
}

TEST_F(NftRootTest, TensOfThousandsOfElementsAreOneTransaction) {
  constexpr uint32_t kCount = 60000;
  Set set{.name = "s", .key = {Type::kIpv4, Type::kInetProto, Type::kInetService}, .data = {Type::kIpv4}};
  std::vector<Element> elements;
  for (uint32_t i = 0; i < kCount; ++i) {
    auto high = static_cast<uint8_t>(i >> 8);
    auto low = static_cast<uint8_t>(i);
    elements.push_back({.key = Key().address(ip4(10, 0, high, low)).proto(6).port(80), .data = ip4(10, 1, high, low)});
  }
  Batch batch;
  batch.add_table(table_);
  batch.add_set(table_, set);
  batch.add_elements(table_, set, elements);
  EXPECT_LT(batch.operations(), 200U);
  commit(batch);
  auto read = socket_->elements(table_, "s");
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  ASSERT_EQ(read->size(), kCount);
  batch.clear();
  batch.delete_elements(table_, set, elements);
  commit(batch);
  read = socket_->elements(table_, "s");
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->empty());
}

TEST_F(NftRootTest, OneChainIsReadAlone) {
  nft(
      {"add table ip t; add chain ip t a { type filter hook forward priority 0; policy drop; }; add chain ip t b; "
       "add rule ip t a counter; add rule ip t b accept"});
  auto chain = socket_->chain(table_, "a");
  ASSERT_TRUE(chain.ok()) << chain.status().to_string();
  EXPECT_EQ(*chain, (Chain{.name = "a", .hook = Hook::kForward, .drop_by_default = true}));
  EXPECT_TRUE(socket_->chain(table_, "c").status().is(Reason::kNotFound));
  EXPECT_TRUE(socket_->chain({Family::kIp6, "t"}, "a").status().is(Reason::kNotFound));
  auto rules = socket_->rules(table_, "b");
  ASSERT_TRUE(rules.ok());
  ASSERT_EQ(rules->size(), 1U);
  EXPECT_EQ((*rules)[0].chain, "b");
  EXPECT_TRUE(socket_->rules(table_, "c")->empty());
}

TEST_F(NftRootTest, WhatOthersDeleteIsTold) {
  Set set{.name = "s", .key = {Type::kIpv4}};
  Batch batch;
  batch.add_table(table_);
  batch.add_set(table_, set);
  batch.add_element(table_, set, {.key = ip4(1, 1, 1, 1)});
  commit(batch);
  auto opened = Monitor::open(socket_->port_id());
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  Monitor monitor = std::move(*opened);

  auto deleted = [&] {
    pollfd wait{monitor.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 5000), 1);
    for (const Monitor::Event& event : monitor.read()) {
      if (event.what == Monitor::What::kDeleted && event.table == table_) return true;
    }
    return false;
  };
  batch.clear();
  batch.delete_element(table_, set, {.key = ip4(1, 1, 1, 1)});
  batch.add_element(table_, set, {.key = ip4(2, 2, 2, 2)});
  commit(batch);
  EXPECT_TRUE(monitor.read().empty()) << "own changes are not told";

  nft({"add", "table", "ip", "other"});
  std::vector<Monitor::Event> events = monitor.read();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].what, Monitor::What::kGeneration);

  nft({"add chain ip other c"});
  events = monitor.read();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].what, Monitor::What::kChainAdded);
  EXPECT_EQ(events[0].table, (Table{Family::kIp, "other"}));

  nft({"add set ip other s { type ipv4_addr; }"});
  monitor.read();
  nft({"add element ip other s { 1.1.1.1, 2.2.2.2 }"});
  EXPECT_EQ(monitor.read().size(), 1U) << "of elements that others add only the transaction's end is told";

  nft({"flush", "set", "ip", "t", "s"});
  EXPECT_TRUE(deleted());
  nft({"add table ip another; flush set ip t s; delete set ip t s"});
  EXPECT_TRUE(deleted()) << "in one transaction, behind what was added";
  nft({"flush", "ruleset"});
  EXPECT_TRUE(deleted());
}

TEST(NftRuleTest, RulesAreValues) {
  Rule one = Rule().match(Field::kL4Proto, byte_of(6)).verdict(accept());
  EXPECT_EQ(one, Rule().match(Field::kL4Proto, byte_of(6)).verdict(accept()));
  EXPECT_NE(one, Rule().match(Field::kL4Proto, byte_of(17)).verdict(accept()));
  EXPECT_NE(one, Rule(one).comment("other"));
  EXPECT_THAT(one.text(), HasSubstr("[ meta load l4proto => reg 8 ]"));
}

TEST(NftRuleTest, KeysArePaddedInConcatenationsOnly) {
  EXPECT_EQ(Key().port(80).bytes(), std::string("\0\x50", 2));
  EXPECT_EQ(Key().proto(6).port(80).bytes(), std::string("\6\0\0\0\0\x50\0\0", 8));
  EXPECT_EQ(Key().mark(1).bytes().size(), 4U);
}

}  // namespace
}  // namespace trireme::linux::nft
