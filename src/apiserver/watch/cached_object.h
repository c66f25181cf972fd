#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "api/object.h"
#include "base/bytes.h"
#include "base/result.h"
#include "store/store.h"

namespace trireme::apiserver {

/// How an object is written to a client.
enum class Encoding : uint8_t { kJson, kProto };

/// One stored object, decoded once and shared by every reader, with its encodings made at first need and kept.
/// Immutable to the outside; thread-safe.
class CachedObject {
 public:
  /// `object` is in its storage version and carries `revision` as its resourceVersion.
  CachedObject(std::string key, store::Revision revision, api::Object object);
  ~CachedObject();
  CachedObject(const CachedObject&) = delete;
  CachedObject& operator=(const CachedObject&) = delete;

  const std::string& key() const { return key_; }
  store::Revision revision() const { return revision_; }
  const api::Object& object() const { return object_; }
  const api::metav1::ObjectMeta& metadata() const { return object_.metadata(); }

  /// The whole object in version `type`, as JSON text or as a protobuf message without its envelope. Other
  /// versions than the stored one are converted; the encodings last used are kept.
  Result<SharedBytes> encoded(const api::TypeInfo& type, Encoding encoding) const;

 private:
  struct Converted;  // encodings of versions other than the stored one
  Result<SharedBytes> encode(const api::TypeInfo& type, Encoding encoding) const;

  const std::string key_;
  const store::Revision revision_;
  const api::Object object_;
  mutable std::atomic<std::shared_ptr<const std::string>> json_;
  mutable std::atomic<std::shared_ptr<const std::string>> proto_;
  mutable std::atomic<std::shared_ptr<const Converted>> converted_;
};

using CachedPointer = std::shared_ptr<const CachedObject>;

}  // namespace trireme::apiserver
