// The controller on the real API server with a real nginx, each test in a network namespace of its own.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "api/codec.h"
#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "api/types/networkingv1.h"
#include "apiserver/api_server.h"
#include "client/client.h"
#include "ingress/ingress_controller.h"
#include "linux/file.h"
#include "linux/netlink_client.h"
#include "linux/process.h"
#include "net/server.h"
#include "net/transport.h"
#include "net/x509.h"
#include "store/memory_store.h"
#include "support/test_machine.h"

namespace trireme::ingress {
namespace {

using api::corev1::Secret;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;
using api::networkingv1::Ingress;
using api::networkingv1::IngressClass;

constexpr const char* kBackendAddress = "10.99.0.1";  // the API refuses endpoints on loopback
constexpr auto kPatience = std::chrono::seconds(20);

/// Answers with its name, the request's path and what the proxy told it.
class Backend final : public net::Handler {
 public:
  explicit Backend(std::string name) : name_(std::move(name)) {
    net::ServerOptions options;
    options.address = kBackendAddress;
    auto server = net::Server::start(options, *this);
    EXPECT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
  }
  uint16_t port() const { return server_->port(); }

 private:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    const net::Request& request = exchange->request();
    std::string body = name_ + " " + request.target;
    for (const char* header : {"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Upgrade"}) {
      body += fmt::format(" {}={}", header, request.headers.get(header));
    }
    exchange->respond(200, {{"Content-Type", "text/plain"}}, body + "\n");
  }
  const std::string name_;
  std::unique_ptr<net::Server> server_;
};

class IngressRootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::TestMachine::why_not()) GTEST_SKIP() << *reason;
    if (!linux::find_program("nginx", {"/usr/sbin"})) GTEST_SKIP() << "nginx is not installed";
    if (!linux::find_program("curl")) GTEST_SKIP() << "curl is not installed";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// The body runs in a fresh namespace with everything started in it.
  template <typename Body>
  void inside(Body body) {
    char name[] = "/tmp/ingress_root_test.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    test::TestMachine space;
    space.run([&] {
      auto netlink = linux::Netlink::open();
      ASSERT_TRUE(netlink.ok());
      const int lo = netlink->link("lo")->index;
      ASSERT_TRUE(netlink->set_up(lo, true).ok());
      ASSERT_TRUE(netlink->add_address({lo, *IpPrefix::parse(std::string(kBackendAddress) + "/32")}).ok());
      apiserver::Options options;
      options.store = store::memory_store(real_clock());
      options.clock = real_clock();
      options.advertise_address = "192.0.2.1";
      auto server = apiserver::ApiServer::create(std::move(options));
      ASSERT_TRUE(server.ok()) << server.status().to_string();
      api_ = std::move(*server);
      raw_ = std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*api_, {})),
                                                 "test");
      client_.emplace(raw_);
      body();
      controller_.reset();
      api_->begin_shutdown();
      client_.reset();
      raw_.reset();
      api_.reset();
    });
  }
  void start() {
    IngressOptions options;
    options.folder = folder_ + "/ingress";
    options.http_port = 8080;
    options.https_port = 8443;
    options.published = {"192.0.2.10"};
    options.settle = std::chrono::milliseconds(20);
    options.secret_refresh = std::chrono::milliseconds(200);
    auto controller = IngressController::start(options, {raw_, real_clock()});
    ASSERT_TRUE(controller.ok()) << controller.status().to_string();
    controller_ = std::move(*controller);
  }

  template <typename T>
  void create(std::string_view json) {
    auto object = api::decode_json<T>(std::string(json));
    ASSERT_TRUE(object.ok()) << object.status().to_string();
    auto made = client_->create(*object);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
  }
  void service(const std::string& name, uint16_t port) {
    create<Service>(fmt::format(
        R"({{"metadata":{{"namespace":"default","name":"{}"}},"spec":{{"ports":[{{"name":"http","port":80}}]}}}})",
        name));
    create<EndpointSlice>(fmt::format(
        R"({{"metadata":{{"namespace":"default","name":"{0}-1","labels":{{"kubernetes.io/service-name":"{0}"}}}},
        "addressType":"IPv4","ports":[{{"name":"http","port":{1}}}],"endpoints":[{{"addresses":["{2}"]}}]}})",
        name, port, kBackendAddress));
  }
  static std::string path(std::string_view path, std::string_view type, std::string_view service) {
    return fmt::format(
        R"({{"path":"{}","pathType":"{}","backend":{{"service":{{"name":"{}","port":{{"name":"http"}}}}}}}})", path,
        type, service);
  }
  void ingress(const std::string& name, std::string_view host, std::string_view paths, std::string_view more = "") {
    create<Ingress>(fmt::format(
        R"({{"metadata":{{"namespace":"default","name":"{}"}},"spec":{{"ingressClassName":"trireme"{},
        "rules":[{{"host":"{}","http":{{"paths":[{}]}}}}]}}}})",
        name, more, host, paths));
  }
  void secret(const std::string& name, const net::CertifiedKey& pair, bool update = false) {
    Secret secret;
    secret.metadata.namespace_ = "default";
    secret.metadata.name = name;
    secret.type = "kubernetes.io/tls";
    secret.data["tls.crt"] = pair.certificate_pem;
    secret.data["tls.key"] = pair.key_pem;
    auto done = update ? client_->update(secret) : client_->create(secret);
    ASSERT_TRUE(done.ok()) << done.status().to_string();
  }
  static net::CertifiedKey certificate(const std::string& name) {
    const WallTime now = real_clock()->now();
    auto authority = net::create_authority("test authority", now, now + std::chrono::hours(1));
    net::CertificateSpec spec;
    spec.common_name = name;
    spec.dns_names = {name};
    spec.not_before = now;
    spec.not_after = now + std::chrono::hours(1);
    return *net::issue_certificate(*authority, spec);
  }

  /// The body, then the status: "web-a /x …\n200".
  static std::string curl(std::vector<std::string> more) {
    std::vector<std::string> words = {"curl", "-s", "-k", "--max-time", "5", "-w", "%{http_code}"};
    words.insert(words.end(), more.begin(), more.end());
    auto out = linux::run_program(words);
    return out.ok() ? *out : out.status().message();
  }
  static std::string get(std::string_view host, std::string_view path) {
    return curl({"-H", fmt::format("Host: {}", host), fmt::format("http://127.0.0.1:8080{}", path)});
  }
  static std::string tls_get(std::string_view host, std::vector<std::string> more = {}) {
    more.insert(more.end(),
                {"--resolve", fmt::format("{}:8443:127.0.0.1", host), fmt::format("https://{}:8443/", host)});
    return curl(std::move(more));
  }
  static std::string subject(std::string_view host) {
    const std::string text = tls_get(host, {"-v", "--stderr", "-"});
    const size_t at = text.find("subject: ");
    return at == std::string::npos ? text : text.substr(at + 9, text.find('\n', at) - at - 9);
  }
  /// Until `holds` gives what is expected; the last that it gave.
  static std::string eventually(const std::string& expected, const std::function<std::string()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    std::string got;
    while ((got = holds()).find(expected) == std::string::npos && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return got;
  }

  std::string folder_;
  std::unique_ptr<apiserver::ApiServer> api_;
  std::shared_ptr<client::RawClient> raw_;
  std::optional<client::Client> client_;
  std::unique_ptr<IngressController> controller_;
};

