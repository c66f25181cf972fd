#include "controllers/serviceaccount/legacy_token_cleaner.h"

#include <gtest/gtest.h>

#include "api/legacy_tokens.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::corev1::ConfigMap;
using api::corev1::Pod;
using api::corev1::Secret;
using api::corev1::ServiceAccount;
using std::chrono::hours;

constexpr Duration kDay = hours(24);

TEST(SecretNames, AreFoundWhereverAPodMayNameThem) {
  Pod pod;
  pod.spec.image_pull_secrets.emplace_back().name = "pull";
  auto& container = pod.spec.containers.emplace_back();
  container.env.emplace_back().value_from.ensure().secret_key_ref.ensure().local_object_reference.name = "variable";
  container.env_from.emplace_back().secret_ref.ensure().local_object_reference.name = "variables";
  auto& init = pod.spec.init_containers.emplace_back();
  init.env.emplace_back().value_from.ensure().secret_key_ref.ensure().local_object_reference.name = "init";
  pod.spec.volumes.emplace_back().volume_source.secret.ensure().secret_name = "volume";
  pod.spec.volumes.emplace_back()
      .volume_source.projected.ensure()
      .sources.emplace_back()
      .secret.ensure()
      .local_object_reference.name = "projected";
  pod.spec.volumes.emplace_back().volume_source.csi.ensure().node_publish_secret_ref.ensure().name = "csi";
  pod.spec.volumes.emplace_back().volume_source.config_map.ensure().local_object_reference.name = "map";
  EXPECT_EQ(secret_names(pod),
            (std::set<std::string>{"pull", "variable", "variables", "init", "volume", "projected", "csi"}));
}

class LegacyTokens : public ControllersSuite {
 protected:
  void SetUp() override {
    ControllersSuite::SetUp();
    secrets_.emplace(raw());
    ConfigMap map;
    map.metadata.namespace_ = "kube-system";
    map.metadata.name = api::kLegacyTokenTrackingMap;
    map.data.insert_or_assign(std::string(api::kLegacyTokenSince), api::day_of(clock_->now()));
    create(map);
  }
  void TearDown() override {
    secrets_.reset();
    ControllersSuite::TearDown();
  }
  void token(const std::string& name, const std::string& last_used = {}, std::string account = "robot") {
    Secret secret;
    secret.metadata.namespace_ = "default";
    secret.metadata.name = name;
    secret.metadata.annotations.insert_or_assign("kubernetes.io/service-account.name", account);
    if (!last_used.empty()) {
      secret.metadata.labels.insert_or_assign(std::string(api::kLegacyTokenLastUsed), last_used);
    }
    secret.type = api::corev1::kSecretTypeServiceAccountToken;
    create(secret);
    EXPECT_TRUE(secrets_->until([&] { return secrets_->get("default", name) != nullptr; }));
  }
  std::string mark_of(const std::string& name) {
    const auto secret = secrets_->get("default", name);
    return secret ? secret->metadata.labels.get(api::kLegacyTokenInvalidSince) : "gone";
  }
  std::string day(Duration after) { return api::day_of(begin_ + after); }

  const WallTime begin_ = clock_->now();
  std::optional<Watched<Secret>> secrets_;
};

TEST_F(LegacyTokens, WhatNobodyUsesIsMarkedAndThenDeleted) {
  ServiceAccount account;
  account.metadata.namespace_ = "default";
  account.metadata.name = "robot";
  for (const char* name : {"unused", "used-lately", "odd", "mounted", "back"}) {
    account.secrets.emplace_back().name = name;
  }
  create(account);
  token("unused", day(kDay));
  token("used-lately", day(hours(8760)));
  token("odd", "soon");
  token("mounted");
  token("by-hand");
  token("back", day(kDay));
  Pod pod;
  pod.metadata.namespace_ = "default";
  pod.metadata.name = "web";
  pod.spec.containers.emplace_back().name = "main";
  pod.spec.containers[0].image = "busybox";
  pod.spec.volumes.emplace_back().name = "token";
  pod.spec.volumes[0].volume_source.secret.ensure().secret_name = "mounted";
  create(pod);
  run("legacy-service-account-token-cleaner");

  // A part of the first day is not known, and secrets are as old as the server's clock says: two days more than a year.
  clock_->advance(hours(8760));
  EXPECT_FALSE(secrets_->until([&] { return !mark_of("unused").empty(); }, std::chrono::milliseconds(300)));
  ASSERT_TRUE(advance_until(*secrets_, kDay, [&] { return !mark_of("unused").empty() && !mark_of("back").empty(); }));
  EXPECT_GE(mark_of("unused"), day(hours(8760) + kDay));
  EXPECT_LE(mark_of("unused"), day(hours(8760) + 4 * kDay));
  for (const char* name : {"used-lately", "odd", "mounted", "by-hand"}) EXPECT_EQ(mark_of(name), "") << name;

  // Somebody takes the mark away, and uses the token.
  change<Secret>("default", "back", [&](Secret& secret) {
    secret.metadata.labels.erase(std::string(api::kLegacyTokenInvalidSince));
    secret.metadata.labels.insert_or_assign(std::string(api::kLegacyTokenLastUsed), day(hours(8760) + 300 * kDay));
  });
  clock_->advance(hours(8760));
  EXPECT_TRUE(advance_until(*secrets_, kDay, [&] { return mark_of("unused") == "gone"; }));
  EXPECT_EQ(mark_of("back"), "");
  EXPECT_NE(mark_of("used-lately"), "gone") << "it is marked first";
  for (const char* name : {"odd", "mounted", "by-hand"}) EXPECT_EQ(mark_of(name), "") << name;
}

TEST_F(LegacyTokens, ThePeriodCanBeSet) {
  ServiceAccount account;
  account.metadata.namespace_ = "default";
  account.metadata.name = "robot";
  account.secrets.emplace_back().name = "unused";
  create(account);
  token("unused", day(kDay));
  ControllerOptions options;
  options.legacy_service_account_token_clean_up_period = 10 * kDay;
  run("legacy-service-account-token-cleaner", options);
  clock_->advance(8 * kDay);
  EXPECT_FALSE(secrets_->until([&] { return !mark_of("unused").empty(); }, std::chrono::milliseconds(300)));
  ASSERT_TRUE(advance_until(*secrets_, kDay, [&] { return !mark_of("unused").empty(); }));
  EXPECT_LE(mark_of("unused"), day(14 * kDay));
  clock_->advance(9 * kDay);
  EXPECT_TRUE(advance_until(*secrets_, kDay, [&] { return mark_of("unused") == "gone"; }));
}

}  // namespace
}  // namespace trireme::controllers
