#pragma once

#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "controllers/testing/suite.h"

/// What the suites of the storage controllers share.
namespace trireme::controllers {

class StorageSuite : public ControllersSuite {
 protected:
  using Claim = api::corev1::PersistentVolumeClaim;
  using Volume = api::corev1::PersistentVolume;
  using StorageClass = api::storagev1::StorageClass;

  static Volume volume(const std::string& name, int64_t size, const std::string& class_name = {},
                       std::vector<std::string> modes = {"ReadWriteOnce"}) {
    Volume out;
    out.metadata.name = name;
    out.spec.capacity["storage"] = Quantity::of(size);
    out.spec.access_modes = std::move(modes);
    out.spec.storage_class_name = class_name;
    out.spec.persistent_volume_source.host_path.emplace().path = "/mnt/" + name;
    return out;
  }
  /// `class_name` null: no class named.
  static Claim claim(const std::string& name, int64_t size, Box<std::string> class_name = std::string()) {
    Claim out;
    out.metadata.namespace_ = "default";
    out.metadata.name = name;
    out.spec.access_modes = {"ReadWriteOnce"};
    out.spec.resources.requests["storage"] = Quantity::of(size);
    out.spec.storage_class_name = std::move(class_name);
    return out;
  }
  static StorageClass storage_class(const std::string& name, const std::string& provisioner, bool delayed) {
    StorageClass out;
    out.metadata.name = name;
    out.provisioner = provisioner;
    out.volume_binding_mode = delayed ? "WaitForFirstConsumer" : "Immediate";
    return out;
  }
  /// A pod on `node` with the claim as its volume "data".
  static Pod user(const std::string& name, const std::string& claim_name, const std::string& node) {
    Pod out = pod(name);
    out.spec.node_name = node;
    auto& source = out.spec.volumes.emplace_back();
    source.name = "data";
    source.volume_source.persistent_volume_claim.emplace().claim_name = claim_name;
    return out;
  }
  /// Whether an event of this reason and message is about the object of that name.
  static bool told(Watched<api::corev1::Event>& events, std::string_view about, std::string_view reason,
                   std::string_view message) {
    for (const auto& event : events.list()) {
      if (event->involved_object.name == about && event->reason == reason && event->message == message) return true;
    }
    return false;
  }
};

}  // namespace trireme::controllers
