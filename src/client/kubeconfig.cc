#include "client/kubeconfig.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>

#include "api/value.h"
#include "api/yaml.h"
#include "base/text.h"

namespace trireme::client {
namespace {

constexpr size_t kMaxFile = size_t{4} << 20;

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return out;
}

Result<std::string> unbase64(std::string_view text) {
  std::string compact;
  for (const char c : text) {
    if (c != '\n' && c != '\r' && c != ' ') compact += c;
  }
  std::string out(compact.size() / 4 * 3, '\0');
  const int length = compact.size() % 4 != 0 ? -1
                                             : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                               reinterpret_cast<const unsigned char*>(compact.data()),
                                                               static_cast<int>(compact.size()));
  if (length < 0) return Status::bad_request("not valid base64");
  size_t padding = 0;
  while (padding < 2 && padding < compact.size() && compact[compact.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<size_t>(length) - padding);
  return out;
}

Result<std::string> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return Status::not_found(fmt::format("cannot read {}: {}", path.string(), error.message()));
  if (size > kMaxFile) return Status::bad_request(fmt::format("{} is too large", path.string()));
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return Status::bad_request("cannot read " + path.string());
  return text;
}

std::string text_of(const api::Value& object, std::string_view key) {
  const api::Value* found = object.find(key);
  return found ? std::string(found->string_or_empty()) : std::string();
}

bool flag_of(const api::Value& object, std::string_view key) {
  const api::Value* found = object.find(key);
  return found && found->is_bool() && found->as_bool();
}

/// `<key>-data` inline, or the file that `<key>` names. Data wins, as upstream decides.
Result<std::string> data_or_file(const api::Value& object, const std::string& key, const std::string& folder) {
  if (const std::string data = text_of(object, key + "-data"); !data.empty()) {
    Result<std::string> decoded = unbase64(data);
    return decoded.ok() ? std::move(decoded) : decoded.status().with_context(key + "-data");
  }
  const std::string file = text_of(object, key);
  if (file.empty()) return std::string();
  Result<std::string> text = read_file(std::filesystem::path(folder) / file);
  return text.ok() ? std::move(text) : Result<std::string>(Reason::kBadRequest, key + ": " + text.status().message());
}

/// Calls `each(name, body)` for the entries of a list such as `clusters: [{name, cluster: {…}}]`.
template <typename Each>
Status each_named(const api::Value& config, std::string_view list, std::string_view body_key, const Each& each) {
  const api::Value* entries = config.find(list);
  if (!entries || entries->is_null()) return {};
  if (!entries->is_array()) return Status::bad_request(fmt::format("{} is not a list", list));
  for (const api::Value& entry : entries->as_array()) {
    const std::string name = text_of(entry, "name");
    const api::Value* body = entry.find(body_key);
    static const api::Value empty = api::Value::object();
    if (Status status = each(name, body ? *body : empty); !status.ok()) {
      return status.with_context(fmt::format("{} \"{}\"", body_key, name));
    }
  }
  return {};
}

/// A token that its file's owner replaces now and then (a service account's lives for an hour).
class TokenFile {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}

  /// What the file holds. When it cannot be read any more, what it held last; NotFound when it never could.
  Result<std::string> token() {
    struct stat now {};
    const bool there = ::stat(path_.c_str(), &now) == 0;
    const std::lock_guard lock(mutex_);
    const bool same = there && now.st_ino == seen_.st_ino && now.st_mtim.tv_sec == seen_.st_mtim.tv_sec &&
                      now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec;
    if (same) return token_;
    auto text = read_file(path_);
    if (text.ok()) {
      token_ = trimmed(*text);
      seen_ = now;
    }
    return token_.empty() && !text.ok() ? Result<std::string>(text.status()) : token_;
  }

 private:
  const std::string path_;
  std::mutex mutex_;
  struct stat seen_ {};
  std::string token_;
};

/// Adds the configuration's headers to every request.
class HeaderTransport final : public net::Transport {
 public:
  HeaderTransport(std::unique_ptr<net::Transport> inner, net::Headers headers, const std::string& token_file)
      : inner_(std::move(inner)), headers_(std::move(headers)) {
    if (!token_file.empty()) token_.emplace(token_file);
  }
  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop) override {
    TRY_ASSIGN(const net::Request with, with_headers(request));
    return inner_->round_trip(with, stop);
  }
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop) override {
    TRY_ASSIGN(const net::Request with, with_headers(request));
    return inner_->open(with, stop);
  }

 private:
  Result<net::Request> with_headers(net::Request request) {
    for (const auto& [name, value] : headers_) request.headers.add(name, value);
    if (token_) {
      TRY_ASSIGN(const std::string token, token_->token());
      request.headers.add("Authorization", "Bearer " + token);
    }
    return request;
  }
  std::unique_ptr<net::Transport> inner_;
  net::Headers headers_;
  std::optional<TokenFile> token_;
};

