#include <gtest/gtest.h>

#include "api/conditions.h"
#include "controllers/certificates/request_checks.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using namespace api::certificatesv1;  // NOLINT: the constants of conditions and signers
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

CertificateSigningRequest make_request(const std::string& name, std::string_view signer,
                                       const net::CertificateSpec& spec, std::vector<std::string> usages) {
  CertificateSigningRequest out;
  out.metadata.name = name;
  out.spec.request = *net::create_request(*net::generate_key(), spec);
  out.spec.signer_name = signer;
  out.spec.usages = std::move(usages);
  return out;
}

net::CertificateSpec node_spec() {
  net::CertificateSpec spec;
  spec.common_name = "system:node:n1";
  spec.organizations = {"system:nodes"};
  return spec;
}

TEST(RequestChecksTest, EachSignerTakesItsKindOnly) {
  struct Case {
    const char* what;
    std::string_view signer;
    std::string common_name;
    std::vector<std::string> organizations, dns, usages;
    bool fits;
  };
  const std::vector<std::string> nodes{"system:nodes"};
  const std::vector<std::string> client{"client auth", "digital signature"};
  const std::vector<std::string> server{"server auth", "digital signature", "key encipherment"};
  const Case cases[] = {
      {"a kubelet's", kKubeAPIServerClientKubeletSignerName, "system:node:n1", nodes, {}, client, true},
      {"with a name", kKubeAPIServerClientKubeletSignerName, "system:node:n1", nodes, {"n1"}, client, false},
      {"of nobody", kKubeAPIServerClientKubeletSignerName, "n1", nodes, {}, client, false},
      {"of a stranger", kKubeAPIServerClientKubeletSignerName, "system:node:n1", {"dev"}, {}, client, false},
      {"for serving too", kKubeAPIServerClientKubeletSignerName, "system:node:n1", nodes, {}, server, false},
      {"serving", kKubeletServingSignerName, "system:node:n1", nodes, {"n1"}, server, true},
      {"serving no name", kKubeletServingSignerName, "system:node:n1", nodes, {}, server, false},
      {"a user's", kKubeAPIServerClientSignerName, "jane", {"dev"}, {}, client, true},
      {"a user's for serving", kKubeAPIServerClientSignerName, "jane", {"dev"}, {}, server, false},
      {"legacy", kLegacyUnknownSigner, "jane", {}, {"x"}, server, true},
      {"another signer's", "example.com/signer", "jane", {}, {}, client, false},
  };
  for (const Case& each : cases) {
    net::CertificateInfo info;
    info.common_name = each.common_name;
    info.organizations = each.organizations;
    info.dns_names = each.dns;
    CertificateSigningRequestSpec spec;
    spec.signer_name = each.signer;
    spec.usages = each.usages;
    EXPECT_EQ(check_for_signer(info, spec).ok(), each.fits) << each.what;
  }
}

TEST(RequestChecksTest, LifetimesAreBounded) {
  CertificateSigningRequestSpec spec;
  EXPECT_EQ(certificate_lifetime(spec, hours(8760)), hours(8760));
  spec.expiration_seconds = 3600;
  EXPECT_EQ(certificate_lifetime(spec, hours(8760)), hours(1));
  spec.expiration_seconds = 60;
  EXPECT_EQ(certificate_lifetime(spec, hours(8760)), minutes(10));
  EXPECT_EQ(certificate_lifetime(spec, minutes(5)), minutes(5));
}

class CertificatesSuite : public ControllersSuite {
 protected:
  ControllerOptions options() {
    ControllerOptions out;
    authority_ = *net::create_authority("test", clock_->now() - hours(1), clock_->now() + hours(24 * 3650));
    out.cluster_signing_certificate_pem = authority_.certificate_pem;
    out.cluster_signing_key_pem = authority_.key_pem;
    return out;
  }
  void decide(const std::string& name, std::string_view type) {
    Result<CertificateSigningRequest> request = client().get<CertificateSigningRequest>({}, name);
    ASSERT_TRUE(request.ok());
    auto& condition = request->status.conditions.emplace_back();
    condition.type = type;
    condition.status = "True";
    condition.reason = "Test";
    condition.last_update_time = api::Time(clock_->now());
    const auto done = client().update_subresource(*request, "approval");
    EXPECT_TRUE(done.ok()) << done.status().to_string();
  }
  net::CertifiedKey authority_;
};

