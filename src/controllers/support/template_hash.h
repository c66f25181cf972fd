#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/types/corev1.h"

/// Names and equality of pod templates, for the controllers that keep one object per template they have had.
namespace trireme::controllers {

/// Names a template: the FNV-1a hash over its encoding and `collision_count`, in the letters of `safe_encode`. Equal
/// templates give equal names on every machine; upstream's own value (a hash over Go's memory layout) cannot be met.
std::string template_hash(const api::corev1::PodTemplateSpec& pod_template, std::optional<int32_t> collision_count);

/// Equal but for the label pod-template-hash.
bool equal_ignoring_hash(const api::corev1::PodTemplateSpec& a, const api::corev1::PodTemplateSpec& b);

/// FNV-1a in 32 bits, as Go's hash/fnv New32a; `seed` continues an earlier one.
inline constexpr uint32_t kFnvStart = 2166136261U;
uint32_t fnv32a(std::string_view bytes, uint32_t seed = kFnvStart);

/// Each character replaced by one of 27 letters and digits from which no words form; a number gives a part of a name.
/// Source: k8s.io/apimachinery/pkg/util/rand, SafeEncodeString.
std::string safe_encode(std::string_view text);

}  // namespace trireme::controllers
