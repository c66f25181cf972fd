#include "apiserver/admission/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/config_reader.h"
#include "api/yaml.h"

namespace trireme::apiserver::admission {
namespace {

using api::ConfigReader;
using api::Value;
using api::corev1::ScopedResourceSelectorRequirement;
using api::validation::ErrorList;
using api::validation::Path;

/// Everything that upstream's server of 1.32 has, and what of it there is here.
enum class Support { kNone, kSwitched, kAlways };
struct Known {
  std::string_view name;
  Support support;
};
constexpr Known kKnown[] = {
    {"AlwaysAdmit", Support::kSwitched},
    {"AlwaysDeny", Support::kNone},
    {"AlwaysPullImages", Support::kNone},
    {"CertificateApproval", Support::kSwitched},
    {"CertificateSigning", Support::kSwitched},
    {"CertificateSubjectRestriction", Support::kSwitched},
    {"ClusterTrustBundleAttest", Support::kNone},
    {"DefaultIngressClass", Support::kNone},
    {"DefaultStorageClass", Support::kSwitched},
    {"DefaultTolerationSeconds", Support::kSwitched},
    {"DenyServiceExternalIPs", Support::kNone},
    {"EventRateLimit", Support::kNone},
    {"ExtendedResourceToleration", Support::kNone},
    {"ImagePolicyWebhook", Support::kNone},
    {"LimitPodHardAntiAffinityTopology", Support::kNone},
    {"LimitRanger", Support::kSwitched},
    {"MutatingAdmissionPolicy", Support::kNone},
    {"MutatingAdmissionWebhook", Support::kNone},
    {"NamespaceAutoProvision", Support::kNone},
    {"NamespaceExists", Support::kAlways},
    {"NamespaceLifecycle", Support::kAlways},
    {"NodeRestriction", Support::kSwitched},
    {"OwnerReferencesPermissionEnforcement", Support::kNone},
    {"PersistentVolumeClaimResize", Support::kSwitched},
    {"PodNodeSelector", Support::kNone},
    {"PodSecurity", Support::kNone},
    {"PodTolerationRestriction", Support::kNone},
    {"Priority", Support::kSwitched},
    {"ResourceQuota", Support::kSwitched},
    {"RuntimeClass", Support::kNone},
    {"ServiceAccount", Support::kSwitched},
    {"StorageObjectInUseProtection", Support::kSwitched},
    {"TaintNodesByCondition", Support::kSwitched},
    {"ValidatingAdmissionPolicy", Support::kNone},
    {"ValidatingAdmissionWebhook", Support::kNone},
};

const Known* find(std::string_view name) {
  const auto* found = std::ranges::find(kKnown, name, &Known::name);
  return found == std::end(kKnown) ? nullptr : found;
}

Result<std::set<std::string, std::less<>>> disabled_by(const Flags& flags) {
  for (const std::string& name : flags.enable) {
    const Known* plugin = find(name);
    if (!plugin) return Status::bad_request(fmt::format("enable-admission-plugins plugin \"{}\" is unknown", name));
    if (plugin->support == Support::kNone) {
      return Status::bad_request(
          fmt::format("enable-admission-plugins plugin \"{}\" is not part of this server", name));
    }
  }
  std::set<std::string, std::less<>> disabled;
  std::set<std::string> both;
  for (const std::string& name : flags.disable) {
    const Known* plugin = find(name);
    if (!plugin) return Status::bad_request(fmt::format("disable-admission-plugins plugin \"{}\" is unknown", name));
    if (std::ranges::find(flags.enable, name) != flags.enable.end()) both.insert(name);
    if (plugin->support == Support::kAlways) {
      return Status::bad_request(
          fmt::format("disable-admission-plugins plugin \"{}\" is always on in this server", name));
    }
    disabled.insert(name);
  }
  if (!both.empty()) {
    return Status::bad_request(
        fmt::format("[{}] in enable-admission-plugins and disable-admission-plugins overlapped", fmt::join(both, " ")));
  }
  return disabled;
}

Result<std::string> read_file(const std::string& path, std::string_view what) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) text.assign(std::istreambuf_iterator<char>(in), {});
  if (in && !in.bad()) return text;
  return Status::bad_request(fmt::format("unable to read {} from \"{}\" [{}]", what, path, std::strerror(errno)));
}

