#include "apiserver/admission/admission.h"

#include <fmt/format.h>

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
  StatusDetails details;
  details.name = attributes.name;
  details.group = attributes.resource->group;
  details.kind = attributes.resource->resource;
  std::string subject = attributes.resource->resource;
  if (!attributes.resource->group.empty()) subject += "." + attributes.resource->group;
  return {Reason::kForbidden, fmt::format("{} \"{}\" is forbidden: {}", subject, attributes.name, reason),
          std::move(details)};
}

}  // namespace trireme::apiserver::admission
