#include "client/kubeconfig.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "net/server.h"

namespace trireme::client {
namespace {

class KubeconfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "kubeconfig.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::ofstream(path) << text;
    return path;
  }
  std::filesystem::path folder_;
};

constexpr const char* kConfig = R"(apiVersion: v1
kind: Config
clusters:
- name: home
  cluster:
    server: https://10.0.0.1:6443/
    certificate-authority: ca.pem
    tls-server-name: kubernetes
- name: open
  cluster:
    server: https://10.0.0.2:6443
    insecure-skip-tls-verify: true
users:
- name: me
  user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
- name: robot
  user:
    token: one
    tokenFile: token
    as: somebody
    as-groups: [a, b]
- name: odd
  user:
    exec: {command: x}
contexts:
- name: mine
  context: {cluster: home, user: me, namespace: work}
- name: robots
  context: {cluster: open, user: robot}
- name: odd
  context: {cluster: open, user: odd}
- name: lost
  context: {cluster: nowhere, user: me}
current-context: mine
)";

TEST_F(KubeconfigTest, ReadsInlineDataAndFilesBesideIt) {
  write("ca.pem", "CA");
  write("token", "two\n");
  const auto config = load_kubeconfig({write("config", kConfig)});
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  const auto mine = client_config(*config);
  ASSERT_TRUE(mine.ok()) << mine.status().to_string();
  EXPECT_EQ(mine->transport.base_url, "https://10.0.0.1:6443");
  EXPECT_EQ(mine->transport.tls.ca_pem, "CA");
  EXPECT_EQ(mine->transport.tls.server_name, "kubernetes");
  EXPECT_EQ(mine->transport.tls.certificate_pem, "cert");
  EXPECT_EQ(mine->transport.tls.key_pem, "key");
  EXPECT_EQ(mine->ns, "work");

  const auto robots = client_config(*config, "robots");
  ASSERT_TRUE(robots.ok());
  EXPECT_TRUE(robots->transport.tls.insecure_skip_verify);
  EXPECT_EQ(robots->ns, "default");
  EXPECT_EQ(robots->headers.get("Authorization"), "");
  EXPECT_EQ(robots->token_file, (folder_ / "token").string());
  EXPECT_EQ(robots->headers.get("Impersonate-User"), "somebody");
  EXPECT_EQ(robots->headers.all("Impersonate-Group").size(), 2u);

  EXPECT_EQ(client_config(*config, "odd").status().reason(), Reason::kBadRequest);
  EXPECT_EQ(client_config(*config, "lost").status().reason(), Reason::kNotFound);
  EXPECT_EQ(client_config(*config, "none").status().reason(), Reason::kNotFound);
}

TEST_F(KubeconfigTest, EarlierFilesWin) {
  const std::string first =
      write("first", R"({"current-context":"a","contexts":[{"name":"a","context":{"cluster":"c"}}]})");
  const std::string second = write("second", R"({"current-context":"b",
    "contexts":[{"name":"a","context":{"cluster":"d"}},{"name":"b","context":{"cluster":"d"}}],
    "clusters":[{"name":"c","cluster":{"server":"http://c"}}]})");
  const auto config = load_kubeconfig({first, folder_ / "missing", second});
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_EQ(config->current_context, "a");
  EXPECT_EQ(config->contexts.at("a").cluster, "c");
  EXPECT_EQ(config->contexts.size(), 2u);
  EXPECT_EQ(client_config(*config)->transport.base_url, "http://c");
}

TEST_F(KubeconfigTest, SaysWhatIsWrong) {
  EXPECT_FALSE(parse_kubeconfig("- a list", "").ok());
  EXPECT_FALSE(parse_kubeconfig("clusters: 5", "").ok());
  EXPECT_FALSE(parse_kubeconfig("users: [{name: x, user: {client-key-data: '***'}}]", "").ok());
  const auto missing = parse_kubeconfig("clusters: [{name: x, cluster: {certificate-authority: gone.pem}}]", folder_);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.status().message().find("gone.pem"), std::string::npos);
  EXPECT_TRUE(parse_kubeconfig("", "").ok());
}

TEST_F(KubeconfigTest, WhatIsWrittenReadsBack) {
  KubeconfigCluster cluster{"https://127.0.0.1:6443", "CA\nPEM\n", "", false};
  KubeconfigUser user;
  user.certificate_pem = "certificate";
  user.key_pem = std::string("binary\0key", 10);
  const auto config = parse_kubeconfig(kubeconfig_text("trireme", "admin", cluster, user), "");
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_EQ(config->current_context, "admin@trireme");
  const auto options = client_config(*config);
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->transport.base_url, cluster.server);
  EXPECT_EQ(options->transport.tls.ca_pem, cluster.ca_pem);
  EXPECT_EQ(options->transport.tls.key_pem, user.key_pem);
}

/// Answers with what proves who asks.
class Mirror final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    exchange->respond(200, {}, std::string(exchange->request().headers.get("Authorization")));
  }
};

TEST_F(KubeconfigTest, ATokenIsReadAgainWhenItsFileHasChanged) {
  Mirror mirror;
  auto server = net::Server::start({.address = "127.0.0.1", .port = 0}, mirror);
  ASSERT_TRUE(server.ok()) << server.status().to_string();
  ClientConfig config;
  config.transport.base_url = "http://127.0.0.1:" + std::to_string((*server)->port());
  config.token_file = write("token", "first\n");
  auto transport = connect(std::move(config));
  ASSERT_TRUE(transport.ok());
  const auto seen = [&] {
    net::Request request;
    request.target = "/";
    return (*transport)->round_trip(request)->body;
  };
  EXPECT_EQ(seen(), "Bearer first");
  // As a kubelet replaces it.
  std::filesystem::rename(write("next", "second"), folder_ / "token");
  EXPECT_EQ(seen(), "Bearer second");
  std::filesystem::remove(folder_ / "token");
  EXPECT_EQ(seen(), "Bearer second");
}

TEST_F(KubeconfigTest, APodsProcessIsItsServiceAccount) {
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_TRUE(in_cluster_config(folder_).status().is(Reason::kNotFound));
  ::setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  EXPECT_FALSE(in_cluster_config(folder_).ok()) << "without a token";
  write("token", "t");
  write("ca.crt", "CA");
  auto config = in_cluster_config(folder_);
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_EQ(config->transport.base_url, "https://10.96.0.1:443");
  EXPECT_EQ(config->transport.tls.ca_pem, "CA");
  EXPECT_EQ(config->token_file, (folder_ / "token").string());
  EXPECT_EQ(config->ns, "default");
  write("namespace", "kube-flannel");
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  config = in_cluster_config(folder_);
  EXPECT_EQ(config->transport.base_url, "https://[fd00::1]:443");
  EXPECT_EQ(config->ns, "kube-flannel");
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  ::unsetenv("KUBERNETES_SERVICE_PORT");
}

}  // namespace
}  // namespace trireme::client
