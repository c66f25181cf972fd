#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "api/types/apiextensionsv1.h"
#include "apiserver/extensions/definitions.h"
#include "apiserver/registry/writer.h"
#include "base/clock.h"

namespace trireme::apiserver::extensions {

/// What the server itself does to definitions: it accepts their names and says so in their status at once, within the
/// write, so that a definition is served when its creation is answered; and it deletes a definition's objects before
/// the definition. Thread-safe.
class Lifecycle {
 public:
  Lifecycle(std::shared_ptr<Caches> caches, std::shared_ptr<Definitions> definitions, std::shared_ptr<Clock> clock);

  /// Names must not change hands between a look at the other definitions and the write that relies on it: held while
  /// a definition is written.
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  /// Fills in the names and conditions of `definition`'s status. The caller holds the lock.
  Status settle(api::apiextensionsv1::CustomResourceDefinition& definition);
  /// The definition stays until its objects have gone; noted on it when its deletion begins.
  void begin_removal(api::apiextensionsv1::CustomResourceDefinition& definition) const;

  /// Deletes the objects of the definition called `name`, if it is being deleted, and then lets go of it. What has
  /// finalizers goes later: `object_removed` comes back here. Blocks; can be repeated.
  Status clean_up(Writer& writer, const std::string& name);
  /// Names that a definition has freed may be what others wait for. Also after a start.
  void settle_others(Writer& writer);
  /// Whether the last object of a definition that is being deleted may have gone.
  bool concerns_removal(const api::ResourceInfo& resource);

 private:
  std::shared_ptr<Caches> caches_;
  std::shared_ptr<Definitions> definitions_;
  std::shared_ptr<Clock> clock_;
  std::mutex mutex_;
};

}  // namespace trireme::apiserver::extensions
