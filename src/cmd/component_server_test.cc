#include "cmd/component_server.h"

#include <gtest/gtest.h>

#include "api/value.h"
#include "apiserver/api_server.h"
#include "cmd/configz.h"
#include "net/transport.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::cmd {
namespace {

using std::chrono::seconds;

/// Knows one token, and answers like an API server would; counts what it is asked.
class FakeAuthority final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    auto review = api::parse_value(exchange->request().body).value_or(api::Value::object());
    if (exchange->request().path().ends_with("/tokenreviews")) {
      ++tokens;
      if (review["spec"]["token"].string_or_empty() == "good") {
        review["status"]["authenticated"] = true;
        review["status"]["user"]["username"] = "jane";
        review["status"]["user"]["groups"] = api::Value::Array{api::Value("watchers")};
      }
    } else if (!exchange->request().path().ends_with("/subjectaccessreviews")) {
      return exchange->respond(404, {}, "");
    } else {
      ++rights;
      const auto path = review["spec"]["nonResourceAttributes"]["path"].string_or_empty();
      const bool jane = review["spec"]["user"].string_or_empty() == "jane";
      review["status"]["allowed"] = may_all || (jane && path == "/metrics");
    }
    if (broken) return exchange->respond(503, {}, "");
    exchange->respond(201, {{"Content-Type", "application/json"}}, api::to_json(review));
  }
  std::atomic<int> tokens = 0, rights = 0;
  std::atomic<bool> may_all = false, broken = false;
};

class ComponentServerTest : public ::testing::Test {
 protected:
  ComponentServerTest() {
    const auto raw = std::make_shared<client::RawClient>(
        std::shared_ptr<net::Transport>(net::in_process_transport(authority_, {})), "test", /*protobuf=*/false);
    ServingOptions options;
    options.bind_address = "127.0.0.1";
    options.secure_port = 1;  // replaced below: any free one
    ServedContent content;
    content.component = "test";
    content.checks = {{"leaderElection", [this] { return healthy_ ? Status() : Status::internal("lost"); }}};
    content.configz = [] { return R"({"a":1})"; };
    for (int port = 21300; !server_ && port < 21400; ++port) {
      options.secure_port = port;
      auto started = ComponentServer::start(options, content, client::Client(raw), client::Client(raw), clock_);
      if (started.ok()) server_ = std::move(*started);
    }
  }
  void SetUp() override {
    ASSERT_TRUE(server_);
    net::HttpTransportOptions options;
    options.base_url = "https://127.0.0.1:" + std::to_string(server_->port());
    options.tls.insecure_skip_verify = true;
    transport_ = *net::http_transport(std::move(options));
  }
  net::Response get(std::string target, const std::string& token = {}) {
    net::Request request;
    request.target = std::move(target);
    if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
    auto answer = transport_->round_trip(request);
    EXPECT_TRUE(answer.ok()) << answer.status().to_string();
    return answer.ok() ? *answer : net::Response();
  }

  FakeAuthority authority_;
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  std::atomic<bool> healthy_ = true;
  std::unique_ptr<ComponentServer> server_;
  std::unique_ptr<net::Transport> transport_;
};

TEST_F(ComponentServerTest, EverybodyMayAskForHealth) {
  for (const char* path : {"/healthz", "/livez", "/readyz"}) {
    EXPECT_EQ(get(path).status, 200) << path;
    EXPECT_EQ(get(path).body, "ok") << path;
  }
  EXPECT_EQ(get("/readyz?verbose").body, "[+]ping ok\n[+]leaderElection ok\nreadyz check passed\n");
  healthy_ = false;
  EXPECT_EQ(get("/healthz").status, 500);
  EXPECT_EQ(get("/healthz").body, "[+]ping ok\n[-]leaderElection failed: reason withheld\nhealthz check failed\n");
  EXPECT_EQ(get("/healthz?exclude=leaderElection").body, "ok");
  EXPECT_EQ(authority_.rights, 0) << "nobody was asked";
  EXPECT_EQ(get("/healthz/ping").status, 403) << "a check of its own is not among the paths that are always allowed";
}

