#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/value.h"
#include "apiserver/api_server.h"
#include "client/client.h"
#include "net/transport.h"
#include "support/virtual_clock.h"

namespace trireme::test {

/// An answer with its JSON body at hand.
struct Answer {
  int status = 0;
  net::Headers headers;
  std::string body;

  /// Null when the body is no JSON.
  api::Value json() const;
  /// The text or number at a path below the body, "" when missing: `at({"metadata", "name"})`.
  std::string at(std::initializer_list<std::string_view> path) const;
  /// `items[*].metadata.name` of a list.
  std::vector<std::string> names() const;
};

/// One event of a watch, or what ended it (`type` is then empty).
struct WatchedEvent {
  std::string type;
  api::Value object;
  std::string name() const;
  std::string version() const;
};

/// An open watch, read event by event. A read that finds nothing for ten seconds fails, so that a test cannot hang.
class TestWatch {
 public:
  explicit TestWatch(Result<std::unique_ptr<net::ResponseStream>> stream);
  int status() const { return stream_ ? stream_->status() : 0; }
  WatchedEvent next();
  /// "ADDED a", "MODIFIED a", … for the next `count` events.
  std::vector<std::string> next_names(size_t count);
  /// Reads to the end of the stream and returns what was left.
  std::string rest();

 private:
  std::unique_ptr<net::ResponseStream> stream_;
  std::string buffer_;
};

/// The API server in this process on the memory store and a virtual clock. Callers are system:admin unless they name
/// somebody else.
class TestApiServer {
 public:
  /// `options` may set anything but the store and the clock.
  explicit TestApiServer(apiserver::Options options = {});
  ~TestApiServer();

  VirtualClock& clock() { return *clock_; }
  std::shared_ptr<VirtualClock> clock_pointer() { return clock_; }
  store::Store& store() { return *store_; }
  std::shared_ptr<store::Store> store_pointer() { return store_; }
  apiserver::ApiServer& server() { return *server_; }
  /// Stops this server and starts another one on the same store.
  void restart();

  std::shared_ptr<net::Transport> transport(std::string user = "system:admin",
                                            std::vector<std::string> groups = {"system:masters"});
  client::Client client(bool protobuf = true);

  Answer send(net::Request request);
  Answer get(std::string target, std::string accept = "");
  Answer post(std::string target, std::string body, std::string content_type = "application/json");
  Answer put(std::string target, std::string body);
  Answer patch(std::string target, std::string body, std::string content_type = "application/merge-patch+json");
  Answer remove(std::string target, std::string body = "");
  TestWatch watch(std::string target, std::string accept = "");

 private:
  void start();

  std::shared_ptr<VirtualClock> clock_;
  std::shared_ptr<store::Store> store_;
  apiserver::Options options_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<net::Transport> admin_;
};

/// JSON of a small object: {"metadata":{"name":…,"labels":{…}}, and `more` (members, without braces).
std::string config_map(std::string_view name, std::string_view more = "");
std::string pod(std::string_view name, std::string_view labels = "", std::string_view spec = "");

}  // namespace trireme::test
