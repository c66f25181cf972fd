#include "net/x509.h"

#include <gmock/gmock.h>

#include "net/jwt.h"
#include "net/test_support.h"

namespace trireme::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(X509, IssuesAndParses) {
  const TestCertificates test;
  const auto second = [](WallTime time) { return std::chrono::floor<std::chrono::seconds>(time); };
  const auto info = parse_certificate(test.server.certificate_pem);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info.value().common_name, "server");
  EXPECT_THAT(info.value().dns_names, ElementsAre("localhost"));
  EXPECT_THAT(info.value().ip_addresses, ElementsAre("127.0.0.1"));
  EXPECT_EQ(info.value().issuer_common_name, "test-ca");
  EXPECT_EQ(info.value().not_after, second(test.now + std::chrono::hours(1)));
  EXPECT_FALSE(info.value().is_ca);
  EXPECT_TRUE(parse_certificate(test.authority.certificate_pem).value().is_ca);
  EXPECT_THAT(parse_certificate(test.client.certificate_pem).value().organizations, ElementsAre("dev", "ops"));
  EXPECT_TRUE(check_key_pair(test.client.certificate_pem, test.client.key_pem).ok());
  EXPECT_FALSE(check_key_pair(test.client.certificate_pem, test.server.key_pem).ok());
}

TEST(X509, VerifiesChainPurposeAndTime) {
  const TestCertificates test;
  const CertifiedKey other = test.make_authority("test-ca");
  const std::string& trusted = test.authority.certificate_pem;
  const auto verify = [&](const CertifiedKey& subject, const std::string& authorities, CertificateUse use,
                          WallTime now) {
    return verify_certificate(subject.certificate_pem, authorities, use, now).ok();
  };
  EXPECT_TRUE(verify(test.server, trusted, CertificateUse::kServer, test.now));
  EXPECT_FALSE(verify(test.server, trusted, CertificateUse::kClient, test.now));
  EXPECT_FALSE(verify(test.server, trusted, CertificateUse::kServer, test.now + std::chrono::hours(2)));
  EXPECT_FALSE(verify(test.server, trusted, CertificateUse::kServer, test.now - std::chrono::hours(2)));
  EXPECT_FALSE(verify(test.server, other.certificate_pem, CertificateUse::kServer, test.now));
  EXPECT_TRUE(verify(test.server, other.certificate_pem + trusted, CertificateUse::kServer, test.now));
}

TEST(X509, SignsRequests) {
  const TestCertificates test;
  const std::string key = *generate_key();
  const CertificateSpec wanted{
      .common_name = "system:node:n1", .organizations = {"system:nodes"}, .dns_names = {"n1"}, .ip_addresses = {"::1"}};
  const auto request = create_request(key, wanted);
  ASSERT_TRUE(request.ok());
  const auto info = parse_request(request.value());
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info.value().common_name, "system:node:n1");
  EXPECT_THAT(info.value().organizations, ElementsAre("system:nodes"));
  EXPECT_THAT(info.value().dns_names, ElementsAre("n1"));
  EXPECT_THAT(info.value().ip_addresses, ElementsAre("::1"));

  CertificateSpec granted = wanted;
  granted.dns_names.clear();
  granted.use = CertificateUse::kClient;
  granted.not_before = test.now;
  granted.not_after = test.now + std::chrono::hours(1);
  const auto certificate = sign_request(test.authority, request.value(), granted);
  ASSERT_TRUE(certificate.ok()) << certificate.status().to_string();
  EXPECT_TRUE(check_key_pair(certificate.value(), key).ok());
  EXPECT_THAT(parse_certificate(certificate.value()).value().dns_names, IsEmpty());
  EXPECT_TRUE(
      verify_certificate(certificate.value(), test.authority.certificate_pem, CertificateUse::kClient, test.now).ok());
}

