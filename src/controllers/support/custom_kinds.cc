#include "controllers/support/custom_kinds.h"

#include <algorithm>

#include "api/types/apiextensionsv1.h"
#include "api/types/apiregistrationv1.h"
#include "client/discovery.h"

namespace trireme::controllers {

CustomKinds::CustomKinds(const ControllerContext& context, std::function<bool(const api::ResourceInfo&)> wanted,
                         std::function<void()> changed)
    : context_(context), wanted_(std::move(wanted)) {
  for (const api::ResourceInfo* brings : {&api::resource_of<api::apiextensionsv1::CustomResourceDefinition>(),
                                          &api::resource_of<api::apiregistrationv1::APIService>()}) {
    context_.informers->metadata(*brings)->add_handler(
        [changed](const client::AnyPointer&, const client::AnyPointer&) { changed(); });
  }
}

Result<CustomKinds::Change> CustomKinds::look() {
  client::InformerFactory& informers = *context_.informers;
  TRY_ASSIGN(client::DiscoveredResources served, client::discover(context_.client.raw()));
  Change change;
  std::vector<ReflectorPointer> current;
  for (api::ResourceInfo& resource : served.resources) {
    if (api::find_resource(resource.group, resource.version, resource.resource) != nullptr || !wanted_(resource))
      continue;
    const ReflectorPointer reflector = informers.metadata(client::custom_resource(std::move(resource)));
    current.push_back(reflector);
    if (std::ranges::find(followed_, reflector) == followed_.end()) change.fresh.push_back(reflector);
  }
  change.incomplete = served.incomplete;
  for (const ReflectorPointer& reflector : followed_) {
    if (std::ranges::find(current, reflector) != current.end()) continue;
    if (!change.incomplete.ok()) {
      current.push_back(reflector);  // its group may have been the one that could not be asked
      continue;
    }
    informers.drop(reflector);
    change.gone.push_back(reflector);
  }
  followed_ = std::move(current);
  return change;
}

}  // namespace trireme::controllers
