#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/compact.h"
#include "api/object.h"
#include "api/scheme.h"
#include "base/bytes.h"
#include "base/result.h"
#include "store/store.h"

namespace trireme::apiserver {

/// How objects are written to a client.
enum class Encoding : uint8_t { kJson, kProto };

/// One stored object, decoded once and shared by every reader. An encoding is kept from the second time on that
/// somebody asks for it: most objects are read as bytes once, by whoever made them. Immutable to the outside;
/// thread-safe.
class CachedObject {
 public:
  /// `object` is in its storage version and carries `revision` as its resourceVersion.
  CachedObject(std::string key, store::Revision revision, const api::Object& object);
  ~CachedObject();
  CachedObject(const CachedObject&) = delete;
  CachedObject& operator=(const CachedObject&) = delete;

  const std::string& key() const { return key_; }
  store::Revision revision() const { return revision_; }
  const api::Object& object() const { return object_.get(); }
  const api::metav1::ObjectMeta& metadata() const { return object().metadata(); }

  /// The object in version `type`, without what differs between a single object and a list's item:
  /// JSON from its third member on (`"metadata":{…}…}`: neither the brace, kind and apiVersion before it), or the
  /// protobuf message without its envelope. `encoding.h` puts the rest around it. Versions other than the stored one
  /// are converted.
  Result<SharedBytes> body(const api::TypeInfo& type, Encoding encoding) const;

  /// Forgets what `body` kept, when the object has been replaced.
  void drop_encodings() const;

  /// The object in version `type`: a reference to the stored one, or a conversion kept in `converted`.
  Result<const api::Object*> as_version(const api::TypeInfo& type, api::Object& converted) const;

 private:
  /// Made with the first body that is kept.
  struct Encodings {
    SharedBytes json;
    SharedBytes proto;
    const api::TypeInfo* other_type = nullptr;  ///< The last other version asked for.
    Encoding other_encoding{};
    SharedBytes other;
  };

  const std::string key_;
  const store::Revision revision_;
  const api::CompactObject object_;
  mutable std::unique_ptr<Encodings> encodings_;
  mutable bool json_asked_ = false;
  mutable bool proto_asked_ = false;
};

using CachedPointer = std::shared_ptr<const CachedObject>;

/// What the store holds for `object`: its protobuf envelope (JSON for custom kinds), with resourceVersion empty as
/// upstream keeps it.
std::string encode_stored(api::Object& object);
/// The reverse for `resource`, converted to `resource`'s storage version when another one was stored. JSON is read too.
Result<api::Object> decode_stored(const api::ResourceInfo& resource, std::string_view bytes);

/// The type of `resource`'s storage version.
const api::TypeInfo& storage_type(const api::ResourceInfo& resource);

}  // namespace trireme::apiserver
