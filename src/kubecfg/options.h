#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/flags.h"
#include "base/result.h"
#include "net/transport.h"

namespace trireme::kubecfg {

struct Options {
  std::string host;
  std::string config_file;
  std::string label_selector;
  std::string field_selector;
  std::string port_specification;
  int service_port = -1;
  Duration update_period = std::chrono::seconds(60);
  std::string image;
  bool json = false;
  bool yaml = false;
  std::string auth_file;
  std::string ns;
  std::string ns_file;
  bool verbose = false;
  std::string api_version = "v1beta1";
  std::string certificate_authority;
  std::string client_certificate;
  std::string client_key;
  bool insecure_skip_tls_verify = false;
  bool validate = false;
  bool version = false;
  bool server_version = false;
  bool help = false;
};

/// Binds the flags of 2014 to `options` (defaults that depend on the environment are filled in).
FlagSet make_flags(Options& options);

/// The server to talk to and the namespace to work in. Without -h and KUBERNETES_MASTER that is the current
/// kubeconfig's; without one, http://localhost:8080.
struct Connection {
  std::shared_ptr<net::Transport> transport;
  std::string ns;
};
Result<Connection> connect(const Options& options);

/// A whole file; NotFound when it cannot be read.
Result<std::string> read_file(const std::string& path);

/// Stores the namespace that later commands use.
Status save_namespace(const Options& options, const std::string& ns);

}  // namespace trireme::kubecfg
