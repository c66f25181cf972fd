#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/names.h"
#include "api/object.h"
#include "api/scheme.h"
#include "api/types/metav1.h"
#include "apiserver/admission/admission.h"
#include "apiserver/authn/authn.h"
#include "apiserver/extensions/definitions.h"
#include "apiserver/registry/service_allocator.h"
#include "apiserver/registry/storage.h"
#include "base/clock.h"

namespace trireme::apiserver {

namespace extensions {
class Lifecycle;
}

/// What a write is about and who asks for it.
struct WriteRequest {
  const api::ResourceInfo& resource;
  std::string ns;
  std::string name;  ///< From the URL; empty for creates.
  std::string subresource;
  const authn::UserInfo& user;
  bool dry_run = false;
  std::vector<std::string>* warnings = nullptr;
  extensions::CustomVersionPointer custom = nullptr;  ///< Null for built-in kinds.
};

/// What must hold for the stored object; empty members hold always.
struct Preconditions {
  std::string uid;
  std::string resource_version;
};

/// Create, update and delete of every kind: metadata, strategies, admission, validation, optimistic
/// concurrency, finalizers and graceful deletion. Objects passed in may be in any served version. Thread-safe.
class Writer {
 public:
  Writer(std::shared_ptr<Storage> storage, std::shared_ptr<Clock> clock, const admission::Chain& admission,
         std::shared_ptr<ServiceAllocator> services, std::shared_ptr<extensions::Lifecycle> definitions,
         api::RandomSource random);
  /// Called when an object of a custom kind has gone. Set before the first write.
  void on_custom_removed(std::function<void(const api::ResourceInfo&)> call) { custom_removed_ = std::move(call); }

  Result<CachedPointer> create(const WriteRequest& request, api::Object object);

  struct Updated {
    CachedPointer object;
    bool created = false;
  };
  /// Makes the new state from the stored one (null when there is none and the kind may be created by an update). Called
  /// again, with the newer state, when somebody else wrote in between.
  using Change = std::function<Result<api::Object>(const CachedObject* stored)>;
  Result<Updated> update(const WriteRequest& request, const Change& change);

  struct Deleted {
    CachedPointer object;  ///< As it was last.
    bool gone = false;     ///< Else it waits for its grace period or its finalizers.
  };
  Result<Deleted> remove(const WriteRequest& request, const api::metav1::DeleteOptions& options);

  /// A change of a stored object that no strategy and no admission sees (allocations, namespace phase, bindings).
  /// `change` edits a copy; when it fails nothing is written.
  Result<CachedPointer> edit(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                             bool dry_run, const std::function<Status(api::Object& object)>& change);

  /// Admission of a body that is posted to a subresource and not stored itself (bindings, token requests).
  Status admit_body(const WriteRequest& request, api::Object& body);

  Storage& storage() { return *storage_; }

 private:
  Result<CachedPointer> create_once(const WriteRequest& request, api::Object& object);
  Result<Updated> update_once(const WriteRequest& request, const Change& change, const CachedPointer& stored,
                              bool& may_retry);
  Status check_namespace(const WriteRequest& request, std::string_view name);
  Result<Deleted> remove_once(const WriteRequest& request, const api::metav1::DeleteOptions& options,
                              const CachedPointer& stored);
  Result<Deleted> finish_removal(const WriteRequest& request, const CachedPointer& stored);
  /// What a removal of `stored` frees.
  void release(const WriteRequest& request, const api::Object& removed);
  admission::Attributes attributes_of(const WriteRequest& request, admission::Operation operation);

  std::shared_ptr<Storage> storage_;
  std::shared_ptr<Clock> clock_;
  const admission::Chain& admission_;
  std::shared_ptr<ServiceAllocator> services_;
  std::shared_ptr<extensions::Lifecycle> definitions_;
  std::function<void(const api::ResourceInfo&)> custom_removed_;
  const api::RandomSource random_;
};

/// Conflict in upstream's words when `stored` does not meet them.
Status check_preconditions(const api::ResourceInfo& resource, const api::metav1::ObjectMeta& stored,
                           const Preconditions& preconditions);

}  // namespace trireme::apiserver
