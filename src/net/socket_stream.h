#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/output_queue.h"

struct ssl_st;  // OpenSSL's SSL

namespace trireme::net {

/// What became of an attempt on a non-blocking socket.
enum class Io {
  kDone,       ///< It succeeded.
  kWantRead,   ///< Try again when the socket is readable.
  kWantWrite,  ///< Try again when it is writable.
  kEnd,        ///< The peer finished sending.
  kFailed,     ///< The connection is broken; `error()` tells why.
};

/// Bytes over a connected non-blocking socket, plain or through TLS. Owns the TLS session, not the descriptor.
/// Knows no event loop: server and client wait each in their own way. One thread at a time.
class SocketStream {
 public:
  SocketStream() = default;
  /// `tls` may be null; the stream takes it over.
  SocketStream(int descriptor, ssl_st* tls);
  SocketStream(SocketStream&& other) noexcept;
  SocketStream& operator=(SocketStream&& other) noexcept;
  ~SocketStream();

  /// Plain streams are done at once.
  Io handshake();
  Io read(char* buffer, size_t capacity, size_t& received);
  /// Sends from the front of `queue` and consumes what was sent, until the queue is empty, the socket is full or about
  /// `limit` bytes went.
  Io write(OutputQueue& queue, size_t limit, size_t& sent);
  /// Says farewell (TLS close_notify) and ends the sending direction.
  void finish_sending();

  bool encrypted() const { return tls_ != nullptr; }
  /// Whether bytes wait inside the TLS session, where no poll shows them.
  bool has_pending() const;
  /// The protocol agreed on by ALPN, or empty.
  std::string_view protocol() const;
  /// The client's subject when it showed a certificate that was verified.
  std::optional<CertificateSubject> verified_subject() const;
  const std::string& error() const { return error_; }

 private:
  Io tls_outcome(int result);
  Io system_outcome();
  Io write_plain(OutputQueue& queue, size_t limit, size_t& sent);
  Io write_tls(OutputQueue& queue, size_t limit, size_t& sent);

  int descriptor_ = -1;
  ssl_st* tls_ = nullptr;
  std::string error_;
};

}  // namespace trireme::net
