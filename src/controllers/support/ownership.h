#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/codec.h"
#include "api/selectors.h"
#include "api/types/corev1.h"
#include "api/value.h"
#include "client/client.h"
#include "controllers/support/pods.h"

/// Whose an object is: finding, adopting and releasing what a controller's owner has made or selects.
/// https://github.com/kubernetes/design-proposals-archive/blob/main/api-machinery/controller-ref.md
namespace trireme::controllers {

/// The index of objects by the UID of their controller; those without one stand under `orphans_of(namespace)`.
inline constexpr std::string_view kByController = "controller";
std::string orphans_of(std::string_view ns);

template <typename T>
void index_by_controller(client::Informer<T>& informer) {
  informer.add_index(std::string(kByController), [](const T& object) -> std::vector<std::string> {
    const auto* controller = controller_of(object.metadata);
    return {controller ? controller->uid : orphans_of(object.metadata.namespace_)};
  });
}

/// What is controlled by `uid`, and what in `ns` is nobody's: all that an owner's selector may be asked about.
template <typename T>
std::vector<std::shared_ptr<const T>> owned_or_orphaned(const client::Informer<T>& informer, std::string_view uid,
                                                        std::string_view ns) {
  auto out = informer.by_index(kByController, uid);
  for (auto& orphan : informer.by_index(kByController, orphans_of(ns))) out.push_back(std::move(orphan));
  return out;
}

/// A reference that makes `owner` the controller, and keeps it from going before its dependents when it is deleted in
/// the foreground.
api::metav1::OwnerReference controller_reference(const api::corev1::ObjectReference& owner);

/// What an owner's selector selects: nothing when it is absent (null), empty, or does not parse, so that no mistake
/// makes an owner of everything.
api::LabelSelector owner_selector(const api::metav1::LabelSelector* selector);

/// Patches for metadata.ownerReferences. The UID in them makes the patch fail when the name is another's by now.
std::string adoption_patch(const api::corev1::ObjectReference& owner, const std::string& uid);
std::string release_patch(const std::string& owner_uid, const std::string& uid);

template <typename T>
Status adopt(client::Client& client, const api::corev1::ObjectReference& owner, const T& object) {
  return client
      .patch<T>(object.metadata.namespace_, object.metadata.name, client::PatchType::kStrategicMerge,
                adoption_patch(owner, object.metadata.uid))
      .status();
}
/// OK also when the object is gone, or another by now: nothing to release.
template <typename T>
Status release(client::Client& client, const std::string& owner_uid, const T& object) {
  const Status done = client
                          .patch<T>(object.metadata.namespace_, object.metadata.name,
                                    client::PatchType::kStrategicMerge, release_patch(owner_uid, object.metadata.uid))
                          .status();
  return done.is(Reason::kNotFound) || done.is(Reason::kInvalid) ? Status() : done;
}

/// How an object stands to an owner by reference and labels.
enum class Claim { kIgnore, kOwned, kAdopt, kRelease };
Claim claim_of(const std::string& owner_uid, bool owner_deleting, const api::LabelSelector& selector,
               const api::metav1::ObjectMeta& object);

/// Asks the server, past the cache, whether `owner` still lives as known: whoever adopts must not act for the dead.
template <typename T>
Status confirm_alive(client::Client& client, const T& owner) {
  TRY_ASSIGN(const T fresh, client.get<T>(owner.metadata.namespace_, owner.metadata.name));
  if (fresh.metadata.uid != owner.metadata.uid) return {Reason::kConflict, "the owner was deleted and made anew"};
  if (fresh.metadata.deletion_timestamp) return {Reason::kConflict, "the owner is being deleted"};
  return {};
}

/// Of `candidates` those that are the owner's, after adopting and releasing. `confirm` is asked once, before the first
/// adoption. Everything is tried; the last failure is returned.
template <typename T>
Result<std::vector<std::shared_ptr<const T>>> claim_objects(client::Client& client,
                                                            const api::corev1::ObjectReference& owner, bool deleting,
                                                            const api::LabelSelector& selector,
                                                            std::vector<std::shared_ptr<const T>> candidates,
                                                            const std::function<Status()>& confirm) {
  std::vector<std::shared_ptr<const T>> mine;
  Status failure;
  std::optional<Status> confirmed;
  for (auto& object : candidates) {
    switch (claim_of(owner.uid, deleting, selector, object->metadata)) {
      case Claim::kIgnore:
        break;
      case Claim::kOwned:
        mine.push_back(std::move(object));
        break;
      case Claim::kAdopt: {
        if (!confirmed) confirmed = confirm();
        Status status = confirmed->ok() ? adopt(client, owner, *object) : *confirmed;
        if (status.ok()) {
          mine.push_back(std::move(object));
        } else if (!status.is(Reason::kNotFound)) {
          failure = std::move(status);
        }
        break;
      }
      case Claim::kRelease:
        if (Status status = release(client, owner.uid, *object); !status.ok()) failure = std::move(status);
        break;
    }
  }
  if (!failure.ok()) return failure;
  return mine;
}

}  // namespace trireme::controllers
