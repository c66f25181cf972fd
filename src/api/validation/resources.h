#pragma once

#include <string_view>

#include "api/types/corev1.h"
#include "api/validation/field.h"

/// Resource names and quantities. Source:
/// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
namespace trireme::api::validation {

bool is_hugepage_resource(std::string_view name);
/// Without a domain, or in kubernetes.io.
bool is_native_resource(std::string_view name);
/// A fully qualified name outside kubernetes.io, such as `example.com/gpu`.
bool is_extended_resource(std::string_view name);
/// Whether a limit may exceed the request: native and no huge pages.
bool is_overcommit_allowed(std::string_view name);
bool is_standard_quota_resource(std::string_view name);

void check_resource_name(std::string_view name, const Path& at, ErrorList& errors);
void check_container_resource_name(std::string_view name, const Path& at, ErrorList& errors);
void check_quota_resource_name(std::string_view name, const Path& at, ErrorList& errors);
void check_quantity(std::string_view name, const Quantity& quantity, const Path& at, ErrorList& errors);
void check_not_negative(const Quantity& quantity, const Path& at, ErrorList& errors);
void check_positive(const Quantity& quantity, const Path& at, ErrorList& errors);

/// Requests and limits of a container, or of a pod's overhead (as limits).
void check_requirements(const Map<Quantity>& limits, const Map<Quantity>& requests, const Path& at, ErrorList& errors);

}  // namespace trireme::api::validation
