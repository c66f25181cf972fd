#include "net/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "net/openssl_util.h"

namespace trireme::net {
namespace {

constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";  // the server's preference
constexpr unsigned char kClientProtocols[] = "\x08http/1.1";

// --- OpenSSL's own socket BIO raises SIGPIPE when the peer has gone; this one does not.

int descriptor_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

/// What a BIO returns, with the retry flag that makes OpenSSL say "want read" or "want write".
int transferred(BIO* bio, ssize_t count, int retry_flag) {
  BIO_clear_retry_flags(bio);
  if (count >= 0) return static_cast<int>(count);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
  return -1;
}

int socket_write(BIO* bio, const char* data, int size) {
  errno = 0;
  return transferred(bio, ::send(descriptor_of(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

int socket_read(BIO* bio, char* data, int size) {
  errno = 0;
  const ssize_t count = ::recv(descriptor_of(bio), data, static_cast<size_t>(size), 0);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return transferred(bio, count, BIO_FLAGS_READ);
}

long socket_control(BIO* bio, int command, long, void*) {  // NOLINT: OpenSSL's types
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default:
      return 0;
  }
}

const BIO_METHOD* socket_method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
    BIO_meth_set_write(made, socket_write);
    BIO_meth_set_read(made, socket_read);
    BIO_meth_set_ctrl(made, socket_control);
    return made;
  }();
  return kMethod;
}

/// A session over `descriptor`; null when out of memory.
SslPtr new_session(SSL_CTX* context, int descriptor) {
  SslPtr tls(SSL_new(context));
  BIO* bio = BIO_new(socket_method());
  if (!tls || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(descriptor)));
  BIO_set_init(bio, 1);
  SSL_set_bio(tls.get(), bio, bio);
  return tls;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status::not_found("cannot read " + path + ": " + std::strerror(errno));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// Leaf, intermediates and key.
Status use_certificate(SSL_CTX* context, std::string_view certificate_pem, std::string_view key_pem) {
  TRY_ASSIGN(const std::vector<CertificatePtr> chain, certificates_from_pem(certificate_pem));
  TRY_ASSIGN(const KeyPtr key, private_key_from_pem(key_pem));
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1 || SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return openssl_status(Reason::kBadRequest, "certificate and key do not fit");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
      return openssl_status(Reason::kBadRequest, "cannot use certificate chain");
    }
  }
  return {};
}

SslContextPtr new_context(const SSL_METHOD* method) {
  SslContextPtr context(SSL_CTX_new(method));
  if (!context) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(
      context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
  // An idle connection gives its record buffers back (34 KiB of them).
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record takes one system call, not two
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kProtocols, sizeof kProtocols - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/// Verifies a client's chain but lets the handshake go on: the outcome stands in SSL_get_verify_result, and an
/// unverified caller is merely nobody (upstream answers it with 401, not with an alert).
int verify_client(X509_STORE_CTX* chain, void*) {
  const int verified = X509_verify_cert(chain);
  if (verified == 1) {
    X509_STORE_CTX_set_error(chain, X509_V_OK);
  } else if (X509_STORE_CTX_get_error(chain) == X509_V_OK) {
    X509_STORE_CTX_set_error(chain, X509_V_ERR_UNSPECIFIED);
  }
  ERR_clear_error();
  return 1;
}

Result<SslContextPtr> server_context(const TlsServerOptions& options) {
  SslContextPtr context = new_context(TLS_server_method());
  if (!context) return openssl_status(Reason::kInternalError, "cannot create TLS context");
  TRY_ASSIGN(const std::string certificate, read_file(options.certificate_file));
  TRY_ASSIGN(const std::string key, read_file(options.key_file));
  TRY(use_certificate(context.get(), certificate, key).with_context(options.certificate_file));
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
  if (!options.client_ca_file.empty()) {
    TRY_ASSIGN(const std::string authorities, read_file(options.client_ca_file));
    TRY_ASSIGN(const std::vector<CertificatePtr> certificates, certificates_from_pem(authorities));
    TRY_ASSIGN(StorePtr store, trust_store(authorities));
    SSL_CTX_set_cert_store(context.get(), store.release());
    // Their names tell a client that has several certificates which one to show.
    for (const CertificatePtr& certificate : certificates) SSL_CTX_add_client_CA(context.get(), certificate.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context.get(), verify_client, nullptr);
  }
  return context;
}

}  // namespace

bool TlsServerContext::Stamp::operator==(const Stamp& other) const {
  return modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec && size == other.size &&
         inode == other.inode;
}

Result<std::unique_ptr<TlsServerContext>> TlsServerContext::load(TlsServerOptions options) {
  std::unique_ptr<TlsServerContext> result(new TlsServerContext(std::move(options)));
  result->loaded_ = result->stamps();
  TRY_ASSIGN(SslContextPtr context, server_context(result->options_));
  result->context_ = context.release();
  return result;
}

TlsServerContext::~TlsServerContext() { SSL_CTX_free(context_); }

TlsServerContext::Stamps TlsServerContext::stamps() const {
  Stamps stamps;
  size_t i = 0;
  for (const std::string* path : {&options_.certificate_file, &options_.key_file, &options_.client_ca_file}) {
    struct stat file {};
    if (!path->empty() && ::stat(path->c_str(), &file) == 0) {
      stamps[i] = {file.st_mtim, static_cast<long long>(file.st_size), static_cast<unsigned long long>(file.st_ino)};
    }
    ++i;
  }
  return stamps;
}

void TlsServerContext::reload_if_changed() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_look_) return;
  next_look_ = now + std::chrono::seconds(1);
  const Stamps present = stamps();
  if (present == loaded_) return;
  // Remembered even when loading fails: half-written files change again when they are whole.
  loaded_ = present;
  Result<SslContextPtr> context = server_context(options_);
  if (!context.ok()) {
    log::warning("Cannot load changed TLS files, serving with the old ones",
                 {{"certificate", options_.certificate_file}, {"error", context.status()}});
    return;
  }
  SSL_CTX_free(context_);
  context_ = std::move(context).value().release();
  log::info("Reloaded TLS files", {{"certificate", options_.certificate_file}});
}

