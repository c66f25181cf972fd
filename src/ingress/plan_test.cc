#include "ingress/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "api/codec.h"
#include "ingress/nginx_config.h"

namespace trireme::ingress {
namespace {

using api::corev1::Service;
using api::discoveryv1::EndpointSlice;
using api::networkingv1::Ingress;
using api::networkingv1::IngressClass;

template <typename T>
std::shared_ptr<const T> object(std::string_view json) {
  auto decoded = api::decode_json<T>(std::string(json));
  EXPECT_TRUE(decoded.ok()) << decoded.status().to_string() << json;
  return std::make_shared<const T>(*decoded);
}

/// "host: =/exact->upstream /below/*->upstream" for each server; "-" for no upstream.
std::string text_of(const Plan& plan) {
  std::string out;
  for (const VirtualServer& server : plan.servers) {
    out += fmt::format("{}{}:", server.host, server.tls == nullptr ? "" : " tls");
    for (const Location& location : server.locations) {
      const bool exact = location.match == Location::Match::kExact;
      out += fmt::format(" {}{}{}->{}", exact ? "=" : "", location.path, exact ? "" : "/*",
                         location.upstream.empty() ? "-" : location.upstream);
    }
    out += "\n";
  }
  return out;
}

class Planning : public ::testing::Test {
 protected:
  void SetUp() override {
    add_class(R"({"metadata":{"name":"trireme"},"spec":{"controller":"trireme.dev/ingress"}})");
    add_class(R"({"metadata":{"name":"other"},"spec":{"controller":"example.com/other"}})");
    for (const char* name : {"a", "b", "c"}) {
      service(name, R"([{"name":"http","port":80,"targetPort":8080},{"name":"admin","port":81}])");
      slice(name, fmt::format(R"({{"addressType":"IPv4","ports":[{{"name":"http","port":8080}}],"endpoints":[
        {{"addresses":["10.244.0.{0}"]}},{{"addresses":["10.244.1.{0}"],"conditions":{{"ready":false}}}}]}})",
                              name[0] - 'a' + 1));
    }
  }
  void add_class(std::string_view json) { inputs_.classes.push_back(object<IngressClass>(json)); }
  void service(const std::string& name, std::string_view ports, std::string_view more = "") {
    inputs_.services[{"shop", name}] = object<Service>(
        fmt::format(R"({{"metadata":{{"namespace":"shop","name":"{}"}},"spec":{{{}"ports":{}}}}})", name, more, ports));
  }
  void slice(const std::string& service, std::string_view json) {
    inputs_.slices[{"shop", service}].push_back(object<EndpointSlice>(json));
  }
  /// `spec` without its braces and class.
  void ingress(const std::string& name, std::string_view spec, int age = 0,
               std::string_view which = R"("ingressClassName":"trireme",)") {
    inputs_.ingresses.push_back(object<Ingress>(
        fmt::format(R"({{"metadata":{{"namespace":"shop","name":"{}","creationTimestamp":"2025-01-01T00:00:{:02}Z"}},
        "spec":{{{}{}}}}})",
                    name, 59 - age, which, spec)));
  }
  static std::string rule(std::string_view host, std::string_view path, std::string_view type, std::string_view service,
                          std::string_view port = R"("number":80)") {
    return fmt::format(R"("rules":[{{"host":"{}","http":{{"paths":[{{"path":"{}","pathType":"{}","backend":
      {{"service":{{"name":"{}","port":{{{}}}}}}}}}]}}}}])",
                       host, path, type, service, port);
  }
  std::string plan() {
    plan_ = make_plan(inputs_);
    return text_of(plan_);
  }
  std::string problems() const {
    std::string out;
    for (const Problem& problem : plan_.problems) out += problem.reason + ": " + problem.message + "\n";
    return out;
  }

  Inputs inputs_;
  Plan plan_;
};

TEST_F(Planning, PathsOfAllTypes) {
  ingress("x", R"("rules":[{"host":"www.example.com","http":{"paths":[
    {"path":"/exact","pathType":"Exact","backend":{"service":{"name":"a","port":{"number":80}}}},
    {"path":"/exact/","pathType":"Exact","backend":{"service":{"name":"b","port":{"name":"http"}}}},
    {"path":"/prefix/","pathType":"Prefix","backend":{"service":{"name":"b","port":{"name":"http"}}}},
    {"path":"/own","pathType":"ImplementationSpecific","backend":{"service":{"name":"c","port":{"number":80}}}},
    {"path":"/","pathType":"Prefix","backend":{"service":{"name":"c","port":{"number":80}}}}]}}])");
  EXPECT_EQ(plan(),
            ":\n"
            "www.example.com: =/exact->shop_a_80 =/exact/->shop_b_80 /*->shop_c_80 /own/*->shop_c_80 "
            "/prefix/*->shop_b_80\n");
  EXPECT_EQ(problems(), "");
  ASSERT_EQ(plan_.upstreams.size(), 3u);
  EXPECT_EQ(plan_.upstreams[0].endpoints, std::vector<std::string>{"10.244.0.1:8080"}) << "ready ones, at their port";
}

