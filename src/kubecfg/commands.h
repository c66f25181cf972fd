#pragma once

#include <string>
#include <vector>

#include "api/value.h"
#include "base/result.h"
#include "kubecfg/options.h"

namespace trireme::kubecfg {

/// One conversation with a server. Errors are those the server answered, or what kept it from answering.
class Session {
 public:
  Session(Connection connection, const Options& options) : connection_(std::move(connection)), options_(options) {}

  /// `path` below /api/VERSION, `query` without the namespace.
  Result<api::Value> send(std::string method, const std::string& path, std::string body = {}, std::string query = {});
  /// The same outside the API's prefix.
  Result<std::string> get_text(const std::string& target);

  const std::string& ns() const { return connection_.ns; }

 private:
  Connection connection_;
  const Options& options_;
};

/// Carries out `words` (verb and arguments) and returns what to print. BadRequest is a usage error.
Result<std::string> execute(const std::vector<std::string>& words, const Options& options);

/// "6379:6379,8080" as v1beta1 ports.
Result<api::Value> parse_ports(std::string_view specification);

}  // namespace trireme::kubecfg
