#include "net/x509.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <set>

#include "net/openssl_util.h"

namespace trireme::net {
namespace {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Releaser<GENERAL_NAMES_free>>;

Status failure(std::string_view what) { return openssl_status(Reason::kInternalError, what); }

Result<std::string> key_text(EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failure("cannot encode key");
  }
  return bio_text(out.get());
}

Result<std::string> certificate_text(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(out.get(), certificate) != 1) return failure("cannot encode certificate");
  return bio_text(out.get());
}

Result<KeyPtr> new_key() {
  ERR_clear_error();
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return failure("cannot create key");
  return key;
}

Status add_name(X509_NAME* name, const char* field, const std::string& value) {
  if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                 static_cast<int>(value.size()), -1, 0) != 1) {
    return openssl_status(Reason::kBadRequest, std::string("invalid subject ") + field);
  }
  return {};
}

Result<NamePtr> subject_name(const CertificateSpec& spec) {
  NamePtr name(X509_NAME_new());
  for (const std::string& organization : spec.organizations) TRY(add_name(name.get(), "O", organization));
  if (!spec.common_name.empty()) TRY(add_name(name.get(), "CN", spec.common_name));
  return name;
}

Result<NamesPtr> alternative_names(const CertificateSpec& spec) {
  NamesPtr names(GENERAL_NAMES_new());
  const auto add = [&](int type, std::string_view bytes) {
    GENERAL_NAME* entry = GENERAL_NAME_new();
    ASN1_STRING* text = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size()));
    GENERAL_NAME_set0_value(entry, type, text);
    sk_GENERAL_NAME_push(names.get(), entry);
  };
  for (const std::string& name : spec.dns_names) add(GEN_DNS, name);
  for (const std::string& address : spec.email_addresses) add(GEN_EMAIL, address);
  for (const std::string& uri : spec.uris) add(GEN_URI, uri);
  for (const std::string& address : spec.ip_addresses) {
    char bytes[16];
    if (inet_pton(AF_INET, address.c_str(), bytes) == 1) {
      add(GEN_IPADD, {bytes, 4});
    } else if (inet_pton(AF_INET6, address.c_str(), bytes) == 1) {
      add(GEN_IPADD, {bytes, 16});
    } else {
      return Status::bad_request("invalid IP address " + address);
    }
  }
  return names;
}

/// An extension in the notation of OpenSSL's configuration files; `value` is made of constants of ours only.
Status add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) return failure("cannot add extension");
  return {};
}

Status set_time(ASN1_TIME* field, WallTime time) {
  if (ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(time)) == nullptr)
    return failure("cannot set validity");
  return {};
}

/// The parts every certificate has: version, random serial, dates, names, key.
Result<CertificatePtr> new_certificate(EVP_PKEY* key, const X509_NAME* subject, const X509_NAME* issuer,
                                       WallTime not_before, WallTime not_after) {
  if (not_after <= not_before) return Status::bad_request("certificate would end before it begins");
  CertificatePtr certificate(X509_new());
  unsigned char serial[16];
  if (!certificate || RAND_bytes(serial, sizeof serial) != 1) return failure("cannot create certificate");
  serial[0] &= 0x7f;  // positive (RFC 5280, 4.1.2.2)
  using NumberPtr = std::unique_ptr<BIGNUM, Releaser<BN_free>>;
  const NumberPtr number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  X509_set_version(certificate.get(), X509_VERSION_3);
  TRY(set_time(X509_getm_notBefore(certificate.get()), not_before));
  TRY(set_time(X509_getm_notAfter(certificate.get()), not_after));
  if (X509_set_subject_name(certificate.get(), subject) != 1 || X509_set_issuer_name(certificate.get(), issuer) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return failure("cannot fill certificate");
  }
  return certificate;
}

const char* extended_usage(CertificateUse use) {
  switch (use) {
    case CertificateUse::kServer:
      return "serverAuth";
    case CertificateUse::kClient:
      return "clientAuth";
    case CertificateUse::kServerAndClient:
      break;
  }
  return "serverAuth,clientAuth";
}

