#include "net/jwt.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <simdjson.h>

#include <vector>

#include "net/openssl_util.h"

namespace trireme::net {
namespace {

using EcSignaturePtr = std::unique_ptr<ECDSA_SIG, Releaser<ECDSA_SIG_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Releaser<BN_free>>;

constexpr size_t kMaxToken = 64 * 1024;
constexpr int kCoordinate = 32;  // bytes of a P-256 number
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

/// "RS256", "ES256", or empty for a key of another kind.
std::string_view algorithm_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return "RS256";
  char curve[32] = "";
  size_t size = 0;
  const bool p256 = EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, curve, sizeof curve, &size) == 1 &&
                    std::string_view(curve, size) == "prime256v1";
  return p256 ? "ES256" : "";
}

/// ES256's signature is two plain numbers (RFC 7518, 3.4), OpenSSL's a DER sequence.
Result<std::string> plain_from_der(std::string_view der) {
  const unsigned char* at = bytes_of(der);
  const EcSignaturePtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));  // NOLINT: OpenSSL's type
  std::string plain(2 * kCoordinate, '\0');
  auto* out = reinterpret_cast<unsigned char*>(plain.data());
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, kCoordinate) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + kCoordinate, kCoordinate) < 0) {
    return openssl_status(Reason::kInternalError, "cannot encode signature");
  }
  return plain;
}

/// Empty when `plain` has the wrong length.
std::string der_from_plain(std::string_view plain) {
  if (plain.size() != 2 * kCoordinate) return {};
  const EcSignaturePtr signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes_of(plain), kCoordinate, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(plain) + kCoordinate, kCoordinate, nullptr);
  ECDSA_SIG_set0(signature.get(), r, s);
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

bool signature_fits(std::string_view message, std::string_view signature, EVP_PKEY* key, std::string_view algorithm) {
  const std::string der = algorithm == "ES256" ? der_from_plain(signature) : std::string(signature);
  if (der.empty()) return false;
  const DigestContextPtr context(EVP_MD_CTX_new());
  const bool fits = EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
                    EVP_DigestVerify(context.get(), bytes_of(der), der.size(), bytes_of(message), message.size()) == 1;
  ERR_clear_error();
  return fits;
}

/// A JSON string literal.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

struct Header {
  std::string algorithm;
  std::string key_id;
};

Result<Header> parse_header(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::object fields;
  std::string_view algorithm;
  if (parser.parse(json).get(fields) != simdjson::SUCCESS || fields["alg"].get(algorithm) != simdjson::SUCCESS) {
    return Status::unauthorized("malformed token header");
  }
  // An extension that must be understood, and is not (RFC 7515, 4.1.11).
  if (fields["crit"].error() == simdjson::SUCCESS) return Status::unauthorized("token needs an unknown extension");
  Header header{.algorithm = std::string(algorithm), .key_id = {}};
  std::string_view id;
  if (fields["kid"].get(id) == simdjson::SUCCESS) header.key_id = id;
  return header;
}

}  // namespace

std::string base64url_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t group = 0;
  int bits = 0;
  for (const char c : bytes) {
    group = group << 8 | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(kAlphabet[group >> (bits - 6) & 63]);
  }
  if (bits > 0) out.push_back(kAlphabet[group << (6 - bits) & 63]);
  return out;
}

Result<std::string> base64url_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const size_t value = c == '\0' ? std::string_view::npos : std::string_view(kAlphabet, 64).find(c);
    if (value == std::string_view::npos) return Status::bad_request("malformed base64url");
    group = group << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(group >> bits & 0xff));
    }
  }
  const bool whole = text.size() % 4 != 1 && (group & ((1u << bits) - 1)) == 0;
  if (!whole) return Status::bad_request("malformed base64url");
  return out;
}

Result<std::string> key_id(std::string_view key_pem) {
  TRY_ASSIGN(const KeyPtr key, public_key_from_pem(key_pem));
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return openssl_status(Reason::kInternalError, "cannot encode public key");
  unsigned char digest[SHA256_DIGEST_LENGTH];
  const int hashed = EVP_Digest(der, static_cast<size_t>(size), digest, nullptr, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  if (hashed != 1) return openssl_status(Reason::kInternalError, "cannot hash public key");
  return base64url_encode({reinterpret_cast<char*>(digest), sizeof digest});
}

Result<std::string> sign_detached_hs256(std::string_view payload, std::string_view secret, std::string_view id) {
  const std::string header = base64url_encode(fmt::format(R"({{"alg":"HS256","kid":"{}"}})", id));
  const std::string message = header + "." + base64url_encode(payload);
  unsigned char signature[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes_of(message), message.size(), signature,
           &size) == nullptr) {
    return openssl_status(Reason::kInternalError, "cannot sign");
  }
  return header + ".." + base64url_encode({reinterpret_cast<const char*>(signature), size});
}

