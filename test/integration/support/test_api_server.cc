#include "integration/support/test_api_server.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "store/memory_store.h"

namespace trireme::test {

namespace {

using namespace std::chrono_literals;

/// Takes the certificate's subject for the user, as the X.509 authenticator does.
class SubjectAuthenticator : public apiserver::authn::Authenticator {
 public:
  Result<std::optional<apiserver::authn::UserInfo>> authenticate(const net::Request& request) override {
    if (!request.peer.certificate) return std::optional<apiserver::authn::UserInfo>();
    apiserver::authn::UserInfo user;
    user.name = request.peer.certificate->common_name;
    user.groups = request.peer.certificate->organizations;
    return std::optional(std::move(user));
  }
};

std::string text_of(const api::Value* value) {
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? value->as_string() : api::to_json(*value);
}

}  // namespace

api::Value Answer::json() const {
  auto value = api::parse_value(body);
  return value.ok() ? std::move(*value) : api::Value();
}

std::string Answer::at(std::initializer_list<std::string_view> path) const {
  api::Value value = json();
  return text_of(value.at_path(path));
}

std::vector<std::string> Answer::names() const {
  std::vector<std::string> names;
  api::Value value = json();
  const api::Value* items = value.find("items");
  if (items == nullptr || !items->is_array()) return names;
  for (const api::Value& item : items->as_array()) names.push_back(text_of(item.at_path({"metadata", "name"})));
  return names;
}

std::string WatchedEvent::name() const { return text_of(object.at_path({"metadata", "name"})); }
std::string WatchedEvent::version() const { return text_of(object.at_path({"metadata", "resourceVersion"})); }

TestWatch::TestWatch(Result<std::unique_ptr<net::ResponseStream>> stream) {
  if (stream.ok()) stream_ = std::move(*stream);
}

WatchedEvent TestWatch::next() {
  size_t end;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    auto part = stream_->read({}, 10s);
    if (!part.ok() || part->empty()) return {};
    buffer_ += *part;
  }
  auto event = api::parse_value(std::string_view(buffer_).substr(0, end));
  buffer_.erase(0, end + 1);
  if (!event.ok()) return {};
  WatchedEvent result;
  result.type = text_of(event->find("type"));
  if (api::Value* object = event->find("object")) result.object = std::move(*object);
  return result;
}

std::vector<std::string> TestWatch::next_names(size_t count) {
  std::vector<std::string> events;
  while (events.size() < count) {
    WatchedEvent event = next();
    events.push_back(event.type + " " + event.name());
    if (event.type.empty()) break;
  }
  return events;
}

std::string TestWatch::rest() {
  for (;;) {
    auto part = stream_->read({}, 10s);
    if (!part.ok() || part->empty()) return std::exchange(buffer_, {});
    buffer_ += *part;
  }
}

TestApiServer::TestApiServer(apiserver::Options options)
    : clock_(std::make_shared<VirtualClock>()), store_(store::memory_store(clock_)), options_(std::move(options)) {
  start();
}

TestApiServer::~TestApiServer() = default;

void TestApiServer::start() {
  apiserver::Options options = options_;
  options.store = store_;
  options.clock = clock_;
  if (!options.authenticator) options.authenticator = std::make_shared<SubjectAuthenticator>();
  auto server = apiserver::ApiServer::create(std::move(options));
  if (!server.ok()) {
    std::fprintf(stderr, "the API server did not start: %s\n", server.status().to_string().c_str());
    std::abort();
  }
  server_ = std::move(*server);
  admin_ = transport();
}

void TestApiServer::restart() {
  admin_.reset();
  server_.reset();
  start();
}

std::shared_ptr<net::Transport> TestApiServer::transport(std::string user, std::vector<std::string> groups) {
  net::Peer peer;
  if (!user.empty()) peer.certificate = net::CertificateSubject{std::move(user), std::move(groups)};
  return net::in_process_transport(*server_, std::move(peer));
}

client::Client TestApiServer::client(bool protobuf) {
  return client::Client(std::make_shared<client::RawClient>(transport(), "test", protobuf));
}

Answer TestApiServer::send(net::Request request) {
  auto response = admin_->round_trip(request);
  if (!response.ok()) return {0, {}, response.status().to_string()};
  return {response->status, std::move(response->headers), std::move(response->body)};
}

Answer TestApiServer::get(std::string target, std::string accept) {
  net::Request request;
  request.target = std::move(target);
  if (!accept.empty()) request.headers.add("Accept", std::move(accept));
  return send(std::move(request));
}

namespace {

net::Request with_body(std::string method, std::string target, std::string body, std::string content_type) {
  net::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  if (!content_type.empty()) request.headers.add("Content-Type", std::move(content_type));
  return request;
}

}  // namespace

Answer TestApiServer::post(std::string target, std::string body, std::string content_type) {
  return send(with_body("POST", std::move(target), std::move(body), std::move(content_type)));
}

Answer TestApiServer::put(std::string target, std::string body) {
  return send(with_body("PUT", std::move(target), std::move(body), "application/json"));
}

Answer TestApiServer::patch(std::string target, std::string body, std::string content_type) {
  return send(with_body("PATCH", std::move(target), std::move(body), std::move(content_type)));
}

Answer TestApiServer::remove(std::string target, std::string body) {
  return send(with_body("DELETE", std::move(target), std::move(body), ""));
}

TestWatch TestApiServer::watch(std::string target, std::string accept) {
  net::Request request;
  request.target = std::move(target);
  if (!accept.empty()) request.headers.add("Accept", std::move(accept));
  return TestWatch(admin_->open(request));
}

std::string config_map(std::string_view name, std::string_view more) {
  return fmt::format(R"({{"metadata":{{"name":"{}"}}{}{}}})", name, more.empty() ? "" : ",", more);
}

std::string pod(std::string_view name, std::string_view labels, std::string_view spec) {
  return fmt::format(R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","labels":{{{}}}}},)"
                     R"("spec":{{"containers":[{{"name":"main","image":"busybox"}}]{}{}}}}})",
                     name, labels, spec.empty() ? "" : ",", spec);
}

}  // namespace trireme::test
