#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/object.h"
#include "apiserver/authn/authn.h"
#include "base/clock.h"

/// What the registry does to each kind around a write, as upstream's registry strategies: which parts of a request a
/// client may set, what the server fills in, and what can be selected. Stateless and thread-safe.
///
/// The order of a write is upstream's: defaults, system metadata (uid, creationTimestamp, generated name), prepare,
/// admission, validation (api/validation). Updates get the object as the client sent it and the stored one, both of
/// one type.
namespace trireme::apiserver::strategy {

/// Clears what only the server writes and sets initial values: status, generation, a pod's phase and QoS class, a
/// namespace's finalizer, a job's selector. The object's name and uid are already set.
void prepare_for_create(api::Object& object, WallTime now);
/// Writes who asks into kinds that carry it, over whatever the client claimed: a certificate request's username, uid,
/// groups and extra.
void record_requester(api::Object& object, const authn::UserInfo& user);
/// Keeps the old status and system metadata, and counts the generation up when the specification changed.
void prepare_for_update(api::Object& updated, const api::Object& old, WallTime now);
/// For "status", "finalize", "approval", "ephemeralcontainers" and "resize": keeps everything else as it was. Others
/// are prepared as plain updates.
void prepare_for_subresource_update(api::Object& updated, const api::Object& old, std::string_view subresource,
                                    WallTime now);

/// Whether PUT creates an object that does not exist.
bool allow_create_on_update(const api::TypeInfo& type);
/// Whether PUT without a resourceVersion overwrites what is stored.
bool allow_unconditional_update(const api::TypeInfo& type);

/// How long, in seconds, a deleted object lives on for its owner to shut it down; nothing for kinds that go at once.
/// `requested` is the DeleteOptions' gracePeriodSeconds. 0 deletes at once.
std::optional<int64_t> grace_period(const api::Object& object, std::optional<int64_t> requested);

/// Whether a field selector on `type` may name `field`. metadata.name and metadata.namespace always may.
bool field_supported(const api::TypeInfo& type, std::string_view field);
/// The text a field selector compares; "" for fields that are not supported.
std::string field_value(const api::Object& object, std::string_view field);

/// Texts for Warning headers: deprecated or ineffective parts of an accepted object.
std::vector<std::string> warnings_on_create(const api::Object& object);
std::vector<std::string> warnings_on_update(const api::Object& updated, const api::Object& old);

}  // namespace trireme::apiserver::strategy