TEST_F(CertificatesSuite, AKubeletGetsItsCertificateWithoutAnybodysHelp) {
  run("csrapproving,csrsigning", options());
  Watched<CertificateSigningRequest> requests(raw());
  auto request =
      make_request("n1", kKubeAPIServerClientKubeletSignerName, node_spec(), {"digital signature", "client auth"});
  request.spec.expiration_seconds = 7200;
  create(request);
  ASSERT_TRUE(requests.until([&] {
    const auto now = requests.get("", "n1");
    return now && !now->status.certificate.empty();
  }));
  const auto issued = requests.get("", "n1");
  EXPECT_EQ(api::find_condition(issued->status.conditions, kCertificateApproved)->reason, "AutoApproved");
  const auto info = net::parse_certificate(issued->status.certificate);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->common_name, "system:node:n1");
  EXPECT_EQ(info->organizations, std::vector<std::string>{"system:nodes"});
  EXPECT_LE(info->not_after - (clock_->now() + hours(2)), seconds(1));
  EXPECT_TRUE(net::verify_certificate(issued->status.certificate, authority_.certificate_pem,
                                      net::CertificateUse::kClient, clock_->now())
                  .ok());
  EXPECT_FALSE(net::verify_certificate(issued->status.certificate, authority_.certificate_pem,
                                       net::CertificateUse::kServer, clock_->now())
                   .ok())
      << "for what was asked only";
}

TEST_F(CertificatesSuite, OthersWaitForAPersonAndWrongOnesFail) {
  run("csrapproving,csrsigning", options());
  Watched<CertificateSigningRequest> requests(raw());
  net::CertificateSpec jane;
  jane.common_name = "jane";
  create(make_request("jane", kKubeAPIServerClientSignerName, jane, {"client auth"}));
  create(make_request("server", kKubeAPIServerClientSignerName, jane, {"server auth"}));
  create(make_request("denied", kKubeAPIServerClientSignerName, jane, {"client auth"}));
  // The approving controller has been past all three when this one, which came after them, is done.
  create(make_request("n2", kKubeAPIServerClientKubeletSignerName, node_spec(), {"digital signature", "client auth"}));
  ASSERT_TRUE(requests.until([&] {
    const auto now = requests.get("", "n2");
    return now && !now->status.certificate.empty();
  }));
  EXPECT_FALSE(is_decided(*requests.get("", "jane")));
  decide("denied", kCertificateDenied);
  decide("server", kCertificateApproved);
  decide("jane", kCertificateApproved);
  EXPECT_TRUE(requests.until([&] { return !requests.get("", "jane")->status.certificate.empty(); }));
  EXPECT_TRUE(requests.until([&] {
    const auto* failed = api::find_condition(requests.get("", "server")->status.conditions, kCertificateFailed);
    return failed && failed->reason == "SignerValidationFailure";
  }));
  EXPECT_TRUE(requests.get("", "server")->status.certificate.empty());
  EXPECT_TRUE(requests.get("", "denied")->status.certificate.empty());
}

TEST_F(CertificatesSuite, RequestsGoWhenTheirTimeIsOver) {
  run("csrcleaner", options());
  Watched<CertificateSigningRequest> requests(raw());
  net::CertificateSpec jane;
  jane.common_name = "jane";
  create(make_request("waiting", kKubeAPIServerClientSignerName, jane, {"client auth"}));
  create(make_request("denied", kKubeAPIServerClientSignerName, jane, {"client auth"}));
  decide("denied", kCertificateDenied);
  const auto names = [&] {
    std::string out;
    for (const auto& each : requests.list()) out += each->metadata.name + " ";
    return out;
  };
  ASSERT_TRUE(requests.until([&] { return names() == "denied waiting "; }));
  ASSERT_TRUE(advance_until(requests, minutes(30), [&] { return names() == "waiting "; }));
  EXPECT_TRUE(advance_until(requests, hours(12), [&] { return names().empty(); }));
}

}  // namespace
}  // namespace trireme::controllers
