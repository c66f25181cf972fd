#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/types/certificatesv1.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/x509.h"

/// What the certificate controllers ask about a CertificateSigningRequest. Pure.
/// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
namespace trireme::controllers {

using RequestPointer = std::shared_ptr<const api::certificatesv1::CertificateSigningRequest>;

inline constexpr std::string_view kLegacyUnknownSigner = "kubernetes.io/legacy-unknown";

bool is_approved(const api::certificatesv1::CertificateSigningRequest& request);  ///< and not denied
bool is_decided(const api::certificatesv1::CertificateSigningRequest& request);   ///< Approved or denied.

/// A client certificate of a kubelet: what kubernetes.io/kube-apiserver-client-kubelet signs. The failure tells why
/// not.
Status check_kubelet_client(const net::CertificateInfo& info,
                            const api::certificatesv1::CertificateSigningRequestSpec& spec);
/// A serving certificate of a kubelet: kubernetes.io/kubelet-serving.
Status check_kubelet_serving(const net::CertificateInfo& info,
                             const api::certificatesv1::CertificateSigningRequestSpec& spec);
/// What one of the four built-in signers requires of a request. NotFound for any other signer.
Status check_for_signer(const net::CertificateInfo& info,
                        const api::certificatesv1::CertificateSigningRequestSpec& spec);

/// How long a certificate for the request is valid: what was asked for, at least ten minutes, at most `longest`.
Duration certificate_lifetime(const api::certificatesv1::CertificateSigningRequestSpec& spec, Duration longest);

/// When the cleaner deletes the request: an hour after it was denied, failed, or approved (issued or not), a day after
/// it was made without decision, at the end of its certificate; the earliest of these that applies.
WallTime clean_up_at(const api::certificatesv1::CertificateSigningRequest& request);

}  // namespace trireme::controllers