ssl_st* TlsServerContext::accept(int descriptor) {
  reload_if_changed();
  SslPtr tls = new_session(context_, descriptor);
  if (!tls) return nullptr;
  SSL_set_accept_state(tls.get());
  return tls.release();
}

Result<std::unique_ptr<TlsClientContext>> TlsClientContext::create(TlsClientOptions options) {
  std::unique_ptr<TlsClientContext> result(new TlsClientContext(std::move(options)));
  const TlsClientOptions& given = result->options_;
  SslContextPtr context = new_context(TLS_client_method());
  if (!context) return openssl_status(Reason::kInternalError, "cannot create TLS context");
  if (!given.certificate_pem.empty() || !given.key_pem.empty()) {
    TRY(use_certificate(context.get(), given.certificate_pem, given.key_pem).with_context("client certificate"));
  }
  if (given.insecure_skip_verify) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  } else {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (given.ca_pem.empty()) {
      SSL_CTX_set_default_verify_paths(context.get());
    } else {
      Result<StorePtr> store = trust_store(given.ca_pem);
      if (!store.ok()) return store.status().with_context("certificate authority");
      SSL_CTX_set_cert_store(context.get(), std::move(store).value().release());
    }
  }
  SSL_CTX_set_alpn_protos(context.get(), kClientProtocols, sizeof kClientProtocols - 1);
  result->context_ = context.release();
  return result;
}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

Result<ssl_st*> TlsClientContext::connect(int descriptor, const std::string& host) const {
  SslPtr tls = new_session(context_, descriptor);
  if (!tls) return openssl_status(Reason::kInternalError, "TLS session");
  const std::string& name = options_.server_name.empty() ? host : options_.server_name;
  in6_addr address;
  const bool is_address =
      inet_pton(AF_INET, name.c_str(), &address) == 1 || inet_pton(AF_INET6, name.c_str(), &address) == 1;
  if (!is_address) SSL_set_tlsext_host_name(tls.get(), name.c_str());
  if (!options_.insecure_skip_verify) {
    X509_VERIFY_PARAM* expected = SSL_get0_param(tls.get());
    X509_VERIFY_PARAM_set_hostflags(expected,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str())
                               : X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size());
    if (set != 1) return openssl_status(Reason::kBadRequest, "invalid server name " + name);
  }
  SSL_set_connect_state(tls.get());
  return tls.release();
}

}  // namespace trireme::net
