#pragma once

#include "api/types/corev1.h"
#include "api/validation/field.h"

/// Pods and pod templates.
namespace trireme::api::validation {

/// A pod's spec (`pod_meta` given) or a template's (null).
void check_pod_spec(const corev1::PodSpec& spec, const metav1::ObjectMeta* pod_meta, const Path& at, ErrorList& errors);
void check_pod_template(const corev1::PodTemplateSpec& pod_template, const Path& at, ErrorList& errors);

void check_pod_create(const corev1::Pod& pod, ErrorList& errors);
void check_pod_update(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors);
void check_pod_status_update(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors);
/// The `ephemeralcontainers` subresource: containers may only be added.
void check_ephemeral_containers_update(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors);
/// The `resize` subresource (KEP-1287).
void check_pod_resize(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors);
/// The `binding` subresource.
void check_binding(const corev1::Binding& binding, ErrorList& errors);

}  // namespace trireme::api::validation
