#include "client/client.h"

#include <fmt/format.h>

#include <utility>

#include "api/status_convert.h"
#include "client/watch_frames.h"

namespace trireme::client {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";

std::string_view content_type_of(PatchType type) {
  switch (type) {
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kStrategicMerge:
      return "application/strategic-merge-patch+json";
    case PatchType::kApply:
      return "application/apply-patch+yaml";
  }
  return kJson;
}

/// Appends "?key=value" or "&key=value"; nothing for an empty value.
void add_query(std::string& target, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  target += target.find('?') == std::string::npos ? '?' : '&';
  target += key;
  target += '=';
  target += net::percent_encode(value);
}

std::string path_of(const api::ResourceInfo& resource, std::string_view ns, std::string_view name = {},
                    std::string_view subresource = {}) {
  std::string path = resource.group.empty() ? "/api/" : "/apis/" + resource.group + "/";
  path += resource.version;
  if (resource.namespaced && !ns.empty()) path += "/namespaces/" + net::percent_encode(ns);
  path += "/" + resource.resource;
  if (!name.empty()) path += "/" + net::percent_encode(name);
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

void add_list_options(std::string& target, const ListOptions& options) {
  add_query(target, "labelSelector", options.label_selector);
  add_query(target, "fieldSelector", options.field_selector);
  add_query(target, "resourceVersion", options.resource_version);
  add_query(target, "resourceVersionMatch", options.resource_version_match);
  if (options.limit > 0) add_query(target, "limit", std::to_string(options.limit));
  add_query(target, "continue", options.continue_);
  if (options.timeout_seconds > 0) add_query(target, "timeoutSeconds", std::to_string(options.timeout_seconds));
}

std::string accept_metadata(bool protobuf, std::string_view kind) {
  std::string as = fmt::format(";as={};g=meta.k8s.io;v=v1", kind);
  std::string json = std::string(kJson) + as;
  return protobuf ? fmt::format("{}{},{}", kProtobuf, as, json) : json;
}

void prefer_objects(net::Request& request) {
  std::string accept(net::kLocalMediaType);
  request.headers.set("Accept", accept.append(",").append(request.headers.get("Accept")));
}

std::string encode_delete_options(const DeleteOptions& options) {
  api::metav1::DeleteOptions body;
  body.grace_period_seconds = options.grace_period_seconds;
  if (!options.propagation_policy.empty()) body.propagation_policy = options.propagation_policy;
  if (!options.uid.empty() || !options.resource_version.empty()) {
    auto& preconditions = body.preconditions.emplace();
    if (!options.uid.empty()) preconditions.uid = options.uid;
    if (!options.resource_version.empty()) preconditions.resource_version = options.resource_version;
  }
  return api::encode_json(body);
}

/// The reason for an answer that is no metav1.Status (a proxy's, a crashed server's).
Reason reason_of_code(int code) {
  switch (code) {
    case 400:
      return Reason::kBadRequest;
    case 401:
      return Reason::kUnauthorized;
    case 403:
      return Reason::kForbidden;
    case 404:
      return Reason::kNotFound;
    case 405:
      return Reason::kMethodNotAllowed;
    case 406:
      return Reason::kNotAcceptable;
    case 409:
      return Reason::kConflict;
    case 410:
      return Reason::kGone;
    case 413:
      return Reason::kRequestEntityTooLarge;
    case 415:
      return Reason::kUnsupportedMediaType;
    case 422:
      return Reason::kInvalid;
    case 429:
      return Reason::kTooManyRequests;
    case 503:
      return Reason::kServiceUnavailable;
    case 504:
      return Reason::kTimeout;
    default:
      return code >= 500 ? Reason::kInternalError : Reason::kUnknown;
  }
}

Status error_of(int code, std::string_view body) {
  if (Status decoded = decode_status(body); !decoded.ok())
    return decoded.code() == code ? decoded : decoded.with_code(code);
  constexpr size_t kShown = 512;
  std::string message = fmt::format("the server answered {}", code);
  if (!body.empty()) message.append(": ").append(body.substr(0, kShown));
  return Status(reason_of_code(code), std::move(message)).with_code(code);
}

}  // namespace

Status decode_status(std::string_view body) {
  Result<api::metav1::Status> wire = body.starts_with(std::string_view("k8s\0", 4))
                                         ? api::decode_proto<api::metav1::Status>(body)
                                         : api::decode_json<api::metav1::Status>(body);
  if (!wire.ok() || wire->status != "Failure") return {};
  return api::from_metav1(*wire);
}

RawClient::RawClient(std::shared_ptr<net::Transport> transport, std::string user_agent, bool protobuf)
    : transport_(std::move(transport)), user_agent_(std::move(user_agent)), protobuf_(protobuf) {}

net::Request RawClient::make_request(std::string method, std::string target, std::string body,
                                     std::string_view content_type) const {
  net::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers.add("User-Agent", user_agent_);
  request.headers.add("Accept", protobuf_ ? std::string(kProtobuf).append(",").append(kJson) : std::string(kJson));
  if (!body.empty()) {
    if (content_type.empty()) content_type = protobuf_ ? kProtobuf : kJson;
    request.headers.add("Content-Type", std::string(content_type));
  }
  request.body = std::move(body);
  return request;
}

Result<std::string> RawClient::send(net::Request request, std::stop_token stop) {
  TRY_ASSIGN(net::Response response, transport_->round_trip(request, stop));
  if (response.status >= 200 && response.status < 300) return std::move(response.body);
  return error_of(response.status, response.body);
}

Result<std::string> RawClient::get(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                                   std::stop_token stop) {
  return send(make_request("GET", path_of(resource, ns, name), {}, {}), stop);
}

Result<api::metav1::PartialObjectMetadata> RawClient::get_metadata(const api::ResourceInfo& resource,
                                                                   std::string_view ns, std::string_view name,
                                                                   std::stop_token stop) {
  net::Request request = make_request("GET", path_of(resource, ns, name), {}, {});
  request.headers.set("Accept", accept_metadata(protobuf_, "PartialObjectMetadata"));
  TRY_ASSIGN(const std::string body, send(std::move(request), stop));
  using Metadata = api::metav1::PartialObjectMetadata;
  return body.starts_with(std::string_view("k8s\0", 4)) ? api::decode_proto<Metadata>(body)
                                                        : api::decode_json<Metadata>(body);
}

Result<std::string> RawClient::get_path(std::string target, std::stop_token stop, std::string_view accept) {
  net::Request request = make_request("GET", std::move(target), {}, {});
  request.headers.set("Accept", std::string(accept));
  return send(std::move(request), stop);
}

Result<std::string> RawClient::list(const api::ResourceInfo& resource, std::string_view ns, const ListOptions& options,
                                    std::stop_token stop) {
  std::string target = path_of(resource, ns);
  add_list_options(target, options);
  net::Request request = make_request("GET", std::move(target), {}, {});
  if (options.metadata_only) request.headers.set("Accept", accept_metadata(protobuf_, "PartialObjectMetadataList"));
  return send(std::move(request), stop);
}

Result<LocalList> RawClient::list_local(const api::ResourceInfo& resource, std::string_view ns,
                                        const ListOptions& options, std::stop_token stop) {
  std::string target = path_of(resource, ns);
  add_list_options(target, options);
  net::Request request = make_request("GET", std::move(target), {}, {});
  prefer_objects(request);
  TRY_ASSIGN(net::Response response, transport_->round_trip(request, std::move(stop)));
  if (response.status < 200 || response.status >= 300) return error_of(response.status, response.body);
  return LocalList{std::move(response.body), std::move(response.parts)};
}

Result<std::string> RawClient::create(const api::ResourceInfo& resource, std::string_view ns, std::string body,
                                      std::string_view name, std::string_view subresource) {
  return send(make_request("POST", path_of(resource, ns, name, subresource), std::move(body), {}));
}

Result<std::string> RawClient::update(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                                      std::string body, std::string_view subresource) {
  return send(make_request("PUT", path_of(resource, ns, name, subresource), std::move(body), {}));
}

Result<std::string> RawClient::patch(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                                     PatchType type, std::string body, std::string_view subresource,
                                     const PatchOptions& options) {
  std::string target = path_of(resource, ns, name, subresource);
  add_query(target, "fieldManager", options.field_manager);
  if (options.force) add_query(target, "force", "true");
  return send(make_request("PATCH", std::move(target), std::move(body), content_type_of(type)));
}

Status RawClient::remove(const api::ResourceInfo& resource, std::string_view ns, std::string_view name,
                         const DeleteOptions& options) {
  auto result = send(make_request("DELETE", path_of(resource, ns, name), encode_delete_options(options), kJson));
  return result.ok() ? Status() : result.status();
}

Status RawClient::remove_collection(const api::ResourceInfo& resource, std::string_view ns,
                                    const DeleteOptions& options, const ListOptions& selection) {
  std::string target = path_of(resource, ns);
  add_list_options(target, selection);
  auto result = send(make_request("DELETE", std::move(target), encode_delete_options(options), kJson));
  return result.ok() ? Status() : result.status();
}

WatchStream::WatchStream(std::unique_ptr<net::ResponseStream> stream, Duration idle_timeout)
    : stream_(std::move(stream)), idle_timeout_(idle_timeout) {
  if (stream_->headers().get("Content-Type") == net::kLocalMediaType) return;
  const bool framed = stream_->headers().get("Content-Type").starts_with(kProtobuf);
  frames_ = std::make_unique<WatchFrames>(framed ? WatchFrames::Format::kProtobuf : WatchFrames::Format::kJson);
}

WatchStream::~WatchStream() = default;

Result<std::optional<RawWatchEvent>> WatchStream::next() {
  if (frames_) return frames_->next();
  if (taken_ == parts_.size()) return std::optional<RawWatchEvent>();
  net::LocalPart& part = parts_[taken_++];
  return std::optional(RawWatchEvent{std::string(part.label), {}, std::move(part)});
}

Status WatchStream::wait(std::stop_token stop) {
  if (!frames_) {
    TRY_ASSIGN(parts_, stream_->read_parts(std::move(stop), idle_timeout_));
    taken_ = 0;
    over_ = parts_.empty();
    return {};
  }
  TRY_ASSIGN(const std::string piece, stream_->read(std::move(stop), idle_timeout_));
  over_ = piece.empty();
  frames_->append(piece);
  return {};
}

Result<bool> WatchStream::poll() {
  if (!frames_) {
    TRY_ASSIGN(std::optional<std::vector<net::LocalPart>> parts, stream_->try_read_parts());
    if (!parts) return false;
    parts_ = std::move(*parts);
    taken_ = 0;
    over_ = parts_.empty();
    return true;
  }
  TRY_ASSIGN(const std::optional<std::string> piece, stream_->try_read());
  if (!piece) return false;
  over_ = piece->empty();
  frames_->append(*piece);
  return true;
}

void WatchStream::on_arrival(std::function<void()> callback) { stream_->on_arrival(std::move(callback)); }

Result<std::unique_ptr<WatchStream>> RawClient::open_watch(const api::ResourceInfo& resource, std::string_view ns,
                                                           const ListOptions& options, std::stop_token stop) {
  std::string target = path_of(resource, ns);
  add_query(target, "watch", "true");
  if (options.allow_watch_bookmarks) add_query(target, "allowWatchBookmarks", "true");
  add_list_options(target, options);
  net::Request request = make_request("GET", std::move(target), {}, {});
  if (options.metadata_only) {
    request.headers.set("Accept", accept_metadata(protobuf_, "PartialObjectMetadata"));
  } else if (protobuf_) {
    request.headers.set("Accept", fmt::format("{};stream=watch,{};stream=watch", kProtobuf, kJson));
  }
  if (options.objects && local()) prefer_objects(request);
  TRY_ASSIGN(std::unique_ptr<net::ResponseStream> stream, transport_->open(request, stop));
  // A server that was given a time to end and stays silent past it has gone without a word.
  constexpr auto kGrace = std::chrono::seconds(30);
  if (stream->status() < 200 || stream->status() >= 300) {
    std::string body;
    constexpr size_t kMaxErrorBody = 1 << 20;
    while (body.size() < kMaxErrorBody) {
      auto piece = stream->read(stop, kGrace);
      if (!piece.ok() || piece->empty()) break;
      body += *piece;
    }
    return error_of(stream->status(), body);
  }
  const Duration idle =
      options.timeout_seconds > 0 ? std::chrono::seconds(options.timeout_seconds) + kGrace : Duration::zero();
  return std::make_unique<WatchStream>(std::move(stream), idle);
}

Status RawClient::watch(const api::ResourceInfo& resource, std::string_view ns, const ListOptions& options,
                        std::stop_token stop, const std::function<bool(RawWatchEvent)>& each) {
  TRY_ASSIGN(const std::unique_ptr<WatchStream> stream, open_watch(resource, ns, options, stop));
  while (true) {
    TRY_ASSIGN(std::optional<RawWatchEvent> event, stream->next());
    if (!event) {
      if (stream->over()) return {};
      TRY(stream->wait(stop));
      continue;
    }
    if (!each(std::move(*event))) return {};
    if (stop.stop_requested()) return Status::timeout("the watch was stopped");
  }
}

}  // namespace trireme::client
