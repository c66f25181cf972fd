#include "controllers/endpoints/slice_writer.h"

#include <algorithm>

#include "controllers/support/recent_writes.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using api::discoveryv1::EndpointSlice;

bool SliceWriter::is_current(const std::string& key, uint64_t version) {
  const std::lock_guard lock(mutex_);
  const auto written = written_.find(key);
  if (written == written_.end()) return true;
  if (version < written->second) return false;
  written_.erase(written);
  return true;
}

void SliceWriter::forget(const std::string& key) {
  metrics_.forget(key);
  const std::lock_guard lock(mutex_);
  written_.erase(key);
}

Status SliceWriter::write(client::Client& client, const std::string& key, const SlicePlan& plan) {
  Status failure;
  const auto note = [&](const Status& status) {
    if (!status.ok() && !status.is(Reason::kNotFound) && !namespace_is_ending(status)) failure = status;
  };
  const auto written = [&](std::string_view operation, const Result<EndpointSlice>& slice) {
    note(slice.status());
    if (!slice.ok()) return;
    metrics_.changed(operation);
    const std::lock_guard lock(mutex_);
    uint64_t& version = written_[key];
    version = std::max(version, version_number(slice->metadata.resource_version));
  };
  for (const EndpointSlice& slice : plan.create) written("create", client.create(slice));
  for (const EndpointSlice& slice : plan.update) written("update", client.update(slice));
  for (const SlicePointer& slice : plan.remove) {
    const Status removed = client.remove<EndpointSlice>(slice->metadata.namespace_, slice->metadata.name);
    if (removed.ok()) metrics_.changed("delete");
    note(removed);
  }
  if (failure.ok()) metrics_.synced(key, plan.counts);
  return failure;
}

}  // namespace trireme::controllers
