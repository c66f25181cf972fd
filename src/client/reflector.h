#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "client/cache.h"
#include "client/informer.h"

namespace trireme::client {

/// What one informer lists and watches. `metadata_only` objects are PartialObjectMetadata.
struct Scope {
  std::string ns;  ///< Empty: all namespaces.
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;
  auto operator<=>(const Scope&) const = default;
};

/// Changes a fresh object before it is cached, to drop what nobody reads.
using AnyTransform = std::function<void(void*)>;

/// Keeps a Cache equal to the server's collection: lists once, then watches from the list's version with bookmarks,
/// resumes a broken watch where it ended, and lists anew only when that version has expired (410).
/// The type-erased engine of `Informer<T>`. Thread-safe; one thread of its own from `start` on.
///
/// The rules are client-go's reflector's: the first list asks for resourceVersion 0, one after an expiry for the
/// newest; back-off from 0.8 s (25 ms until the first list) to 30 s with jitter; watches end after a random five to ten
/// minutes.
class Reflector {
 public:
  using Handler = std::function<void(const AnyPointer& before, const AnyPointer& after)>;

  Reflector(std::shared_ptr<RawClient> client, std::shared_ptr<Clock> clock, const api::ResourceInfo& resource,
            Scope scope, AnyTransform transform);
  /// Stops and joins.
  ~Reflector();

  void start();
  void request_stop();
  /// Waits for the thread's end after `request_stop`; the cache stays readable.
  void join();
  bool started() const { return started_; }
  bool synced() const;
  /// False when `stop` was requested first.
  bool wait_synced(std::stop_token stop) const;

  void add_handler(Handler handler);
  uint64_t version() const { return reached_; }
  Cache& cache() { return cache_; }
  const Cache& cache() const { return cache_; }
  const api::ResourceInfo& resource() const { return resource_; }
  const Scope& scope() const { return scope_; }
  /// The type of the cached objects.
  const api::TypeInfo& type() const { return type_; }
  const api::metav1::ObjectMeta& metadata(const AnyPointer& object) const { return metadata_in(type_, object.get()); }

 private:
  void run(std::stop_token stop);
  Status list(std::stop_token stop);
  Status watch(std::stop_token stop);
  Status on_event(const RawWatchEvent& event);
  Status decode_list(const std::string& body, std::vector<AnyPointer>& items, std::string& version);
  Result<AnyPointer> decode_object(std::string_view body);
  AnyPointer adopt(void* object);
  void replace(std::vector<AnyPointer> items, const std::string& version);
  void reach(const std::string& version);
  void deliver(const AnyPointer& before, const AnyPointer& after);
  Duration jittered(Duration base);

  const std::shared_ptr<RawClient> client_;
  const std::shared_ptr<Clock> clock_;
  const api::ResourceInfo& resource_;
  const api::TypeInfo& type_;
  const Scope scope_;
  const AnyTransform transform_;
  Cache cache_;

  std::mutex delivery_mutex_;  ///< Held while the cache changes and handlers run, so that all see one order.
  std::vector<Handler> handlers_;

  mutable std::mutex synced_mutex_;
  mutable std::condition_variable_any synced_changed_;
  bool synced_ = false;

  std::atomic<bool> started_ = false;
  std::atomic<uint64_t> reached_ = 0;
  std::string version_ = "0";  ///< Only the thread's own: where the next list or watch begins.
  std::minstd_rand random_{std::random_device{}()};
  std::jthread thread_;  ///< Last: it must end before the rest goes.
};

}  // namespace trireme::client
