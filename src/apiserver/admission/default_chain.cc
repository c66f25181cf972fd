#include <initializer_list>
#include <utility>

#include "apiserver/admission/plugins.h"

namespace trireme::apiserver::admission {

Chain default_chain(std::shared_ptr<Caches> caches, std::shared_ptr<authz::Authorizer> authorizer,
                    api::RandomSource random, const Configuration& configuration) {
  Chain chain;
  for (auto& plugin : std::initializer_list<std::shared_ptr<Plugin>>{
           limit_ranger_plugin(caches), node_restriction_plugin(caches), taint_nodes_by_condition_plugin(),
           service_account_plugin(caches, std::move(random)), default_toleration_seconds_plugin(),
           priority_plugin(caches), default_storage_class_plugin(caches), storage_object_in_use_protection_plugin(),
           persistent_volume_claim_resize_plugin(caches), certificate_approval_plugin(authorizer),
           certificate_signing_plugin(authorizer), certificate_subject_restriction_plugin(),
           resource_quota_plugin(caches, configuration.limited_resources)}) {
    if (!configuration.disabled.contains(plugin->name())) chain.add(plugin);
  }
  chain.add(rbac_escalation_plugin(std::move(caches), std::move(authorizer)));
  return chain;
}

}  // namespace trireme::apiserver::admission