/// A usage by its name in certificates.k8s.io, and OpenSSL's word for it.
struct UsageName {
  std::string_view name;
  std::string_view word;
  bool extended;
};
constexpr UsageName kUsageNames[] = {
    {"signing", "digitalSignature", false},
    {"digital signature", "digitalSignature", false},
    {"content commitment", "nonRepudiation", false},
    {"key encipherment", "keyEncipherment", false},
    {"key agreement", "keyAgreement", false},
    {"data encipherment", "dataEncipherment", false},
    {"cert sign", "keyCertSign", false},
    {"crl sign", "cRLSign", false},
    {"encipher only", "encipherOnly", false},
    {"decipher only", "decipherOnly", false},
    {"any", "anyExtendedKeyUsage", true},
    {"server auth", "serverAuth", true},
    {"client auth", "clientAuth", true},
    {"code signing", "codeSigning", true},
    {"email protection", "emailProtection", true},
    {"s/mime", "emailProtection", true},
    {"ipsec end system", "1.3.6.1.5.5.7.3.5", true},
    {"ipsec tunnel", "1.3.6.1.5.5.7.3.6", true},
    {"ipsec user", "1.3.6.1.5.5.7.3.7", true},
    {"timestamping", "timeStamping", true},
    {"ocsp signing", "OCSPSigning", true},
    {"microsoft sgc", "msSGC", true},
    {"netscape sgc", "nsSGC", true},
};

struct UsageWords {
  std::string key;       ///< "critical,digitalSignature"
  std::string extended;  ///< "clientAuth"; either may be empty.
};

Result<UsageWords> usage_words(const std::vector<std::string>& usages) {
  UsageWords words;
  std::set<std::string_view> seen;
  for (const std::string& usage : usages) {
    const auto* known = std::find_if(std::begin(kUsageNames), std::end(kUsageNames),
                                     [&](const UsageName& each) { return each.name == usage; });
    if (known == std::end(kUsageNames)) return Status::bad_request("unrecognized key usage " + usage);
    if (!seen.insert(known->word).second) continue;
    std::string& text = known->extended ? words.extended : words.key;
    if (text.empty() && !known->extended) text = "critical";
    if (!text.empty()) text += ',';
    text += known->word;
  }
  return words;
}

/// A certificate over `key`, signed by `authority`.
Result<std::string> sign(const CertifiedKey& authority, EVP_PKEY* key, const CertificateSpec& spec) {
  TRY_ASSIGN(const std::vector<CertificatePtr> issuers, certificates_from_pem(authority.certificate_pem));
  TRY_ASSIGN(const KeyPtr issuer_key, private_key_from_pem(authority.key_pem));
  X509* issuer = issuers.front().get();
  TRY_ASSIGN(const NamePtr subject, subject_name(spec));
  TRY_ASSIGN(const CertificatePtr certificate,
             new_certificate(key, subject.get(), X509_get_subject_name(issuer), spec.not_before, spec.not_after));
  X509* raw = certificate.get();
  UsageWords words;
  if (spec.usages.empty()) {
    words.key =
        EVP_PKEY_is_a(key, "RSA") == 1 ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
    words.extended = extended_usage(spec.use);
  } else {
    TRY_ASSIGN(words, usage_words(spec.usages));
  }
  if (!words.key.empty()) TRY(add_extension(raw, issuer, NID_key_usage, words.key.c_str()));
  if (!words.extended.empty()) TRY(add_extension(raw, issuer, NID_ext_key_usage, words.extended.c_str()));
  TRY(add_extension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  TRY(add_extension(raw, issuer, NID_authority_key_identifier, "keyid"));
  TRY_ASSIGN(const NamesPtr names, alternative_names(spec));
  if (sk_GENERAL_NAME_num(names.get()) > 0 && X509_add1_ext_i2d(raw, NID_subject_alt_name, names.get(), 0, 0) != 1) {
    return failure("cannot add alternative names");
  }
  if (X509_sign(raw, issuer_key.get(), EVP_sha256()) == 0) return failure("cannot sign certificate");
  return certificate_text(raw);
}

Result<CertificateRequestPtr> request_from_pem(std::string_view pem) {
  ERR_clear_error();
  CertificateRequestPtr request(PEM_read_bio_X509_REQ(read_bio(pem).get(), nullptr, nullptr, nullptr));
  if (!request) return openssl_status(Reason::kBadRequest, "no valid PEM certificate request");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) {
    return openssl_status(Reason::kBadRequest, "certificate request is not signed by its key");
  }
  return request;
}

