#include "kubelet/volumes/payload.h"

#include <fmt/format.h>

namespace trireme::kubelet {
namespace {

using api::corev1::KeyToPath;
using api::corev1::Pod;
using api::corev1::Volume;

constexpr int32_t kDefaultMode = 0644;
constexpr int64_t kDefaultTokenSeconds = 3600;

/// All of `data`, or the keys that `items` picks under their paths.
Status add_items(const std::map<std::string, std::string>& data, const std::vector<KeyToPath>& items, int32_t mode,
                 bool optional, std::string_view what, Payload& out) {
  if (items.empty()) {
    for (const auto& [key, value] : data) out[key] = {value, static_cast<mode_t>(mode), {}};
    return {};
  }
  for (const KeyToPath& item : items) {
    auto entry = data.find(item.key);
    if (entry == data.end()) {
      if (optional) continue;
      return Status::not_found(fmt::format("{} references non-existent key: {}", what, item.key));
    }
    out[item.path] = {entry->second, static_cast<mode_t>(item.mode.value_or(mode)), {}};
  }
  return {};
}

class PayloadMaker {
 public:
  PayloadMaker(const Pod& pod, const PayloadSources& sources) : pod_(pod), sources_(sources) {}

  Status config_map(const std::string& name, const std::vector<KeyToPath>& items, int32_t mode, bool optional) {
    auto map = sources_.objects.config_map(name);
    if (!map.ok()) return missing(map.status(), optional);
    std::map<std::string, std::string> data;
    for (const auto& [key, value] : (*map)->data) data[key] = value;
    for (const auto& [key, value] : (*map)->binary_data) data[key] = std::string(value);
    return add_items(data, items, mode, optional, "configmap", payload_);
  }

  Status secret(const std::string& name, const std::vector<KeyToPath>& items, int32_t mode, bool optional) {
    auto secret = sources_.objects.secret(name);
    if (!secret.ok()) return missing(secret.status(), optional);
    std::map<std::string, std::string> data;
    for (const auto& [key, value] : (*secret)->data) data[key] = std::string(value);
    return add_items(data, items, mode, optional, "secret", payload_);
  }

  Status downward(const std::vector<api::corev1::DownwardAPIVolumeFile>& items, int32_t mode) {
    for (const auto& item : items) {
      std::string data;
      if (item.field_ref) {
        TRY_ASSIGN(data, field_value(pod_, item.field_ref->field_path, sources_.downward));
      } else if (item.resource_field_ref) {
        const auto* container = find_container(pod_, item.resource_field_ref->container_name);
        if (container == nullptr) {
          return Status::not_found("no container " + item.resource_field_ref->container_name);
        }
        TRY_ASSIGN(data, resource_value(*container, *item.resource_field_ref, sources_.downward));
      }
      payload_[item.path] = {std::move(data), static_cast<mode_t>(item.mode.value_or(mode)), {}};
    }
    return {};
  }

  Status token(const api::corev1::ServiceAccountTokenProjection& projection) {
    TRY_ASSIGN(std::string text,
               sources_.token(projection.audience, projection.expiration_seconds.value_or(kDefaultTokenSeconds)));
    FilePayload file{std::move(text), 0644, {}};
    // A token is for its user alone where one can be told (KEP-2451): by group with fsGroup, or by the one user.
    if (pod_.spec.security_context && pod_.spec.security_context->fs_group) {
      file.mode = 0640;
    } else if (auto user = common_user()) {
      file.owner = static_cast<uid_t>(*user);
      file.mode = 0600;
    }
    payload_[projection.path] = std::move(file);
    return {};
  }

  Payload take() { return std::move(payload_); }

 private:
  static Status missing(const Status& status, bool optional) {
    return optional && status.is(Reason::kNotFound) ? Status() : status;
  }

  /// The user that every container runs as, when the spec says.
  std::optional<int64_t> common_user() const {
    std::optional<int64_t> pod_user;
    if (pod_.spec.security_context) pod_user = pod_.spec.security_context->run_as_user;
    std::optional<int64_t> user;
    for (const auto* list : {&pod_.spec.containers, &pod_.spec.init_containers}) {
      for (const Container& container : *list) {
        std::optional<int64_t> own = pod_user;
        if (container.security_context && container.security_context->run_as_user) {
          own = container.security_context->run_as_user;
        }
        if (!own || (user && *user != *own)) return std::nullopt;
        user = own;
      }
    }
    return user;
  }

  const Pod& pod_;
  const PayloadSources& sources_;
  Payload payload_;
};

}  // namespace

bool is_projected_volume(const Volume& volume) {
  const auto& source = volume.volume_source;
  return source.config_map || source.secret || source.downward_api || source.projected;
}

Result<Payload> make_payload(const Pod& pod, const Volume& volume, const PayloadSources& sources) {
  PayloadMaker maker(pod, sources);
  const auto& source = volume.volume_source;
  if (source.config_map) {
    const auto& map = *source.config_map;
    TRY(maker.config_map(map.local_object_reference.name, map.items, map.default_mode.value_or(kDefaultMode),
                         map.optional.value_or(false)));
  } else if (source.secret) {
    const auto& secret = *source.secret;
    TRY(maker.secret(secret.secret_name, secret.items, secret.default_mode.value_or(kDefaultMode),
                     secret.optional.value_or(false)));
  } else if (source.downward_api) {
    TRY(maker.downward(source.downward_api->items, source.downward_api->default_mode.value_or(kDefaultMode)));
  } else if (source.projected) {
    int32_t mode = source.projected->default_mode.value_or(kDefaultMode);
    for (const auto& part : source.projected->sources) {
      if (part.config_map) {
        const auto& map = *part.config_map;
        TRY(maker.config_map(map.local_object_reference.name, map.items, mode, map.optional.value_or(false)));
      }
      if (part.secret) {
        const auto& secret = *part.secret;
        TRY(maker.secret(secret.local_object_reference.name, secret.items, mode, secret.optional.value_or(false)));
      }
      if (part.downward_api) TRY(maker.downward(part.downward_api->items, mode));
      if (part.service_account_token) TRY(maker.token(*part.service_account_token));
      if (part.cluster_trust_bundle) {
        return Status::bad_request("ClusterTrustBundle projection is not enabled on this node");
      }
    }
  }
  return maker.take();
}

}  // namespace trireme::kubelet