std::string yaml_string(std::string_view text) {
  std::string out;
  api::append_json_string(text, out);
  return out;
}

}  // namespace

std::vector<std::string> kubeconfig_paths() {
  std::vector<std::string> out;
  if (const char* list = std::getenv("KUBECONFIG"); list && *list) {
    std::string_view rest = list;
    while (!rest.empty()) {
      const size_t colon = std::min(rest.find(':'), rest.size());
      if (colon > 0) out.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    return out;
  }
  if (const char* home = std::getenv("HOME"); home && *home) out.push_back(std::string(home) + "/.kube/config");
  return out;
}

Result<Kubeconfig> parse_kubeconfig(std::string_view yaml, const std::string& folder) {
  TRY_ASSIGN(const api::Value config, api::parse_yaml(yaml));
  if (config.is_null()) return Kubeconfig{};
  if (!config.is_object()) return Status::bad_request("a kubeconfig must be a mapping");
  Kubeconfig out;
  out.current_context = text_of(config, "current-context");
  TRY(each_named(config, "clusters", "cluster", [&](const std::string& name, const api::Value& body) -> Status {
    KubeconfigCluster cluster;
    cluster.server = text_of(body, "server");
    cluster.tls_server_name = text_of(body, "tls-server-name");
    cluster.insecure_skip_tls_verify = flag_of(body, "insecure-skip-tls-verify");
    TRY_ASSIGN(cluster.ca_pem, data_or_file(body, "certificate-authority", folder));
    out.clusters.emplace(name, std::move(cluster));
    return {};
  }));
  TRY(each_named(config, "users", "user", [&](const std::string& name, const api::Value& body) -> Status {
    KubeconfigUser user;
    TRY_ASSIGN(user.certificate_pem, data_or_file(body, "client-certificate", folder));
    TRY_ASSIGN(user.key_pem, data_or_file(body, "client-key", folder));
    user.token = text_of(body, "token");
    if (const std::string file = text_of(body, "tokenFile"); !file.empty()) {
      user.token_file = (std::filesystem::path(folder) / file).string();
    }
    user.username = text_of(body, "username");
    user.password = text_of(body, "password");
    user.impersonate = text_of(body, "as");
    if (const api::Value* groups = body.find("as-groups"); groups && groups->is_array()) {
      for (const api::Value& group : groups->as_array()) user.impersonate_groups.emplace_back(group.string_or_empty());
    }
    for (const char* method : {"exec", "auth-provider"}) {
      if (const api::Value* found = body.find(method); found && !found->is_null()) user.unsupported = method;
    }
    out.users.emplace(name, std::move(user));
    return {};
  }));
  TRY(each_named(config, "contexts", "context", [&](const std::string& name, const api::Value& body) -> Status {
    out.contexts.emplace(
        name, KubeconfigContext{text_of(body, "cluster"), text_of(body, "user"), text_of(body, "namespace")});
    return {};
  }));
  return out;
}

Result<Kubeconfig> load_kubeconfig(const std::vector<std::string>& paths) {
  Kubeconfig merged;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    TRY_ASSIGN(const std::string text, read_file(path));
    Result<Kubeconfig> parsed = parse_kubeconfig(text, std::filesystem::path(path).parent_path().string());
    if (!parsed.ok()) return parsed.status().with_context(path);
    merged.clusters.merge(parsed->clusters);
    merged.users.merge(parsed->users);
    merged.contexts.merge(parsed->contexts);
    if (merged.current_context.empty()) merged.current_context = parsed->current_context;
  }
  return merged;
}

