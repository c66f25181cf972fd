#pragma once

#include <memory>

#include "apiserver/admission/admission.h"
#include "apiserver/watch/caches.h"

/// The built-in admission plugins, under upstream's names.
namespace trireme::apiserver::admission {

/// ServiceAccount: pods run as "default" where they name no account, the account must exist, its image pull secrets are
/// taken over, and a projected volume with a bound token is mounted into every container.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
std::shared_ptr<Plugin> service_account_plugin(std::shared_ptr<Caches> caches);

/// Priority: resolves a pod's priorityClassName to its value, and guards the one global default.
std::shared_ptr<Plugin> priority_plugin(std::shared_ptr<Caches> caches);

/// DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or not reachable.
std::shared_ptr<Plugin> default_toleration_seconds_plugin();

/// TaintNodesByCondition: a node that registers is not ready, whatever it says, until the node controller has seen it.
std::shared_ptr<Plugin> taint_nodes_by_condition_plugin();

/// NodeRestriction: a kubelet changes its own Node and Lease, and pods bound to it, only.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
std::shared_ptr<Plugin> node_restriction_plugin(std::shared_ptr<Caches> caches);

/// StorageObjectInUseProtection: claims and volumes get the finalizer that keeps them while they are used.
std::shared_ptr<Plugin> storage_object_in_use_protection_plugin();

/// DefaultStorageClass: claims that name no class get the default one.
std::shared_ptr<Plugin> default_storage_class_plugin(std::shared_ptr<Caches> caches);

/// PersistentVolumeClaimResize: only bound claims grow, and only where their class allows it.
std::shared_ptr<Plugin> persistent_volume_claim_resize_plugin(std::shared_ptr<Caches> caches);

/// All of them in upstream's order.
Chain default_chain(std::shared_ptr<Caches> caches);

}  // namespace trireme::apiserver::admission
