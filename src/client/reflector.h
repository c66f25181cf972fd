#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
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

/// Changes a fresh object before it is cached, to drop what nobody reads. Where the server's own objects are cached
/// they are copied for it.
using AnyTransform = std::function<void(void*)>;

/// Keeps a Cache equal to the server's collection: lists once, then watches from the list's version with bookmarks,
/// resumes a broken watch where it ended, and lists anew only when that version has expired (410).
/// The type-erased engine of `Informer<T>`.
///
/// It is a state machine (list, open a watch, follow it, back off) whose steps `advance` takes; `start` gives it a
/// thread that does so and waits in between. Without a thread, whoever owns it calls `advance`. Thread-safe but for
/// `advance`.
///
/// The rules are client-go's, but that lists ask for the newest state: whoever starts anew must not act on less than
/// has been done. Back-off from 0.8 s (25 ms until the first list) to 30 s, with jitter; watches end after a random
/// five to ten minutes.
class Reflector {
 public:
  using Handler = std::function<void(const AnyPointer& before, const AnyPointer& after)>;

  /// `seed` is that of the jitter.
  Reflector(std::shared_ptr<RawClient> client, std::shared_ptr<Clock> clock, const api::ResourceInfo& resource,
            Scope scope, AnyTransform transform, uint32_t seed = std::random_device{}());
  /// Stops and joins.
  ~Reflector();

  void start();
  /// Instead of `start`, over an in-process transport: does all that can be done without waiting, and says whether that
  /// was anything. Returns false until the server has sent something, or a back-off has passed.
  bool advance();
  /// For who calls `advance` when there is something to do: `wake` is called, on any thread, whenever an open watch may
  /// have something. It may only take note. Before the first `advance`.
  void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }
  /// In place of `start` for who calls `advance`: counts it among the started.
  void begin() { started_ = true; }
  /// While it backs off: the monotonic time at which it goes on.
  std::optional<Duration> due() const { return waiting_ ? std::optional(due_) : std::nullopt; }
  void request_stop();
  /// Waits for the thread's end after `request_stop` and ends the watch; the cache stays readable.
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
  /// Either `step` has something to do at once, or something must come first.
  enum class Next { kNow, kEvents, kTime };
  void run(std::stop_token stop);
  Next step(std::stop_token stop);
  Next after(const Status& status);
  Status list(std::stop_token stop);
  Status open_watch(std::stop_token stop);
  /// Applies what has arrived. True when the watch has ended.
  Result<bool> follow();
  Status on_event(const RawWatchEvent& event);
  Status decode_list(const std::string& body, std::vector<AnyPointer>& items, std::string& version);
  Result<AnyPointer> decode_object(std::string_view body);
  AnyPointer adopt(void* object);
  Result<AnyPointer> adopt_part(net::LocalPart part);
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
  /// The server is in this process and its objects are taken as they are (copied for a transform).
  const bool objects_;
  std::function<void()> wake_;
  Cache cache_;

  std::mutex delivery_mutex_;  ///< Held while the cache changes and handlers run, so that all see one order.
  std::vector<Handler> handlers_;

  mutable std::mutex synced_mutex_;
  mutable std::condition_variable_any synced_changed_;
  bool synced_ = false;

  std::atomic<bool> started_ = false;
  std::atomic<uint64_t> reached_ = 0;

  // Only the thread's own, or that of the caller of `advance`.
  std::string version_ = "0";  ///< Where the next watch begins.
  std::minstd_rand random_;
  bool listed_ = false;
  std::unique_ptr<WatchStream> watch_;  ///< Null while none is open.
  Duration opened_{};
  size_t events_ = 0;  ///< Of the open watch.
  bool waiting_ = false;
  Duration due_{};
  Duration backoff_;
  Duration last_failure_;
  int failures_ = 0;
  std::jthread thread_;  ///< Last: it must end before the rest goes.
};

}  // namespace trireme::client
