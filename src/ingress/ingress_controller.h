#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"

namespace trireme::ingress {

struct IngressOptions {
  std::string folder;   ///< Of nginx's configuration, certificates and log.
  std::string address;  ///< To listen on; empty: all.
  int http_port = 80;
  int https_port = 443;
  std::vector<std::string> published;                 ///< Addresses for the Ingresses' status.
  Duration settle = std::chrono::milliseconds(100);   ///< Changes within this time are taken together.
  Duration secret_refresh = std::chrono::minutes(1);  ///< Certificates are read anew this often, while there are any.
};

struct IngressDeps {
  std::shared_ptr<client::RawClient> client;  ///< As a user with the role system:trireme-ingress.
  std::shared_ptr<Clock> clock;
};

/// Serves Ingresses of the class "trireme" with an nginx of its own. Makes the class where there is none of that name:
/// the default class, unless another is.
class IngressController {
 public:
  /// NotFound when nginx is not installed. Returns when the informers and nginx have been started.
  static Result<std::unique_ptr<IngressController>> start(IngressOptions options, IngressDeps deps);
  /// Stops nginx, too.
  virtual ~IngressController() = default;

  /// This node's addresses have changed: they take the place of `published`. Thread-safe.
  virtual void set_published(std::vector<std::string> addresses) = 0;
  /// How often nginx took a new configuration over.
  virtual int reloads() const = 0;
};

}  // namespace trireme::ingress
