#include "kubelet/pods/container_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "api/codec.h"
#include "kubelet/pods/environment.h"
#include "kubelet/pods/labels.h"
#include "kubelet/pods/resources.h"

namespace trireme::kubelet {
namespace {

constexpr size_t kMaxHostName = 63;
constexpr size_t kMaxDnsServers = 3;  // what resolvers read
constexpr size_t kMaxDnsSearches = 32;
constexpr size_t kMaxSearchLine = 2048;
constexpr size_t kMaxSearchPath = 253;   // longer ones make some resolvers abort
constexpr size_t kMaxFullHostName = 64;  // the kernel's

// What a container must not see of the kernel unless procMount is Unmasked (KEP-4265's default list).
constexpr const char* kMaskedPaths[] = {"/proc/asound",
                                        "/proc/acpi",
                                        "/proc/kcore",
                                        "/proc/keys",
                                        "/proc/latency_stats",
                                        "/proc/timer_list",
                                        "/proc/timer_stats",
                                        "/proc/sched_debug",
                                        "/proc/scsi",
                                        "/sys/firmware",
                                        "/sys/devices/virtual/powercap"};
constexpr const char* kReadOnlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

void append_unique(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const std::string& item : more) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  }
}

/// Whether paths had to be left out.
bool fit_searches(std::vector<std::string>& searches) {
  const size_t before = searches.size();
  if (searches.size() > kMaxDnsSearches) searches.resize(kMaxDnsSearches);
  std::erase_if(searches, [](const std::string& search) { return search.size() > kMaxSearchPath; });
  const auto line = [&] { return fmt::formatted_size("{}", fmt::join(searches, " ")); };
  while (!searches.empty() && line() > kMaxSearchLine) searches.pop_back();
  return searches.size() != before;
}

cri::NamespaceOptions namespaces(const Pod& pod) {
  cri::NamespaceOptions options;
  if (host_network(pod)) options.network = cri::NamespaceMode::kNode;
  if (pod.spec.host_ipc) options.ipc = cri::NamespaceMode::kNode;
  if (pod.spec.host_pid) {
    options.pid = cri::NamespaceMode::kNode;
  } else if (pod.spec.share_process_namespace.value_or(false)) {
    options.pid = cri::NamespaceMode::kPod;
  }
  return options;
}

template <typename Profile>
cri::SecurityProfile seccomp(const Profile& profile, const std::string& root) {
  if (profile.type == "RuntimeDefault") return {cri::SecurityProfile::Type::kRuntimeDefault, {}};
  if (profile.type == "Localhost") {
    return {cri::SecurityProfile::Type::kLocalhost, root + "/" + profile.localhost_profile.value_or("")};
  }
  return {cri::SecurityProfile::Type::kUnconfined, {}};
}

bool any_privileged(const Pod& pod) {
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const Container& container : *list) {
      if (container.security_context && container.security_context->privileged.value_or(false)) return true;
    }
  }
  return false;
}

std::string in_quotes(const std::string& text) { return fmt::format("\"{}\"", text); }

/// Checks runAsNonRoot against who the process would run as.
Status check_non_root(const ContainerInputs& inputs, bool non_root, std::optional<int64_t> user) {
  if (!non_root) return {};
  std::string where = fmt::format("(pod: \"{}_{}({})\", container: {})", inputs.pod.metadata.name,
                                  inputs.pod.metadata.namespace_, inputs.pod.metadata.uid, inputs.container.name);
  if (user) {
    if (*user == 0) return Status::bad_request("container's runAsUser breaks non-root policy " + where);
    return {};
  }
  if (inputs.image.uid) {
    if (*inputs.image.uid == 0) {
      return Status::bad_request("container has runAsNonRoot and image will run as root " + where);
    }
    return {};
  }
  if (!inputs.image.username.empty()) {
    return Status::bad_request(
        fmt::format("container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {}",
                    inputs.image.username, where));
  }
  return Status::bad_request("container has runAsNonRoot and image will run as root " + where);
}

