#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

/// X.509 certificates and keys as PEM text: what a cluster needs to issue and check its own. Keys are ECDSA P-256.
/// Thread-safe. Writing secrets to files (mode 0600) is the caller's part.
namespace trireme::net {

/// What a certificate may be used for (extended key usage).
enum class CertificateUse { kServer, kClient, kServerAndClient };

/// Whom a certificate is for.
struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> email_addresses;
  std::vector<std::string> uris;
  CertificateUse use = CertificateUse::kServerAndClient;
  /// When not empty, instead of `use`: usages by certificates.k8s.io's names ("digital signature", "client auth").
  /// https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/certificate-signing-request-v1/
  std::vector<std::string> usages;
  WallTime not_before;
  WallTime not_after;
};

/// A certificate with its key; of an authority, or of someone it vouches for.
struct CertifiedKey {
  std::string certificate_pem;
  std::string key_pem;
};

/// What a certificate or a request says. A request has no dates and no issuer.
struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> email_addresses;
  std::vector<std::string> uris;
  std::string issuer_common_name;
  std::string serial;  ///< Hexadecimal.
  WallTime not_before;
  WallTime not_after;
  bool is_ca = false;
};

/// A new private key: ECDSA P-256, PKCS #8.
Result<std::string> generate_key();
/// A new RSA key, for service-account tokens that must be RS256.
Result<std::string> generate_rsa_key(int bits = 2048);
/// The public half of a private key or certificate, as "PUBLIC KEY".
Result<std::string> public_key(std::string_view pem);

/// A self-signed authority with a new key.
Result<CertifiedKey> create_authority(std::string_view common_name, WallTime not_before, WallTime not_after);
/// A certificate with a new key, signed by `authority`.
Result<CertifiedKey> issue_certificate(const CertifiedKey& authority, const CertificateSpec& spec);
/// A certificate for the key of a certificate signing request, whose signature is checked. Only the key is taken from
/// the request: the caller decides what `spec` grants (see `parse_request`).
Result<std::string> sign_request(const CertifiedKey& authority, std::string_view request_pem,
                                 const CertificateSpec& spec);
/// A certificate signing request (PKCS #10) for `key_pem`; the spec's dates and use are not part of it.
Result<std::string> create_request(std::string_view key_pem, const CertificateSpec& spec);

/// The first certificate of `pem`.
Result<CertificateInfo> parse_certificate(std::string_view pem);
/// BadRequest also when the request's signature does not fit its key.
Result<CertificateInfo> parse_request(std::string_view pem);
/// Whether the first certificate of `pem` (with the others as intermediates) chains to one of `authorities_pem` for
/// `use` at the time `now`; Unauthorized tells why not.
Status verify_certificate(std::string_view pem, std::string_view authorities_pem, CertificateUse use, WallTime now);
/// Whether certificate and private key belong together.
Status check_key_pair(std::string_view certificate_pem, std::string_view key_pem);

/// "sha256:<hex>" over the first certificate's SubjectPublicKeyInfo: what a join command pins an authority by
/// (kubeadm's discovery-token-ca-cert-hash).
Result<std::string> public_key_fingerprint(std::string_view certificate_pem);

}  // namespace trireme::net
