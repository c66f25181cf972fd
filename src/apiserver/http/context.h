#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/names.h"
#include "api/object.h"
#include "api/type_info.h"
#include "apiserver/authn/authn.h"
#include "apiserver/http/negotiate.h"
#include "apiserver/http/request_info.h"
#include "base/clock.h"
#include "net/http.h"

namespace trireme::apiserver {

class Metrics;
namespace extensions {
struct CustomVersion;
}

/// One request on its way through the pipeline, and the one place where answers are sent from. Used by one thread at a
/// time; may be kept (shared) by an answer that comes later.
class RequestContext {
 public:
  RequestContext(std::shared_ptr<net::Exchange> exchange, std::shared_ptr<Metrics> metrics, const Clock& clock,
                 const api::RandomSource& random);

  const net::Request& request() const { return exchange_->request(); }
  const std::shared_ptr<net::Exchange>& exchange() const { return exchange_; }

  RequestInfo info;
  /// The custom kind that the request is about; null for built-in kinds.
  std::shared_ptr<const extensions::CustomVersion> custom;
  Query query;
  authn::UserInfo user;
  /// What the answer looks like; JSON until negotiated.
  Accepted accepted;
  /// Sent as Warning headers.
  std::vector<std::string> warnings;

  /// A whole answer. The common headers are added.
  void respond(int code, std::string_view content_type, std::vector<SharedBytes> body, net::Headers headers = {});
  void respond(int code, std::string_view content_type, std::string body);
  /// The same with objects that a client in this process takes as they are.
  void respond_local(int code, std::string_view content_type, std::vector<SharedBytes> body,
                     std::vector<net::LocalPart> parts);
  /// A Status (success or failure) in the accepted form.
  void fail(const Status& status);
  /// Any kind, whole, in the accepted form.
  void respond_object(int code, const api::TypeInfo& type, const void* object);
  template <typename T>
  void respond_kind(int code, const T& object) {
    respond_object(code, api::type_info<T>(), &object);
  }
  void respond_object(int code, const api::Object& object) { respond_object(code, object.type(), object.data()); }

  /// Headers of a streamed answer; the caller writes to the exchange afterwards.
  void start_stream(int code, std::string_view content_type);
  const std::string& audit_id() const { return audit_id_; }

 private:
  net::Headers common_headers(std::string_view content_type, net::Headers headers);
  void observe(int code);

  std::shared_ptr<net::Exchange> exchange_;
  std::shared_ptr<Metrics> metrics_;
  const Clock& clock_;
  Duration started_;
  std::string audit_id_;
};

/// A version 4 UUID: uids and audit ids.
std::string new_uuid(const api::RandomSource& random);
/// JSON text with two spaces of indentation, as `pretty=true` asks for.
std::string indent_json(std::string_view json);

}  // namespace trireme::apiserver