Result<cri::ContainerSecurity> container_security(const ContainerInputs& inputs, const NodeContext& node) {
  const auto& pod_context = inputs.pod.spec.security_context;
  const auto& own = inputs.container.security_context;
  cri::ContainerSecurity security;
  security.namespaces = namespaces(inputs.pod);
  security.seccomp = {cri::SecurityProfile::Type::kUnconfined, {}};
  bool non_root = false;
  bool unmasked = false;
  if (pod_context) {
    security.run_as_user = pod_context->run_as_user;
    security.run_as_group = pod_context->run_as_group;
    non_root = pod_context->run_as_non_root.value_or(false);
    security.supplemental_groups = pod_context->supplemental_groups;
    if (pod_context->fs_group) security.supplemental_groups.push_back(*pod_context->fs_group);
    if (pod_context->seccomp_profile) security.seccomp = seccomp(*pod_context->seccomp_profile, node.seccomp_root);
  }
  for (int64_t group : inputs.volume_groups) security.supplemental_groups.push_back(group);
  if (own) {
    if (own->run_as_user) security.run_as_user = own->run_as_user;
    if (own->run_as_group) security.run_as_group = own->run_as_group;
    if (own->run_as_non_root) non_root = *own->run_as_non_root;
    security.privileged = own->privileged.value_or(false);
    security.read_only_rootfs = own->read_only_root_filesystem.value_or(false);
    security.no_new_privileges =
        own->allow_privilege_escalation && !*own->allow_privilege_escalation && !security.privileged;
    if (own->capabilities) {
      security.add_capabilities.assign(own->capabilities->add.begin(), own->capabilities->add.end());
      security.drop_capabilities.assign(own->capabilities->drop.begin(), own->capabilities->drop.end());
    }
    if (own->seccomp_profile) security.seccomp = seccomp(*own->seccomp_profile, node.seccomp_root);
    unmasked = own->proc_mount && *own->proc_mount == "Unmasked";
  }
  TRY(check_non_root(inputs, non_root, security.run_as_user));
  if (!security.run_as_user) {
    if (inputs.image.uid) {
      security.run_as_user = inputs.image.uid;
    } else {
      security.run_as_username = inputs.image.username;
    }
  }
  if (!unmasked && !security.privileged) {
    security.masked_paths.assign(std::begin(kMaskedPaths), std::end(kMaskedPaths));
    security.read_only_paths.assign(std::begin(kReadOnlyPaths), std::end(kReadOnlyPaths));
  }
  return security;
}

}  // namespace

bool is_restartable_init(const Container& container) {
  return container.restart_policy && *container.restart_policy == "Always";
}

bool host_network(const Pod& pod) { return pod.spec.host_network; }

std::string pod_log_directory(const std::string& logs_dir, std::string_view ns, std::string_view name,
                              std::string_view uid) {
  return fmt::format("{}/{}_{}_{}", logs_dir, ns, name, uid);
}

cri::DnsConfig parse_resolv_conf(std::string_view text) {
  cri::DnsConfig config;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find_first_of("#;"));
    std::istringstream words(line);
    std::string key;
    if (!(words >> key)) continue;
    std::vector<std::string> values;
    for (std::string word; words >> word;) values.push_back(word);
    if (key == "nameserver" && !values.empty()) config.servers.push_back(values[0]);
    if (key == "search" || key == "domain") {
      config.searches.clear();
      // "." alone means: no path at all but the root's; it is kept. Elsewhere the last dot says nothing.
      for (std::string& value : values) {
        if (value.size() > 1 && value.ends_with('.')) value.pop_back();
        config.searches.push_back(std::move(value));
      }
    }
    if (key == "options") append_unique(config.options, values);
  }
  return config;
}

HostNames host_names(const Pod& pod, const std::string& cluster_domain) {
  HostNames names;
  names.host_name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
  if (names.host_name.size() > kMaxHostName) {
    names.host_name.resize(kMaxHostName);
    while (!names.host_name.empty() && (names.host_name.back() == '-' || names.host_name.back() == '.')) {
      names.host_name.pop_back();
    }
  }
  if (!pod.spec.subdomain.empty()) {
    names.domain = fmt::format("{}.{}.svc.{}", pod.spec.subdomain, pod.metadata.namespace_, cluster_domain);
  }
  return names;
}

