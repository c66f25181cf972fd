#include "net/socket_stream.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/openssl_util.h"

namespace trireme::net {
namespace {
constexpr size_t kRecord = 16 * 1024;  // the most a TLS record holds
constexpr int kSlices = 64;
}  // namespace

SocketStream::SocketStream(int descriptor, ssl_st* tls) : descriptor_(descriptor), tls_(tls) {}

SocketStream::SocketStream(SocketStream&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      tls_(std::exchange(other.tls_, nullptr)),
      error_(std::move(other.error_)) {}

SocketStream& SocketStream::operator=(SocketStream&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(tls_, other.tls_);
  std::swap(error_, other.error_);
  return *this;
}

SocketStream::~SocketStream() { SSL_free(tls_); }

Io SocketStream::tls_outcome(int result) {
  const int saved = errno;
  switch (SSL_get_error(tls_, result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kEnd;
    case SSL_ERROR_SYSCALL:
      if (saved == 0) return Io::kEnd;
      error_ = std::strerror(saved);
      return Io::kFailed;
    default:
      error_ = openssl_errors();
      if (const auto verified = SSL_get_verify_result(tls_); verified != X509_V_OK && SSL_is_server(tls_) == 0) {
        error_ += fmt::format(" ({})", X509_verify_cert_error_string(verified));
      }
      return Io::kFailed;
  }
}

Io SocketStream::system_outcome() {
  error_ = std::strerror(errno);
  return Io::kFailed;
}

Io SocketStream::handshake() {
  if (tls_ == nullptr) return Io::kDone;
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(tls_);
  return result == 1 ? Io::kDone : tls_outcome(result);
}

Io SocketStream::read(char* buffer, size_t capacity, size_t& received) {
  received = 0;
  if (tls_ != nullptr) {
    ERR_clear_error();
    errno = 0;
    const int result = SSL_read_ex(tls_, buffer, capacity, &received);
    return result == 1 ? Io::kDone : tls_outcome(result);
  }
  ssize_t count;
  do {
    count = ::recv(descriptor_, buffer, capacity, 0);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    received = static_cast<size_t>(count);
    return Io::kDone;
  }
  if (count == 0) return Io::kEnd;
  return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kWantRead : system_outcome();
}

Io SocketStream::write(OutputQueue& queue, size_t limit, size_t& sent) {
  sent = 0;
  return tls_ != nullptr ? write_tls(queue, limit, sent) : write_plain(queue, limit, sent);
}

Io SocketStream::write_plain(OutputQueue& queue, size_t limit, size_t& sent) {
  while (!queue.empty() && sent < limit) {
    std::array<iovec, kSlices> slices;
    msghdr message{};
    message.msg_iov = slices.data();
    message.msg_iovlen = static_cast<size_t>(queue.gather(slices.data(), kSlices));
    const ssize_t count = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kWantWrite : system_outcome();
    }
    queue.consume(static_cast<size_t>(count));
    sent += static_cast<size_t>(count);
  }
  return Io::kDone;
}

Io SocketStream::write_tls(OutputQueue& queue, size_t limit, size_t& sent) {
  // Small pieces are joined into whole records. When OpenSSL asks for the same write again, the queue's front has not
  // changed and at most grown, which SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER allows.
  static thread_local std::array<char, kRecord> staging;
  while (!queue.empty() && sent < limit) {
    iovec front;
    queue.gather(&front, 1);
    const char* data = static_cast<const char*>(front.iov_base);
    size_t size = std::min(front.iov_len, kRecord);
    if (size < kRecord && size < queue.size()) {
      size = queue.copy(staging.data(), staging.size());
      data = staging.data();
    }
    size_t count = 0;
    ERR_clear_error();
    errno = 0;
    const int result = SSL_write_ex(tls_, data, size, &count);
    if (result != 1) return tls_outcome(result);
    queue.consume(count);
    sent += count;
  }
  return Io::kDone;
}

void SocketStream::finish_sending() {
  if (tls_ != nullptr && SSL_is_init_finished(tls_) == 1) {
    ERR_clear_error();
    SSL_shutdown(tls_);
    ERR_clear_error();
  }
  ::shutdown(descriptor_, SHUT_WR);
}

bool SocketStream::has_pending() const { return tls_ != nullptr && SSL_has_pending(tls_) == 1; }

std::string_view SocketStream::protocol() const {
  if (tls_ == nullptr) return {};
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(tls_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::optional<CertificateSubject> SocketStream::verified_subject() const {
  if (tls_ == nullptr || SSL_get_verify_result(tls_) != X509_V_OK) return std::nullopt;
  const X509* certificate = SSL_get0_peer_certificate(tls_);
  if (certificate == nullptr) return std::nullopt;
  const X509_NAME* name = X509_get_subject_name(certificate);
  CertificateSubject subject;
  if (auto names = name_entries(name, NID_commonName); !names.empty()) subject.common_name = std::move(names.back());
  subject.organizations = name_entries(name, NID_organizationName);
  return subject;
}

}  // namespace trireme::net