WallTime wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

void read_subject(const X509_NAME* name, CertificateInfo& info) {
  if (auto names = name_entries(name, NID_commonName); !names.empty()) info.common_name = std::move(names.back());
  info.organizations = name_entries(name, NID_organizationName);
}

void read_names(const GENERAL_NAMES* names, CertificateInfo& info) {
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    const auto* value =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
    if (type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI && type != GEN_IPADD) continue;
    const unsigned char* data = ASN1_STRING_get0_data(value);
    const auto size = static_cast<size_t>(ASN1_STRING_length(value));
    std::string text(reinterpret_cast<const char*>(data), size);
    char address[INET6_ADDRSTRLEN];
    if (type == GEN_DNS) {
      info.dns_names.push_back(std::move(text));
    } else if (type == GEN_EMAIL) {
      info.email_addresses.push_back(std::move(text));
    } else if (type == GEN_URI) {
      info.uris.push_back(std::move(text));
    } else if (size == 4 || size == 16) {
      inet_ntop(size == 4 ? AF_INET : AF_INET6, data, address, sizeof address);
      info.ip_addresses.emplace_back(address);
    }
  }
}

}  // namespace

Result<std::string> generate_key() {
  TRY_ASSIGN(const KeyPtr key, new_key());
  return key_text(key.get());
}

Result<std::string> generate_rsa_key(int bits) {
  ERR_clear_error();
  const KeyPtr key(EVP_RSA_gen(static_cast<unsigned>(bits)));
  if (!key) return failure("cannot create RSA key");
  return key_text(key.get());
}

Result<std::string> public_key(std::string_view pem) {
  TRY_ASSIGN(const KeyPtr key, public_key_from_pem(pem));
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(out.get(), key.get()) != 1) return failure("cannot encode public key");
  return bio_text(out.get());
}