#define EXPECT_EVENTUALLY(expected, call) \
  EXPECT_NE(eventually(expected, [&] { return call; }).find(expected), std::string::npos) << (call)

TEST_F(IngressRootTest, RoutesByHostAndPath) {
  inside([&] {
    Backend a("web-a");
    Backend b("web-b");
    start();
    service("a", a.port());
    service("b", b.port());
    service("empty", 1);
    ASSERT_TRUE(client_->remove<EndpointSlice>("default", "empty-1").ok());
    ingress("www", "www.example.com",
            path("/", "Prefix", "a") + "," + path("/b", "Prefix", "b") + "," + path("/b/exact", "Exact", "a") + "," +
                path("/none", "Prefix", "empty"));
    ingress("star", "*.wild.example.com", path("/", "Prefix", "b"));
    EXPECT_EVENTUALLY("web-a / ", get("www.example.com", "/"));
    EXPECT_EVENTUALLY("web-b / ", get("x.wild.example.com", "/"));
    EXPECT_EQ(get("www.example.com", "/b/deep?q=1&r=%20"),
              "web-b /b/deep?q=1&r=%20 Host=www.example.com X-Forwarded-For=127.0.0.1 X-Forwarded-Proto=http "
              "X-Forwarded-Host=www.example.com Upgrade=\n200");
    EXPECT_EQ(get("www.example.com", "/b").substr(0, 8), "web-b /b");
    EXPECT_EQ(get("www.example.com", "/bc").substr(0, 9), "web-a /bc") << "elements of the path, not letters";
    EXPECT_EQ(get("www.example.com", "/b/exact").substr(0, 14), "web-a /b/exact");
    EXPECT_EQ(get("www.example.com", "/b/exact/").substr(0, 15), "web-b /b/exact/");
    EXPECT_EQ(get("www.example.com", "/none"), "503 Service Temporarily Unavailable\n503");
    EXPECT_EQ(get("other.example.com", "/"), "default backend - 404\n404");
    EXPECT_EQ(get("a.x.wild.example.com", "/"), "default backend - 404\n404") << "the star is one label";
    EXPECT_EQ(get("wild.example.com", "/"), "default backend - 404\n404");

    // Published, and told.
    EXPECT_EVENTUALLY("192.0.2.10", [&] {
      auto www = client_->get<Ingress>("default", "www");
      return www.ok() && !www->status.load_balancer.ingress.empty()
                 ? std::string(www->status.load_balancer.ingress[0].ip)
                 : std::string();
    }());
    auto own_class = client_->get<IngressClass>("", "trireme");
    ASSERT_TRUE(own_class.ok());
    EXPECT_EQ(own_class->spec.controller, "trireme.dev/ingress");
    EXPECT_EQ(own_class->metadata.annotations["ingressclass.kubernetes.io/is-default-class"], "true");

    // What is asked for another protocol is passed on, and HTTP/2 is spoken in front.
    const std::string upgrade = curl({"--http1.1", "-H", "Host: www.example.com", "-H", "Connection: Upgrade", "-H",
                                      "Upgrade: websocket", "http://127.0.0.1:8080/"});
    EXPECT_NE(upgrade.find("Upgrade=websocket"), std::string::npos) << upgrade;
    EXPECT_EQ(tls_get("www.example.com", {"--http2", "-o", "/dev/null", "-w", "%{http_version}"}), "2");
  });
}

