#include "apiserver/admission/plugins.h"

namespace trireme::apiserver::admission {

Chain default_chain(std::shared_ptr<Caches> caches, std::shared_ptr<authz::Authorizer> authorizer,
                    api::RandomSource random) {
  Chain chain;
  chain.add(limit_ranger_plugin(caches));
  chain.add(node_restriction_plugin(caches));
  chain.add(taint_nodes_by_condition_plugin());
  chain.add(service_account_plugin(caches, std::move(random)));
  chain.add(default_toleration_seconds_plugin());
  chain.add(priority_plugin(caches));
  chain.add(default_storage_class_plugin(caches));
  chain.add(storage_object_in_use_protection_plugin());
  chain.add(persistent_volume_claim_resize_plugin(caches));
  chain.add(certificate_approval_plugin(authorizer));
  chain.add(certificate_signing_plugin(authorizer));
  chain.add(certificate_subject_restriction_plugin());
  chain.add(resource_quota_plugin(caches));
  return chain;
}

}  // namespace trireme::apiserver::admission