Result<CertifiedKey> create_authority(std::string_view common_name, WallTime not_before, WallTime not_after) {
  TRY_ASSIGN(const KeyPtr key, new_key());
  NamePtr name(X509_NAME_new());
  TRY(add_name(name.get(), "CN", std::string(common_name)));
  TRY_ASSIGN(const CertificatePtr certificate,
             new_certificate(key.get(), name.get(), name.get(), not_before, not_after));
  X509* raw = certificate.get();
  TRY(add_extension(raw, raw, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign,cRLSign"));
  TRY(add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE"));
  TRY(add_extension(raw, raw, NID_subject_key_identifier, "hash"));
  if (X509_sign(raw, key.get(), EVP_sha256()) == 0) return failure("cannot sign certificate");
  CertifiedKey authority;
  TRY_ASSIGN(authority.certificate_pem, certificate_text(raw));
  TRY_ASSIGN(authority.key_pem, key_text(key.get()));
  return authority;
}

Result<CertifiedKey> issue_certificate(const CertifiedKey& authority, const CertificateSpec& spec) {
  TRY_ASSIGN(const KeyPtr key, new_key());
  CertifiedKey issued;
  TRY_ASSIGN(issued.certificate_pem, sign(authority, key.get(), spec));
  TRY_ASSIGN(issued.key_pem, key_text(key.get()));
  return issued;
}

Result<std::string> sign_request(const CertifiedKey& authority, std::string_view request_pem,
                                 const CertificateSpec& spec) {
  TRY_ASSIGN(const CertificateRequestPtr request, request_from_pem(request_pem));
  return sign(authority, X509_REQ_get0_pubkey(request.get()), spec);
}

Result<std::string> create_request(std::string_view key_pem, const CertificateSpec& spec) {
  TRY_ASSIGN(const KeyPtr key, private_key_from_pem(key_pem));
  TRY_ASSIGN(const NamePtr subject, subject_name(spec));
  TRY_ASSIGN(const NamesPtr names, alternative_names(spec));
  const CertificateRequestPtr request(X509_REQ_new());
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  if (X509_REQ_set_subject_name(request.get(), subject.get()) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1) {
    return failure("cannot fill certificate request");
  }
  if (sk_GENERAL_NAME_num(names.get()) > 0) {
    STACK_OF(X509_EXTENSION)* extensions = nullptr;
    const int added = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, 0);
    const int set = added == 1 ? X509_REQ_add_extensions(request.get(), extensions) : 0;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    if (set != 1) return failure("cannot add alternative names");
  }
  if (X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) return failure("cannot sign certificate request");
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(out.get(), request.get()) != 1) return failure("cannot encode certificate request");
  return bio_text(out.get());
}

Result<CertificateInfo> parse_certificate(std::string_view pem) {
  TRY_ASSIGN(const std::vector<CertificatePtr> certificates, certificates_from_pem(pem));
  X509* certificate = certificates.front().get();
  CertificateInfo info;
  read_subject(X509_get_subject_name(certificate), info);
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  read_names(names.get(), info);
  if (auto issuer = name_entries(X509_get_issuer_name(certificate), NID_commonName); !issuer.empty()) {
    info.issuer_common_name = std::move(issuer.back());
  }
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  for (int i = 0; i < ASN1_STRING_length(serial); ++i) {
    info.serial += fmt::format("{:02x}", ASN1_STRING_get0_data(serial)[i]);
  }
  info.not_before = wall_time(X509_get0_notBefore(certificate));
  info.not_after = wall_time(X509_get0_notAfter(certificate));
  info.is_ca = X509_check_ca(certificate) > 0;
  ERR_clear_error();
  return info;
}

Result<CertificateInfo> parse_request(std::string_view pem) {
  TRY_ASSIGN(const CertificateRequestPtr request, request_from_pem(pem));
  CertificateInfo info;
  read_subject(X509_REQ_get_subject_name(request.get()), info);
  if (STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request.get())) {
    const NamesPtr names(
        static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
    read_names(names.get(), info);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  ERR_clear_error();
  return info;
}

Status verify_certificate(std::string_view pem, std::string_view authorities_pem, CertificateUse use, WallTime now) {
  TRY_ASSIGN(std::vector<CertificatePtr> chain, certificates_from_pem(pem));
  TRY_ASSIGN(const StorePtr store, trust_store(authorities_pem));
  using StackPtr = std::unique_ptr<STACK_OF(X509), Releaser<[](STACK_OF(X509) * stack) { sk_X509_free(stack); }>>;
  const StackPtr intermediates(sk_X509_new_null());
  for (size_t i = 1; i < chain.size(); ++i) sk_X509_push(intermediates.get(), chain[i].get());
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    const CertificateUse single =
        purpose == X509_PURPOSE_SSL_SERVER ? CertificateUse::kServer : CertificateUse::kClient;
    if (use != CertificateUse::kServerAndClient && use != single) continue;
    const StoreContextPtr context(X509_STORE_CTX_new());
    if (X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), intermediates.get()) != 1) {
      return failure("cannot verify certificate");
    }
    X509_STORE_CTX_set_purpose(context.get(), purpose);
    X509_STORE_CTX_set_time(context.get(), 0, std::chrono::system_clock::to_time_t(now));
    if (X509_verify_cert(context.get()) == 1) continue;
    const int error = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    return Status::unauthorized(std::string("certificate is not valid: ") + X509_verify_cert_error_string(error));
  }
  return {};
}

Status check_key_pair(std::string_view certificate_pem, std::string_view key_pem) {
  TRY_ASSIGN(const std::vector<CertificatePtr> certificates, certificates_from_pem(certificate_pem));
  TRY_ASSIGN(const KeyPtr key, private_key_from_pem(key_pem));
  if (X509_check_private_key(certificates.front().get(), key.get()) != 1) {
    return openssl_status(Reason::kBadRequest, "certificate and key do not belong together");
  }
  return {};
}

Result<std::string> public_key_fingerprint(std::string_view certificate_pem) {
  TRY_ASSIGN(const std::vector<CertificatePtr> certificates, certificates_from_pem(certificate_pem));
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificates.front().get()), &der);
  if (size <= 0) return failure("cannot encode public key");
  unsigned char digest[SHA256_DIGEST_LENGTH];
  unsigned digest_size = 0;
  const int hashed = EVP_Digest(der, static_cast<size_t>(size), digest, &digest_size, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  if (hashed != 1) return failure("cannot hash public key");
  std::string text = "sha256:";
  for (unsigned i = 0; i < digest_size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace trireme::net
