#pragma once

#include <string>

namespace trireme::net {

/// What a server shows and whom it trusts. Files are PEM; they are read again when they change (SIGHUP-free renewal).
struct TlsServerOptions {
  std::string certificate_file;
  std::string key_file;
  std::string client_ca_file;  ///< Client certificates are asked for, not required; only verified ones reach Peer.
};

/// How a client proves itself and whom it trusts. PEM text, as a kubeconfig's decoded `*-data` holds it.
struct TlsClientOptions {
  std::string ca_pem;           ///< Empty: the system's store.
  std::string certificate_pem;  ///< Empty: none.
  std::string key_pem;
  std::string server_name;  ///< Overrides the URL's host for verification.
  bool insecure_skip_verify = false;
};

}  // namespace trireme::net
