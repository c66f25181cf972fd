#pragma once

#include "api/types/apiextensionsv1.h"
#include "api/validation/field.h"

namespace trireme::api::structural {

/// Whether the schema of a definition's version, at `at`, is structural and sound: types everywhere, nothing that
/// OpenAPI knows and upstream forbids, defaults that the schema itself allows.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
void check_schema(const apiextensionsv1::JSONSchemaProps& schema, const validation::Path& at,
                  validation::ErrorList& errors);

/// Whether some level has rules in the Common Expression Language.
bool has_rules(const apiextensionsv1::JSONSchemaProps& schema);

}  // namespace trireme::api::structural