std::vector<LimitedResource> read_limited(const Value& value, const Path& root, ErrorList& errors) {
  ConfigReader reader(value, root, errors);
  std::string version;
  if (const Value* given = reader.take("apiVersion"); given != nullptr) version = given->string_or_empty();
  if (version.starts_with("resourcequota.admission.k8s.io/")) {
    reader.read_kind({"resourcequota.admission.k8s.io/v1beta1", "resourcequota.admission.k8s.io/v1alpha1"},
                     "Configuration");
  } else {
    reader.read_kind({"apiserver.config.k8s.io/v1"}, "ResourceQuotaConfiguration");
  }
  std::vector<LimitedResource> out;
  reader.each("limitedResources", [&](const Value& item, const Path& path) {
    ConfigReader limited(item, path, errors);
    LimitedResource& into = out.emplace_back();
    limited.read("apiGroup", into.api_group);
    limited.read("resource", into.resource);
    if (into.resource.empty()) errors.required(path.child("resource"));
    limited.read("matchContains", into.match_contains);
    limited.each("matchScopes", [&](const Value& scope, const Path& at) {
      ConfigReader::decode(scope, at, errors, into.match_scopes.emplace_back());
    });
  });
  return out;
}

/// A plugin's part of the file, whether it stands there or in a file of its own.
Status read_plugin(const Value& item, const Path& path, const std::string& folder, ErrorList& errors,
                   Configuration& into) {
  ConfigReader plugin(item, path, errors);
  std::string name;
  std::string file;
  plugin.read("name", name);
  plugin.read("path", file);
  const Value* nested = plugin.take("configuration");
  const Known* known = find(name);
  if (!known) return Status::bad_request(fmt::format("admission plugin \"{}\" is unknown", name));
  if (known->support == Support::kNone) {
    return Status::bad_request(fmt::format(
        "admission plugin \"{}\" is not part of this server, so its configuration would have no effect", name));
  }
  if (!nested && file.empty()) return {};
  if (name != "ResourceQuota") return Status::bad_request(fmt::format("no configuration was expected for {}", name));
  // Of both, upstream takes what is nested.
  if (nested) {
    into.limited_resources = read_limited(*nested, path.child("configuration"), errors);
    return {};
  }
  const std::string full = (std::filesystem::path(folder) / file).string();
  TRY_ASSIGN(const std::string text, read_file(full, "the configuration of admission plugin ResourceQuota"));
  auto limited = parse_limited_resources(text);
  if (!limited.ok()) return limited.status().with_context(full);
  into.limited_resources = std::move(*limited);
  return {};
}

Status read_admission(const std::string& file, Configuration& into) {
  TRY_ASSIGN(const std::string text, read_file(file, "admission control configuration"));
  auto value = api::parse_yaml(text);
  if (!value.ok()) return value.status().with_context(file);
  ErrorList errors;
  Status status;
  {
    ConfigReader reader(*value, Path(), errors);
    reader.read_kind({"apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"}, "AdmissionConfiguration");
    const std::string folder = std::filesystem::path(file).parent_path().string();
    reader.each("plugins", [&](const Value& item, const Path& path) {
      if (status.ok()) status = read_plugin(item, path, folder, errors, into);
    });
  }
  if (status.ok()) status = api::config_status(errors).with_context(file);
  return status;
}

}  // namespace

Result<std::vector<LimitedResource>> parse_limited_resources(std::string_view text) {
  TRY_ASSIGN(const Value value, api::parse_yaml(text));
  ErrorList errors;
  auto limited = read_limited(value, Path(), errors);
  TRY(api::config_status(errors));
  return limited;
}

Result<Configuration> read_configuration(const Flags& flags) {
  Configuration configuration;
  TRY_ASSIGN(configuration.disabled, disabled_by(flags));
  if (!flags.config_file.empty()) {
    TRY(read_admission(flags.config_file, configuration).with_context("failed to read plugin config"));
  }
  return configuration;
}

}  // namespace trireme::apiserver::admission
