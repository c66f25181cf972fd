#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// OpenSSL's objects as owned pointers. For the sources of this folder only: the header is heavy.
namespace trireme::net {

template <auto Free>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Releaser<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Releaser<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Releaser<EVP_MD_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, Releaser<X509_free>>;
using CertificateRequestPtr = std::unique_ptr<X509_REQ, Releaser<X509_REQ_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Releaser<X509_EXTENSION_free>>;
using NamePtr = std::unique_ptr<X509_NAME, Releaser<X509_NAME_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Releaser<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Releaser<X509_STORE_CTX_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Releaser<SSL_free>>;

/// What the calling thread's last OpenSSL failures were, oldest first; empties OpenSSL's queue.
std::string openssl_errors();
/// `reason` with "what: <OpenSSL's errors>".
Status openssl_status(Reason reason, std::string_view what);

BioPtr read_bio(std::string_view text);
/// The text written to a memory BIO.
std::string bio_text(BIO* bio);

/// Certificates of a PEM bundle, in order; blocks of other kinds are skipped. At least one.
Result<std::vector<CertificatePtr>> certificates_from_pem(std::string_view pem);
/// The first private key of `pem`; encrypted keys are refused.
Result<KeyPtr> private_key_from_pem(std::string_view pem);
/// A "PUBLIC KEY", or the public half of a certificate or private key.
Result<KeyPtr> public_key_from_pem(std::string_view pem);

/// All values of a subject's attribute, such as NID_organizationName, as UTF-8.
std::vector<std::string> name_entries(const X509_NAME* name, int nid);

/// A store that trusts exactly the certificates of `pem`, intermediate ones too, as Go's pools do.
Result<StorePtr> trust_store(std::string_view pem);

}  // namespace trireme::net
