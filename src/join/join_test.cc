#include <gtest/gtest.h>

#include <set>

#include "api/time.h"
#include "join/bootstrap_token.h"
#include "join/certificate_request.h"
#include "join/cluster_info.h"
#include "join/discovery.h"
#include "net/jwt.h"
#include "net/x509.h"

namespace trireme::join {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNow = api::Time::parse("2026-03-01T12:00:00Z")->wall();

TEST(BootstrapTokenTest, HasItsFormAndNoOther) {
  const auto token = BootstrapToken::parse("abcdef.0123456789abcdef");
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->id, "abcdef");
  EXPECT_EQ(token->secret, "0123456789abcdef");
  EXPECT_EQ(token->text(), "abcdef.0123456789abcdef");
  for (const char* text :
       {"", "abcdef", "abcdef.", "abcdef.0123456789abcde", "abcdef.0123456789abcdefg", "Abcdef.0123456789abcdef",
        "abcdef:0123456789abcdef", "abcde.f0123456789abcdef", "abcdef.0123456789abcde ", "abc\0ef.0123456789abcdef"}) {
    const auto wrong = BootstrapToken::parse(text);
    EXPECT_FALSE(wrong.ok()) << text;
    EXPECT_EQ(wrong.status().message().find("0123"), std::string::npos) << "a secret stays out of messages";
  }
}

TEST(BootstrapTokenTest, GeneratedOnesFitAndDiffer) {
  std::set<std::string> seen;
  std::set<char> characters;
  for (int i = 0; i < 200; ++i) {
    const BootstrapToken token = BootstrapToken::generate();
    EXPECT_TRUE(BootstrapToken::parse(token.text()).ok()) << token.text();
    EXPECT_TRUE(seen.insert(token.text()).second);
    characters.insert(token.secret.begin(), token.secret.end());
  }
  EXPECT_EQ(characters.size(), 36U) << "of 3200 characters each is met";
}

TEST(BootstrapTokenTest, TheSecretIsAsKubeadmMakesIt) {
  TokenSettings settings;
  settings.description = "for a test";
  const auto secret = token_secret({"abcdef", "0123456789abcdef"}, settings, kNow);
  ASSERT_TRUE(secret.ok());
  EXPECT_EQ(secret->metadata.namespace_, "kube-system");
  EXPECT_EQ(secret->metadata.name, "bootstrap-token-abcdef");
  EXPECT_EQ(secret->type, "bootstrap.kubernetes.io/token");
  const std::pair<const char*, const char*> data[] = {
      {"token-id", "abcdef"},
      {"token-secret", "0123456789abcdef"},
      {"description", "for a test"},
      {"expiration", "2026-03-02T12:00:00Z"},
      {"usage-bootstrap-signing", "true"},
      {"usage-bootstrap-authentication", "true"},
      {"auth-extra-groups", "system:bootstrappers:kubeadm:default-node-token"}};
  for (const auto& [key, value] : data) EXPECT_EQ(secret->data.get(key), value) << key;
  EXPECT_EQ(secret->data.size(), 7U);

  settings.ttl = {};
  settings.usages = {"signing"};
  settings.groups = {};
  const auto lasting = token_secret({"abcdef", "0123456789abcdef"}, settings, kNow);
  ASSERT_TRUE(lasting.ok());
  for (const char* absent : {"expiration", "usage-bootstrap-authentication", "auth-extra-groups"}) {
    EXPECT_EQ(lasting->data.find(absent), lasting->data.end()) << absent;
  }
}

TEST(BootstrapTokenTest, UsagesAndGroupsThatThereAreNotAreRefused) {
  TokenSettings settings;
  settings.usages = {"sign"};
  EXPECT_EQ(token_secret({"abcdef", "0123456789abcdef"}, settings, kNow).status().message(),
            "\"sign\" is no usage of a token: signing, authentication");
  settings.usages = {};
  for (const char* group : {"system:masters", "system:bootstrappers", "system:bootstrappers:"}) {
    settings.groups = {group};
    EXPECT_FALSE(token_secret({"abcdef", "0123456789abcdef"}, settings, kNow).ok()) << group;
  }
  settings.groups = {};
  settings.ttl = -seconds(1);
  EXPECT_FALSE(token_secret({"abcdef", "0123456789abcdef"}, settings, kNow).ok());
}

