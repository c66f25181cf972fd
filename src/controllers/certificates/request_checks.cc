#include "controllers/certificates/request_checks.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>

#include "api/conditions.h"

namespace trireme::controllers {

using namespace api::certificatesv1;  // NOLINT: the constants of usages and signers

namespace {

constexpr Duration kShortestCertificate = std::chrono::minutes(10);
constexpr Duration kKeepDecided = std::chrono::hours(1);
constexpr Duration kKeepPending = std::chrono::hours(24);

bool has_usage(const CertificateSigningRequestSpec& spec, std::string_view usage) {
  return std::ranges::find(spec.usages, usage) != spec.usages.end();
}

/// All of `required`, and nothing that is neither there nor in `optional`.
bool usages_are(const CertificateSigningRequestSpec& spec, std::initializer_list<std::string_view> required,
                std::initializer_list<std::string_view> optional) {
  const std::set<std::string_view> asked(spec.usages.begin(), spec.usages.end());
  const bool all = std::ranges::all_of(required, [&](std::string_view each) { return asked.contains(each); });
  return all && std::ranges::all_of(asked, [&](std::string_view each) {
           return std::ranges::find(required, each) != required.end() ||
                  std::ranges::find(optional, each) != optional.end();
         });
}

Status check_node_subject(const net::CertificateInfo& info) {
  if (info.organizations != std::vector<std::string>{"system:nodes"}) {
    return Status::bad_request("subject organization is not system:nodes");
  }
  if (!info.common_name.starts_with("system:node:")) {
    return Status::bad_request("subject common name does not begin with system:node:");
  }
  return {};
}

WallTime update_time(const CertificateSigningRequestCondition& condition, WallTime fallback) {
  return condition.last_update_time ? condition.last_update_time.wall() : fallback;
}

}  // namespace

bool is_approved(const CertificateSigningRequest& request) {
  return api::find_condition(request.status.conditions, kCertificateApproved) &&
         !api::find_condition(request.status.conditions, kCertificateDenied);
}

bool is_decided(const CertificateSigningRequest& request) {
  return api::find_condition(request.status.conditions, kCertificateApproved) ||
         api::find_condition(request.status.conditions, kCertificateDenied);
}

Status check_kubelet_client(const net::CertificateInfo& info, const CertificateSigningRequestSpec& spec) {
  TRY(check_node_subject(info));
  if (!info.dns_names.empty() || !info.ip_addresses.empty() || !info.email_addresses.empty() || !info.uris.empty()) {
    return Status::bad_request("DNS, IP, email and URI subject alternative names are not allowed");
  }
  if (!usages_are(spec, {kUsageClientAuth, kUsageDigitalSignature}, {kUsageKeyEncipherment})) {
    return Status::bad_request("usages did not match [client auth digital signature (key encipherment)]");
  }
  return {};
}

Status check_kubelet_serving(const net::CertificateInfo& info, const CertificateSigningRequestSpec& spec) {
  TRY(check_node_subject(info));
  if (info.dns_names.empty() && info.ip_addresses.empty()) {
    return Status::bad_request("DNS or IP subjectAltName is required");
  }
  if (!info.email_addresses.empty() || !info.uris.empty()) {
    return Status::bad_request("email and URI subject alternative names are not allowed");
  }
  if (!usages_are(spec, {kUsageServerAuth, kUsageDigitalSignature}, {kUsageKeyEncipherment})) {
    return Status::bad_request("usages did not match [server auth digital signature (key encipherment)]");
  }
  return {};
}

Status check_for_signer(const net::CertificateInfo& info, const CertificateSigningRequestSpec& spec) {
  if (spec.signer_name == kKubeAPIServerClientKubeletSignerName) return check_kubelet_client(info, spec);
  if (spec.signer_name == kKubeletServingSignerName) return check_kubelet_serving(info, spec);
  if (spec.signer_name == kKubeAPIServerClientSignerName) {
    // Server authentication is the other signers' business.
    if (!has_usage(spec, kUsageClientAuth) ||
        !usages_are(spec, {kUsageClientAuth}, {kUsageDigitalSignature, kUsageKeyEncipherment})) {
      return Status::bad_request("usages did not match [client auth (digital signature, key encipherment)]");
    }
    return {};
  }
  if (spec.signer_name == kLegacyUnknownSigner) return {};
  return Status::not_found("no signer " + spec.signer_name);
}

Duration certificate_lifetime(const CertificateSigningRequestSpec& spec, Duration longest) {
  if (!spec.expiration_seconds) return longest;
  const Duration asked = std::chrono::seconds(*spec.expiration_seconds);
  return std::min(std::max(asked, kShortestCertificate), longest);
}

WallTime clean_up_at(const CertificateSigningRequest& request) {
  const WallTime created =
      request.metadata.creation_timestamp ? request.metadata.creation_timestamp.wall() : WallTime{};
  WallTime due = WallTime::max();
  bool waiting = true;
  for (const auto& condition : request.status.conditions) {
    waiting = false;
    due = std::min(due, update_time(condition, created) + kKeepDecided);
  }
  if (waiting) due = created + kKeepPending;
  if (!request.status.certificate.empty()) {
    if (const auto issued = net::parse_certificate(request.status.certificate); issued.ok()) {
      due = std::min(due, issued->not_after);
    }
  }
  return due;
}

}  // namespace trireme::controllers