TEST_F(Planning, TheOlderIngressHasAPath) {
  ingress("young", rule("www.example.com", "/", "Prefix", "b"), 1);
  ingress("old", rule("www.example.com", "/", "Prefix", "a"), 9);
  ingress("exact", rule("www.example.com", "/", "Exact", "c"), 5);
  EXPECT_EQ(plan(), ":\nwww.example.com: =/->shop_c_80 /*->shop_a_80\n");
}

TEST_F(Planning, HostsAndDefaultBackends) {
  ingress("any", rule("", "/any", "Prefix", "a"));
  ingress("star", rule("*.example.com", "/", "Prefix", "b"));
  ingress("fallback", R"("defaultBackend":{"service":{"name":"c","port":{"number":80}}})");
  ingress("both", rule("both.example.com", "/x", "Prefix", "a") +
                      R"(,"defaultBackend":{"service":{"name":"b","port":{"number":80}}})");
  EXPECT_EQ(plan(),
            ": /*->shop_b_80 /any/*->shop_a_80\n"
            "*.example.com: /*->shop_b_80\n"
            "both.example.com: /*->shop_b_80 /x/*->shop_a_80\n")
      << "of the same age the first by name has it";
}

TEST_F(Planning, Classes) {
  ingress("other", rule("other.example.com", "/", "Prefix", "a"), 0, R"("ingressClassName":"other",)");
  ingress("none", rule("none.example.com", "/", "Prefix", "a"), 0, "");
  ingress("unknown", rule("unknown.example.com", "/", "Prefix", "a"), 0, R"("ingressClassName":"unknown",)");
  EXPECT_EQ(plan(), ":\n");
  inputs_.ingresses.push_back(object<Ingress>(fmt::format(
      R"({{"metadata":{{"namespace":"shop","name":"old","annotations":{{"kubernetes.io/ingress.class":"trireme"}}}},"spec":{{{}}}}})",
      rule("old.example.com", "/", "Prefix", "a"))));
  EXPECT_EQ(plan(), ":\nold.example.com: /*->shop_a_80\n");
  inputs_.classes.clear();
  add_class(R"({"metadata":{"name":"trireme","annotations":{"ingressclass.kubernetes.io/is-default-class":"true"}},
    "spec":{"controller":"trireme.dev/ingress"}})");
  EXPECT_EQ(plan(), ":\nnone.example.com: /*->shop_a_80\nold.example.com: /*->shop_a_80\n");
  EXPECT_EQ(plan_.claimed.size(), 2u);
}

TEST_F(Planning, BackendsThatAreNotThere) {
  ingress("a", rule("a.example.com", "/", "Prefix", "nothing"));
  ingress("b", rule("b.example.com", "/", "Prefix", "a", R"("number":99)"));
  ingress("c", rule("c.example.com", "/", "Prefix", "a", R"("name":"nope")"));
  ingress("d", R"("rules":[{"host":"d.example.com","http":{"paths":[{"path":"/","pathType":"Prefix","backend":
    {"resource":{"kind":"Bucket","name":"x"}}}]}}])");
  service("out", R"([{"port":80}])", R"("type":"ExternalName","externalName":"www.example.com",)");
  ingress("e", rule("e.example.com", "/", "Prefix", "out"));
  ingress("f", rule("f.example.com", "/", "Prefix", "a", R"("name":"admin")"));
  EXPECT_EQ(plan(),
            ":\na.example.com: /*->-\nb.example.com: /*->-\nc.example.com: /*->-\nd.example.com: /*->-\n"
            "e.example.com: /*->-\nf.example.com: /*->shop_a_81\n");
  EXPECT_EQ(problems(),
            "MissingService: service \"shop/nothing\" not found\n"
            "MissingPort: service \"shop/a\" has no port 99\n"
            "MissingPort: service \"shop/a\" has no port \"nope\"\n"
            "InvalidBackend: backends other than services are not supported\n"
            "InvalidBackend: service \"shop/out\" is an ExternalName, which is not supported\n");
  EXPECT_TRUE(plan_.upstreams[0].endpoints.empty()) << "no slice has that port";
}

