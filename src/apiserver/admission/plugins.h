#pragma once

#include <memory>
#include <vector>

#include "api/names.h"
#include "apiserver/admission/admission.h"
#include "apiserver/admission/configuration.h"
#include "apiserver/authz/authz.h"
#include "apiserver/watch/caches.h"

/// The built-in admission plugins, under upstream's names.
namespace trireme::apiserver::admission {

/// ServiceAccount: pods run as "default" where they name no account, the account must exist, its image pull secrets are
/// taken over, and a projected volume with a bound token is mounted into every container.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
std::shared_ptr<Plugin> service_account_plugin(std::shared_ptr<Caches> caches,
                                               api::RandomSource random = api::system_random);

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

/// CertificateApproval and CertificateSigning: who approves a certificate request or issues its certificate must have
/// the verb approve or sign on the signer. CertificateSubjectRestriction: nobody becomes system:masters by a request.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#certificateapproval
std::shared_ptr<Plugin> certificate_approval_plugin(std::shared_ptr<authz::Authorizer> authorizer);
std::shared_ptr<Plugin> certificate_signing_plugin(std::shared_ptr<authz::Authorizer> authorizer);
std::shared_ptr<Plugin> certificate_subject_restriction_plugin();

/// Nobody grants rights that they do not hold: RBAC's rule for writing roles and bindings. No plugin upstream, but a
/// part of the resources' storage; it cannot be disabled. Source:
/// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
std::shared_ptr<Plugin> rbac_escalation_plugin(std::shared_ptr<Caches> caches,
                                               std::shared_ptr<authz::Authorizer> authorizer);

/// LimitRanger: fills in the requests and limits that a namespace's LimitRanges give to containers that name none, and
/// refuses pods and claims outside their bounds.
/// Source: https://kubernetes.io/docs/concepts/policy/limit-range/
std::shared_ptr<Plugin> limit_ranger_plugin(std::shared_ptr<Caches> caches);

/// ResourceQuota: charges what an object costs to every quota it counts against, before it is written, and refuses what
/// would exceed one. Requests of one namespace that arrive together are charged with one write.
/// Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
/// What is `limited` may be consumed only where a quota covers it.
std::shared_ptr<Plugin> resource_quota_plugin(std::shared_ptr<Caches> caches,
                                              std::vector<LimitedResource> limited = {});

/// All of them in upstream's order, without those that the configuration disables. `authorizer` answers what a plugin
/// must know of the caller's other rights; `random` names volumes.
Chain default_chain(std::shared_ptr<Caches> caches, std::shared_ptr<authz::Authorizer> authorizer,
                    api::RandomSource random = api::system_random, const Configuration& configuration = {});

}  // namespace trireme::apiserver::admission
