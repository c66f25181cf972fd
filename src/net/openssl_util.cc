#include "net/openssl_util.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace trireme::net {

void OpensslRelease::operator()(bio_st* object) const { BIO_free_all(object); }
void OpensslRelease::operator()(evp_pkey_st* object) const { EVP_PKEY_free(object); }
void OpensslRelease::operator()(evp_md_ctx_st* object) const { EVP_MD_CTX_free(object); }
void OpensslRelease::operator()(x509_st* object) const { X509_free(object); }
void OpensslRelease::operator()(X509_req_st* object) const { X509_REQ_free(object); }
void OpensslRelease::operator()(X509_extension_st* object) const { X509_EXTENSION_free(object); }
void OpensslRelease::operator()(X509_name_st* object) const { X509_NAME_free(object); }
void OpensslRelease::operator()(x509_store_st* object) const { X509_STORE_free(object); }
void OpensslRelease::operator()(x509_store_ctx_st* object) const { X509_STORE_CTX_free(object); }
void OpensslRelease::operator()(ssl_ctx_st* object) const { SSL_CTX_free(object); }
void OpensslRelease::operator()(ssl_st* object) const { SSL_free(object); }

std::string openssl_errors() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {  // NOLINT: OpenSSL's type
    char buffer[256];
    ERR_error_string_n(code, buffer, sizeof buffer);
    if (!text.empty()) text += "; ";
    text += buffer;
  }
  return text;
}

Status openssl_status(Reason reason, std::string_view what) {
  std::string message(what);
  if (const std::string errors = openssl_errors(); !errors.empty()) message += ": " + errors;
  return {reason, std::move(message)};
}

BioPtr read_bio(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);  // NOLINT: OpenSSL's type
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

Result<std::vector<CertificatePtr>> certificates_from_pem(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = read_bio(pem);
  std::vector<CertificatePtr> certificates;
  while (CertificatePtr certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    certificates.push_back(std::move(certificate));
  }
  const unsigned long last = ERR_peek_last_error();  // NOLINT: OpenSSL's type
  const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_end || certificates.empty()) return openssl_status(Reason::kBadRequest, "no valid PEM certificate");
  ERR_clear_error();
  return certificates;
}

namespace {
// Never prompts: an encrypted key is an error.
int no_passphrase(char*, int, int, void*) { return -1; }
}  // namespace

Result<KeyPtr> private_key_from_pem(std::string_view pem) {
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(read_bio(pem).get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_status(Reason::kBadRequest, "no valid PEM private key");
  return key;
}

Result<KeyPtr> public_key_from_pem(std::string_view pem) {
  ERR_clear_error();
  if (KeyPtr key{PEM_read_bio_PUBKEY(read_bio(pem).get(), nullptr, no_passphrase, nullptr)}) return key;
  if (CertificatePtr certificate{PEM_read_bio_X509(read_bio(pem).get(), nullptr, no_passphrase, nullptr)}) {
    if (KeyPtr key{X509_get_pubkey(certificate.get())}) return key;
  }
  if (KeyPtr key{PEM_read_bio_PrivateKey(read_bio(pem).get(), nullptr, no_passphrase, nullptr)}) return key;
  return openssl_status(Reason::kBadRequest, "no valid PEM public key");
}

std::vector<std::string> name_entries(const X509_NAME* name, int nid) {
  std::vector<std::string> values;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size < 0) continue;
    values.emplace_back(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
    OPENSSL_free(utf8);
  }
  return values;
}

Result<StorePtr> trust_store(std::string_view pem) {
  TRY_ASSIGN(const std::vector<CertificatePtr> certificates, certificates_from_pem(pem));
  StorePtr store(X509_STORE_new());
  for (const CertificatePtr& certificate : certificates) {
    if (X509_STORE_add_cert(store.get(), certificate.get()) != 1) {
      return openssl_status(Reason::kBadRequest, "cannot trust certificate");
    }
  }
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

}  // namespace trireme::net