cri::DnsConfig pod_dns(const Pod& pod, const NodeContext& node, std::vector<DnsWarning>* warnings) {
  const auto warn = [&](std::string_view reason, std::string message) {
    if (warnings != nullptr) warnings->push_back({std::string(reason), std::move(message)});
  };
  std::string policy = pod.spec.dns_policy.empty() ? "ClusterFirst" : pod.spec.dns_policy;
  if (policy == "ClusterFirst" && host_network(pod)) policy = "Default";
  if (policy == "ClusterFirstWithHostNet") policy = "ClusterFirst";
  if (policy == "ClusterFirst" && node.cluster_dns.empty()) {
    warn("MissingClusterDNS",
         fmt::format("pod: \"{}_{}({})\". kubelet does not have ClusterDNS IP configured and cannot create Pod using "
                     "\"ClusterFirst\" policy. Falling back to \"Default\" policy.",
                     pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid));
    policy = "Default";
  }
  cri::DnsConfig dns;
  if (policy == "ClusterFirst") {
    dns.servers = node.cluster_dns;
    if (!node.cluster_domain.empty()) {
      dns.searches = {fmt::format("{}.svc.{}", pod.metadata.namespace_, node.cluster_domain),
                      "svc." + node.cluster_domain, node.cluster_domain};
    }
    append_unique(dns.searches, node.host_dns.searches);
    dns.options = {"ndots:5"};
  } else if (policy == "Default") {
    dns = node.host_dns;
  }
  if (pod.spec.dns_config) {
    const auto& config = *pod.spec.dns_config;
    append_unique(dns.servers, config.nameservers);
    append_unique(dns.searches, config.searches);
    std::vector<std::string> options;
    for (const auto& option : config.options) {
      std::erase_if(dns.options,
                    [&](const std::string& existing) { return existing.substr(0, existing.find(':')) == option.name; });
      options.push_back(option.value && !option.value->empty() ? option.name + ":" + *option.value : option.name);
    }
    append_unique(dns.options, options);
  }
  if (dns.servers.size() > kMaxDnsServers) {
    dns.servers.resize(kMaxDnsServers);
    warn("DNSConfigForming",
         fmt::format("Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line "
                     "is: {}",
                     fmt::join(dns.servers, " ")));
  }
  if (fit_searches(dns.searches)) {
    warn("DNSConfigForming",
         fmt::format("Search Line limits were exceeded, some search paths have been omitted, the applied search line "
                     "is: {}",
                     fmt::join(dns.searches, " ")));
  }
  return dns;
}

Status check_host_name(const Pod& pod, const std::string& cluster_domain) {
  const HostNames names = host_names(pod, cluster_domain);
  if (host_network(pod) || !pod.spec.set_hostname_as_fqdn.value_or(false) || names.domain.empty()) return {};
  const std::string full = names.host_name + "." + names.domain;
  if (full.size() <= kMaxFullHostName) return {};
  return Status::bad_request(fmt::format(
      "failed to construct FQDN from pod hostname and cluster domain, FQDN {} is too long ({} characters is "
      "the max, {} characters requested)",
      full, kMaxFullHostName, full.size()));
}

std::string hosts_file(const Pod& pod, const std::vector<std::string>& pod_ips, const HostNames& names,
                       std::string_view host_file) {
  std::string text;
  if (host_network(pod)) {
    text = fmt::format("# Kubernetes-managed hosts file (host network).\n{}", host_file);
  } else {
    text =
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n";
    for (const std::string& ip : pod_ips) {
      if (names.domain.empty()) {
        text += fmt::format("{}\t{}\n", ip, names.host_name);
      } else {
        text += fmt::format("{}\t{}.{}\t{}\n", ip, names.host_name, names.domain, names.host_name);
      }
    }
  }
  if (!pod.spec.host_aliases.empty()) {
    text += "\n# Entries added by HostAliases.\n";
    for (const auto& alias : pod.spec.host_aliases) {
      text += fmt::format("{}\t{}\n", alias.ip, fmt::join(alias.hostnames, "\t"));
    }
  }
  return text;
}

