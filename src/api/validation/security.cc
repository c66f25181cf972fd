#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "api/codec.h"
#include "api/names.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kSeccompPod = "seccomp.security.alpha.kubernetes.io/pod";
constexpr std::string_view kSeccompContainer = "container.seccomp.security.alpha.kubernetes.io/";
constexpr std::string_view kAppArmor = "container.apparmor.security.beta.kubernetes.io/";
constexpr std::string_view kLocalhost = "localhost/";
constexpr size_t kMaxProfilePath = 4095;  // PATH_MAX without the terminating zero
constexpr size_t kMaxSysctl = 253;

void check_id(const std::optional<int64_t>& id, const Path& at, ErrorList& errors) {
  if (id && (*id < 0 || *id > 2147483647)) {
    errors.invalid(at, *id, "must be between 0 and 2147483647, inclusive");
  }
}

void check_seccomp(const corev1::SeccompProfile& profile, const Path& at, ErrorList& errors) {
  const Path type = at.child("type");
  if (profile.type.empty()) {
    errors.required(type, "type is required when seccompProfile is set");
  } else if (profile.type != "Localhost" && profile.type != "RuntimeDefault" && profile.type != "Unconfined") {
    errors.not_supported(type, profile.type, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
  const Path local = at.child("localhostProfile");
  if (profile.type == "Localhost") {
    if (!profile.localhost_profile) {
      errors.required(local, "must be set when seccomp type is Localhost");
    } else {
      check_descending_path(*profile.localhost_profile, local, errors);
    }
  } else if (profile.localhost_profile) {
    errors.invalid(local, BadValue::raw(encode_json(profile)), "can only be set when seccomp type is Localhost");
  }
}

void check_apparmor(const corev1::AppArmorProfile& profile, const Path& at, ErrorList& errors) {
  const Path local = at.child("localhostProfile");
  if (profile.type == "Localhost") {
    const std::string path = profile.localhost_profile.value_or("");
    const bool padded = !path.empty() && (std::isspace(static_cast<unsigned char>(path.front())) ||
                                          std::isspace(static_cast<unsigned char>(path.back())));
    if (path.empty()) {
      errors.required(local, "must be set when AppArmor type is Localhost");
    } else if (padded) {
      errors.invalid(local, path, "must not be padded with whitespace");
    }
    if (path.size() > kMaxProfilePath) errors.too_long(local, kMaxProfilePath);
  } else if (profile.type == "RuntimeDefault" || profile.type == "Unconfined") {
    if (profile.localhost_profile) {
      errors.invalid(local, *profile.localhost_profile, "can only be set when AppArmor type is Localhost");
    }
  } else if (profile.type.empty()) {
    errors.required(at.child("type"), "type is required when appArmorProfile is set");
  } else {
    errors.not_supported(at.child("type"), profile.type, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
}

void check_windows_user(const std::string& name, const Path& at, ErrorList& errors) {
  auto bad = [&](std::string_view why) { errors.invalid(at, name, why); };
  if (name.empty()) return bad("runAsUserName cannot be an empty string");
  if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c) != 0; })) {
    return bad("runAsUserName cannot contain control characters");
  }
  if (std::count(name.begin(), name.end(), '\\') > 1)
    return bad("runAsUserName cannot contain more than one backslash");
  const size_t backslash = name.find('\\');
  const std::string domain = backslash == std::string::npos ? "" : name.substr(0, backslash);
  const std::string user = backslash == std::string::npos ? name : name.substr(backslash + 1);
  if (domain.size() >= 256) bad("runAsUserName's Domain length must be under 256 characters");
  if (backslash != std::string::npos) {
    const bool net_bios = !domain.empty() && domain.size() <= 15 && domain.front() != '.' &&
                          domain.find_first_of("\\/:*?\"<>|") == std::string::npos;
    std::string lowered = domain;
    std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!net_bios && !is_dns1123_subdomain(lowered)) {
      bad("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
  }
  if (user.empty()) {
    bad("runAsUserName's User cannot be empty");
  } else if (user.size() > 104) {
    bad("runAsUserName's User length must not be longer than 104 characters");
  }
  if (!user.empty() && user.find_first_not_of(". ") == std::string::npos) {
    bad("runAsUserName's User cannot contain only periods or spaces");
  }
  if (user.find_first_of("\"/\\:;|=,+*?<>@[]") != std::string::npos) {
    bad("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
  }
}

void check_windows(const corev1::WindowsSecurityContextOptions& options, const Path& at, ErrorList& errors) {
  if (options.gmsa_credential_spec_name) {
    check_dns_subdomain(*options.gmsa_credential_spec_name, at.child("gmsaCredentialSpecName"), errors);
  }
  if (options.gmsa_credential_spec) {
    const Path path = at.child("gmsaCredentialSpec");
    if (options.gmsa_credential_spec->empty()) {
      errors.invalid(path, "", "gmsaCredentialSpec cannot be an empty string");
    } else if (options.gmsa_credential_spec->size() > 64 * 1024) {
      errors.invalid(path, *options.gmsa_credential_spec, "gmsaCredentialSpec size must be under 64 KiB");
    }
  }
  if (options.run_as_user_name) check_windows_user(*options.run_as_user_name, at.child("runAsUserName"), errors);
}

bool valid_sysctl_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxSysctl) return false;
  auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool at_start = true;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '.' || c == '/') {
      if (at_start || !alnum(name[i - 1])) return false;
      at_start = true;
    } else if (alnum(c)) {
      at_start = false;
    } else if ((c == '-' || c == '_') && !at_start) {
      continue;
    } else {
      return false;
    }
  }
  return alnum(name.back());
}

