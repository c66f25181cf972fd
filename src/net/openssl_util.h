#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct bio_st;
struct evp_pkey_st;
struct evp_md_ctx_st;
struct x509_st;
struct X509_req_st;
struct X509_extension_st;
struct X509_name_st;
struct x509_store_st;
struct x509_store_ctx_st;
struct ssl_ctx_st;
struct ssl_st;

/// OpenSSL's objects as owned pointers, and what this folder's sources have to do with them more than once.
namespace trireme::net {

/// Releases an object by OpenSSL's function for its kind; defined for the kinds below.
struct OpensslRelease {
  void operator()(bio_st* object) const;
  void operator()(evp_pkey_st* object) const;
  void operator()(evp_md_ctx_st* object) const;
  void operator()(x509_st* object) const;
  void operator()(X509_req_st* object) const;
  void operator()(X509_extension_st* object) const;
  void operator()(X509_name_st* object) const;
  void operator()(x509_store_st* object) const;
  void operator()(x509_store_ctx_st* object) const;
  void operator()(ssl_ctx_st* object) const;
  void operator()(ssl_st* object) const;
};

using BioPtr = std::unique_ptr<bio_st, OpensslRelease>;
using KeyPtr = std::unique_ptr<evp_pkey_st, OpensslRelease>;
using DigestContextPtr = std::unique_ptr<evp_md_ctx_st, OpensslRelease>;
using CertificatePtr = std::unique_ptr<x509_st, OpensslRelease>;
using CertificateRequestPtr = std::unique_ptr<X509_req_st, OpensslRelease>;
using ExtensionPtr = std::unique_ptr<X509_extension_st, OpensslRelease>;
using NamePtr = std::unique_ptr<X509_name_st, OpensslRelease>;
using StorePtr = std::unique_ptr<x509_store_st, OpensslRelease>;
using StoreContextPtr = std::unique_ptr<x509_store_ctx_st, OpensslRelease>;
using SslContextPtr = std::unique_ptr<ssl_ctx_st, OpensslRelease>;
using SslPtr = std::unique_ptr<ssl_st, OpensslRelease>;

/// The deleter for a kind that one source alone uses.
template <auto Free>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

/// What the calling thread's last OpenSSL failures were, oldest first; empties OpenSSL's queue.
std::string openssl_errors();
/// `reason` with "what: <OpenSSL's errors>".
Status openssl_status(Reason reason, std::string_view what);

BioPtr read_bio(std::string_view text);
/// The text written to a memory BIO.
std::string bio_text(bio_st* bio);

/// Certificates of a PEM bundle, in order; blocks of other kinds are skipped. At least one.
Result<std::vector<CertificatePtr>> certificates_from_pem(std::string_view pem);
/// The first private key of `pem`; encrypted keys are refused.
Result<KeyPtr> private_key_from_pem(std::string_view pem);
/// A "PUBLIC KEY", or the public half of a certificate or private key.
Result<KeyPtr> public_key_from_pem(std::string_view pem);

/// All values of a subject's attribute, such as NID_organizationName, as UTF-8.
std::vector<std::string> name_entries(const X509_name_st* name, int nid);

/// A store that trusts exactly the certificates of `pem`, intermediate ones too, as Go's pools do.
Result<StorePtr> trust_store(std::string_view pem);

}  // namespace trireme::net
