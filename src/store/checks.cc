#include "store/checks.h"

#include <fmt/format.h>

namespace trireme::store {

Status check_write(std::string_view key, const SharedBytes& value) {
  if (key.empty()) return Status::bad_request("a key must not be empty");
  if (key.size() > kMaxKeyBytes) {
    return Status::bad_request(fmt::format("a key of {} bytes is above the limit of {}", key.size(), kMaxKeyBytes));
  }
  if (value && value->size() > kMaxValueBytes) {
    return Status(Reason::kRequestEntityTooLarge,
                  fmt::format("a value of {} bytes is above the limit of {}", value->size(), kMaxValueBytes));
  }
  return {};
}

Status check_read_revision(Revision wanted, Revision compacted, Revision current) {
  if (wanted > current) {
    return Status::bad_request(fmt::format("revision {} is yet to come, the store is at {}", wanted, current));
  }
  if (wanted != 0 && wanted < compacted) {
    return Status(Reason::kExpired, fmt::format("revision {} was compacted, the oldest is {}", wanted, compacted));
  }
  return {};
}

Status check_watch_revision(Revision after, Revision compacted) {
  if (after + 1 >= compacted) return {};
  return Status(Reason::kExpired,
                fmt::format("the changes after revision {} were compacted, the oldest is {}", after, compacted));
}

Status check_compaction(Revision revision, Revision current) {
  if (revision <= current) return {};
  return Status::bad_request(fmt::format("can't compact to {}, the store is at {}", revision, current));
}

Status conflict(std::string_view key, Revision expected, Revision actual) {
  auto text = [](Revision revision) {
    return revision == 0 ? std::string("absent") : fmt::format("at revision {}", revision);
  };
  return Status(Reason::kConflict, fmt::format("key \"{}\" is {}, not {}", key, text(actual), text(expected)));
}

Status lease_not_found(LeaseId lease) { return Status::not_found(fmt::format("lease {} not found", lease)); }

bool is_single_key(std::string_view start, std::string_view end) {
  return end.size() == start.size() + 1 && end.back() == '\0' && end.starts_with(start);
}

}  // namespace trireme::store
