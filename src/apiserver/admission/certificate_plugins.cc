#include <fmt/format.h>

#include <algorithm>

#include "api/types/certificatesv1.h"
#include "api/validation/equal.h"
#include "apiserver/admission/plugins.h"
#include "net/x509.h"

namespace trireme::apiserver::admission {
namespace {

using api::certificatesv1::CertificateSigningRequest;

/// Whether the caller may do `verb` for the signer, or for all of its domain.
bool may(authz::Authorizer& authorizer, const Attributes& attributes, std::string_view verb,
         const std::string& signer) {
  authz::Attributes question;
  question.user = *attributes.user;
  question.verb = verb;
  question.group = api::certificatesv1::kGroupName;
  question.version = "*";
  question.resource = "signers";
  question.is_resource = true;
  question.name = signer;
  if (authorizer.authorize(question).allowed()) return true;
  question.name = signer.substr(0, signer.find('/')) + "/*";
  return authorizer.authorize(question).allowed();
}

class ApprovalPlugin final : public Plugin {
 public:
  explicit ApprovalPlugin(std::shared_ptr<authz::Authorizer> authorizer) : authorizer_(std::move(authorizer)) {}
  std::string_view name() const override { return "CertificateApproval"; }
  Status validate(const Attributes& attributes) override {
    if (attributes.subresource != "approval" || attributes.old_object == nullptr) return {};
    const auto* request = attributes.old_object->as<CertificateSigningRequest>();
    if (request == nullptr || may(*authorizer_, attributes, "approve", request->spec.signer_name)) return {};
    return forbidden(attributes, fmt::format("user not permitted to approve requests with signerName \"{}\"",
                                             request->spec.signer_name));
  }

 private:
  std::shared_ptr<authz::Authorizer> authorizer_;
};

class SigningPlugin final : public Plugin {
 public:
  explicit SigningPlugin(std::shared_ptr<authz::Authorizer> authorizer) : authorizer_(std::move(authorizer)) {}
  std::string_view name() const override { return "CertificateSigning"; }
  Status validate(const Attributes& attributes) override {
    if (attributes.subresource != "status" || attributes.old_object == nullptr || attributes.object == nullptr)
      return {};
    const auto* before = attributes.old_object->as<CertificateSigningRequest>();
    const auto* after = attributes.object->as<CertificateSigningRequest>();
    if (before == nullptr || after == nullptr) return {};
    if (api::validation::semantic_equal(before->status, after->status)) return {};
    if (may(*authorizer_, attributes, "sign", before->spec.signer_name)) return {};
    return forbidden(attributes, fmt::format("user not permitted to sign requests with signerName \"{}\"",
                                             before->spec.signer_name));
  }

 private:
  std::shared_ptr<authz::Authorizer> authorizer_;
};

class SubjectRestrictionPlugin final : public Plugin {
 public:
  std::string_view name() const override { return "CertificateSubjectRestriction"; }
  Status validate(const Attributes& attributes) override {
    if (attributes.operation != Operation::kCreate || attributes.object == nullptr || !attributes.subresource.empty()) {
      return {};
    }
    const auto* request = attributes.object->as<CertificateSigningRequest>();
    if (request == nullptr || request->spec.signer_name != api::certificatesv1::kKubeAPIServerClientSignerName)
      return {};
    TRY_ASSIGN(const net::CertificateInfo info, net::parse_request(request->spec.request));
    if (std::ranges::find(info.organizations, authn::kMastersGroup) == info.organizations.end()) return {};
    return forbidden(attributes,
                     fmt::format("use of {} signer with {} group is not allowed",
                                 api::certificatesv1::kKubeAPIServerClientSignerName, authn::kMastersGroup));
  }
};

}  // namespace

std::shared_ptr<Plugin> certificate_approval_plugin(std::shared_ptr<authz::Authorizer> authorizer) {
  return std::make_shared<ApprovalPlugin>(std::move(authorizer));
}
std::shared_ptr<Plugin> certificate_signing_plugin(std::shared_ptr<authz::Authorizer> authorizer) {
  return std::make_shared<SigningPlugin>(std::move(authorizer));
}
std::shared_ptr<Plugin> certificate_subject_restriction_plugin() {
  return std::make_shared<SubjectRestrictionPlugin>();
}

}  // namespace trireme::apiserver::admission
