#include "controllers/support/template_hash.h"

#include "api/codec.h"
#include "api/types/appsv1.h"
#include "api/validation/equal.h"

namespace trireme::controllers {
namespace {

api::corev1::PodTemplateSpec without_hash(const api::corev1::PodTemplateSpec& pod_template) {
  api::corev1::PodTemplateSpec out = pod_template;
  out.metadata.labels.erase(api::appsv1::kDefaultDeploymentUniqueLabelKey);
  return out;
}

}  // namespace

uint32_t fnv32a(std::string_view bytes, uint32_t seed) {
  uint32_t hash = seed;
  for (const char c : bytes) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 16777619U;
  }
  return hash;
}

std::string safe_encode(std::string_view text) {
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  for (const char c : text) out += kAlphabet[static_cast<uint8_t>(c) % kAlphabet.size()];
  return out;
}

std::string template_hash(const api::corev1::PodTemplateSpec& pod_template, std::optional<int32_t> collision_count) {
  uint32_t hash = fnv32a(api::encode_json(without_hash(pod_template)));
  if (collision_count) hash = fnv32a(std::to_string(*collision_count), hash);
  return safe_encode(std::to_string(hash));
}

bool equal_ignoring_hash(const api::corev1::PodTemplateSpec& a, const api::corev1::PodTemplateSpec& b) {
  return api::validation::semantic_equal(without_hash(a), without_hash(b));
}

}  // namespace trireme::controllers
