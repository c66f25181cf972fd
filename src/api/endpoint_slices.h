#pragma once

#include <string>

#include "api/types/discoveryv1.h"

namespace trireme::api {

/// "namespace/name" of the service that the slice's endpoints are of; empty when it is nobody's.
inline std::string service_key(const discoveryv1::EndpointSlice& slice) {
  const auto name = slice.metadata.labels.find(discoveryv1::kLabelServiceName);
  if (name == slice.metadata.labels.end() || name->second.empty()) return {};
  return slice.metadata.namespace_ + "/" + name->second;
}

}  // namespace trireme::api
