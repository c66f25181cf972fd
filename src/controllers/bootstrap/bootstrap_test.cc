#include <gtest/gtest.h>

#include "controllers/bootstrap/bootstrap_tokens.h"
#include "controllers/testing/suite.h"
#include "net/jwt.h"

namespace trireme::controllers {
namespace {

using api::corev1::ConfigMap;
using api::corev1::Secret;

Secret token(const std::string& id, const std::string& expiration = "") {
  Secret out;
  out.metadata.namespace_ = "kube-system";
  out.metadata.name = "bootstrap-token-" + id;
  out.type = kBootstrapTokenType;
  out.data = {{"token-id", id}, {"token-secret", "0123456789abcdef"}, {"usage-bootstrap-signing", "true"}};
  if (!expiration.empty()) out.data.insert_or_assign("expiration", expiration);
  return out;
}

TEST(SigningTokenTest, OnlyWholeAndLivingTokensSign) {
  const WallTime now = api::Time::parse("2025-01-01T00:00:00Z")->wall();
  EXPECT_EQ(signing_token(token("abcdef"), now)->secret, "0123456789abcdef");
  EXPECT_TRUE(signing_token(token("abcdef", "2025-01-01T00:00:01Z"), now));
  EXPECT_FALSE(signing_token(token("abcdef", "2025-01-01T00:00:00Z"), now));
  EXPECT_FALSE(signing_token(token("ABCDEF"), now));
  Secret other = token("abcdef");
  other.metadata.name = "another";
  EXPECT_FALSE(signing_token(other, now));
  other = token("abcdef");
  other.data.erase("usage-bootstrap-signing");
  EXPECT_FALSE(signing_token(other, now));
}

TEST_F(ControllersSuite, ClusterInfoIsSignedByEveryTokenAndExpiredOnesGo) {
  run("bootstrapsigner,tokencleaner");
  Watched<ConfigMap> maps(raw());
  Watched<Secret> secrets(raw());
  ConfigMap info;
  info.metadata.namespace_ = "kube-public";
  info.metadata.name = "cluster-info";
  info.data = {{"kubeconfig", "text"}, {"jws-kubeconfig-stale1", "x..y"}};
  create(info);
  create(token("aaaaaa"));
  create(token("bbbbbb", api::Time(clock_->now() + std::chrono::hours(2)).to_string()));
  const auto keys = [&] {
    std::string out;
    const auto map = maps.get("kube-public", "cluster-info");
    if (!map) return out;
    for (const auto& [key, value] : map->data) out += key + " ";
    return out;
  };
  ASSERT_TRUE(maps.until([&] { return keys() == "jws-kubeconfig-aaaaaa jws-kubeconfig-bbbbbb kubeconfig "; }))
      << keys();
  EXPECT_EQ(maps.get("kube-public", "cluster-info")->data.get("jws-kubeconfig-aaaaaa"),
            *net::sign_detached_hs256("text", "0123456789abcdef", "aaaaaa"));
  ASSERT_TRUE(advance_until(secrets, std::chrono::minutes(30),
                            [&] { return !secrets.get("kube-system", "bootstrap-token-bbbbbb"); }));
  EXPECT_TRUE(maps.until([&] { return keys() == "jws-kubeconfig-aaaaaa kubeconfig "; })) << keys();
  EXPECT_TRUE(secrets.get("kube-system", "bootstrap-token-aaaaaa"));
}

}  // namespace
}  // namespace trireme::controllers