Result<ClientConfig> client_config(const Kubeconfig& config, const std::string& context) {
  const std::string& chosen = context.empty() ? config.current_context : context;
  if (chosen.empty()) return Status::not_found("no context is chosen: the kubeconfig has no current-context");
  const auto found = config.contexts.find(chosen);
  if (found == config.contexts.end()) return Status::not_found(fmt::format("context \"{}\" does not exist", chosen));
  const auto cluster = config.clusters.find(found->second.cluster);
  if (cluster == config.clusters.end() || cluster->second.server.empty()) {
    return Status::not_found(
        fmt::format("cluster \"{}\" of context \"{}\" does not exist or has no server", found->second.cluster, chosen));
  }
  ClientConfig out;
  out.ns = found->second.ns.empty() ? "default" : found->second.ns;
  out.transport.base_url = cluster->second.server;
  while (out.transport.base_url.ends_with('/')) out.transport.base_url.pop_back();
  if (out.transport.base_url.find("://") == std::string::npos) out.transport.base_url.insert(0, "http://");
  out.transport.tls.ca_pem = cluster->second.ca_pem;
  out.transport.tls.server_name = cluster->second.tls_server_name;
  out.transport.tls.insecure_skip_verify = cluster->second.insecure_skip_tls_verify;
  if (found->second.user.empty()) return out;
  const auto entry = config.users.find(found->second.user);
  if (entry == config.users.end()) {
    return Status::not_found(fmt::format("user \"{}\" of context \"{}\" does not exist", found->second.user, chosen));
  }
  const KubeconfigUser& user = entry->second;
  out.transport.tls.certificate_pem = user.certificate_pem;
  out.transport.tls.key_pem = user.key_pem;
  if (!user.token_file.empty()) {
    TRY(read_file(user.token_file).status());
    out.token_file = user.token_file;
  } else if (!user.token.empty()) {
    out.headers.add("Authorization", "Bearer " + user.token);
  } else if (!user.username.empty()) {
    out.headers.add("Authorization", "Basic " + base64(user.username + ":" + user.password));
  } else if (!user.unsupported.empty() && user.certificate_pem.empty()) {
    return Status::bad_request(
        fmt::format("user \"{}\" authenticates by {}, which is not supported", found->second.user, user.unsupported));
  }
  if (!user.impersonate.empty()) out.headers.add("Impersonate-User", user.impersonate);
  for (const std::string& group : user.impersonate_groups) out.headers.add("Impersonate-Group", group);
  return out;
}

Result<ClientConfig> in_cluster_config(const std::string& folder) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr || *host == '\0' || *port == '\0') {
    return Status::not_found(
        "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined");
  }
  ClientConfig out;
  const bool ipv6 = std::string_view(host).find(':') != std::string_view::npos;
  out.transport.base_url = ipv6 ? fmt::format("https://[{}]:{}", host, port) : fmt::format("https://{}:{}", host, port);
  out.token_file = folder + "/token";
  TRY(read_file(out.token_file).status());
  TRY_ASSIGN(out.transport.tls.ca_pem, read_file(folder + "/ca.crt"));
  const auto ns = read_file(folder + "/namespace");
  out.ns = ns.ok() && !trimmed(*ns).empty() ? std::string(trimmed(*ns)) : "default";
  return out;
}

Result<ClientConfig> default_client_config() {
  TRY_ASSIGN(const Kubeconfig kubeconfig, load_kubeconfig(kubeconfig_paths()));
  if (!kubeconfig.current_context.empty()) return client_config(kubeconfig);
  if (std::getenv("KUBERNETES_SERVICE_HOST") != nullptr) return in_cluster_config();
  if (!kubeconfig.clusters.empty()) return client_config(kubeconfig);
  return Status::not_found(
      "there is no kubeconfig: none was given, and none is found by $KUBECONFIG, in ~/.kube/config or "
      "in a pod's service account");
}

Result<std::shared_ptr<net::Transport>> connect(ClientConfig config) {
  TRY_ASSIGN(std::unique_ptr<net::Transport> transport, net::http_transport(std::move(config.transport)));
  if (config.headers.size() == 0 && config.token_file.empty()) {
    return std::shared_ptr<net::Transport>(std::move(transport));
  }
  return std::shared_ptr<net::Transport>(
      std::make_shared<HeaderTransport>(std::move(transport), std::move(config.headers), config.token_file));
}

std::string kubeconfig_text(const std::string& cluster_name, const std::string& user_name,
                            const KubeconfigCluster& cluster, const KubeconfigUser& user) {
  std::string out = "apiVersion: v1\nkind: Config\n";
  out += fmt::format("clusters:\n- name: {}\n  cluster:\n    server: {}\n", yaml_string(cluster_name),
                     yaml_string(cluster.server));
  if (!cluster.ca_pem.empty()) out += fmt::format("    certificate-authority-data: {}\n", base64(cluster.ca_pem));
  if (!cluster.tls_server_name.empty())
    out += fmt::format("    tls-server-name: {}\n", yaml_string(cluster.tls_server_name));
  if (cluster.insecure_skip_tls_verify) out += "    insecure-skip-tls-verify: true\n";
  out += fmt::format("users:\n- name: {}\n  user:\n", yaml_string(user_name));
  if (!user.certificate_pem.empty())
    out += fmt::format("    client-certificate-data: {}\n", base64(user.certificate_pem));
  if (!user.key_pem.empty()) out += fmt::format("    client-key-data: {}\n", base64(user.key_pem));
  if (!user.token.empty()) out += fmt::format("    token: {}\n", yaml_string(user.token));
  if (user.certificate_pem.empty() && user.key_pem.empty() && user.token.empty()) out += "    {}\n";
  const std::string context = yaml_string(user_name + "@" + cluster_name);
  out += fmt::format("contexts:\n- name: {0}\n  context:\n    cluster: {1}\n    user: {2}\ncurrent-context: {0}\n",
                     context, yaml_string(cluster_name), yaml_string(user_name));
  return out;
}

}  // namespace trireme::client