TEST(X509, RefusesGarbage) {
  const TestCertificates test;
  for (const std::string bad : {"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    EXPECT_FALSE(parse_certificate(bad).ok());
    EXPECT_FALSE(parse_request(bad).ok());
    EXPECT_FALSE(public_key(bad).ok());
    EXPECT_FALSE(verify_certificate(test.server.certificate_pem, bad, CertificateUse::kServer, test.now).ok());
  }
  CertificateSpec spec{.common_name = "a", .ip_addresses = {"1.2.3"}, .not_before = test.now, .not_after = test.now};
  EXPECT_FALSE(issue_certificate(test.authority, spec).ok());
  spec.ip_addresses.clear();
  EXPECT_FALSE(issue_certificate(test.authority, spec).ok()) << "no validity";
}

TEST(X509, FingerprintIsOfTheKey) {
  const TestCertificates test;
  const auto one = public_key_fingerprint(test.authority.certificate_pem);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one.value().size(), 7u + 64u);
  EXPECT_TRUE(one.value().starts_with("sha256:"));
  EXPECT_NE(one.value(), *public_key_fingerprint(test.server.certificate_pem));
}

TEST(Base64Url, RoundTripsAndRefuses) {
  for (const std::string text : {"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"}) {
    EXPECT_EQ(*base64url_decode(base64url_encode(text)), text);
  }
  EXPECT_EQ(base64url_encode("\xff\xef"), "_-8");
  for (const char* bad : {"a", "ab=", "a+b", "_-9", "abcde"}) EXPECT_FALSE(base64url_decode(bad).ok()) << bad;
}

class JwtTest : public ::testing::TestWithParam<bool> {};

TEST_P(JwtTest, SignsAndVerifies) {
  const bool rsa = GetParam();
  const std::string key = rsa ? *generate_rsa_key() : *generate_key();
  const std::string other = rsa ? *generate_rsa_key() : *generate_key();
  const std::string id = *key_id(key);
  EXPECT_EQ(id, *key_id(*public_key(key)));
  const std::string claims = R"({"sub":"system:serviceaccount:a:b"})";
  const auto token = sign_jwt(claims, key, id);
  ASSERT_TRUE(token.ok()) << token.status().to_string();

  const VerificationKey right{id, *public_key(key)};
  const VerificationKey wrong{*key_id(other), *public_key(other)};
  const VerificationKey mislabelled{id, *public_key(other)};
  const auto verify = [](std::string_view text, std::vector<VerificationKey> keys) { return verify_jwt(text, keys); };
  const auto verified = verify(*token, {wrong, right});
  ASSERT_TRUE(verified.ok()) << verified.status().to_string();
  EXPECT_EQ(verified.value().claims_json, claims);
  EXPECT_TRUE(verify(*token, {mislabelled, right}).ok());
  EXPECT_FALSE(verify(*token, {wrong}).ok());
  EXPECT_FALSE(verify(*token, {mislabelled}).ok());
  EXPECT_FALSE(verify(*token, {}).ok());

  // Any changed character of claims or signature spoils it.
  const size_t dot = token.value().find('.');
  for (size_t i : {dot + 1, dot + 9, token.value().size() - 4}) {
    std::string changed = token.value();
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify(changed, {right}).ok());
  }
  // Another algorithm in the header does not help, whatever the signature.
  const std::string rest = token.value().substr(dot);
  for (const char* header : {R"({"alg":"none"})", R"({"alg":"HS256"})", R"({})", R"({"alg":"RS256","crit":["x"]})"}) {
    EXPECT_FALSE(verify(base64url_encode(header) + rest, {right}).ok());
  }
  for (const char* bad : {"", ".", "..", "a.b", "a.b.c.d", "!.b.c"}) EXPECT_FALSE(verify(bad, {right}).ok()) << bad;
  EXPECT_NE(public_key_jwk(key, id).value().find(rsa ? "\"kty\":\"RSA\"" : "\"crv\":\"P-256\""), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Keys, JwtTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "RS256" : "ES256"; });

}  // namespace
}  // namespace trireme::net
