#include "apiserver/watch/cached_object.h"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <mutex>

#include "api/codec.h"
#include "api/conversion.h"
#include "api/custom_resource.h"
#include "apiserver/watch/encoding.h"

namespace trireme::apiserver {

CachedObject::CachedObject(std::string key, store::Revision revision, const api::Object& object)
    : key_(std::move(key)), revision_(revision), object_(object) {
  assert(object);
}

CachedObject::~CachedObject() = default;

namespace {

/// One of a few mutexes: a mutex in every object would be a good part of a small one.
std::mutex& mutex_of(const CachedObject* object) {
  static std::array<std::mutex, 64> mutexes;
  return mutexes[std::hash<const void*>{}(object) / 64 % mutexes.size()];
}

SharedBytes encode_body(const api::Object& object, Encoding encoding) {
  if (encoding == Encoding::kJson) {
    std::string body = json_body(object.type(), object.data());
    body.shrink_to_fit();
    return share(std::move(body));
  }
  std::string raw;
  api::append_proto(object.type(), object.data(), raw);
  raw.shrink_to_fit();
  return share(std::move(raw));
}

}  // namespace

Result<SharedBytes> CachedObject::body(const api::TypeInfo& type, Encoding encoding) const {
  std::scoped_lock lock(mutex_of(this));
  if (&type == &object().type()) {
    bool& asked = encoding == Encoding::kJson ? json_asked_ : proto_asked_;
    if (!std::exchange(asked, true)) return encode_body(object(), encoding);
    if (!encodings_) encodings_ = std::make_unique<Encodings>();
    SharedBytes& kept = encoding == Encoding::kJson ? encodings_->json : encodings_->proto;
    if (!kept) kept = encode_body(object(), encoding);
    return kept;
  }
  if (encodings_ && encodings_->other_type == &type && encodings_->other_encoding == encoding) return encodings_->other;
  TRY_ASSIGN(api::Object converted, api::convert(object(), type));
  SharedBytes body = encode_body(converted, encoding);
  if (!encodings_) encodings_ = std::make_unique<Encodings>();
  encodings_->other_type = &type;
  encodings_->other_encoding = encoding;
  encodings_->other = body;
  return body;
}

void CachedObject::drop_encodings() const {
  std::scoped_lock lock(mutex_of(this));
  encodings_.reset();
  json_asked_ = proto_asked_ = false;
}

Result<const api::Object*> CachedObject::as_version(const api::TypeInfo& type, api::Object& converted) const {
  if (&type == &object().type()) return &object();
  TRY_ASSIGN(converted, api::convert(object(), type));
  return const_cast<const api::Object*>(&converted);
}

const api::TypeInfo& storage_type(const api::ResourceInfo& resource) {
  if (api::is_custom(*resource.type)) return api::custom_type(resource.storage.to_string(), resource.kind);
  if (const api::TypeInfo* type = api::find_type(resource.storage.to_string(), resource.kind)) return *type;
  return *resource.type;
}

std::string encode_stored(api::Object& object) {
  std::string version = std::move(object.metadata().resource_version);
  object.metadata().resource_version.clear();
  const bool custom = api::is_custom(object.type());
  std::string raw;
  if (custom) {
    api::append_json(object.type(), object.data(), raw);
  } else {
    api::append_proto(object.type(), object.data(), raw);
  }
  object.metadata().resource_version = std::move(version);
  return custom ? raw : api::wrap_proto(object.type().api_version, object.type().kind, raw);
}

Result<api::Object> decode_stored(const api::ResourceInfo& resource, std::string_view bytes) {
  const api::TypeInfo& wanted = storage_type(resource);
  if (!bytes.starts_with(std::string_view("k8s\0", 4))) {
    api::Object object(wanted);
    TRY(api::parse_json(wanted, bytes, object.data()));
    return object;
  }
  TRY_ASSIGN(api::UnwrappedProto unwrapped, api::unwrap_proto(bytes));
  const api::TypeInfo* type = api::find_type(unwrapped.api_version, unwrapped.kind);
  if (type == nullptr) {
    return Status::internal(
        fmt::format("no kind \"{}\" is registered for version \"{}\"", unwrapped.kind, unwrapped.api_version));
  }
  api::Object object(*type);
  TRY(api::parse_proto(*type, unwrapped.raw, object.data()));
  if (type == &wanted) return object;
  return api::convert(object, wanted);
}

}  // namespace trireme::apiserver
