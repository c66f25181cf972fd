#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "client/informer_factory.h"
#include "scheduler/framework.h"

/// What the plugins about volumes know of claims, volumes and classes: the informers' caches.
namespace trireme::scheduler::plugins {

struct VolumeCaches {
  client::Informer<api::corev1::PersistentVolumeClaim>& claims;
  client::Informer<api::corev1::PersistentVolume>& volumes;
  client::Informer<api::storagev1::StorageClass>& classes;

  explicit VolumeCaches(client::InformerFactory& factory)
      : claims(factory.informer<api::corev1::PersistentVolumeClaim>()),
        volumes(factory.informer<api::corev1::PersistentVolume>()),
        classes(factory.informer<api::storagev1::StorageClass>()) {}
};

/// Whether the pod has the claim among its volumes.
bool uses_claim(const api::corev1::Pod& pod, const api::corev1::PersistentVolumeClaim& claim);
/// Whether any volume of the pod stands for a claim.
bool uses_claims(const api::corev1::Pod& pod);
/// "kubernetes.io/no-provisioner" and nothing at all: volumes of such a class are made by hand.
bool provisions(const api::storagev1::StorageClass& storage_class);

}  // namespace trireme::scheduler::plugins
