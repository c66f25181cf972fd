#include "controllers/serviceaccount/legacy_token_cleaner.h"

#include <algorithm>

#include "api/legacy_tokens.h"
#include "api/value.h"
#include "base/log.h"
#include "controllers/serviceaccount/token_controller.h"

namespace trireme::controllers {

using api::corev1::ConfigMap;
using api::corev1::Pod;
using api::corev1::Secret;
using api::corev1::ServiceAccount;

namespace {

constexpr Duration kInterval = std::chrono::hours(24);
constexpr Duration kDay = std::chrono::hours(24);

}  // namespace

LegacyTokenCleanerController::LegacyTokenCleanerController(const ControllerContext& context)
    : Controller(context, "legacy-serviceaccount-token-cleaner-controller"),
      period_(context.options.legacy_service_account_token_clean_up_period),
      secrets_(context.informers->informer<Secret>(token_secrets())),
      accounts_(context.informers->informer<ServiceAccount>()),
      pods_(context.informers->informer<Pod>()) {}

void LegacyTokenCleanerController::begin() { enqueue("all"); }

Result<WallTime> LegacyTokenCleanerController::tracked_since() {
  TRY_ASSIGN(const ConfigMap map, client().get<ConfigMap>("kube-system", std::string(api::kLegacyTokenTrackingMap)));
  const auto since = map.data.find(api::kLegacyTokenSince);
  if (since == map.data.end()) return Status::not_found("the map of tracked tokens tells no day");
  TRY_ASSIGN(const api::Time day, api::parse_day(since->second));
  // Of that day itself a part had passed.
  return day.wall() + kDay;
}

bool LegacyTokenCleanerController::is_generated(const Secret& secret) const {
  const auto& annotations = secret.metadata.annotations;
  const auto account = accounts_.get(secret.metadata.namespace_, annotations.get(api::corev1::kServiceAccountNameKey));
  if (!account) return false;
  const std::string uid = annotations.get(api::corev1::kServiceAccountUIDKey);
  if (!uid.empty() && uid != account->metadata.uid) return false;
  return std::ranges::any_of(account->secrets, [&](const auto& each) { return each.name == secret.metadata.name; });
}

bool LegacyTokenCleanerController::is_mounted(const Secret& secret) const {
  return std::ranges::any_of(pods_.list(secret.metadata.namespace_),
                             [&](const auto& pod) { return secret_names(*pod).contains(secret.metadata.name); });
}

Status LegacyTokenCleanerController::mark_invalid(const Secret& secret, const std::string& day) {
  api::Value patch = api::Value::object();
  // Of the very state that was looked at: a cache that lacks an earlier mark must not set its day anew.
  patch["metadata"]["uid"] = secret.metadata.uid;
  patch["metadata"]["resourceVersion"] = secret.metadata.resource_version;
  patch["metadata"]["labels"][api::kLegacyTokenInvalidSince] = day;
  log::info("Marking a generated token as invalid", {{"secret", client::key_of(secret.metadata)}, {"since", day}});
  return client()
      .patch<Secret>(secret.metadata.namespace_, secret.metadata.name, client::PatchType::kMerge, api::to_json(patch))
      .status();
}

Result<Outcome> LegacyTokenCleanerController::reconcile(const std::string&) {
  const Duration unused = period_;
  const WallTime now = clock().now();
  const auto since = tracked_since();
  if (!since.ok()) {
    // The server makes it soon after its start.
    if (!since.status().is(Reason::kNotFound)) {
      log::warning("Unused tokens stay: it is not known since when their use is noted", {{"error", since.status()}});
    }
    return Outcome::again_after(kInterval);
  }
  if (now < *since + unused) return Outcome::again_after(kInterval);
  const std::string today = api::day_of(now);
  const std::string spared = api::day_of(now - unused);
  const auto failed = [](const Secret& secret, const Status& status) {
    if (status.ok() || status.is(Reason::kNotFound) || status.is(Reason::kConflict)) return;
    log::warning("An unused token could not be cleaned up",
                 {{"secret", client::key_of(secret.metadata)}, {"error", status}});
  };
  for (const auto& secret : secrets_.list()) {
    const auto& meta = secret->metadata;
    if (meta.deletion_timestamp || meta.creation_timestamp.wall() >= now - unused) continue;
    const std::string used = meta.labels.get(api::kLegacyTokenLastUsed);
    // What cannot be read must not be guessed.
    if (!used.empty() && (!api::parse_day(used).ok() || used >= spared)) continue;
    if (!is_generated(*secret) || is_mounted(*secret)) continue;
    const std::string invalid = meta.labels.get(api::kLegacyTokenInvalidSince);
    if (!api::parse_day(invalid).ok()) {
      failed(*secret, mark_invalid(*secret, today));
      continue;
    }
    if (invalid >= spared) continue;
    log::info("Deleting a generated token that is not used", {{"secret", client::key_of(meta)}, {"used", used}});
    client::DeleteOptions exactly;
    exactly.uid = meta.uid;
    exactly.resource_version = meta.resource_version;
    failed(*secret, client().remove<Secret>(meta.namespace_, meta.name, exactly));
  }
  return Outcome::again_after(kInterval);
}

std::set<std::string> secret_names(const Pod& pod) {
  std::set<std::string> out;
  const auto add = [&](const std::string& name) {
    if (!name.empty()) out.insert(name);
  };
  const auto& spec = pod.spec;
  for (const auto& each : spec.image_pull_secrets) add(each.name);
  const auto container_names = [&](const auto& container) {
    for (const auto& from : container.env_from) {
      if (from.secret_ref) add(from.secret_ref->local_object_reference.name);
    }
    for (const auto& variable : container.env) {
      if (variable.value_from && variable.value_from->secret_key_ref)
        add(variable.value_from->secret_key_ref->local_object_reference.name);
    }
  };
  for (const auto& each : spec.init_containers) container_names(each);
  for (const auto& each : spec.containers) container_names(each);
  for (const auto& each : spec.ephemeral_containers) container_names(each.ephemeral_container_common);
  const auto reference = [&](const auto& ref) {
    if (ref) add(ref->name);
  };
  for (const auto& each : spec.volumes) {
    const auto& volume = each.volume_source;
    if (volume.secret) add(volume.secret->secret_name);
    if (volume.projected) {
      for (const auto& source : volume.projected->sources) {
        if (source.secret) add(source.secret->local_object_reference.name);
      }
    }
    if (volume.csi) reference(volume.csi->node_publish_secret_ref);
    if (volume.azure_file) add(volume.azure_file->secret_name);
    if (volume.cephfs) reference(volume.cephfs->secret_ref);
    if (volume.cinder) reference(volume.cinder->secret_ref);
    if (volume.flex_volume) reference(volume.flex_volume->secret_ref);
    if (volume.rbd) reference(volume.rbd->secret_ref);
    if (volume.scale_io) reference(volume.scale_io->secret_ref);
    if (volume.iscsi) reference(volume.iscsi->secret_ref);
    if (volume.storageos) reference(volume.storageos->secret_ref);
  }
  return out;
}

}  // namespace trireme::controllers