TEST_F(Planning, Certificates) {
  inputs_.secrets[{"shop", "good"}] = {"cert", "key", ""};
  inputs_.secrets[{"shop", "bad"}] = {"", "", "not found"};
  ingress("www", rule("www.example.com", "/", "Prefix", "a") +
                     R"(,"tls":[{"hosts":["www.example.com","stranger.example.com"],"secretName":"good"}])");
  ingress("bad",
          rule("bad.example.com", "/", "Prefix", "a") + R"(,"tls":[{"hosts":["bad.example.com"],"secretName":"bad"}])");
  ingress("own", rule("own.example.com", "/", "Prefix", "a") + R"(,"tls":[{"secretName":"good"}])");
  ingress("star", rule("x.star.example.com", "/", "Prefix", "a") +
                      R"(,"tls":[{"hosts":["*.star.example.com"],"secretName":"good"}])");
  ingress("stranger", rule("stranger.example.com", "/", "Prefix", "a"));
  EXPECT_EQ(wanted_secrets(inputs_), (std::set<ObjectName>{{"shop", "bad"}, {"shop", "good"}}));
  EXPECT_EQ(plan(),
            ":\nbad.example.com: /*->shop_a_80\nown.example.com tls: /*->shop_a_80\n"
            "stranger.example.com: /*->shop_a_80\nwww.example.com tls: /*->shop_a_80\n"
            "x.star.example.com tls: /*->shop_a_80\n")
      << "nobody gives another's host a certificate";
  EXPECT_EQ(problems(), "InvalidCertificate: Secret shop/bad: not found; the default certificate is used\n");
}

TEST(Hosts, AreNamesAndNothingElse) {
  for (const char* good : {"a", "www.example.com", "*.example.com", "x-1.y2.example"})
    EXPECT_TRUE(valid_host(good)) << good;
  for (const char* bad : {"", "*", "*.", "a..b", ".a", "a.", "-a", "a-", "a.-b", "a-.b", "A.example", "a b", "a;b",
                          "a{b", "*.*.example", "a.*.b", "a\"b", "a\nb", "a$b"}) {
    EXPECT_FALSE(valid_host(bad)) << bad;
  }
}

// nginx's own reading of words, blocks and ends: what the configuration says to it.

struct Directive {
  std::vector<std::string> words;
  std::vector<Directive> block;
};

/// Null when the text is no whole configuration.
const char* read_block(const char* at, const char* end, std::vector<Directive>& out, bool inner) {
  Directive current;
  while (true) {
    while (at < end && std::isspace(static_cast<unsigned char>(*at)) != 0) ++at;
    if (at == end) return inner || !current.words.empty() ? nullptr : at;
    if (*at == '}') return inner && current.words.empty() ? at + 1 : nullptr;
    if (*at == ';' || *at == '{') {
      const bool opens = *at++ == '{';
      if (current.words.empty()) return nullptr;
      if (opens && (at = read_block(at, end, current.block, true)) == nullptr) return nullptr;
      out.push_back(std::move(current));
      current = {};
      continue;
    }
    std::string word;
    if (*at == '"' || *at == '\'') {
      const char quote = *at++;
      for (; at < end && *at != quote; ++at) {
        if (*at == '\\' && at + 1 < end) ++at;
        word += *at;
      }
      if (at++ == end) return nullptr;
    } else {
      while (at < end && std::isspace(static_cast<unsigned char>(*at)) == 0 && *at != ';' && *at != '{') word += *at++;
    }
    current.words.push_back(std::move(word));
  }
}

std::vector<Directive> read_config(const std::string& text) {
  std::vector<Directive> out;
  EXPECT_NE(read_block(text.data(), text.data() + text.size(), out, false), nullptr) << text;
  return out;
}

const Directive* find(const std::vector<Directive>& block, std::string_view name) {
  for (const Directive& each : block) {
    if (each.words[0] == name) return &each;
  }
  return nullptr;
}

