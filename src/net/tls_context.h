#pragma once

#include <array>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/tls.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct ssl_st;      // OpenSSL's SSL

/// TLS settings of this folder's server and client: TLS 1.2 and newer, no renegotiation, no session tickets.
namespace trireme::net {

/// A server's certificate and trust, read again when the files change. Used by one thread.
class TlsServerContext {
 public:
  static Result<std::unique_ptr<TlsServerContext>> load(TlsServerOptions options);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  /// A session for a new connection, with the files' present content. The caller owns it; null when out of memory.
  /// Files are looked at once a second at most. A change that cannot be loaded is logged, and the old content serves
  /// on.
  ssl_st* accept(int descriptor);

 private:
  struct Stamp {
    timespec modified{};
    long long size = 0;            // NOLINT: off_t's range
    unsigned long long inode = 0;  // NOLINT: ino_t's range
    bool operator==(const Stamp& other) const;
  };
  using Stamps = std::array<Stamp, 3>;

  explicit TlsServerContext(TlsServerOptions options) : options_(std::move(options)) {}
  Stamps stamps() const;
  void reload_if_changed();

  const TlsServerOptions options_;
  ssl_ctx_st* context_ = nullptr;
  Stamps loaded_{};
  std::chrono::steady_clock::time_point next_look_{};
};

/// A client's trust and certificate; shared by its connections. Thread-safe.
class TlsClientContext {
 public:
  static Result<std::unique_ptr<TlsClientContext>> create(TlsClientOptions options);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  /// A session that accepts only a certificate for `host` (a name or an address), unless the options say otherwise.
  Result<ssl_st*> connect(int descriptor, const std::string& host) const;

 private:
  explicit TlsClientContext(TlsClientOptions options) : options_(std::move(options)) {}

  const TlsClientOptions options_;
  ssl_ctx_st* context_ = nullptr;
};

}  // namespace trireme::net
