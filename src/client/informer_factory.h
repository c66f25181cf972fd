#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/informer.h"
#include "client/informer_driver.h"
#include "client/reflector.h"

namespace trireme::client {

/// `Informer<T>` over a shared reflector: casts and nothing else.
template <typename T>
class TypedInformer final : public Informer<T> {
 public:
  using typename Informer<T>::Pointer;
  explicit TypedInformer(std::shared_ptr<Reflector> reflector) : reflector_(std::move(reflector)) {}

  Pointer get(std::string_view ns, std::string_view name) const override {
    return cast(reflector_->cache().get(ns, name));
  }
  using Informer<T>::get;
  std::vector<Pointer> list(std::string_view ns) const override { return cast(reflector_->cache().list(ns)); }
  void add_index(std::string name, typename Informer<T>::IndexFunction index) override {
    reflector_->cache().add_index(std::move(name), [index = std::move(index)](const void* object) {
      return index(*static_cast<const T*>(object));
    });
  }
  std::vector<Pointer> by_index(std::string_view name, std::string_view value) const override {
    return cast(reflector_->cache().by_index(name, value));
  }
  void add_handler(EventHandler<T> handler) override {
    reflector_->add_handler([handler = std::move(handler)](const AnyPointer& before, const AnyPointer& after) {
      handler(cast(before), cast(after));
    });
  }
  uint64_t version() const override { return reflector_->version(); }
  bool synced() const override { return reflector_->synced(); }

 private:
  static Pointer cast(const AnyPointer& object) { return std::static_pointer_cast<const T>(object); }
  static std::vector<Pointer> cast(const std::vector<AnyPointer>& objects) {
    std::vector<Pointer> out;
    out.reserve(objects.size());
    for (const AnyPointer& object : objects) out.push_back(cast(object));
    return out;
  }

  std::shared_ptr<Reflector> reflector_;
};

/// Makes informers and shares them: one per kind and scope, whoever asks. Thread-safe.
/// Where the server runs in this process its own objects are cached, and one thread moves all informers. Elsewhere each
/// has a thread, and managedFields are dropped from every cached object (the server keeps its own when an update brings
/// none).
///
///   InformerFactory factory(raw_client, clock);
///   Informer<corev1::Pod>& pods = factory.informer<corev1::Pod>();
///   pods.add_handler(…);
///   factory.start();
///   if (!factory.wait_synced(stop)) return;
///
/// A stepped factory has no threads: its informers move in `pump` alone, on the caller's thread, over an in-process
/// transport. Then only that thread may use it, and `wait_synced` pumps.
class InformerFactory {
 public:
  InformerFactory(std::shared_ptr<RawClient> client, std::shared_ptr<Clock> clock)
      : client_(std::move(client)), clock_(std::move(clock)) {}
  /// `seed`: of the informers' jitter.
  struct Stepped {
    uint64_t seed = 0;
  };
  InformerFactory(std::shared_ptr<RawClient> client, std::shared_ptr<Clock> clock, Stepped stepped)
      : client_(std::move(client)), clock_(std::move(clock)), stepped_(stepped) {}
  /// Stops and joins every informer.
  ~InformerFactory();

  /// Lives as long as the factory. `transform` counts only for the first caller of a kind and scope.
  template <typename T>
  Informer<T>& informer(const Scope& scope = {}, std::function<void(T&)> transform = {}) {
    AnyTransform any;
    if (transform) any = [transform = std::move(transform)](void* object) { transform(*static_cast<T*>(object)); };
    const api::ResourceInfo& resource = api::resource_of<T>();
    const std::lock_guard lock(mutex_);
    Entry& entry = find_or_make(resource, scope, std::move(any));
    if (!entry.typed) entry.typed = std::make_shared<TypedInformer<T>>(entry.reflector);
    return *static_cast<TypedInformer<T>*>(entry.typed.get());
  }

  /// Any kind, without its type: the typed informer of all its objects when somebody asked for one or the objects are
  /// the server's own, else one of PartialObjectMetadata of which identity, version, owners, finalizers and deletion
  /// remain.
  std::shared_ptr<Reflector> metadata(const api::ResourceInfo& resource);

  /// Ends and forgets an informer whose resource is no longer served; who asks for it again gets another one. Not
  /// called from a handler.
  void drop(const std::shared_ptr<Reflector>& reflector);

  /// Starts the informers made so far; call again after making more.
  void start();
  /// Waits for the first list of every started informer. False when `stop` was requested first.
  bool wait_synced(std::stop_token stop = {});
  /// Stepped factories: lets every started informer take what it can without waiting, in the order of their making.
  /// False when there was nothing.
  bool pump();
  /// The earliest monotonic time at which an informer that backs off goes on.
  std::optional<Duration> next_due() const;
  bool stepped() const { return stepped_.has_value(); }
  /// Ends all watches and joins their threads; the caches stay readable.
  void stop();

  RawClient& client() { return *client_; }

 private:
  struct Entry {
    std::shared_ptr<Reflector> reflector;
    std::shared_ptr<void> typed;
  };
  Entry& find_or_make(const api::ResourceInfo& resource, const Scope& scope, AnyTransform transform);
  std::vector<std::shared_ptr<Reflector>> reflectors();

  const std::shared_ptr<RawClient> client_;
  const std::shared_ptr<Clock> clock_;
  std::mutex mutex_;
  const std::optional<Stepped> stepped_;
  std::map<std::pair<const api::ResourceInfo*, Scope>, Entry> entries_;
  std::vector<std::shared_ptr<Reflector>> order_;  ///< As they were made.
  std::optional<InformerDriver> driver_;           ///< Over an in-process transport, unless stepped.
};

}  // namespace trireme::client