TEST_F(Planning, TheConfigurationSaysWhatThePlanDoes) {
  inputs_.secrets[{"shop", "good"}] = {"cert", "key", ""};
  ingress("www", rule("www.example.com", "/a", "Exact", "a") + R"(,"tls":[{"secretName":"good"}])");
  ingress("star", rule("*.example.com", "/p", "Prefix", "b"));
  ingress("empty", rule("empty.example.com", "/", "Prefix", "a", R"("name":"admin")"));
  plan();
  NginxSettings settings;
  settings.folder = "/data/ingress";
  settings.default_certificate = "/data/default.pem";
  settings.http_port = 8080;
  const auto top = read_config(nginx_config(plan_, settings, {{&inputs_.secrets.begin()->second, "/data/good.pem"}}));
  const Directive* http = find(top, "http");
  ASSERT_NE(http, nullptr);
  std::string text;
  for (const Directive& each : http->block) {
    if (each.words[0] != "server") continue;
    text += find(each.block, "server_name")->words[1] + " " + find(each.block, "ssl_certificate")->words[1];
    for (const Directive& inner : each.block) {
      if (inner.words[0] != "location") continue;
      for (size_t i = 1; i < inner.words.size(); ++i) text += (i == 1 ? " [" : " ") + inner.words[i];
      const Directive* pass = find(inner.block, "proxy_pass");
      text += " " + (pass ? pass->words[1] : find(inner.block, "return")->words[1]) + "]";
    }
    text += "\n";
  }
  EXPECT_EQ(text,
            "_ /data/default.pem [/ 404]\n"
            "~^[^.]+\\.example\\.com$ /data/default.pem [= /p http://shop_b_80] [^~ /p/ http://shop_b_80] [/ 404]\n"
            "empty.example.com /data/default.pem [/ 503]\n"
            "www.example.com /data/good.pem [= /a http://shop_a_80] [/ 404]\n");
  const auto* upstream = find(http->block, "upstream");
  ASSERT_NE(upstream, nullptr);
  EXPECT_EQ(upstream->words[1], "shop_a_80");
  EXPECT_EQ(find(upstream->block, "server")->words[1], "10.244.0.1:8080");
}

TEST(Configuration, NothingFromAnObjectEndsItsPlace) {
  std::mt19937 random(7);
  const std::string_view nasty = "ab/\\\"'{};$ \n\r\t\0#~*^=%|()[]é";
  const auto word = [&](bool path) {
    std::string out = path ? "/" : "";
    for (size_t i = random() % 12; i > 0; --i) out += nasty[random() % nasty.size()];
    return out;
  };
  NginxSettings settings;
  settings.folder = "/data/ingress";
  for (int round = 0; round < 1000; ++round) {
    Inputs inputs;
    inputs.classes.push_back(
        object<IngressClass>(R"({"metadata":{"name":"trireme"},"spec":{"controller":"trireme.dev/ingress"}})"));
    auto ingress = std::make_shared<Ingress>();
    ingress->metadata.namespace_ = word(false);
    ingress->metadata.name = word(false);
    ingress->spec.ingress_class_name = "trireme";
    std::set<std::string> hosts;
    for (int i = 0; i < 3; ++i) {
      auto& rule = ingress->spec.rules.emplace_back();
      rule.host = random() % 3 == 0 ? word(false) : fmt::format("h{}.example.com", i);
      if (rule.host.empty() || valid_host(rule.host)) hosts.insert(rule.host);
      auto& path = rule.ingress_rule_value.http.emplace().paths.emplace_back();
      path.path = word(random() % 8 != 0);
      path.path_type = random() % 2 == 0 ? "Exact" : "Prefix";
      auto& backend = path.backend.service.emplace();
      backend.name = word(false);
      backend.port.number = 80;
      const ObjectName name{ingress->metadata.namespace_, backend.name};
      auto service = std::make_shared<Service>();
      service->spec.ports.resize(1);
      service->spec.ports[0].port = 80;
      service->spec.ports[0].name = word(false);
      auto slice = std::make_shared<EndpointSlice>();
      slice->address_type = "IPv4";
      slice->ports.resize(1);
      slice->ports[0].name = service->spec.ports[0].name;
      slice->ports[0].port = 8080;
      slice->endpoints.emplace_back().addresses = {random() % 2 == 0 ? word(false) : "10.0.0.1"};
      inputs.services[name] = service;
      inputs.slices[name] = {slice};
    }
    hosts.insert("");
    inputs.ingresses = {ingress};
    const Plan plan = make_plan(inputs);
    const auto top = read_config(nginx_config(plan, settings, {}));
    if (HasFailure()) return;
    const Directive* http = find(top, "http");
    ASSERT_NE(http, nullptr);
    ASSERT_EQ(top.size(), 8u) << "nothing stands beside http that was not there";
    size_t servers = 0;
    for (const Directive& each : http->block) {
      if (each.words[0] == "server") {
        ++servers;
        for (const Directive& inner : each.block) {
          static const std::set<std::string> kKnown = {"listen", "server_name", "ssl_certificate",
                                                       "ssl_certificate_key", "location"};
          ASSERT_TRUE(kKnown.contains(inner.words[0])) << inner.words[0];
          ASSERT_EQ(inner.block.size(), inner.words[0] == "location" ? 1u : 0u);
        }
      }
    }
    ASSERT_EQ(servers, hosts.size());
  }
}

}  // namespace
}  // namespace trireme::ingress
