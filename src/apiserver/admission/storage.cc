#include <fmt/format.h>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "apiserver/admission/plugins.h"

namespace trireme::apiserver::admission {
namespace {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::storagev1::StorageClass;

/// The object of a create of the main resource; null for anything else.
template <typename T>
T* created(const Attributes& attributes) {
  const bool create = attributes.operation == Operation::kCreate && attributes.subresource.empty();
  return create && attributes.object != nullptr ? attributes.object->as<T>() : nullptr;
}

class StorageObjectInUseProtectionPlugin final : public Plugin {
 public:
  std::string_view name() const override { return "StorageObjectInUseProtection"; }

  Status admit(Attributes& attributes) override {
    if (auto* claim = created<PersistentVolumeClaim>(attributes)) protect(claim->metadata, api::kClaimProtection);
    if (auto* volume = created<PersistentVolume>(attributes)) protect(volume->metadata, api::kVolumeProtection);
    return {};
  }

 private:
  static void protect(api::metav1::ObjectMeta& metadata, std::string_view finalizer) {
    if (!api::has_finalizer(metadata, finalizer)) metadata.finalizers.emplace_back(finalizer);
  }
};

class DefaultStorageClassPlugin final : public Plugin {
 public:
  explicit DefaultStorageClassPlugin(std::shared_ptr<Caches> caches) : caches_(std::move(caches)) {}
  std::string_view name() const override { return "DefaultStorageClass"; }

  Status admit(Attributes& attributes) override {
    auto* claim = created<PersistentVolumeClaim>(attributes);
    if (claim == nullptr || api::names_class(*claim)) return {};
    TRY_ASSIGN(auto classes, caches_->list<StorageClass>());
    if (const auto found = api::default_class(classes)) claim->spec.storage_class_name = found->metadata.name;
    return {};
  }

 private:
  std::shared_ptr<Caches> caches_;
};

class PersistentVolumeClaimResizePlugin final : public Plugin {
 public:
  explicit PersistentVolumeClaimResizePlugin(std::shared_ptr<Caches> caches) : caches_(std::move(caches)) {}
  std::string_view name() const override { return "PersistentVolumeClaimResize"; }

  Status validate(const Attributes& attributes) override {
    if (attributes.operation != Operation::kUpdate || !attributes.subresource.empty()) return {};
    const auto* claim = attributes.object != nullptr ? attributes.object->as<PersistentVolumeClaim>() : nullptr;
    const auto* before =
        attributes.old_object != nullptr ? attributes.old_object->as<PersistentVolumeClaim>() : nullptr;
    if (claim == nullptr || before == nullptr) return {};
    if (api::requested_storage(*claim) <= api::requested_storage(*before)) return {};
    if (before->status.phase != api::corev1::kClaimBound) {
      return forbidden(attributes, "Only bound persistent volume claims can be expanded");
    }
    const std::string class_name = api::class_of(*claim);
    if (!class_name.empty()) {
      auto found = caches_->get<StorageClass>("", class_name);
      if (found.ok() && (*found)->allow_volume_expansion.value_or(false)) return {};
    }
    return forbidden(attributes,
                     "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
                     "must support resize");
  }

 private:
  std::shared_ptr<Caches> caches_;
};

}  // namespace

std::shared_ptr<Plugin> storage_object_in_use_protection_plugin() {
  return std::make_shared<StorageObjectInUseProtectionPlugin>();
}

std::shared_ptr<Plugin> default_storage_class_plugin(std::shared_ptr<Caches> caches) {
  return std::make_shared<DefaultStorageClassPlugin>(std::move(caches));
}

std::shared_ptr<Plugin> persistent_volume_claim_resize_plugin(std::shared_ptr<Caches> caches) {
  return std::make_shared<PersistentVolumeClaimResizePlugin>(std::move(caches));
}

}  // namespace trireme::apiserver::admission