TEST_F(ComponentServerTest, TheApiServerDecidesWhoMayReadMetrics) {
  const net::Response anonymous = get("/metrics");
  EXPECT_EQ(anonymous.status, 403);
  EXPECT_NE(anonymous.body.find(R"(forbidden: User \"system:anonymous\" cannot get path \"/metrics\")"),
            std::string::npos)
      << anonymous.body;
  EXPECT_EQ(get("/metrics", "bad").status, 401);
  EXPECT_EQ(get("/healthz", "bad").status, 401);
  EXPECT_EQ(get("/metrics", "good").body, "");
  server_->set_metrics([] { return std::string("up 1\n"); });
  EXPECT_EQ(get("/metrics", "good").body, "up 1\n");
  server_->set_metrics(nullptr);
  EXPECT_EQ(get("/configz", "good").status, 403);
  authority_.may_all = true;
  EXPECT_EQ(get("/configz", "good").status, 403) << "a refusal is kept for a while";
  clock_->advance(seconds(11));
  EXPECT_EQ(get("/configz", "good").body, R"({"a":1})");
  EXPECT_EQ(get("/elsewhere", "good").status, 404);
}

TEST_F(ComponentServerTest, AnswersAreKeptForAWhile) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("/metrics", "good").status, 200);
  EXPECT_EQ(authority_.tokens, 1);
  EXPECT_EQ(authority_.rights, 1);
  authority_.broken = true;
  EXPECT_EQ(get("/metrics", "good").status, 200);
  clock_->advance(seconds(11));
  EXPECT_EQ(get("/metrics", "good").status, 503) << "that nobody can be asked is no answer";
  authority_.broken = false;
  EXPECT_EQ(get("/metrics", "good").status, 200);
}

TEST(ServingFlags, AreChecked) {
  struct Case {
    std::vector<std::string> words;
    bool good;
  };
  const Case cases[] = {{{}, true},
                        {{"--secure-port=0"}, true},
                        {{"--secure-port=65536"}, false},
                        {{"--tls-cert-file=a"}, false},
                        {{"--tls-cert-file=a", "--tls-private-key-file=b"}, true}};
  for (const Case& each : cases) {
    ServingOptions options;
    FlagSet flags("test");
    add_serving_flags(flags, options);
    ASSERT_TRUE(flags.parse(each.words).ok());
    EXPECT_EQ(check(options).ok(), each.good) << (each.words.empty() ? "" : each.words.front());
  }
}

TEST(Configz, ShowsWhatIsSet) {
  controllers::ControllerOptions options;
  options.concurrent_job_syncs = 7;
  options.cluster_signing_key_pem = "secret";
  const std::string text = controllers_configz(options, {}, {"*", "-job"});
  const auto shown = api::parse_value(text);
  ASSERT_TRUE(shown.ok());
  const api::Value* jobs =
      shown->at_path({"kubecontrollermanager.config.k8s.io", "JobController", "ConcurrentJobSyncs"});
  ASSERT_NE(jobs, nullptr);
  EXPECT_EQ(api::to_json(*jobs), "7");
  EXPECT_EQ(text.find("secret"), std::string::npos);
  scheduler::Configuration configuration;
  configuration.profiles[0].scheduler_name = "mine";
  EXPECT_NE(scheduler_configz(configuration, {}).find(R"("SchedulerName":"mine")"), std::string::npos);
}

TEST(HealthPort, ServesNothingElse) {
  auto port = HealthPort::start("127.0.0.1", 0);
  ASSERT_TRUE(port.ok());
  net::HttpTransportOptions options;
  options.base_url = "http://127.0.0.1:" + std::to_string((*port)->port());
  const auto transport = *net::http_transport(std::move(options));
  const auto get = [&](const char* target) {
    net::Request request;
    request.target = target;
    return transport->round_trip(request)->status;
  };
  EXPECT_EQ(get("/healthz"), 200);
  EXPECT_EQ(get("/metrics"), 404);
}

}  // namespace
}  // namespace trireme::cmd
