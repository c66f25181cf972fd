#include "join/certificate_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/types/certificatesv1.h"

namespace trireme::join {
namespace {

using api::certificatesv1::CertificateSigningRequest;

constexpr Duration kBackdate = std::chrono::minutes(5);

/// The certificate, why there will be none, or nothing yet.
Result<std::optional<std::string>> outcome(const CertificateSigningRequest& request) {
  if (!request.status.certificate.empty()) return std::optional(std::string(request.status.certificate));
  for (const auto& condition : request.status.conditions) {
    const std::string what = fmt::format("certificate request {}: {}", request.metadata.name, condition.message);
    if (condition.type == "Denied") return Status(Reason::kForbidden, what);
    if (condition.type == "Failed") return Status::bad_request(what);
  }
  return std::optional<std::string>();
}

}  // namespace

net::CertificateSpec client_spec(const std::string& node_name) {
  net::CertificateSpec spec;
  spec.common_name = "system:node:" + node_name;
  spec.organizations = {"system:nodes"};
  spec.use = net::CertificateUse::kClient;
  return spec;
}

net::CertificateSpec serving_spec(const std::string& node_name, const std::vector<std::string>& addresses) {
  net::CertificateSpec spec = client_spec(node_name);
  spec.use = net::CertificateUse::kServer;
  spec.dns_names = {node_name};
  spec.ip_addresses = addresses;
  return spec;
}

Result<std::string> request_certificate(client::Client client, std::string_view key_pem,
                                        const net::CertificateSpec& spec, std::string_view signer, Duration timeout,
                                        std::stop_token stop) {
  CertificateSigningRequest wanted;
  wanted.metadata.generate_name = "csr-";
  TRY_ASSIGN(std::string pem, net::create_request(key_pem, spec));
  wanted.spec.request = std::move(pem);
  wanted.spec.signer_name = signer;
  wanted.spec.usages = {"digital signature", spec.use == net::CertificateUse::kServer ? "server auth" : "client auth"};
  TRY_ASSIGN(const CertificateSigningRequest made, client.create(wanted));

  const auto& resource = api::resource_of<CertificateSigningRequest>();
  client::ListOptions options;
  options.field_selector = "metadata.name=" + made.metadata.name;
  options.resource_version = made.metadata.resource_version;
  options.timeout_seconds = std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(timeout).count());
  Result<std::optional<std::string>> found = std::optional<std::string>();
  const Status watched = client.raw().watch(resource, {}, options, stop, [&](client::RawWatchEvent event) {
    if (event.type == "ERROR" || event.type == "BOOKMARK") return event.type == "BOOKMARK";
    auto request = client.raw().protobuf() ? api::decode_proto<CertificateSigningRequest>(event.object)
                                           : api::decode_json<CertificateSigningRequest>(event.object);
    if (!request.ok()) {
      found = request.status();
    } else if (event.type == "DELETED") {
      found = Status::not_found(fmt::format("certificate request {} was deleted", made.metadata.name));
    } else {
      found = outcome(*request);
    }
    return found.ok() && !found->has_value();
  });
  if (!found.ok()) return found.status();
  if (found->has_value()) return std::move(**found);
  // The watch may have ended between two events: what stands now counts.
  TRY_ASSIGN(const auto now, client.get<CertificateSigningRequest>("", made.metadata.name));
  TRY_ASSIGN(const auto last, outcome(now));
  if (last) return *last;
  if (!watched.ok() && !watched.is(Reason::kTimeout)) return watched;
  return Status::timeout(
      fmt::format("nobody has approved the certificate request {}; `kubectl get csr` shows it", made.metadata.name));
}

WallTime renewal_time(const net::CertificateInfo& certificate, double share) {
  const Duration whole = certificate.not_after - certificate.not_before;
  const Duration before = std::min(kBackdate, whole);
  const auto due = before + std::chrono::round<std::chrono::milliseconds>((whole - before) * share);
  return certificate.not_before + std::chrono::duration_cast<WallTime::duration>(due);
}

}  // namespace trireme::join
