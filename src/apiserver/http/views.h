#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"
#include "api/types/metav1.h"
#include "apiserver/http/context.h"
#include "apiserver/watch/cached_object.h"
#include "apiserver/watch/watcher.h"
#include "base/clock.h"

/// The representations of stored objects: whole, as a table, or metadata alone; single, in lists and in watches.
namespace trireme::apiserver {

/// What a table's rows carry beside their cells (`includeObject`).
enum class RowObject : uint8_t { kMetadata, kNone, kObject };
/// BadRequest for anything but the three words.
Result<RowObject> row_object(const Query& query);

/// Answers with one object in the accepted form; `resource` gives the version.
void respond_cached(RequestContext& context, int code, const api::ResourceInfo& resource, const CachedPointer& object,
                    const Clock& clock);

/// One page of a list, ready to be written.
struct ListPage {
  std::vector<CachedPointer> items;
  std::string resource_version;
  std::string continue_token;
  int64_t remaining = 0;  ///< 0: unknown or none.
};
void respond_list(RequestContext& context, const api::ResourceInfo& resource, const ListPage& page, const Clock& clock);

/// The frames of a watch in the accepted form.
Result<std::shared_ptr<const WatchFormat>> watch_format(const RequestContext& context,
                                                        const api::ResourceInfo& resource, const Clock& clock);

/// Only kind, apiVersion and metadata, under the kind PartialObjectMetadata.
api::metav1::PartialObjectMetadata partial_of(const CachedObject& object);

}  // namespace trireme::apiserver
