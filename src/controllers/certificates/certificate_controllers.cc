#include "controllers/certificates/certificate_controllers.h"

#include <algorithm>

#include "api/conditions.h"
#include "api/types/authorizationv1.h"
#include "base/log.h"

namespace trireme::controllers {

using namespace api::certificatesv1;  // NOLINT: the constants of conditions and signers

namespace {

/// Clocks of machines differ: certificates begin a little before they are made, as upstream's.
constexpr Duration kBackdate = std::chrono::minutes(5);

CertificateSigningRequestCondition condition(std::string_view type, std::string reason, std::string message,
                                             WallTime now) {
  CertificateSigningRequestCondition out;
  out.type = type;
  out.status = "True";
  out.reason = std::move(reason);
  out.message = std::move(message);
  out.last_update_time = api::Time(now);
  out.last_transition_time = api::Time(now);
  return out;
}

template <typename Enqueue>
void follow(client::Informer<CertificateSigningRequest>& requests, Enqueue enqueue) {
  requests.add_handler([enqueue](const auto&, const auto& after) {
    if (after) enqueue(after->metadata.name);
  });
}

}  // namespace

CsrApprovingController::CsrApprovingController(const ControllerContext& context)
    : Controller(context, "certificatesigningrequest-approving-controller"),
      requests_(context.informers->informer<CertificateSigningRequest>()) {
  follow(requests_, [this](const std::string& name) { enqueue(name); });
}

Result<bool> CsrApprovingController::may(const CertificateSigningRequestSpec& spec, std::string_view subresource) {
  api::authorizationv1::SubjectAccessReview review;
  review.spec.user = spec.username;
  review.spec.uid = spec.uid;
  review.spec.groups = spec.groups;
  for (const auto& [key, values] : spec.extra) review.spec.extra.insert_or_assign(key, values);
  auto& attributes = review.spec.resource_attributes.emplace();
  attributes.group = kGroupName;
  attributes.resource = "certificatesigningrequests";
  attributes.subresource = subresource;
  attributes.verb = "create";
  attributes.version = "*";
  TRY_ASSIGN(review, client().create(review));
  return review.status.allowed;
}

Result<Outcome> CsrApprovingController::reconcile(const std::string& key) {
  const auto request = requests_.get(key);
  if (!request || !request->status.certificate.empty() || is_decided(*request)) return Outcome::done();
  if (request->spec.signer_name != kKubeAPIServerClientKubeletSignerName) return Outcome::done();
  const auto info = net::parse_request(request->spec.request);
  if (!info.ok()) {
    log::warning("A certificate request cannot be read", {{"request", key}, {"error", info.status()}});
    return Outcome::done();
  }
  if (!check_kubelet_client(*info, request->spec).ok()) return Outcome::done();

  std::string_view message;
  bool allowed = false;
  if (info->common_name == request->spec.username) {
    TRY_ASSIGN(allowed, may(request->spec, "selfnodeclient"));
    message = "Auto approving self kubelet client certificate after SubjectAccessReview.";
  }
  if (!allowed) {
    TRY_ASSIGN(allowed, may(request->spec, "nodeclient"));
    message = "Auto approving kubelet client certificate after SubjectAccessReview.";
  }
  if (!allowed) {
    // A role binding may come later, and nothing tells of it: the back-off of a failure brings the request back.
    return Status::internal("recognized csr \"" + key +
                            "\" as [selfnodeclient nodeclient] but subject access review was not approved");
  }
  CertificateSigningRequest approved = *request;
  approved.status.conditions.push_back(
      condition(kCertificateApproved, "AutoApproved", std::string(message), clock().now()));
  TRY(client().update_subresource(approved, "approval").status());
  return Outcome::done();
}

CsrSigningController::CsrSigningController(const ControllerContext& context)
    : Controller(context, "certificatesigningrequest-signing-controller"),
      requests_(context.informers->informer<CertificateSigningRequest>()) {
  follow(requests_, [this](const std::string& name) { enqueue(name); });
}

Status CsrSigningController::fail(const CertificateSigningRequest& request, std::string message) {
  CertificateSigningRequest failed = request;
  failed.status.conditions.push_back(
      condition(kCertificateFailed, "SignerValidationFailure", std::move(message), clock().now()));
  return client().update_status(failed).status();
}

Result<Outcome> CsrSigningController::reconcile(const std::string& key) {
  const auto request = requests_.get(key);
  if (!request || !is_approved(*request) || !request->status.certificate.empty() ||
      api::find_condition(request->status.conditions, kCertificateFailed)) {
    return Outcome::done();
  }
  const ControllerOptions& options = context().options;
  if (options.cluster_signing_certificate_pem.empty()) return Outcome::done();
  const auto info = net::parse_request(request->spec.request);
  if (!info.ok()) {
    log::warning("A certificate request cannot be read", {{"request", key}, {"error", info.status()}});
    return Outcome::done();
  }
  if (Status fits = check_for_signer(*info, request->spec); !fits.ok()) {
    if (!fits.is(Reason::kNotFound)) TRY(fail(*request, fits.message()));
    return Outcome::done();
  }
  const net::CertifiedKey authority{options.cluster_signing_certificate_pem, options.cluster_signing_key_pem};
  TRY_ASSIGN(const net::CertificateInfo issuer, net::parse_certificate(authority.certificate_pem));
  net::CertificateSpec spec;
  spec.common_name = info->common_name;
  spec.organizations = info->organizations;
  spec.dns_names = info->dns_names;
  spec.ip_addresses = info->ip_addresses;
  spec.email_addresses = info->email_addresses;
  spec.uris = info->uris;
  spec.usages = request->spec.usages;
  const WallTime now = clock().now();
  spec.not_before = now - kBackdate;
  spec.not_after =
      std::min(now + certificate_lifetime(request->spec, options.cluster_signing_duration), issuer.not_after);
  auto certificate = net::sign_request(authority, request->spec.request, spec);
  if (!certificate.ok() && certificate.status().is(Reason::kBadRequest)) {
    TRY(fail(*request, certificate.status().message()));
    return Outcome::done();
  }
  if (!certificate.ok()) return certificate.status();
  CertificateSigningRequest issued = *request;
  issued.status.certificate = std::move(*certificate);
  TRY(client().update_status(issued).status());
  return Outcome::done();
}

CsrCleanerController::CsrCleanerController(const ControllerContext& context)
    : Controller(context, "certificatesigningrequest-cleaner-controller"),
      requests_(context.informers->informer<CertificateSigningRequest>()) {
  follow(requests_, [this](const std::string& name) { enqueue(name); });
}

Result<Outcome> CsrCleanerController::reconcile(const std::string& key) {
  const auto request = requests_.get(key);
  if (!request) return Outcome::done();
  const Duration left = clean_up_at(*request) - clock().now();
  if (left > Duration::zero()) return Outcome::again_after(left);
  client::DeleteOptions options;
  options.uid = request->metadata.uid;
  const Status status = client().remove<CertificateSigningRequest>({}, key, options);
  if (!status.ok() && !status.is(Reason::kNotFound)) return status;
  return Outcome::done();
}

}  // namespace trireme::controllers
