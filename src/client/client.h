#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec.h"
#include "api/scheme.h"
#include "api/types/metav1.h"
#include "base/result.h"
#include "net/transport.h"

/// The REST client every component but the API server uses. Typed calls are thin templates over `RawClient`.
namespace trireme::client {

struct ListOptions {
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;  ///< "0": any recent state, from the server's cache
  std::string resource_version_match;
  int64_t limit = 0;
  std::string continue_;
  int64_t timeout_seconds = 0;  ///< The server ends a watch after this time; 0: when it likes.
  bool allow_watch_bookmarks = false;
  bool metadata_only = false;  ///< Ask for PartialObjectMetadata(List) instead of the kind itself.
  /// Take the server's own objects where it runs in this process (`RawClient::local`); without `metadata_only`.
  bool objects = false;
};

/// Sent with server-side apply (`PatchType::kApply`); the manager also names the writer of other patches.
struct PatchOptions {
  std::string field_manager;
  bool force = false;
};

struct DeleteOptions {
  std::optional<int64_t> grace_period_seconds;
  std::string propagation_policy;  ///< "", "Background", "Foreground", "Orphan"
  std::string uid;                 ///< Preconditions, when not empty.
  std::string resource_version;
};

enum class PatchType { kJson, kMerge, kStrategicMerge, kApply };

/// One event of a watch. `object` is JSON or enveloped protobuf, as the client was set to.
struct RawWatchEvent {
  std::string type;  ///< ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
  std::string object;
  net::LocalPart part;  ///< Instead, of a watch for `objects`: an api::TypeInfo and a struct of that type.
};

/// A list whose items are objects of the server's own.
struct LocalList {
  std::string body;  ///< The list kind without items.
  std::vector<net::LocalPart> items;
};

class WatchFrames;

/// A watch that has been opened: its events in order. Used by one thread at a time.
class WatchStream {
 public:
  WatchStream(std::unique_ptr<net::ResponseStream> stream, Duration idle_timeout);
  ~WatchStream();

  /// The next event of what has arrived; empty when more must arrive first. Fails when the stream is broken.
  Result<std::optional<RawWatchEvent>> next();
  /// Waits until more has arrived, or the watch has ended (`over`). Timeout when `stop` is requested or nothing came
  /// for too long; else why the connection failed.
  Status wait(std::stop_token stop);
  /// `wait` without waiting: false when nothing has arrived. Only for in-process transports.
  Result<bool> poll();
  /// Where the transport is `local`: `callback` is called, on any thread, when `poll` may have something. It may only
  /// take note.
  void on_arrival(std::function<void()> callback);
  /// The server has ended the watch in order; `next` may still have events.
  bool over() const { return over_; }

 private:
  std::unique_ptr<net::ResponseStream> stream_;
  const Duration idle_timeout_;
  std::unique_ptr<WatchFrames> frames_;  ///< Null when the stream is one of parts.
  std::vector<net::LocalPart> parts_;
  size_t taken_ = 0;  ///< Of `parts_`.
  bool over_ = false;
};

/// Calls by resource, with encoded bodies. Thread-safe. Error answers become the Status the server sent.
class RawClient {
 public:
  /// `user_agent` names the component: "kube-scheduler". Bodies are protobuf when `protobuf` is set, else JSON.
  RawClient(std::shared_ptr<net::Transport> transport, std::string user_agent, bool protobuf = true);

  Result<std::string> get(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                          std::stop_token stop = {});
  /// Only the object's metadata, whatever its kind.
  Result<api::metav1::PartialObjectMetadata> get_metadata(const api::ResourceInfo& resource, std::string_view ns,
                                                          std::string_view name, std::stop_token stop = {});
  Result<std::string> list(const api::ResourceInfo& resource, std::string_view ns, const ListOptions& options,
                           std::stop_token stop = {});
  /// `list` for `objects`; only where the client is `local`.
  Result<LocalList> list_local(const api::ResourceInfo& resource, std::string_view ns, const ListOptions& options,
                               std::stop_token stop = {});
  Result<std::string> create(const api::ResourceInfo& resource, std::string_view ns, std::string body,
                             std::string_view name = {}, std::string_view subresource = {});
  Result<std::string> update(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                             std::string body, std::string_view subresource = {});
  Result<std::string> patch(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                            PatchType type, std::string body, std::string_view subresource = {},
                            const PatchOptions& options = {});
  Status remove(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                const DeleteOptions& options = {});
  /// Deletes everything that `selection` matches (its selectors only).
  Status remove_collection(const api::ResourceInfo& resource, std::string_view ns, const DeleteOptions& options = {},
                           const ListOptions& selection = {});
  /// GET of any other path, such as "/version", with `accept`.
  Result<std::string> get_path(std::string target, std::stop_token stop = {},
                               std::string_view accept = "application/json");
  /// Opens a watch; returns when the server has accepted it.
  Result<std::unique_ptr<WatchStream>> open_watch(const api::ResourceInfo& resource, std::string_view ns,
                                                  const ListOptions& options, std::stop_token stop = {});
  /// Calls `each` for every event, in order, on this thread, until the watch ends (OK), fails, a stop is requested, or
  /// `each` returns false.
  Status watch(const api::ResourceInfo& resource, std::string_view ns, const ListOptions& options, std::stop_token stop,
               const std::function<bool(RawWatchEvent)>& each);

