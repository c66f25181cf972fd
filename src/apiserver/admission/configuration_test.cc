#include "apiserver/admission/configuration.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace trireme::apiserver::admission {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

std::string problem(const Flags& flags) { return read_configuration(flags).status().to_string(); }

TEST(AdmissionFlags, NamePluginsThatThereAre) {
  const auto read = read_configuration(
      {.enable = {"NodeRestriction", "NamespaceLifecycle"}, .disable = {"Priority", "PodSecurity"}, .config_file = {}});
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_THAT(read->disabled, ElementsAre("PodSecurity", "Priority"));
  EXPECT_THAT(problem({{"Prioirty"}, {}, {}}), HasSubstr("enable-admission-plugins plugin \"Prioirty\" is unknown"));
  EXPECT_THAT(problem({{}, {"Prioirty"}, {}}), HasSubstr("disable-admission-plugins plugin \"Prioirty\" is unknown"));
  EXPECT_THAT(problem({{"Priority"}, {"Priority"}, {}}),
              HasSubstr("[Priority] in enable-admission-plugins and disable-admission-plugins overlapped"));
  EXPECT_THAT(problem({{"PodSecurity"}, {}, {}}), HasSubstr("plugin \"PodSecurity\" is not part of this server"));
  EXPECT_THAT(problem({{}, {"NamespaceLifecycle"}, {}}), HasSubstr("always on"));
}

class AdmissionFile : public testing::Test {
 protected:
  AdmissionFile() { std::filesystem::create_directories(folder_); }
  ~AdmissionFile() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  Result<Configuration> read(const std::string& plugins) {
    write("admission.yaml",
          "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n" + plugins);
    return read_configuration({{}, {}, (folder_ / "admission.yaml").string()});
  }
  std::string refusal(const std::string& plugins) { return read(plugins).status().message(); }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("admission-" + std::to_string(::getpid()));
};

constexpr const char* kNested = R"(
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources:
    - resource: persistentvolumeclaims
      matchContains: [.storageclass.storage.k8s.io/requests.storage]
    - apiGroup: apps
      resource: deployments
      matchContains: [count/]
    - resource: pods
      matchScopes:
      - {scopeName: PriorityClass, operator: In, values: [cluster-services]}
)";

TEST_F(AdmissionFile, HoldsThePluginsSettings) {
  const auto read = this->read(kNested);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  ASSERT_EQ(read->limited_resources.size(), 3U);
  EXPECT_EQ(read->limited_resources[0].resource, "persistentvolumeclaims");
  EXPECT_THAT(read->limited_resources[0].match_contains, ElementsAre(".storageclass.storage.k8s.io/requests.storage"));
  EXPECT_EQ(read->limited_resources[1].api_group, "apps");
  ASSERT_EQ(read->limited_resources[2].match_scopes.size(), 1U);
  EXPECT_EQ(read->limited_resources[2].match_scopes[0].scope_name, "PriorityClass");
  EXPECT_THAT(read->limited_resources[2].match_scopes[0].values, ElementsAre("cluster-services"));
}

TEST_F(AdmissionFile, NamesFilesBesideItself) {
  write("quota.yaml", R"(
apiVersion: resourcequota.admission.k8s.io/v1beta1
kind: Configuration
limitedResources: [{resource: pods, matchContains: [pods]}]
)");
  const auto read = this->read("- {name: ResourceQuota, path: quota.yaml}\n- {name: LimitRanger}\n");
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  ASSERT_EQ(read->limited_resources.size(), 1U);
  EXPECT_THAT(refusal("- {name: ResourceQuota, path: none.yaml}"),
              HasSubstr("none.yaml\" [No such file or directory]"));
  write("quota.yaml", "apiVersion: apiserver.config.k8s.io/v1\nkind: ResourceQuotaConfiguration\nlimited: []\n");
  EXPECT_THAT(refusal("- {name: ResourceQuota, path: quota.yaml}"), EndsWith("limited: Forbidden: unknown field"));
}

TEST_F(AdmissionFile, IsReadStrictly) {
  EXPECT_THAT(refusal("- {name: Quota}"), EndsWith("admission plugin \"Quota\" is unknown"));
  EXPECT_THAT(refusal("- {name: PodSecurity, configuration: {}}"),
              HasSubstr("\"PodSecurity\" is not part of this server"));
  EXPECT_THAT(refusal("- {name: LimitRanger, configuration: {}}"), HasSubstr("no configuration was expected"));
  EXPECT_THAT(refusal("- {name: ResourceQuota, file: x}"), HasSubstr("plugins[0].file: Forbidden: unknown field"));
  EXPECT_THAT(refusal("- {name: ResourceQuota, configuration: {apiVersion: v1, kind: ResourceQuotaConfiguration}}"),
              HasSubstr("plugins[0].configuration.apiVersion: Unsupported value: \"v1\""));
  EXPECT_THAT(refusal("- {name: ResourceQuota, configuration: {apiVersion: apiserver.config.k8s.io/v1, "
                      "kind: ResourceQuotaConfiguration, limitedResources: [{matchContains: [x]}]}}"),
              HasSubstr("limitedResources[0].resource: Required value"));
  EXPECT_THAT(problem({{}, {}, "/none.yaml"}),
              HasSubstr("failed to read plugin config: unable to read admission control configuration from "
                        "\"/none.yaml\" [No such file or directory]"));
}

}  // namespace
}  // namespace trireme::apiserver::admission
