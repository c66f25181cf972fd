#pragma once

#include <optional>
#include <string_view>

#include "api/types/corev1.h"
#include "api/validation/field.h"

/// What the controllers of pods have in common.
namespace trireme::api::validation {

/// `map[string]string{"a":"b"}`, as errors show labels.
BadValue shown_labels(const Map<std::string>& labels);
BadValue shown_selector(const metav1::LabelSelector& selector);

/// The selector must be there, be valid, select something and match the template.
void check_template_selector(const Box<metav1::LabelSelector>& selector, const corev1::PodTemplateSpec& pod_template,
                             std::string_view empty_message, const Path& at, ErrorList& errors);
/// A template whose pods always restart.
void check_service_template(const corev1::PodTemplateSpec& pod_template, std::string_view kind, const Path& at,
                            ErrorList& errors);
/// An integer that is not negative, or a percentage.
void check_int_or_percent(const IntOrString& value, const Path& at, ErrorList& errors);
void check_at_most_all(const IntOrString& value, const Path& at, ErrorList& errors);
BadValue shown(const IntOrString& value);
void check_same_selector(const Box<metav1::LabelSelector>& updated, const Box<metav1::LabelSelector>& old,
                         const Path& at, ErrorList& errors);

}  // namespace trireme::api::validation
