#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/scheme.h"
#include "apiserver/api_server.h"
#include "apiserver/extensions/definitions.h"
#include "apiserver/extensions/lifecycle.h"
#include "apiserver/http/context.h"
#include "apiserver/http/metrics.h"
#include "apiserver/registry/metrics_api.h"
#include "apiserver/registry/reader.h"
#include "apiserver/registry/service_allocator.h"
#include "apiserver/registry/storage.h"
#include "apiserver/registry/streams.h"
#include "apiserver/registry/writer.h"

namespace trireme::apiserver {

/// Every resource, built-in and custom, behind one set of verbs, and the subresources that differ. Thread-safe.
class Registry {
 public:
  /// `options` must outlive the registry and hold its caches.
  Registry(const Options& options, std::shared_ptr<Metrics> metrics);
  ~Registry();

  /// Creates the objects that every cluster has. Run once, before serving.
  Status bootstrap();
  /// Answers an authorized request for a resource.
  void serve(const std::shared_ptr<RequestContext>& context);
  /// Ends running streams and waits for them.
  void stop();
  extensions::Definitions& definitions() { return *definitions_; }

 private:
  using Context = std::shared_ptr<RequestContext>;

  // The generic verbs.
  void create(const Context& context, const api::ResourceInfo& resource);
  void update(const Context& context, const api::ResourceInfo& resource);
  void patch(const Context& context, const api::ResourceInfo& resource);
  void remove(const Context& context, const api::ResourceInfo& resource);
  void remove_collection(const Context& context, const api::ResourceInfo& resource);

  // Subresources and kinds that are answered but not stored.
  void serve_subresource(const Context& context, const api::ResourceInfo& resource);
  void scale(const Context& context, const api::ResourceInfo& resource);
  void bind(const Context& context);
  void evict(const Context& context);
  void issue_token(const Context& context);
  void pod_log(const Context& context);
  void review(const Context& context, const api::ResourceInfo& resource);
  void usage(const Context& context, const api::ResourceInfo& resource);

  /// Deletes a definition's objects and then the definition, on a thread of its own; once for each name at a time.
  void clean_up_definition(const std::string& name);

  Result<WriteRequest> write_request(const Context& context, const api::ResourceInfo& resource);
  void respond_written(const Context& context, const api::ResourceInfo& resource,
                       const Result<Writer::Updated>& updated);
  Result<api::Object> apply_patch(RequestContext& context, const api::ResourceInfo& resource, const api::TypeInfo& type,
                                  const api::Object& stored, std::string_view content_type, const std::string& body);

  // Evictions.
  struct BudgetVerdict {
    std::string name;           ///< Of the budget; empty when there is none.
    bool only_unready = false;  ///< Allowed because the pod is not ready: only as long as that is so.
  };
  Result<BudgetVerdict> check_disruption(const CachedPointer& pod, bool dry_run);
  Status evict_pod(const WriteRequest& request, const api::metav1::DeleteOptions& asked);
  /// Sets the condition DisruptionTarget, then deletes.
  Status mark_and_remove(WriteRequest request, api::metav1::DeleteOptions options);

  const Options& options_;
  std::shared_ptr<Clock> clock_;
  std::shared_ptr<extensions::Definitions> definitions_;
  std::shared_ptr<extensions::Lifecycle> lifecycle_;
  std::shared_ptr<Storage> storage_;
  std::shared_ptr<ServiceAllocator> services_;
  Status services_status_;
  Reader reader_;
  std::unique_ptr<Writer> writer_;
  MetricsApi usage_;
  std::mutex cleaning_mutex_;
  std::map<std::string, bool> cleaning_;  ///< Definitions whose objects are being deleted; whether to look once more.
  Streams streams_;
};

/// Whether a status is about nothing being there under this URL at all.
Status no_such_resource();
Status method_not_allowed();

}  // namespace trireme::apiserver
