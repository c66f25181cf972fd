#pragma once

#include <string>
#include <vector>

#include "api/object.h"
#include "api/types/metav1.h"
#include "base/clock.h"

/// Tables as kubectl asks for them (`Accept: application/json;as=Table`): the columns of each kind and one row an
/// object, with upstream's v1.32 wording. Stateless and thread-safe.
/// Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
namespace trireme::apiserver::printers {

/// Kinds without columns of their own have Name and Created At.
const std::vector<api::metav1::TableColumnDefinition>& columns(const api::TypeInfo& type);

/// The cells and conditions of the object's row; `object` of the row is left empty. Ages are relative to `now`.
api::metav1::TableRow row(const api::Object& object, WallTime now);

/// As kubectl writes ages: "45s", "5m10s", "3h", "2d4h", "400d"; "<invalid>" for times in the future.
std::string human_duration(Duration duration);

}  // namespace trireme::apiserver::printers
