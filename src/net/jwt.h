#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

/// JSON Web Tokens (RFC 7519) as service accounts carry them: compact serialization, RS256 or ES256 by the key's kind.
/// Claims are JSON text here; what they mean is the caller's part, and so is checking times and audiences. Thread-safe.
namespace trireme::net {

/// Base64url without padding (RFC 4648, 5).
std::string base64url_encode(std::string_view bytes);
/// BadRequest on any other character, padding included.
Result<std::string> base64url_decode(std::string_view text);

/// The key id upstream gives a service-account key: the SHA-256 of its DER public half, base64url.
/// `key_pem` may be a private key, a public key or a certificate.
Result<std::string> key_id(std::string_view key_pem);

/// Signs with an RSA key (RS256) or a P-256 key (ES256). An empty `id` leaves "kid" out of the header.
Result<std::string> sign_jwt(std::string_view claims_json, std::string_view key_pem, std::string_view id);

/// A JSON Web Signature (RFC 7515) over `payload` by HMAC-SHA256, without the payload: "header..signature". Signs the
/// cluster-info map with bootstrap tokens.
Result<std::string> sign_detached_hs256(std::string_view payload, std::string_view secret, std::string_view id);

struct VerificationKey {
  std::string id;  ///< Compared with the header's "kid" when both have one.
  std::string public_key_pem;
};

struct Jwt {
  std::string header_json;
  std::string claims_json;
};

/// A token whose signature fits one of `keys`; Unauthorized otherwise. The key's kind decides the algorithm, and the
/// header must name the same: a token cannot choose how it is checked.
Result<Jwt> verify_jwt(std::string_view token, std::span<const VerificationKey> keys);

/// The public half as a JSON Web Key (RFC 7517), for the issuer's key set: {"use":"sig","kty":…,"kid":…,"alg":…,…}.
Result<std::string> public_key_jwk(std::string_view key_pem, std::string_view id);

}  // namespace trireme::net
