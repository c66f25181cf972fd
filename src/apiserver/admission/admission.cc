#include "apiserver/admission/admission.h"

#include "api/status_convert.h"

namespace trireme::apiserver::admission {

Status Chain::admit(Attributes& attributes) const {
  for (const auto& plugin : plugins_) TRY(plugin->admit(attributes));
  return {};
}

Status Chain::validate(const Attributes& attributes) const {
  for (const auto& plugin : plugins_) TRY(plugin->validate(attributes));
  return {};
}

Status forbidden(const Attributes& attributes, std::string_view reason) {
  return api::forbidden(*attributes.resource, attributes.name, reason);
}

}  // namespace trireme::apiserver::admission