Result<std::string> sign_jwt(std::string_view claims_json, std::string_view key_pem, std::string_view id) {
  TRY_ASSIGN(const KeyPtr key, private_key_from_pem(key_pem));
  const std::string_view algorithm = algorithm_of(key.get());
  if (algorithm.empty()) return Status::bad_request("tokens are signed with RSA or P-256 keys");
  const std::string header = id.empty() ? fmt::format(R"({{"alg":"{}"}})", algorithm)
                                        : fmt::format(R"({{"alg":"{}","kid":{}}})", algorithm, json_string(id));
  std::string token = base64url_encode(header) + "." + base64url_encode(claims_json);
  const DigestContextPtr context(EVP_MD_CTX_new());
  size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(token), token.size()) != 1) {
    return openssl_status(Reason::kInternalError, "cannot sign token");
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes_of(token),
                     token.size()) != 1) {
    return openssl_status(Reason::kInternalError, "cannot sign token");
  }
  signature.resize(size);
  if (algorithm == "ES256") {
    TRY_ASSIGN(signature, plain_from_der(signature));
  }
  return token + "." + base64url_encode(signature);
}

Result<Jwt> verify_jwt(std::string_view token, std::span<const VerificationKey> keys) {
  if (token.size() > kMaxToken) return Status::unauthorized("token is too long");
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return Status::unauthorized("malformed token");
  }
  const Result<std::string> header_json = base64url_decode(token.substr(0, first));
  const Result<std::string> claims_json = base64url_decode(token.substr(first + 1, second - first - 1));
  const Result<std::string> signature = base64url_decode(token.substr(second + 1));
  if (!header_json.ok() || !claims_json.ok() || !signature.ok()) return Status::unauthorized("malformed token");
  TRY_ASSIGN(const Header header, parse_header(*header_json));
  for (const VerificationKey& candidate : keys) {
    if (!candidate.id.empty() && !header.key_id.empty() && candidate.id != header.key_id) continue;
    const Result<KeyPtr> key = public_key_from_pem(candidate.public_key_pem);
    if (!key.ok()) return key.status().with_context("verification key");
    const std::string_view algorithm = algorithm_of(key->get());
    if (algorithm.empty() || header.algorithm != algorithm) continue;
    if (signature_fits(token.substr(0, second), *signature, key->get(), algorithm)) {
      return Jwt{.header_json = *header_json, .claims_json = *claims_json};
    }
  }
  return Status::unauthorized("token signature does not fit any key");
}

Result<std::string> public_key_jwk(std::string_view key_pem, std::string_view id) {
  TRY_ASSIGN(const KeyPtr key, public_key_from_pem(key_pem));
  const std::string_view algorithm = algorithm_of(key.get());
  if (algorithm.empty()) return Status::bad_request("tokens are signed with RSA or P-256 keys");
  const auto number = [&](const char* name, int width) {
    BIGNUM* value = nullptr;
    if (EVP_PKEY_get_bn_param(key.get(), name, &value) != 1) return std::string();
    const NumberPtr owner(value);
    std::string bytes(static_cast<size_t>(width > 0 ? width : BN_num_bytes(value)), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    return base64url_encode(bytes);
  };
  if (algorithm == "RS256") {
    return fmt::format(R"({{"use":"sig","kty":"RSA","kid":{},"alg":"RS256","n":"{}","e":"{}"}})", json_string(id),
                       number(OSSL_PKEY_PARAM_RSA_N, 0), number(OSSL_PKEY_PARAM_RSA_E, 0));
  }
  return fmt::format(R"({{"use":"sig","kty":"EC","kid":{},"crv":"P-256","alg":"ES256","x":"{}","y":"{}"}})",
                     json_string(id), number(OSSL_PKEY_PARAM_EC_PUB_X, kCoordinate),
                     number(OSSL_PKEY_PARAM_EC_PUB_Y, kCoordinate));
}

}  // namespace trireme::net
