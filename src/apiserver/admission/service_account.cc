#include <fmt/format.h>

#include <algorithm>

#include "api/names.h"
#include "api/types/corev1.h"
#include "apiserver/admission/plugins.h"

namespace trireme::apiserver::admission {
namespace {

using api::corev1::Pod;
using api::corev1::ServiceAccount;
using api::corev1::Volume;
using api::corev1::VolumeMount;

constexpr std::string_view kMirrorAnnotation = "kubernetes.io/config.mirror";
constexpr std::string_view kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kTokenVolumePrefix = "kube-api-access-";
// An hour, and seven seconds by which tokens of this origin are told apart in audits.
constexpr int64_t kTokenExpirationSeconds = 3607;

template <typename Visit>
void each_container(Pod& pod, Visit visit) {
  for (auto& container : pod.spec.init_containers) visit(container);
  for (auto& container : pod.spec.containers) visit(container);
}

Volume token_volume(std::string name) {
  Volume volume;
  volume.name = std::move(name);
  auto& projected = volume.volume_source.projected.emplace();
  projected.default_mode = 0644;
  auto& token = projected.sources.emplace_back().service_account_token.emplace();
  token.path = "token";
  token.expiration_seconds = kTokenExpirationSeconds;
  auto& authority = projected.sources.emplace_back().config_map.emplace();
  authority.local_object_reference.name = "kube-root-ca.crt";
  auto& certificate = authority.items.emplace_back();
  certificate.key = "ca.crt";
  certificate.path = "ca.crt";
  auto& downward = projected.sources.emplace_back().downward_api.emplace();
  auto& ns = downward.items.emplace_back();
  ns.path = "namespace";
  auto& field = ns.field_ref.emplace();
  field.api_version = "v1";
  field.field_path = "metadata.namespace";
  return volume;
}

bool wants_token(const Pod& pod, const ServiceAccount& account) {
  if (pod.spec.automount_service_account_token) return *pod.spec.automount_service_account_token;
  return account.automount_service_account_token.value_or(true);
}

void mount_token(Pod& pod, const api::RandomSource& random) {
  std::string volume_name;
  for (const Volume& volume : pod.spec.volumes) {
    if (std::string_view(volume.name).starts_with(kTokenVolumePrefix)) volume_name = volume.name;
  }
  bool volume_exists = !volume_name.empty();
  if (!volume_exists) volume_name = api::generate_name(kTokenVolumePrefix, random);

  bool mounted = false;
  each_container(pod, [&](auto& container) {
    bool taken = std::any_of(container.volume_mounts.begin(), container.volume_mounts.end(),
                             [](const VolumeMount& mount) { return mount.mount_path == kMountPath; });
    if (taken) return;
    VolumeMount& mount = container.volume_mounts.emplace_back();
    mount.name = volume_name;
    mount.read_only = true;
    mount.mount_path = kMountPath;
    mounted = true;
  });
  if (mounted && !volume_exists) pod.spec.volumes.push_back(token_volume(volume_name));
}

class ServiceAccountPlugin final : public Plugin {
 public:
  ServiceAccountPlugin(std::shared_ptr<Caches> caches, api::RandomSource random)
      : caches_(std::move(caches)), random_(std::move(random)) {}
  std::string_view name() const override { return "ServiceAccount"; }

  Status admit(Attributes& attributes) override {
    if (attributes.operation != Operation::kCreate || !attributes.subresource.empty()) return {};
    Pod* pod = attributes.object != nullptr ? attributes.object->as<Pod>() : nullptr;
    if (pod == nullptr || pod->metadata.annotations.contains(std::string(kMirrorAnnotation))) return {};
    if (pod->spec.service_account_name.empty()) pod->spec.service_account_name = "default";
    pod->spec.service_account = pod->spec.service_account_name;
    auto account = caches_->get<ServiceAccount>(attributes.ns, pod->spec.service_account_name);
    if (!account.ok()) {
      return forbidden(attributes,
                       fmt::format("error looking up service account {}/{}: serviceaccount \"{}\" not found",
                                   attributes.ns, pod->spec.service_account_name, pod->spec.service_account_name));
    }
    if (wants_token(*pod, **account)) mount_token(*pod, random_);
    if (pod->spec.image_pull_secrets.empty()) pod->spec.image_pull_secrets = (*account)->image_pull_secrets;
    return {};
  }

  Status validate(const Attributes& attributes) override {
    if (attributes.operation != Operation::kCreate || attributes.object == nullptr) return {};
    const Pod* pod = attributes.object->as<Pod>();
    if (pod == nullptr || !pod->metadata.annotations.contains(std::string(kMirrorAnnotation))) return {};
    if (!pod->spec.service_account_name.empty()) {
      return forbidden(attributes, "a mirror pod may not reference service accounts");
    }
    bool secret = std::any_of(pod->spec.volumes.begin(), pod->spec.volumes.end(),
                              [](const Volume& volume) { return static_cast<bool>(volume.volume_source.secret); });
    if (secret) return forbidden(attributes, "a mirror pod may not reference secrets");
    for (const Volume& volume : pod->spec.volumes) {
      if (!volume.volume_source.projected) continue;
      for (const auto& source : volume.volume_source.projected->sources) {
        if (!source.service_account_token) continue;
        return forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections");
      }
    }
    return {};
  }

 private:
  std::shared_ptr<Caches> caches_;
  const api::RandomSource random_;
};

}  // namespace

std::shared_ptr<Plugin> service_account_plugin(std::shared_ptr<Caches> caches, api::RandomSource random) {
  return std::make_shared<ServiceAccountPlugin>(std::move(caches), std::move(random));
}

}  // namespace trireme::apiserver::admission