/// `kernel/shm` and `kernel.shm` name the same; which namespace isolates it decides what it clashes with.
bool is_ipc_sysctl(std::string_view name) {
  static constexpr std::string_view kPrefixes[] = {"kernel.shm", "kernel.msg", "fs.mqueue."};
  return name == "kernel.sem" ||
         std::any_of(std::begin(kPrefixes), std::end(kPrefixes), [&](auto prefix) { return name.starts_with(prefix); });
}

void check_sysctls(const corev1::PodSecurityContext& context, const corev1::PodSpec& spec, const Path& at,
                   ErrorList& errors) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < context.sysctls.size(); ++i) {
    const std::string& name = context.sysctls[i].name;
    const Path path = at.index(i).child("name");
    if (name.empty()) {
      errors.required(path);
    } else if (!valid_sysctl_name(name)) {
      errors.invalid(path, name,
                     "must have at most 253 characters and match regex "
                     "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
    } else if (seen.count(name) > 0) {
      errors.duplicate(path, name);
    }
    std::string dotted = name;
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    if (spec.host_network && dotted.starts_with("net.")) {
      errors.invalid(path, name, "may not be specified when 'hostNetwork' is true");
    } else if (spec.host_ipc && is_ipc_sysctl(dotted)) {
      errors.invalid(path, name, "may not be specified when 'hostIPC' is true");
    }
    seen.insert(name);
  }
}

void check_host_process(const corev1::PodSpec& spec, const Path& at, ErrorList& errors) {
  std::optional<bool> of_pod;
  if (spec.security_context && spec.security_context->windows_options) {
    of_pod = spec.security_context->windows_options->host_process;
  }
  size_t containers = 0;
  size_t host_process = 0;
  visit_containers(spec, at, [&](const auto& container, const Path& path) {
    ++containers;
    std::optional<bool> own;
    if (container.security_context && container.security_context->windows_options) {
      own = container.security_context->windows_options->host_process;
    }
    if (of_pod && own && *of_pod != *own) {
      errors.invalid(path.child("securityContext", "windowsOptions", "hostProcess"), *own,
                     fmt::format("pod hostProcess value must be identical if both are specified, was {}", *of_pod));
    }
    if (own.value_or(of_pod.value_or(false))) ++host_process;
  });
  if (host_process == 0) return;
  if (host_process != containers) {
    errors.invalid(at, "",
                   "If pod contains any hostProcess containers then all containers must be HostProcess containers");
  }
  if (!spec.host_network) {
    errors.invalid(at.child("hostNetwork"), false,
                   "hostNetwork must be true if pod contains any hostProcess containers");
  }
}