TEST_F(IngressRootTest, FollowsEndpointsWithoutLosingRequests) {
  inside([&] {
    Backend a("web-a");
    Backend b("web-b");
    start();
    service("web", a.port());
    ingress("www", "www.example.com", path("/", "Prefix", "web"));
    EXPECT_EVENTUALLY("web-a", get("www.example.com", "/"));
    std::atomic<int> lost = 0;
    std::atomic<int> served = 0;
    std::jthread asking([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) (get("www.example.com", "/").ends_with("200") ? served : lost)++;
    });
    for (const uint16_t port : {b.port(), a.port(), b.port()}) {
      auto slice = client_->get<EndpointSlice>("default", "web-1");
      ASSERT_TRUE(slice.ok());
      slice->ports[0].port = port;
      ASSERT_TRUE(client_->update(*slice).ok());
      EXPECT_EVENTUALLY(port == b.port() ? "web-b" : "web-a", get("www.example.com", "/"));
    }
    asking.request_stop();
    asking.join();
    EXPECT_EQ(lost, 0);
    EXPECT_GT(served, 10);
    // Another service's endpoints are no reason to reload.
    const int reloads = controller_->reloads();
    service("stranger", 9);
    EXPECT_EVENTUALLY("web-b", get("www.example.com", "/"));
    EXPECT_EQ(controller_->reloads(), reloads);
  });
}

TEST_F(IngressRootTest, CertificatesByServerName) {
  inside([&] {
    Backend a("web-a");
    start();
    service("a", a.port());
    secret("one", certificate("one.example.com"));
    net::CertifiedKey mixed = certificate("two.example.com");
    mixed.key_pem = certificate("other.example.com").key_pem;
    secret("mixed", mixed);
    ingress("one", "one.example.com", path("/", "Prefix", "a"),
            R"(,"tls":[{"hosts":["one.example.com"],"secretName":"one"}])");
    ingress("two", "two.example.com", path("/", "Prefix", "a"),
            R"(,"tls":[{"hosts":["two.example.com"],"secretName":"mixed"}])");
    EXPECT_EVENTUALLY("CN=one.example.com", subject("one.example.com"));
    EXPECT_EVENTUALLY("Fake Certificate", subject("two.example.com"));
    EXPECT_NE(tls_get("two.example.com").find("X-Forwarded-Proto=https"), std::string::npos) << "served all the same";
    // Renewed.
    net::CertifiedKey renewed = certificate("renewed.example.com");
    secret("one", renewed, true);
    EXPECT_EVENTUALLY("CN=renewed.example.com", subject("one.example.com"));
    for (const std::string& file : linux::list_dir(folder_ + "/ingress/certs")) {
      const auto permissions = std::filesystem::status(folder_ + "/ingress/certs/" + file).permissions();
      EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
    EXPECT_EQ(linux::list_dir(folder_ + "/ingress/certs").size(), 1u) << "the old file has gone";
  });
}

TEST_F(IngressRootTest, NginxComesBack) {
  inside([&] {
    Backend a("web-a");
    start();
    service("a", a.port());
    ingress("www", "www.example.com", path("/", "Prefix", "a"));
    EXPECT_EVENTUALLY("web-a", get("www.example.com", "/"));
    const auto text = linux::read_file(folder_ + "/ingress/nginx.pid");
    ASSERT_TRUE(text.ok());
    const pid_t before = std::stoi(*text);
    ASSERT_EQ(::kill(before, SIGTERM), 0);
    EXPECT_EVENTUALLY("moved", [&] {
      const auto now = linux::read_file(folder_ + "/ingress/nginx.pid");
      return std::string(now.ok() && !now->empty() && std::stoi(*now) != before ? "moved" : "");
    }());
    EXPECT_EVENTUALLY("web-a", get("www.example.com", "/"));
    // Gone with its controller.
    controller_.reset();
    EXPECT_FALSE(get("www.example.com", "/").ends_with("200"));
    EXPECT_FALSE(linux::exists(folder_ + "/ingress/nginx.pid"));
  });
}

}  // namespace
}  // namespace trireme::ingress