TEST(BootstrapTokenTest, TheTableShowsTheSoonestToEndFirst) {
  TokenSettings settings;
  settings.ttl = {};
  auto lasting = *token_secret({"aaaaaa", "0123456789abcdef"}, settings, kNow);
  settings.ttl = hours(2);
  settings.description = "two hours";
  auto two_hours = *token_secret({"bbbbbb", "0123456789abcdef"}, settings, kNow);
  settings.ttl = minutes(5);
  settings.usages = {"authentication"};
  auto over = *token_secret({"cccccc", "0123456789abcdef"}, settings, kNow - hours(1));
  auto other = lasting;
  other.type = "Opaque";
  EXPECT_EQ(token_table({lasting, other, two_hours, over}, kNow),
            "TOKEN                     TTL         EXPIRES                USAGES                   DESCRIPTION   EXTRA "
            "GROUPS\n"
            "cccccc.0123456789abcdef   <expired>   2026-03-01T11:05:00Z   authentication           two hours     "
            "system:bootstrappers:kubeadm:default-node-token\n"
            "bbbbbb.0123456789abcdef   2h          2026-03-01T14:00:00Z   authentication,signing   two hours     "
            "system:bootstrappers:kubeadm:default-node-token\n"
            "aaaaaa.0123456789abcdef   <forever>   <never>                authentication,signing   <none>        "
            "system:bootstrappers:kubeadm:default-node-token\n");
}

TEST(ServerUrlTest, TakesWhatPeopleWrite) {
  const std::pair<const char*, const char*> good[] = {
      {"192.0.2.1", "https://192.0.2.1:6443"},
      {"192.0.2.1:443", "https://192.0.2.1:443"},
      {"https://192.0.2.1:6443/", "https://192.0.2.1:6443"},
      {"node-1.example", "https://node-1.example:6443"},
      {"2001:db8::1", "https://[2001:db8::1]:6443"},
      {"[2001:db8::1]", "https://[2001:db8::1]:6443"},
      {"[2001:db8::1]:7443", "https://[2001:db8::1]:7443"},
  };
  for (const auto& [given, wanted] : good) {
    const auto url = server_url(given);
    ASSERT_TRUE(url.ok()) << given << ": " << url.status().message();
    EXPECT_EQ(*url, wanted);
  }
  for (const char* wrong :
       {"", ":6443", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:64x", "http://192.0.2.1",
        "[2001:db8::1", "[2001:db8::1]6443", "[192.0.2.1]:6443", "a b", "user@host:1", "host/path"}) {
    if (std::string_view(wrong) == "192.0.2.1:") continue;  // a colon without a port says nothing
    EXPECT_FALSE(server_url(wrong).ok()) << wrong;
  }
}

class ClusterInfoTest : public testing::Test {
 protected:
  ClusterInfoTest() : authority_(*net::create_authority("kubernetes", kNow, kNow + hours(1))) {
    map_ = cluster_info_map({"https://192.0.2.1:6443", authority_.certificate_pem});
    map_.data["jws-kubeconfig-abcdef"] =
        *net::sign_detached_hs256(map_.data.get("kubeconfig"), "0123456789abcdef", "abcdef");
  }
  const net::CertifiedKey authority_;
  api::corev1::ConfigMap map_;
};

TEST_F(ClusterInfoTest, TellsTheAddressAndTheAuthority) {
  const auto address = read_cluster_info(map_);
  ASSERT_TRUE(address.ok()) << address.status().message();
  EXPECT_EQ(address->server, "https://192.0.2.1:6443");
  EXPECT_EQ(address->ca_pem, authority_.certificate_pem);
  for (const char* text :
       {"", "{}", "clusters: []", "clusters: [{name: a, cluster: {server: 'https://x:1'}}]",
        "clusters: [{name: a, cluster: {server: 'http://x:1', certificate-authority-data: eA==}}]"}) {
    map_.data["kubeconfig"] = text;
    EXPECT_FALSE(read_cluster_info(map_).ok()) << text;
  }
}

TEST_F(ClusterInfoTest, IsTrustedOnlyWithTheTokensSignature) {
  EXPECT_TRUE(check_signature(map_, {"abcdef", "0123456789abcdef"}).ok());
  const Status secret = check_signature(map_, {"abcdef", "0123456789abcdee"});
  EXPECT_TRUE(secret.is(Reason::kUnauthorized));
  EXPECT_TRUE(secret.message().starts_with("the token's secret is wrong")) << secret.message();
  const Status unknown = check_signature(map_, {"ghijkl", "0123456789abcdef"});
  EXPECT_TRUE(unknown.message().starts_with("the cluster does not know the token ghijkl.…")) << unknown.message();
  map_.data["kubeconfig"] += " ";
  EXPECT_FALSE(check_signature(map_, {"abcdef", "0123456789abcdef"}).ok()) << "changed by somebody on the way";
}

