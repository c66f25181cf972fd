#include "overlay/etcd_client.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/base64.h"
#include "linux/file.h"

namespace trireme::overlay {
namespace {

using api::Value;

/// The gateway writes 64-bit numbers as strings, and leaves zeros out.
int64_t number(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  if (found == nullptr) return 0;
  if (found->is_int()) return found->as_int();
  int64_t value = 0;
  const std::string_view text = found->string_or_empty();
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string bytes(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  auto decoded = base64_decode(found != nullptr ? found->string_or_empty() : std::string_view());
  return decoded.ok() ? std::move(*decoded) : std::string();
}

/// The first key behind all that begin with `prefix`.
std::string end_of(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

Status failure(int code, std::string_view body) {
  std::string message(body);
  if (auto value = api::parse_value(body); value.ok() && value->is_object()) {
    for (const char* name : {"message", "error"}) {
      const Value* text = value->find(name);
      if (text != nullptr && text->is_string()) message = text->as_string();
    }
  }
  return Status(code == 401 || code == 403 ? Reason::kForbidden : Reason::kServiceUnavailable,
                fmt::format("etcd answers {}: {}", code, message));
}

/// What the connection's failure comes from, where that can be told.
Status explained(const Status& status, const std::string& endpoint) {
  const auto says = [&](std::string_view words) { return status.message().find(words) != std::string::npos; };
  std::string hint;
  if (says("certificate verify failed")) hint = "etcd's certificate is not trusted";
  if (says("alert bad certificate") || says("alert certificate required") || says("alert unknown ca")) {
    hint = "etcd does not trust the client certificate, or wants one";
  }
  if (says("wrong version number")) hint = "etcd does not speak TLS there";
  if (endpoint.starts_with("http://") && says("closed before an answer")) hint = "does etcd speak TLS there?";
  return hint.empty() ? status : status.with_context(hint);
}

}  // namespace

Result<std::unique_ptr<EtcdClient>> EtcdClient::create(const EtcdOptions& options) {
  std::unique_ptr<EtcdClient> client(new EtcdClient());
  net::TlsClientOptions tls;
  const auto read = [](const std::string& file, std::string& out) -> Status {
    if (file.empty()) return {};
    TRY_ASSIGN(out, linux::read_file(file));
    return {};
  };
  TRY(read(options.ca_file, tls.ca_pem));
  TRY(read(options.certificate_file, tls.certificate_pem));
  TRY(read(options.key_file, tls.key_pem));
  for (const std::string& endpoint : options.endpoints) {
    net::HttpTransportOptions transport;
    transport.base_url = endpoint;
    while (transport.base_url.ends_with('/')) transport.base_url.pop_back();
    transport.tls = tls;
    transport.timeout = std::chrono::seconds(10);
    TRY_ASSIGN(auto made, net::http_transport(std::move(transport)));
    client->transports_.push_back(std::move(made));
    client->endpoints_.push_back(endpoint);
  }
  if (client->transports_.empty()) return Status::bad_request("there is no etcd endpoint");
  client->username_ = options.username;
  client->password_ = options.password;
  return client;
}

net::Request EtcdClient::request(std::string_view path, const Value& body) {
  net::Request out;
  out.method = "POST";
  out.target = path;
  out.headers.add("Content-Type", "application/json");
  const std::lock_guard lock(mutex_);
  if (!token_.empty()) out.headers.add("Authorization", token_);
  out.body = api::to_json(body);
  return out;
}

Status EtcdClient::authenticate(net::Transport& transport) {
  Value body = Value::object();
  body["name"] = username_;
  body["password"] = password_;
  TRY_ASSIGN(const net::Response response, transport.round_trip(request("/v3/auth/authenticate", body)));
  if (response.status != 200) return failure(response.status, response.body);
  TRY_ASSIGN(const Value answer, api::parse_value(response.body));
  const Value* token = answer.is_object() ? answer.find("token") : nullptr;
  const std::lock_guard lock(mutex_);
  token_ = token != nullptr ? token->string_or_empty() : std::string_view();
  return {};
}

Result<Value> EtcdClient::call(std::string_view path, const Value& body) {
  Status last;
  size_t first = 0;
  bool has_token = false;
  {
    const std::lock_guard lock(mutex_);
    first = current_;
    has_token = !token_.empty();
  }
  for (size_t i = 0; i < transports_.size(); ++i) {
    const size_t index = (first + i) % transports_.size();
    net::Transport& transport = *transports_[index];
    if (!username_.empty() && !has_token) {
      last = authenticate(transport);
      if (!last.ok()) continue;
    }
    auto response = transport.round_trip(request(path, body));
    // A token ends after a while.
    const bool refused = response.ok() && (response->status == 401 || response->status == 403);
    if (refused && !username_.empty() && authenticate(transport).ok()) {
      response = transport.round_trip(request(path, body));
    }
    if (response.ok() && response->status == 200) {
      {
        const std::lock_guard lock(mutex_);
        current_ = index;
      }
      return api::parse_value(response->body);
    }
    last = response.ok() ? failure(response->status, response->body) : explained(response.status(), endpoints_[index]);
    last = last.with_context(endpoints_[index]);
  }
  return last;
}

Result<EtcdClient::Listing> EtcdClient::range(const std::string& key, bool prefix) {
  Value body = Value::object();
  body["key"] = base64_encode(key);
  if (prefix) body["range_end"] = base64_encode(end_of(key));
  TRY_ASSIGN(const Value answer, call("/v3/kv/range", body));
  Listing listing;
  if (const Value* header = answer.find("header")) listing.revision = number(*header, "revision");
  const Value* items = answer.find("kvs");
  if (items == nullptr || !items->is_array()) return listing;
  for (const Value& item : items->as_array()) {
    listing.items.push_back({bytes(item, "key"), bytes(item, "value"), number(item, "lease")});
  }
  return listing;
}

Result<int64_t> EtcdClient::grant(int64_t seconds) {
  Value body = Value::object();
  body["TTL"] = std::to_string(seconds);
  TRY_ASSIGN(const Value answer, call("/v3/lease/grant", body));
  const int64_t lease = number(answer, "ID");
  if (lease == 0) return Status::internal("etcd granted no lease");
  return lease;
}

Status EtcdClient::revoke(int64_t lease) {
  Value body = Value::object();
  body["ID"] = std::to_string(lease);
  return call("/v3/lease/revoke", body).status();
}

Status EtcdClient::put(const std::string& key, const std::string& value, int64_t lease) {
  Value body = Value::object();
  body["key"] = base64_encode(key);
  body["value"] = base64_encode(value);
  if (lease != 0) body["lease"] = std::to_string(lease);
  return call("/v3/kv/put", body).status();
}

Result<bool> EtcdClient::create_key(const std::string& key, const std::string& value, int64_t lease) {
  Value absent = Value::object();
  absent["key"] = base64_encode(key);
  absent["target"] = "VERSION";
  absent["result"] = "EQUAL";
  absent["version"] = "0";
  Value put = Value::object();
  put["key"] = base64_encode(key);
  put["value"] = base64_encode(value);
  if (lease != 0) put["lease"] = std::to_string(lease);
  Value then = Value::object();
  then["request_put"] = std::move(put);
  Value body = Value::object();
  body["compare"] = Value::array();
  body["compare"].push_back(std::move(absent));
  body["success"] = Value::array();
  body["success"].push_back(std::move(then));
  TRY_ASSIGN(const Value answer, call("/v3/kv/txn", body));
  const Value* succeeded = answer.find("succeeded");
  return succeeded != nullptr && succeeded->is_bool() && succeeded->as_bool();
}

Status EtcdClient::remove(const std::string& key) {
  Value body = Value::object();
  body["key"] = base64_encode(key);
  return call("/v3/kv/deleterange", body).status();
}

Status EtcdClient::watch(const std::string& prefix, int64_t revision, std::stop_token stop,
                         const std::function<void()>& changed) {
  Value create = Value::object();
  create["key"] = base64_encode(prefix);
  create["range_end"] = base64_encode(end_of(prefix));
  create["start_revision"] = std::to_string(revision);
  Value body = Value::object();
  body["create_request"] = std::move(create);
  size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    index = current_;
  }
  TRY_ASSIGN(auto stream, transports_[index]->open(request("/v3/watch", body), stop));
  if (stream->status() != 200) return failure(stream->status(), "the watch was refused");
  std::string buffer;
  while (true) {
    TRY_ASSIGN(const std::string more, stream->read(stop));
    if (more.empty()) return Status::unavailable("etcd ended the watch");
    buffer += more;
    for (size_t end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
      auto line = api::parse_value(buffer.substr(0, end));
      buffer.erase(0, end + 1);
      if (!line.ok()) return line.status().with_context("etcd's watch");
      const Value* result = line->is_object() ? line->find("result") : nullptr;
      if (result == nullptr || result->find("canceled") != nullptr) {
        return Status::unavailable("etcd cancelled the watch");
      }
      if (result->find("events") != nullptr) changed();
    }
  }
}

}  // namespace trireme::overlay
