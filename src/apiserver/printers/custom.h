#pragma once

#include <vector>

#include "api/object.h"
#include "api/types/metav1.h"
#include "apiserver/extensions/definitions.h"
#include "base/clock.h"

/// Tables of custom resources: the columns that their definition names.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns
namespace trireme::apiserver::printers {

/// Name and the definition's columns; Name and Age where it has none.
std::vector<api::metav1::TableColumnDefinition> columns(const extensions::CustomVersion& version);
api::metav1::TableRow row(const extensions::CustomVersion& version, const api::Object& object, WallTime now);

}  // namespace trireme::apiserver::printers