void check_linux_pod(const corev1::PodSpec& spec, const Path& at, ErrorList& errors) {
  constexpr std::string_view kWhy = "windows options cannot be set for a linux pod";
  if (spec.security_context && spec.security_context->windows_options) {
    errors.forbidden(at.child("securityContext", "windowsOptions"), kWhy);
  }
  visit_containers(spec, at, [&](const auto& container, const Path& path) {
    if (container.security_context && container.security_context->windows_options) {
      errors.forbidden(path.child("securityContext", "windowsOptions"), kWhy);
    }
  });
}

void check_windows_pod(const corev1::PodSpec& spec, const Path& at, ErrorList& errors) {
  auto refuse = [&](bool set, const Path& path) {
    if (set) errors.forbidden(path, "cannot be set for a windows pod");
  };
  refuse(spec.host_users.has_value(), at.child("hostUsers"));
  refuse(spec.host_pid, at.child("hostPID"));
  refuse(spec.host_ipc, at.child("hostIPC"));
  refuse(spec.share_process_namespace.has_value(), at.child("shareProcessNamespace"));
  if (spec.security_context) {
    const auto& context = *spec.security_context;
    const Path path = at.child("securityContext");
    refuse(context.app_armor_profile.has_value(), path.child("appArmorProfile"));
    refuse(context.se_linux_options.has_value(), path.child("seLinuxOptions"));
    refuse(context.seccomp_profile.has_value(), path.child("seccompProfile"));
    refuse(context.fs_group.has_value(), path.child("fsGroup"));
    refuse(context.fs_group_change_policy.has_value(), path.child("fsGroupChangePolicy"));
    refuse(!context.sysctls.empty(), path.child("sysctls"));
    refuse(context.run_as_user.has_value(), path.child("runAsUser"));
    refuse(context.run_as_group.has_value(), path.child("runAsGroup"));
    refuse(!context.supplemental_groups.empty(), path.child("supplementalGroups"));
    refuse(context.supplemental_groups_policy.has_value(), path.child("supplementalGroupsPolicy"));
  }
  visit_containers(spec, at, [&](const auto& container, const Path& container_path) {
    if (!container.security_context) return;
    const auto& context = *container.security_context;
    const Path path = container_path.child("securityContext");
    refuse(context.app_armor_profile.has_value(), path.child("appArmorProfile"));
    refuse(context.se_linux_options.has_value(), path.child("seLinuxOptions"));
    refuse(context.seccomp_profile.has_value(), path.child("seccompProfile"));
    refuse(context.capabilities.has_value(), path.child("capabilities"));
    refuse(context.read_only_root_filesystem.has_value(), path.child("readOnlyRootFilesystem"));
    refuse(context.privileged.has_value(), path.child("privileged"));
    refuse(context.allow_privilege_escalation.has_value(), path.child("allowPrivilegeEscalation"));
    refuse(context.proc_mount.has_value(), path.child("procMount"));
    refuse(context.run_as_user.has_value(), path.child("runAsUser"));
    refuse(context.run_as_group.has_value(), path.child("runAsGroup"));
  });
}

