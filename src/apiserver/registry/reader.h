#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/names.h"
#include "api/scheme.h"
#include "apiserver/http/context.h"
#include "apiserver/http/metrics.h"
#include "apiserver/http/views.h"
#include "apiserver/registry/selection.h"
#include "apiserver/watch/caches.h"
#include "apiserver/watch/resource_cache.h"

namespace trireme::apiserver {

/// GET, LIST and WATCH of stored resources, from the watch caches. Thread-safe.
/// Semantics of resourceVersion: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
class Reader {
 public:
  Reader(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock, std::shared_ptr<Metrics> metrics,
         api::RandomSource random);

  void get(RequestContext& context, const api::ResourceInfo& resource);
  void list(RequestContext& context, const api::ResourceInfo& resource);
  void watch(const std::shared_ptr<RequestContext>& context, const api::ResourceInfo& resource);

  /// The objects that a selection picks, now.
  Result<std::vector<CachedPointer>> select(const api::ResourceInfo& resource, const Selection& selection);

 private:
  struct ListRequest;
  Result<ListPage> page(const api::ResourceInfo& resource, const ListRequest& request, std::string& expired_continue);
  Result<ResourceCache::Snapshot> snapshot_for(const api::ResourceInfo& resource, ResourceCache& cache,
                                               const ListRequest& request, const Selection& selection);
  Result<ResourceCache::Snapshot> read_store(const api::ResourceInfo& resource, const Selection& selection,
                                             store::Revision revision);

  std::shared_ptr<Caches> caches_;
  std::shared_ptr<Clock> clock_;
  std::shared_ptr<Metrics> metrics_;
  const api::RandomSource random_;
};

/// Parses a resourceVersion parameter; 0 for "" too. BadRequest (Invalid in upstream's words).
Result<store::Revision> parse_revision(std::string_view text);

}  // namespace trireme::apiserver
