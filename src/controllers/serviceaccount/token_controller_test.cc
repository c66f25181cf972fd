#include <gtest/gtest.h>

#include "controllers/testing/suite.h"
#include "net/jwt.h"
#include "net/x509.h"

namespace trireme::controllers {
namespace {

using api::corev1::Secret;
using api::corev1::ServiceAccount;

TEST_F(ControllersSuite, ATokenSecretIsFilledAndGoesWithItsAccount) {
  ControllerOptions options;
  options.root_ca_pem = "PEM";
  options.service_account_key_pem = *net::generate_key();
  run("serviceaccount-token", options);
  Watched<Secret> secrets(raw());
  ServiceAccount account;
  account.metadata.namespace_ = "default";
  account.metadata.name = "robot";
  account = create(account);
  Secret secret;
  secret.metadata.namespace_ = "default";
  secret.metadata.name = "robot-token";
  secret.metadata.annotations.insert_or_assign("kubernetes.io/service-account.name", "robot");
  secret.type = "kubernetes.io/service-account-token";
  create(secret);
  ASSERT_TRUE(secrets.until([&] {
    const auto now = secrets.get("default", "robot-token");
    return now && now->data.contains("token");
  }));
  const auto filled = secrets.get("default", "robot-token");
  EXPECT_EQ(filled->data.get("ca.crt"), "PEM");
  EXPECT_EQ(filled->data.get("namespace"), "default");
  EXPECT_EQ(filled->metadata.annotations.get("kubernetes.io/service-account.uid"), account.metadata.uid);
  const net::VerificationKey key{*net::key_id(options.service_account_key_pem),
                                 *net::public_key(options.service_account_key_pem)};
  const auto token = net::verify_jwt(filled->data.get("token"), std::span(&key, 1));
  ASSERT_TRUE(token.ok()) << token.status().to_string();
  EXPECT_NE(token->claims_json.find(account.metadata.uid), std::string::npos);

  EXPECT_EQ(remove<ServiceAccount>("default", "robot").to_string(), "OK");
  EXPECT_TRUE(secrets.until([&] { return !secrets.get("default", "robot-token"); }));
}

TEST_F(ControllersSuite, ASecretForNobodyIsDeleted) {
  run("serviceaccount-token");
  Watched<Secret> secrets(raw());
  Secret secret;
  secret.metadata.namespace_ = "default";
  secret.metadata.name = "lost";
  secret.metadata.annotations.insert_or_assign("kubernetes.io/service-account.name", "nobody");
  secret.type = "kubernetes.io/service-account-token";
  create(secret);
  EXPECT_TRUE(secrets.until([&] { return secrets.list("default").empty(); }));
}

}  // namespace
}  // namespace trireme::controllers