/// Whether `annotation` says what the field says; the error otherwise.
void check_match(std::string_view what, std::string_view type, const Box<std::string>& local_profile,
                 std::string_view annotation, const Path& at, ErrorList& errors) {
  const std::string type_text = fmt::format("{} type in annotation and field must match", what);
  if (type == "Unconfined") {
    if (annotation != "unconfined") errors.forbidden(at.child("type"), type_text);
  } else if (type == "RuntimeDefault") {
    if (annotation != "runtime/default" && !(what == "seccomp" && annotation == "docker/default")) {
      errors.forbidden(at.child("type"), type_text);
    }
  } else if (type == "Localhost") {
    if (!annotation.starts_with(kLocalhost)) {
      errors.forbidden(at.child("type"), type_text);
    } else if (!local_profile || annotation.substr(kLocalhost.size()) != *local_profile) {
      errors.forbidden(at.child("localhostProfile"),
                       fmt::format("{} profile in annotation and field must match", what));
    }
  }
}

}  // namespace

void check_pod_security_context(const corev1::PodSecurityContext& context, const corev1::PodSpec& spec, const Path& at,
                                ErrorList& errors) {
  check_id(context.fs_group, at.child("fsGroup"), errors);
  check_id(context.run_as_user, at.child("runAsUser"), errors);
  check_id(context.run_as_group, at.child("runAsGroup"), errors);
  for (size_t i = 0; i < context.supplemental_groups.size(); ++i) {
    check_id(context.supplemental_groups[i], at.child("supplementalGroups").index(i), errors);
  }
  if (spec.share_process_namespace.value_or(false) && spec.host_pid) {
    errors.invalid(at.child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled");
  }
  check_sysctls(context, spec, at.child("sysctls"), errors);
  if (const auto& policy = context.fs_group_change_policy;
      policy && *policy != "OnRootMismatch" && *policy != "Always") {
    errors.not_supported(at.child("fsGroupChangePolicy"), *policy, {"Always", "OnRootMismatch"});
  }
  if (context.seccomp_profile) check_seccomp(*context.seccomp_profile, at.child("seccompProfile"), errors);
  if (context.windows_options) check_windows(*context.windows_options, at.child("windowsOptions"), errors);
  if (context.app_armor_profile) check_apparmor(*context.app_armor_profile, at.child("appArmorProfile"), errors);
  if (const auto& policy = context.supplemental_groups_policy; policy && *policy != "Merge" && *policy != "Strict") {
    errors.not_supported(at.child("supplementalGroupsPolicy"), *policy, {"Merge", "Strict"});
  }
}

void check_security_context(const corev1::SecurityContext& context, bool host_users, const Path& at,
                            ErrorList& errors) {
  check_id(context.run_as_user, at.child("runAsUser"), errors);
  check_id(context.run_as_group, at.child("runAsGroup"), errors);
  if (context.proc_mount) {
    const Path path = at.child("procMount");
    if (*context.proc_mount != "Default" && *context.proc_mount != "Unmasked") {
      errors.not_supported(path, *context.proc_mount, {"Default", "Unmasked"});
    }
    if (host_users && *context.proc_mount == "Unmasked") {
      errors.invalid(path, *context.proc_mount, "`hostUsers` must be false to use `Unmasked`");
    }
  }
  if (context.seccomp_profile) check_seccomp(*context.seccomp_profile, at.child("seccompProfile"), errors);
  if (!context.allow_privilege_escalation.value_or(true)) {
    if (context.privileged.value_or(false)) {
      errors.invalid(at, BadValue::raw(encode_json(context)),
                     "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    if (context.capabilities) {
      const auto& added = context.capabilities->add;
      if (std::find(added.begin(), added.end(), "CAP_SYS_ADMIN") != added.end()) {
        errors.invalid(at, BadValue::raw(encode_json(context)),
                       "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
      }
    }
  }
  if (context.windows_options) check_windows(*context.windows_options, at.child("windowsOptions"), errors);
  if (context.app_armor_profile) check_apparmor(*context.app_armor_profile, at.child("appArmorProfile"), errors);
}

void check_pod_os(const corev1::PodSpec& spec, const Path& at, ErrorList& errors) {
  check_host_process(spec, at, errors);
  if (!spec.host_users.value_or(true)) {
    constexpr std::string_view kWhy = "when `pod.Spec.HostUsers` is false";
    if (spec.host_network) errors.forbidden(at.child("hostNetwork"), kWhy);
    if (spec.host_pid) errors.forbidden(at.child("HostPID"), kWhy);
    if (spec.host_ipc) errors.forbidden(at.child("HostIPC"), kWhy);
  }
  if (!spec.os) return;
  if (spec.os->name.empty()) {
    errors.required(at.child("os", "name"), "cannot be empty");
  } else if (spec.os->name == "linux") {
    check_linux_pod(spec, at, errors);
  } else if (spec.os->name == "windows") {
    check_windows_pod(spec, at, errors);
  } else {
    errors.not_supported(at.child("os"), spec.os->name, {"linux", "windows"});
  }
}

void check_profile_annotations(const Map<std::string>& annotations, const corev1::PodSpec& spec, const Path& at,
                               ErrorList& errors) {
  for (const auto& [key, profile] : annotations) {
    if (key == kSeccompPod || key.starts_with(kSeccompContainer)) {
      if (profile == "runtime/default" || profile == "docker/default" || profile == "unconfined") continue;
      if (profile.starts_with(kLocalhost)) {
        check_descending_path(std::string_view(profile).substr(kLocalhost.size()), at.child(key), errors);
      } else {
        errors.invalid(at.child(key), profile, "must be a valid seccomp profile");
      }
    } else if (key.starts_with(kAppArmor)) {
      const std::string_view name = std::string_view(key).substr(kAppArmor.size());
      bool found = false;
      visit_containers(spec, Path(), [&](const auto& container, const Path&) { found |= container.name == name; });
      if (!found) errors.invalid(at.key(key), name, "container not found");
      if (!profile.empty() && profile != "runtime/default" && profile != "unconfined" &&
          !profile.starts_with(kLocalhost)) {
        errors.invalid(at.key(key), profile, "invalid AppArmor profile name: " + go_quote(profile));
      }
    }
  }
}

void check_profiles_match(const Map<std::string>& annotations, const corev1::PodSpec& spec, const Path& spec_path,
                          ErrorList& errors) {
  const corev1::SeccompProfile* pod_seccomp = nullptr;
  const corev1::AppArmorProfile* pod_apparmor = nullptr;
  if (spec.security_context) {
    if (spec.security_context->seccomp_profile) pod_seccomp = &*spec.security_context->seccomp_profile;
    if (spec.security_context->app_armor_profile) pod_apparmor = &*spec.security_context->app_armor_profile;
  }
  if (const auto found = annotations.find(std::string(kSeccompPod)); pod_seccomp && found != annotations.end()) {
    check_match("seccomp", pod_seccomp->type, pod_seccomp->localhost_profile, found->second,
                spec_path.child("securityContext", "seccompProfile"), errors);
  }
  const bool windows = spec.os && spec.os->name == "windows";
  visit_containers(spec, spec_path, [&](const auto& container, const Path& path) {
    const corev1::SeccompProfile* seccomp = nullptr;
    const corev1::AppArmorProfile* apparmor = pod_apparmor;
    if (container.security_context) {
      if (container.security_context->seccomp_profile) seccomp = &*container.security_context->seccomp_profile;
      if (container.security_context->app_armor_profile) apparmor = &*container.security_context->app_armor_profile;
    }
    if (const auto found = annotations.find(std::string(kSeccompContainer) + container.name);
        seccomp && found != annotations.end()) {
      check_match("seccomp", seccomp->type, seccomp->localhost_profile, found->second,
                  path.child("securityContext", "seccompProfile"), errors);
    }
    if (const auto found = annotations.find(std::string(kAppArmor) + container.name);
        apparmor && !windows && found != annotations.end()) {
      check_match("apparmor", apparmor->type, apparmor->localhost_profile, found->second,
                  path.child("securityContext", "appArmorProfile"), errors);
    }
  });
}

}  // namespace trireme::api::validation
