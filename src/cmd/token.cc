#include <fmt/format.h>

#include <memory>

#include "api/types/corev1.h"
#include "base/flags.h"
#include "client/client.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/commands.h"
#include "join/bootstrap_token.h"
#include "join/cluster_info.h"
#include "linux/file.h"
#include "net/x509.h"

namespace trireme::cmd {
namespace {

using api::corev1::Secret;

constexpr std::string_view kUsage =
    "Bootstrap tokens, by which machines join the cluster.\n\n"
    "Usage:\n"
    "  trireme token create [TOKEN] [--ttl 24h] [--description TEXT] [--print-join-command]\n"
    "  trireme token list\n"
    "  trireme token delete ID...\n"
    "  trireme token generate\n\n";

struct TokenOptions {
  std::string kubeconfig;
  std::string data_dir = ClusterOptions().data_dir;
  join::TokenSettings settings;
  bool print_join_command = false;
  bool help = false;
};

/// As --kubeconfig says; else as the administrator of this machine's own cluster; else as kubectl would.
Result<client::Client> connect(const TokenOptions& options) {
  std::string file = options.kubeconfig;
  const std::string own = options.data_dir + "/admin.kubeconfig";
  if (file.empty() && linux::exists(own)) file = own;
  TRY_ASSIGN(auto raw, connect_by_kubeconfig(file, "trireme-token"));
  return client::Client(std::move(raw));
}

Status create(const TokenOptions& options, const std::vector<std::string>& arguments) {
  join::BootstrapToken token = join::BootstrapToken::generate();
  if (!arguments.empty()) {
    TRY_ASSIGN(token, join::BootstrapToken::parse(arguments.front()));
  }
  TRY_ASSIGN(client::Client client, connect(options));
  join::ClusterAddress cluster;
  if (options.print_join_command) {
    auto map = client.get<api::corev1::ConfigMap>(join::kPublicNamespace, join::kClusterInfo);
    if (map.status().is(Reason::kNotFound)) {
      return Status::not_found("this cluster lets no machine join: `trireme server` runs one that does");
    }
    TRY(map.status());
    TRY_ASSIGN(cluster, join::read_cluster_info(*map));
  }
  TRY_ASSIGN(const Secret secret, join::token_secret(token, options.settings, real_clock()->now()));
  const Status created = client.create(secret).status();
  if (created.is(Reason::kAlreadyExists)) {
    return Status(Reason::kAlreadyExists, fmt::format("there is a token with the id {} already", token.id));
  }
  TRY(created);
  if (!options.print_join_command) {
    fmt::print("{}\n", token.text());
    return {};
  }
  TRY_ASSIGN(const std::string hash, net::public_key_fingerprint(cluster.ca_pem));
  fmt::print("{}\n", join::join_command(cluster.server, token, hash));
  return {};
}

Status list(const TokenOptions& options) {
  TRY_ASSIGN(client::Client client, connect(options));
  client::ListOptions tokens;
  tokens.field_selector = "type=bootstrap.kubernetes.io/token";
  TRY_ASSIGN(const auto found, (client.list<Secret, api::corev1::SecretList>(join::kSystemNamespace, tokens)));
  fmt::print("{}", join::token_table({found.items.begin(), found.items.end()}, real_clock()->now()));
  return {};
}

Status remove(const TokenOptions& options, const std::vector<std::string>& ids) {
  if (ids.empty()) return Status::bad_request("which token? `trireme token list` shows their ids");
  TRY_ASSIGN(client::Client client, connect(options));
  for (const std::string& given : ids) {
    const std::string id = given.substr(0, given.find('.'));
    TRY(client.remove<Secret>(join::kSystemNamespace, std::string(join::kTokenSecretPrefix) + id));
    fmt::print("bootstrap token \"{}\" deleted\n", id);
  }
  return {};
}

Status run(const std::vector<std::string>& words) {
  TokenOptions options;
  FlagSet flags("trireme token create|list|delete|generate [flags]");
  flags.add("kubeconfig", &options.kubeconfig,
            "how to reach the API server, and as whom (default: admin.kubeconfig in the "
            "data folder, else kubectl's)");
  flags.add("data-dir", &options.data_dir, "folder of a cluster of this machine");
  flags.add("ttl", &options.settings.ttl, "time until the token ends; 0: never");
  flags.add("description", &options.settings.description, "what the token is for");
  std::vector<std::string> usages;
  std::vector<std::string> groups;
  flags.add("usages", &usages, "what the token may be used for (default: signing,authentication)");
  flags.add("groups", &groups, "groups of who uses it (default: the one that may join nodes)");
  flags.add("print-join-command", &options.print_join_command, "print the whole command that joins a machine");
  flags.add("help", &options.help, "print this text");
  TRY_ASSIGN(std::vector<std::string> arguments, flags.parse(words));
  if (options.help || arguments.empty()) {
    fmt::print("{}{}", kUsage, flags.help());
    return options.help ? Status() : Status::bad_request("token: create, list, delete or generate?");
  }
  if (!usages.empty()) options.settings.usages = std::move(usages);
  if (!groups.empty()) options.settings.groups = std::move(groups);
  const std::string verb = arguments.front();
  arguments.erase(arguments.begin());
  if (verb == "create" && arguments.size() <= 1) return create(options, arguments);
  if (verb == "list" && arguments.empty()) return list(options);
  if (verb == "delete") return remove(options, arguments);
  if (verb == "generate" && arguments.empty()) {
    fmt::print("{}\n", join::BootstrapToken::generate().text());
    return {};
  }
  return Status::bad_request(fmt::format("token {}: unknown, or too many arguments; --help tells more", verb));
}

}  // namespace

int token(const std::vector<std::string>& words) {
  const Status status = run(words);
  if (status.ok()) return 0;
  fmt::print(stderr, "trireme: {}\n", status.message());
  return 1;
}

}  // namespace trireme::cmd
