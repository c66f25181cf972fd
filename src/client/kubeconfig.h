#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/transport.h"

/// kubectl's configuration files.
/// https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
namespace trireme::client {

struct KubeconfigCluster {
  std::string server;
  std::string ca_pem;
  std::string tls_server_name;
  bool insecure_skip_tls_verify = false;
};

struct KubeconfigUser {
  std::string certificate_pem;
  std::string key_pem;
  std::string token;
  std::string token_file;  ///< Wins over `token`.
  std::string username;
  std::string password;
  std::string impersonate;
  std::vector<std::string> impersonate_groups;
  /// A way to prove oneself that is not supported: "exec" or "auth-provider". Using this user fails and names it.
  std::string unsupported;
};

struct KubeconfigContext {
  std::string cluster;
  std::string user;
  std::string ns;
};

/// The merged files. Files named inside are read while loading, relative to the file that names them.
struct Kubeconfig {
  std::map<std::string, KubeconfigCluster> clusters;
  std::map<std::string, KubeconfigUser> users;
  std::map<std::string, KubeconfigContext> contexts;
  std::string current_context;
};

/// What a client needs to reach a server as somebody.
struct ClientConfig {
  net::HttpTransportOptions transport;
  net::Headers headers;  ///< Authorization and impersonation: to be sent with every request.
  /// Holds the bearer token, which others replace before it expires; empty: there is none.
  std::string token_file;
  std::string ns;  ///< The context's namespace; "default" when it names none.
};

/// Where the configuration is looked for: the files of $KUBECONFIG (a list with ':'), else ~/.kube/config.
std::vector<std::string> kubeconfig_paths();

/// Reads and merges: the first file that sets a name or the current context wins. Files that do not exist count as
/// empty. BadRequest when a file is no kubeconfig or a file it names cannot be read.
Result<Kubeconfig> load_kubeconfig(const std::vector<std::string>& paths);
/// One document, `folder` being what relative paths start from.
Result<Kubeconfig> parse_kubeconfig(std::string_view yaml, const std::string& folder);

/// The given context, or the current one when empty. NotFound names what is missing.
Result<ClientConfig> client_config(const Kubeconfig& config, const std::string& context = {});

/// Where a pod finds its service account's token, the server's authority and its namespace.
inline constexpr std::string_view kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";
/// That of a process in a pod: the server named by $KUBERNETES_SERVICE_HOST and $KUBERNETES_SERVICE_PORT, as the pod's
/// service account. NotFound outside of a pod.
/// https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api
Result<ClientConfig> in_cluster_config(const std::string& folder = std::string(kServiceAccountFolder));

/// As kubectl finds its configuration: the current context of `kubeconfig_paths`, else `in_cluster_config`.
Result<ClientConfig> default_client_config();

/// A transport that adds the configuration's headers to each request, and the token that the file holds at that time.
Result<std::shared_ptr<net::Transport>> connect(ClientConfig config);

/// A kubeconfig with one cluster, user and context, everything inline: what `trireme up` writes for its admin.
std::string kubeconfig_text(const std::string& cluster_name, const std::string& user_name,
                            const KubeconfigCluster& cluster, const KubeconfigUser& user);

}  // namespace trireme::client