cri::SandboxConfig make_sandbox_config(const Pod& pod, uint32_t attempt, const NodeContext& node) {
  cri::SandboxConfig config;
  const auto& metadata = pod.metadata;
  config.metadata = {metadata.name, metadata.uid, metadata.namespace_, attempt};
  HostNames names = host_names(pod, node.cluster_domain);
  // On the host's network the pod has the host's name space too, whose name is not for the runtime to set.
  if (host_network(pod)) {
    config.hostname.clear();
  } else if (pod.spec.set_hostname_as_fqdn.value_or(false) && !names.domain.empty()) {
    config.hostname = names.host_name + "." + names.domain;
  } else {
    config.hostname = names.host_name;
  }
  config.log_directory = pod_log_directory(node.pod_logs_dir, metadata.namespace_, metadata.name, metadata.uid);
  config.dns = pod_dns(pod, node);
  if (!host_network(pod)) {
    for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
      for (const Container& container : *list) {
        if (list == &pod.spec.init_containers && !is_restartable_init(container)) continue;
        for (const auto& port : container.ports) {
          config.ports.push_back(
              {port.protocol.empty() ? "TCP" : port.protocol, port.container_port, port.host_port, port.host_ip});
        }
      }
    }
  }
  for (const auto& [key, value] : metadata.labels) config.labels[key] = value;
  config.labels[std::string(labels::kPodName)] = metadata.name;
  config.labels[std::string(labels::kPodNamespace)] = metadata.namespace_;
  config.labels[std::string(labels::kPodUid)] = metadata.uid;
  for (const auto& [key, value] : metadata.annotations) config.annotations[key] = value;
  config.annotations.try_emplace(std::string(labels::kConfigSource), "api");
  config.cgroup_parent = node.cgroup_parent;
  config.security.namespaces = namespaces(pod);
  config.security.privileged = any_privileged(pod);
  if (pod.spec.security_context) {
    const auto& context = *pod.spec.security_context;
    config.security.run_as_user = context.run_as_user;
    config.security.run_as_group = context.run_as_group;
    config.security.supplemental_groups = context.supplemental_groups;
    if (context.fs_group) config.security.supplemental_groups.push_back(*context.fs_group);
    for (const auto& sysctl : context.sysctls) config.sysctls[sysctl.name] = sysctl.value;
    if (context.seccomp_profile) config.security.seccomp = seccomp(*context.seccomp_profile, node.seccomp_root);
  }
  return config;
}

std::string container_hash(const Container& container) {
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  auto mix = [&](std::string_view text) {
    for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
    hash = (hash ^ 0xff) * 1099511628211ULL;
  };
  mix(container.name);
  mix(container.image);
  return fmt::format("{:x}", hash);
}

Result<cri::ContainerConfig> make_container_config(const ContainerInputs& inputs, const NodeContext& node) {
  const Pod& pod = inputs.pod;
  const Container& container = inputs.container;
  cri::ContainerConfig config;
  config.name = container.name;
  config.attempt = inputs.attempt;
  config.image = inputs.image_ref;
  config.user_specified_image = container.image;
  std::map<std::string, std::string> variables;
  for (const cri::EnvVar& variable : inputs.environment) variables[variable.name] = variable.value;
  for (const std::string& word : container.command) config.command.push_back(expand(word, variables));
  for (const std::string& word : container.args) config.args.push_back(expand(word, variables));
  config.working_dir = container.working_dir;
  config.envs = inputs.environment;
  config.mounts = inputs.mounts;
  config.log_path = fmt::format("{}/{}.log", container.name, inputs.attempt);
  config.stdin_open = container.stdin;
  config.stdin_once = container.stdin_once;
  config.tty = container.tty;
  config.labels = {{std::string(labels::kPodName), pod.metadata.name},
                   {std::string(labels::kPodNamespace), pod.metadata.namespace_},
                   {std::string(labels::kPodUid), pod.metadata.uid},
                   {std::string(labels::kContainerName), container.name}};
  config.annotations = {
      {std::string(labels::kHash), container_hash(container)},
      {std::string(labels::kRestartCount), fmt::to_string(inputs.attempt)},
      {std::string(labels::kTerminationMessagePath), container.termination_message_path},
      {std::string(labels::kTerminationMessagePolicy), container.termination_message_policy},
  };
  if (pod.spec.termination_grace_period_seconds) {
    config.annotations[std::string(labels::kPodTerminationGrace)] =
        fmt::to_string(*pod.spec.termination_grace_period_seconds);
  }
  if (container.lifecycle && container.lifecycle->pre_stop) {
    // An orphan is stopped without its pod: its hook is read from here.
    config.annotations[std::string(labels::kPreStopHandler)] = api::encode_json(*container.lifecycle->pre_stop);
  }
  if (!container.ports.empty()) {
    std::string ports;
    for (const auto& port : container.ports) {
      if (!ports.empty()) ports += ',';
      std::string name = port.name.empty() ? "" : fmt::format("\"name\":{},", in_quotes(port.name));
      std::string host = port.host_port == 0 ? "" : fmt::format("\"hostPort\":{},", port.host_port);
      ports += fmt::format("{{{}{}\"containerPort\":{},\"protocol\":{}}}", name, host, port.container_port,
                           in_quotes(port.protocol));
    }
    config.annotations[std::string(labels::kContainerPorts)] = "[" + ports + "]";
  }
  config.resources = container_resources(pod, container, node.memory_capacity, node.cgroup_v2);
  TRY_ASSIGN(config.security, container_security(inputs, node));
  return config;
}

}  // namespace trireme::kubelet
