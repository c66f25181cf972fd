#pragma once

#include <string_view>

#include "store/store.h"

namespace trireme::store {

// The answers every backend gives in the same words.

/// BadRequest or RequestEntityTooLarge when a write is outside the limits of store.h.
Status check_write(std::string_view key, const SharedBytes& value);
/// BadRequest when `wanted` is yet to come, Expired when it is below `compacted`.
Status check_read_revision(Revision wanted, Revision compacted, Revision current);
/// Expired when the event after `after` was compacted.
Status check_watch_revision(Revision after, Revision compacted);
/// BadRequest when `revision` is yet to come.
Status check_compaction(Revision revision, Revision current);
/// The key's mod revision is `actual` (0: absent) instead of `expected`.
Status conflict(std::string_view key, Revision expected, Revision actual);
Status lease_not_found(LeaseId lease);

/// True when [start, end) holds exactly the key `start`.
bool is_single_key(std::string_view start, std::string_view end);
/// True when `key` is below `end`; an empty `end` bounds nothing.
inline bool below(std::string_view key, std::string_view end) { return end.empty() || key < end; }

}  // namespace trireme::store