  bool protobuf() const { return protobuf_; }
  /// The server is in this process.
  bool local() const { return transport_->local(); }
  net::Transport& transport() { return *transport_; }
  const std::string& user_agent() const { return user_agent_; }

 private:
  Result<std::string> send(net::Request request, std::stop_token stop = {});
  net::Request make_request(std::string method, std::string target, std::string body,
                            std::string_view content_type) const;

  std::shared_ptr<net::Transport> transport_;
  std::string user_agent_;
  bool protobuf_;
};

/// Typed calls: `client.get<corev1::Pod>("default", "redis")`. The kind gives the URL. Cheap to copy; thread-safe.
class Client {
 public:
  explicit Client(std::shared_ptr<RawClient> raw) : raw_(std::move(raw)) {}

  template <typename T>
  Result<T> get(std::string_view ns, std::string_view name) {
    return decode<T>(raw_->get(api::resource_of<T>(), ns, name));
  }

  /// `L` is the list kind: `client.list<corev1::Pod, corev1::PodList>("", {})`. Namespace "" lists all.
  template <typename T, typename L>
  Result<L> list(std::string_view ns, const ListOptions& options = {}) {
    return decode<L>(raw_->list(api::resource_of<T>(), ns, options));
  }

  template <typename T>
  Result<T> create(const T& object) {
    return create_in(object.metadata.namespace_, object);
  }

  /// Creates in `ns`, which the object itself need not name.
  template <typename T>
  Result<T> create_in(std::string_view ns, const T& object) {
    return decode<T>(raw_->create(api::resource_of<T>(), ns, encode(object)));
  }

  template <typename T>
  Result<T> update(const T& object) {
    return update_subresource(object, {});
  }

  template <typename T>
  Result<T> update_status(const T& object) {
    return update_subresource(object, "status");
  }

  template <typename T>
  Result<T> update_subresource(const T& object, std::string_view subresource) {
    return decode<T>(raw_->update(api::resource_of<T>(), object.metadata.namespace_, object.metadata.name,
                                  encode(object), subresource));
  }

  template <typename T>
  Result<T> patch(std::string_view ns, std::string_view name, PatchType type, std::string body,
                  std::string_view subresource = {}, const PatchOptions& options = {}) {
    return decode<T>(raw_->patch(api::resource_of<T>(), ns, name, type, std::move(body), subresource, options));
  }

  template <typename T>
  Status remove(std::string_view ns, std::string_view name, const DeleteOptions& options = {}) {
    return raw_->remove(api::resource_of<T>(), ns, name, options);
  }

  /// Posts `body` (any kind: Binding, Eviction) to a subresource of T; the answer's body is dropped.
  template <typename T, typename Body>
  Status post(std::string_view ns, std::string_view name, std::string_view subresource, const Body& body) {
    auto result = raw_->create(api::resource_of<T>(), ns, encode(body), name, subresource);
    return result.ok() ? Status() : result.status();
  }

  RawClient& raw() { return *raw_; }
  std::shared_ptr<RawClient> raw_pointer() { return raw_; }

 private:
  template <typename T>
  std::string encode(const T& object) const {
    return raw_->protobuf() ? api::encode_proto(object) : api::encode_json(object);
  }
  template <typename T>
  Result<T> decode(Result<std::string> body) const {
    if (!body.ok()) return body.status();
    return raw_->protobuf() ? api::decode_proto<T>(*body) : api::decode_json<T>(*body);
  }

  std::shared_ptr<RawClient> raw_;
};

}  // namespace trireme::client
