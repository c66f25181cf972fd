#include "kubecfg/options.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

#include "api/value.h"
#include "base/base64.h"
#include "client/kubeconfig.h"

namespace trireme::kubecfg {
namespace {

using api::Value;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Status write_private_file(const std::string& path, std::string_view text) {
  // A file that exists already is made private before anything is written to it.
  int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  bool written = descriptor >= 0 && ::fchmod(descriptor, 0600) == 0 && ::ftruncate(descriptor, 0) == 0 &&
                 ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  bool closed = descriptor >= 0 && ::close(descriptor) == 0;
  return written && closed ? Status() : Status::internal("cannot write " + path);
}

struct Credentials {
  std::string user;
  std::string password;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string token;
  bool insecure = false;
};

std::string text_member(const Value& document, std::string_view name) {
  const Value* found = document.find(name);
  return found != nullptr ? std::string(found->string_or_empty()) : std::string();
}

/// The auth file's content; asks a person at a terminal and stores the answer when there is no file.
Result<Credentials> load_credentials(const std::string& path) {
  Credentials credentials;
  if (::access(path.c_str(), F_OK) == 0) {
    TRY_ASSIGN(std::string text, read_file(path));
    auto document = api::parse_value(text);
    if (!document.ok()) return document.status().with_context(path);
    credentials.user = text_member(*document, "User");
    credentials.password = text_member(*document, "Password");
    credentials.ca_file = text_member(*document, "CAFile");
    credentials.certificate_file = text_member(*document, "CertFile");
    credentials.key_file = text_member(*document, "KeyFile");
    credentials.token = text_member(*document, "BearerToken");
    const Value* insecure = document->find("Insecure");
    credentials.insecure = insecure != nullptr && insecure->is_bool() && insecure->as_bool();
    return credentials;
  }
  if (::isatty(STDIN_FILENO) == 0) return credentials;
  std::cout << "Please enter Username: " << std::flush;
  std::getline(std::cin, credentials.user);
  std::cout << "Please enter Password: " << std::flush;
  std::getline(std::cin, credentials.password);
  Value document = Value::object();
  document["User"] = credentials.user;
  document["Password"] = credentials.password;
  TRY(write_private_file(path, api::to_json(document)));
  return credentials;
}

/// A server given by hand, with the flags' and the auth file's credentials.
Result<client::ClientConfig> explicit_host(const Options& options, std::string host) {
  client::ClientConfig config;
  bool wants_tls = !options.client_certificate.empty() || options.insecure_skip_tls_verify;
  if (host.find("://") == std::string::npos) host = (wants_tls ? "https://" : "http://") + host;
  while (host.ends_with('/')) host.pop_back();
  config.transport.base_url = host;
  config.ns = "default";
  std::string ca = options.certificate_authority;
  std::string certificate = options.client_certificate;
  std::string key = options.client_key;
  config.transport.tls.insecure_skip_verify = options.insecure_skip_tls_verify;
  if (host.starts_with("https://")) {
    TRY_ASSIGN(Credentials credentials, load_credentials(options.auth_file));
    if (!credentials.ca_file.empty()) ca = credentials.ca_file;
    if (!credentials.certificate_file.empty()) certificate = credentials.certificate_file;
    if (!credentials.key_file.empty()) key = credentials.key_file;
    if (credentials.insecure) config.transport.tls.insecure_skip_verify = true;
    if (!credentials.token.empty()) {
      config.headers.set("Authorization", "Bearer " + credentials.token);
    } else if (!credentials.user.empty()) {
      config.headers.set("Authorization", "Basic " + base64_encode(credentials.user + ":" + credentials.password));
    }
  }
  if (!ca.empty()) {
    TRY_ASSIGN(config.transport.tls.ca_pem, read_file(ca));
  }
  if (!certificate.empty()) {
    TRY_ASSIGN(config.transport.tls.certificate_pem, read_file(certificate));
  }
  if (!key.empty()) {
    TRY_ASSIGN(config.transport.tls.key_pem, read_file(key));
  }
  return config;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status::not_found("cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

FlagSet make_flags(Options& options) {
  std::string home = environment("HOME");
  options.auth_file = home + "/.kubernetes_auth";
  options.ns_file = home + "/.kubernetes_ns";
  FlagSet flags("kubecfg [flags] get|list|create|update|delete|print|run|resize|stop|rm|rollingupdate|ns ...");
  flags.stop_at_first_argument();
  flags.add("h", &options.host,
            "the server, as URL or host:port; default: $KUBERNETES_MASTER, else the current kubeconfig");
  flags.add("c", &options.config_file, "file (JSON or YAML), http(s) URL, or - for standard input, with the object");
  flags.add("l", &options.label_selector, "label selector for list");
  flags.add("fields", &options.field_selector, "field selector for list");
  flags.add("p", &options.port_specification, "ports for run: hostPort:containerPort, several with commas");
  flags.add("s", &options.service_port, "for run: also create a service on this port");
  flags.add("u", &options.update_period, "rollingupdate: time between two pods");
  flags.add("image", &options.image, "rollingupdate: new image of the first container");
  flags.add("json", &options.json, "print JSON");
  flags.add("yaml", &options.yaml, "print YAML");
  flags.add("auth", &options.auth_file, "credentials for https given with -h");
  flags.add("ns", &options.ns, "namespace");
  flags.add("ns_file", &options.ns_file, "file with the namespace to use when -ns is absent");
  flags.add("verbose", &options.verbose, "show what is sent");
  flags.add("api_version", &options.api_version, "v1beta1 or v1beta2");
  flags.add("certificate_authority", &options.certificate_authority,
            "file with the authority of the server's certificate");
  flags.add("client_certificate", &options.client_certificate, "file with a client certificate");
  flags.add("client_key", &options.client_key, "file with its key");
  flags.add("insecure_skip_tls_verify", &options.insecure_skip_tls_verify, "do not check the server's certificate");
  flags.add("validate", &options.validate, "refuse objects that the server would not take (the server always checks)");
  flags.add("version", &options.version, "print this program's version");
  flags.add("V", &options.version, "print this program's version");
  flags.add("server_version", &options.server_version, "print the server's version");
  flags.add("help", &options.help, "print this text");
  for (const char* ignored : {"v", "vmodule", "logtostderr", "alsologtostderr", "stderrthreshold", "log_dir"}) {
    flags.add_ignored(ignored);
  }
  return flags;
}

Result<Connection> connect(const Options& options) {
  std::string host = options.host.empty() ? environment("KUBERNETES_MASTER") : options.host;
  client::ClientConfig config;
  if (!host.empty()) {
    TRY_ASSIGN(config, explicit_host(options, host));
  } else {
    TRY_ASSIGN(client::Kubeconfig kubeconfig, client::load_kubeconfig(client::kubeconfig_paths()));
    if (!kubeconfig.current_context.empty()) {
      TRY_ASSIGN(config, client::client_config(kubeconfig));
    } else if (auto in_pod = client::in_cluster_config(); in_pod.ok()) {
      config = std::move(*in_pod);
    } else {
      TRY_ASSIGN(config, explicit_host(options, "http://localhost:8080"));
    }
  }
  Connection connection;
  connection.ns = config.ns;
  if (auto saved = read_file(options.ns_file); saved.ok()) {
    auto document = api::parse_value(*saved);
    if (document.ok() && !text_member(*document, "Namespace").empty())
      connection.ns = text_member(*document, "Namespace");
  }
  if (!options.ns.empty()) connection.ns = options.ns;
  TRY_ASSIGN(connection.transport, client::connect(std::move(config)));
  return connection;
}

Status save_namespace(const Options& options, const std::string& ns) {
  Value document = Value::object();
  document["Namespace"] = ns;
  return write_private_file(options.ns_file, api::to_json(document));
}

}  // namespace trireme::kubecfg
