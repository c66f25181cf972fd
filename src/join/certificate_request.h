#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"
#include "net/x509.h"

/// Certificates of a node, asked of the cluster by CertificateSigningRequests.
/// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
namespace trireme::join {

/// What a node's certificates are made out for: "system:node:NAME" in "system:nodes", and, for serving, its names.
net::CertificateSpec client_spec(const std::string& node_name);
net::CertificateSpec serving_spec(const std::string& node_name, const std::vector<std::string>& addresses);

/// Asks for a certificate for `key_pem` and waits, by a watch, until it is issued. Forbidden when it was denied,
/// BadRequest when the signer refuses it, Timeout when nobody decided within `timeout` or `stop` was requested.
Result<std::string> request_certificate(client::Client client, std::string_view key_pem,
                                        const net::CertificateSpec& spec, std::string_view signer, Duration timeout,
                                        std::stop_token stop);

/// When a certificate is renewed: after `share` (kubelets take 0.7 to 0.9) of the time it was given for. The minutes by
/// which signers backdate certificates do not count.
WallTime renewal_time(const net::CertificateInfo& certificate, double share);

}  // namespace trireme::join
