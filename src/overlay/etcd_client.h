#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/value.h"
#include "base/result.h"
#include "net/transport.h"

namespace trireme::overlay {

struct EtcdOptions {
  std::vector<std::string> endpoints = {"http://127.0.0.1:4001", "http://127.0.0.1:2379"};
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string username;
  std::string password;
};

/// The little of etcd's v3 API that leases of subnets need, through its JSON gateway. Thread-safe.
/// https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
class EtcdClient {
 public:
  /// BadRequest on files that cannot be read or endpoints that are no URLs.
  static Result<std::unique_ptr<EtcdClient>> create(const EtcdOptions& options);

  struct Item {
    std::string key;
    std::string value;
    int64_t lease = 0;  ///< 0: it does not expire.
  };
  struct Listing {
    std::vector<Item> items;
    int64_t revision = 0;
  };
  /// One key, or all that begin with it.
  Result<Listing> range(const std::string& key, bool prefix);

  /// A lease that ends after `seconds`: what was written under it goes then.
  Result<int64_t> grant(int64_t seconds);
  Status revoke(int64_t lease);
  Status put(const std::string& key, const std::string& value, int64_t lease);
  /// False when the key exists.
  Result<bool> create_key(const std::string& key, const std::string& value, int64_t lease);
  Status remove(const std::string& key);

  /// Blocks and calls `changed` whenever something below `prefix` changes at or after `revision`, until a stop is
  /// requested (Timeout) or the watch ends or fails.
  Status watch(const std::string& prefix, int64_t revision, std::stop_token stop, const std::function<void()>& changed);

 private:
  EtcdClient() = default;
  /// Asks the endpoints in turn, beginning with the one that answered last.
  Result<api::Value> call(std::string_view path, const api::Value& body);
  Status authenticate(net::Transport& transport);
  net::Request request(std::string_view path, const api::Value& body);

  std::vector<std::unique_ptr<net::Transport>> transports_;
  std::vector<std::string> endpoints_;
  std::string username_;
  std::string password_;
  std::mutex mutex_;
  size_t current_ = 0;
  std::string token_;
};

}  // namespace trireme::overlay
