#include <gtest/gtest.h>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "api/value.h"
#include "api/volumes.h"
#include "apiserver/admission/plugins.h"
#include "integration/support/test_api_server.h"

namespace trireme::apiserver::admission {
namespace {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;

class StoragePluginsTest : public testing::Test {
 protected:
  StoragePluginsTest() : caches_(std::shared_ptr<void>(), &server_.server().caches()) {}

  void create_class(const std::string& name, const std::string& more) {
    const auto answer =
        server_.post("/apis/storage.k8s.io/v1/storageclasses",
                     R"({"metadata":{"name":")" + name + R"("},"provisioner":"p.example.com")" + more + "}");
    ASSERT_EQ(answer.status, 201) << answer.body;
  }
  template <typename T>
  static api::Object object(const std::string& json) {
    auto value = api::parse_value(json);
    EXPECT_TRUE(value.ok()) << json;
    return std::move(*api::from_value(api::type_info<T>(), *value));
  }
  template <typename T>
  static Status admit(Plugin& plugin, Operation operation, api::Object& now, const api::Object* before = nullptr) {
    Attributes attributes;
    attributes.operation = operation;
    attributes.resource = &api::resource_of<T>();
    attributes.name = now.metadata().name;
    attributes.object = &now;
    attributes.old_object = before;
    TRY(plugin.admit(attributes));
    return plugin.validate(attributes);
  }

  test::TestApiServer server_;
  std::shared_ptr<Caches> caches_;
};

TEST_F(StoragePluginsTest, ClaimsAndVolumesAreProtectedFromTheStart) {
  const auto plugin = storage_object_in_use_protection_plugin();
  api::Object claim = object<PersistentVolumeClaim>(R"({"metadata":{"name":"c"}})");
  ASSERT_TRUE(admit<PersistentVolumeClaim>(*plugin, Operation::kCreate, claim).ok());
  EXPECT_EQ(claim.metadata().finalizers, std::vector<std::string>{"kubernetes.io/pvc-protection"});
  ASSERT_TRUE(admit<PersistentVolumeClaim>(*plugin, Operation::kCreate, claim).ok());
  EXPECT_EQ(claim.metadata().finalizers.size(), 1U);
  api::Object volume = object<PersistentVolume>(R"({"metadata":{"name":"v"}})");
  ASSERT_TRUE(admit<PersistentVolume>(*plugin, Operation::kCreate, volume).ok());
  EXPECT_EQ(volume.metadata().finalizers, std::vector<std::string>{"kubernetes.io/pv-protection"});
  api::Object updated = object<PersistentVolume>(R"({"metadata":{"name":"v"}})");
  ASSERT_TRUE(admit<PersistentVolume>(*plugin, Operation::kUpdate, updated, &volume).ok());
  EXPECT_TRUE(updated.metadata().finalizers.empty()) << "who takes it off may do so";
}

TEST_F(StoragePluginsTest, ClaimsWithoutAClassGetTheDefault) {
  const auto plugin = default_storage_class_plugin(caches_);
  const auto class_of = [&](const std::string& spec) {
    api::Object claim = object<PersistentVolumeClaim>(R"({"metadata":{"name":"c"},"spec":)" + spec + "}");
    EXPECT_TRUE(admit<PersistentVolumeClaim>(*plugin, Operation::kCreate, claim).ok());
    return claim.as<PersistentVolumeClaim>()->spec.storage_class_name.value_or("(none)");
  };
  create_class("plain", "");
  EXPECT_EQ(class_of("{}"), "(none)");
  const auto answer = server_.post("/apis/storage.k8s.io/v1/storageclasses",
                                   R"({"metadata":{"name":"std","annotations":{
                                       "storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"p.example.com"})");
  ASSERT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(class_of("{}"), "std");
  EXPECT_EQ(class_of(R"({"storageClassName":""})"), "");
  EXPECT_EQ(class_of(R"({"storageClassName":"plain"})"), "plain");
}

TEST_F(StoragePluginsTest, ClaimsGrowOnlyWhereTheirClassAllowsIt) {
  create_class("rigid", "");
  create_class("elastic", R"(,"allowVolumeExpansion":true)");
  const auto plugin = persistent_volume_claim_resize_plugin(caches_);
  const auto grow = [&](const std::string& class_name, const std::string& phase, const std::string& size) {
    const auto claim = [&](const std::string& amount) {
      return object<PersistentVolumeClaim>(R"({"metadata":{"name":"c"},"spec":{"storageClassName":")" + class_name +
                                           R"(","resources":{"requests":{"storage":")" + amount +
                                           R"("}}},"status":{"phase":")" + phase + R"("}})");
    };
    const api::Object before = claim("2Gi");
    api::Object now = claim(size);
    return admit<PersistentVolumeClaim>(*plugin, Operation::kUpdate, now, &before).message();
  };
  EXPECT_EQ(grow("elastic", "Bound", "3Gi"), "");
  EXPECT_EQ(grow("rigid", "Bound", "2Gi"), "");
  EXPECT_EQ(grow("rigid", "Bound", "3Gi"),
            "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the "
            "storageclass that provisions the pvc must support resize");
  EXPECT_EQ(grow("elastic", "Pending", "3Gi"),
            "persistentvolumeclaims \"c\" is forbidden: Only bound persistent volume claims can be expanded");
}

}  // namespace
}  // namespace trireme::apiserver::admission