TEST_F(ClusterInfoTest, ThePinnedHashDecidesWhoseClusterItIs) {
  const std::string hash = *net::public_key_fingerprint(authority_.certificate_pem);
  std::string upper = hash.substr(7);
  for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'f' ? c - 0x20 : c);
  EXPECT_EQ(*normal_ca_hash(upper), hash) << "without prefix and in capitals";
  EXPECT_EQ(*normal_ca_hash(hash), hash);
  for (const char* wrong : {"", "sha256:", "sha256:12", "md5:0123", "sha256:zz"}) {
    EXPECT_FALSE(normal_ca_hash(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(normal_ca_hash(hash + "0").ok());
  const std::string other = "sha256:" + std::string(64, '0');
  EXPECT_TRUE(check_ca(authority_.certificate_pem, {other, hash}).ok()) << "one of several";
  const Status refused = check_ca(authority_.certificate_pem, {other});
  EXPECT_TRUE(refused.is(Reason::kUnauthorized));
  EXPECT_NE(refused.message().find(hash), std::string::npos) << refused.message();
  EXPECT_FALSE(check_ca(authority_.certificate_pem, {}).ok());
}

TEST(ClusterFactsTest, AreReadAsTheyWereWritten) {
  const ClusterFacts facts = read_facts(facts_map({"10.1.0.0/16", "10.2.0.0/16", "example.test"}));
  EXPECT_EQ(facts.cluster_cidr, "10.1.0.0/16");
  EXPECT_EQ(facts.service_cidr, "10.2.0.0/16");
  EXPECT_EQ(facts.cluster_domain, "example.test");
}

TEST(JoinCommandTest, IsWhatTheOtherMachineRuns) {
  EXPECT_EQ(join_command("https://192.0.2.1:6443", {"abcdef", "0123456789abcdef"}, "sha256:12"),
            "trireme join 192.0.2.1:6443 --token abcdef.0123456789abcdef --ca-hash sha256:12");
}

TEST(VersionTest, ANodeIsNeverNewerThanItsServer) {
  struct Case {
    const char* major;
    const char* minor;
    bool fits;
  };
  for (const Case& each : {Case{"1", "32", true},
                           {"1", "33", true},
                           {"1", "35", true},
                           {"1", "36", false},
                           {"1", "31", false},
                           {"2", "32", false},
                           {"1", "32+", true},
                           {"", "", false}}) {
    const std::string json =
        std::string(R"({"gitVersion":"v9","major":")") + each.major + R"(","minor":")" + each.minor + R"("})";
    EXPECT_EQ(check_version(json).ok(), each.fits) << json;
  }
  EXPECT_FALSE(check_version("no json").ok());
}

TEST(ClockDifferenceTest, IsReadFromTheAnswersDate) {
  net::Response response;
  EXPECT_FALSE(clock_difference(response, kNow));
  response.headers.set("Date", "Sun, 01 Mar 2026 12:10:00 GMT");
  EXPECT_EQ(clock_difference(response, kNow), minutes(10));
  EXPECT_EQ(clock_difference(response, kNow + hours(1)), -minutes(50));
  response.headers.set("Date", "yesterday");
  EXPECT_FALSE(clock_difference(response, kNow));
}

TEST(RenewalTest, IsDueAfterItsShareOfTheTimeGiven) {
  net::CertificateInfo certificate;
  certificate.not_before = kNow - minutes(5);  // backdated, as signers do
  certificate.not_after = kNow + hours(100);
  EXPECT_EQ(renewal_time(certificate, 0.7), kNow + hours(70));
  EXPECT_EQ(renewal_time(certificate, 0.9), kNow + hours(90));
  certificate.not_after = kNow + seconds(10);
  EXPECT_EQ(renewal_time(certificate, 0.8), kNow + seconds(8));
  certificate.not_after = kNow - minutes(4);
  EXPECT_EQ(renewal_time(certificate, 0.8), certificate.not_after) << "a strange one: at its end";
}

}  // namespace
}  // namespace trireme::join
