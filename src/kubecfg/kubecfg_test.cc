#include "kubecfg/kubecfg.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>

#include "kubecfg/commands.h"
#include "kubecfg/table.h"
#include "net/server.h"

namespace trireme::kubecfg {
namespace {

using api::Value;
using Words = std::vector<std::string>;

Value parse(std::string_view json) {
  auto value = api::parse_value(json);
  EXPECT_TRUE(value.ok()) << json;
  return value.ok() ? std::move(*value) : Value();
}

std::string table(std::string_view json) {
  auto text = print_table(parse(json));
  return text.ok() ? *text : "error: " + text.status().message();
}

TEST(Table, APodAsThePapersShowIt) {
  EXPECT_EQ(table(R"({"kind":"PodList","items":[{"id":"redis","labels":{"name":"redis"},
              "desiredState":{"manifest":{"containers":[{"image":"dockerfile/redis"}]}},
              "currentState":{"status":"Running","host":"127.0.0.1"}}]})"),
            "Name                Image(s)            Host                Labels              Status\n"
            "----------          ----------          ----------          ----------          ----------\n"
            "redis               dockerfile/redis    127.0.0.1/          name=redis          Running\n"
            "\n");
}

TEST(Table, AColumnIsThreeWiderThanItsWidestCell) {
  // 17 characters and 3 make 20; one more widens the column.
  EXPECT_EQ(table(R"({"kind":"ServiceList","items":[
              {"id":"12345678901234567","labels":{},"selector":{"b":"2","a":"1"},"portalIP":"10.0.0.1","port":80},
              {"id":"123456789012345678","port":6379}]})"),
            "Name                 Labels              Selector            IP                  Port\n"
            "----------           ----------          ----------          ----------          ----------\n"
            "12345678901234567                        a=1,b=2             10.0.0.1            80\n"
            "123456789012345678                                                               6379\n"
            "\n");
}

TEST(Table, EveryKindHasItsColumns) {
  struct Case {
    const char* document;
    const char* expected;
  };
  for (const Case& each : {
           Case{R"({"kind":"ReplicationController","id":"c","desiredState":{"replicas":2,"replicaSelector":{"n":"x"},
                    "podTemplate":{"desiredState":{"manifest":{"containers":[{"image":"a"},{"image":"b"}]}}}}})",
                "Name                Image(s)            Selector            Replicas\n"
                "----------          ----------          ----------          ----------\n"
                "c                   a,b                 n=x                 2\n\n"},
           Case{R"({"kind":"MinionList","items":[{"id":"m1"},{"id":"m2"}]})",
                "Minion identifier\n----------\nm1\nm2\n\n"},
           Case{R"({"kind":"EventList","items":[{"involvedObject":{"name":"p","kind":"Pod"},"reason":"started",
                    "message":"done"}]})",
                "Name                Kind                Status              Reason              Message\n"
                "----------          ----------          ----------          ----------          ----------\n"
                "p                   Pod                                     started             done\n\n"},
           Case{R"({"kind":"Status","status":"Success"})", "Status\n----------\nSuccess\n\n"},
           Case{R"({"kind":"PodList","items":[]})",
                "Name                Image(s)            Host                Labels              Status\n"
                "----------          ----------          ----------          ----------          ----------\n\n"},
           Case{R"({"kind":"PodList","items":null})",
                "Name                Image(s)            Host                Labels              Status\n"
                "----------          ----------          ----------          ----------          ----------\n\n"},
           Case{R"({"kind":"Mystery"})", "error: no table for kind \"Mystery\"; use -json or -yaml"},
           Case{R"([])", "error: no table for kind \"\"; use -json or -yaml"},
       }) {
    EXPECT_EQ(table(each.document), each.expected);
  }
}

TEST(Table, AWaitingPodIsPendingAndUnassigned) {
  std::string text = table(R"({"kind":"Pod","id":"p","currentState":{"status":"Waiting"}})");
  EXPECT_NE(text.find("<unassigned>"), std::string::npos) << text;
  EXPECT_NE(text.find("Pending"), std::string::npos) << text;
}

TEST(Ports, AreParsed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "[]"},
      {"80", R"([{"containerPort":80}])"},
      {"8080:80", R"([{"containerPort":80,"hostPort":8080}])"},
      {"1:2,3", R"([{"containerPort":2,"hostPort":1},{"containerPort":3}])"}};
  for (const auto& [text, ports] : cases) {
    auto parsed = parse_ports(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(api::to_json(*parsed), ports);
  }
  for (const char* wrong : {"x", "1:", ":1", "1:2:3", "1,,2", "-1", "80 "}) {
    EXPECT_FALSE(parse_ports(wrong).ok()) << wrong;
  }
}

TEST(Flags, AreParsedAsGoDid) {
  Options options;
  FlagSet flags = make_flags(options);
  auto words = flags.parse({"-h=127.0.0.1:8080", "--c", "pod.json", "-json", "-logtostderr", "-v=3", "-s", "80",
                            "-u=5s", "create", "-l", "/pods"});
  ASSERT_TRUE(words.ok()) << words.status().to_string();
  EXPECT_EQ(*words, (Words{"create", "-l", "/pods"})) << "flags end at the verb";
  EXPECT_EQ(options.host, "127.0.0.1:8080");
  EXPECT_EQ(options.config_file, "pod.json");
  EXPECT_TRUE(options.json);
  EXPECT_FALSE(options.yaml);
  EXPECT_EQ(options.service_port, 80);
  EXPECT_EQ(options.update_period, std::chrono::seconds(5));
  Options defaults;
  make_flags(defaults);
  EXPECT_EQ(defaults.update_period, std::chrono::seconds(60));
  EXPECT_EQ(defaults.service_port, -1);
}

/// Answers requests on the loopback interface from a list and notes what was asked.
class FakeServer final : public net::Handler {
 public:
  struct Reply {
    int status;
    std::string body;
  };
  FakeServer() {
    auto server = net::Server::start({}, *this);
    EXPECT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void reply(int status, std::string body) {
    const std::lock_guard lock(mutex_);
    replies_.push_back({status, std::move(body)});
  }
  /// "GET /api/… BODY" of every request since the last call.
  Words requests() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
  }

  void handle(std::shared_ptr<net::Exchange> exchange) override {
    std::string body = exchange->take_body();
    const net::Request& request = exchange->request();
    Reply reply{500, R"({"message":"nothing prepared"})"};
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request.method + " " + request.target + (body.empty() ? "" : " " + body));
      if (!replies_.empty()) {
        reply = std::move(replies_.front());
        replies_.pop_front();
      }
    }
    exchange->respond(reply.status, net::Headers{{"Content-Type", "application/json"}}, std::move(reply.body));
  }

 private:
  std::mutex mutex_;
  std::deque<Reply> replies_;
  Words requests_;
  std::unique_ptr<net::Server> server_;
};

class KubecfgTest : public testing::Test {
 protected:
  KubecfgTest() {
    std::string name = testing::TempDir() + "kubecfg-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    // Neither the environment nor a home folder may reach into the test.
    ::setenv("HOME", folder_.c_str(), 1);
    ::setenv("KUBECONFIG", (folder_ + "/none").c_str(), 1);
    ::unsetenv("KUBERNETES_MASTER");
  }
  ~KubecfgTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Runs kubecfg against the fake server.
  int run(Words words) {
    words.insert(words.begin(), "-h=" + server_.url());
    return run_plain(words);
  }
  int run_plain(const Words& words) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = kubecfg::run(words);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  std::string folder_;
  FakeServer server_;
  std::string out_;
  std::string err_;
};

constexpr const char* kController =
    R"({"kind":"ReplicationController","id":"web","desiredState":{"replicas":2,"replicaSelector":{"name":"web"}}})";

TEST_F(KubecfgTest, ExitCodesAreThoseOf2014) {
  EXPECT_EQ(run_plain({}), 1);
  EXPECT_EQ(run_plain({"-nonsense", "list", "pods"}), 2);
  EXPECT_EQ(run_plain({"-api_version=v1", "list", "pods"}), 2);
  EXPECT_EQ(run_plain({"-version"}), 0);
  EXPECT_TRUE(out_.starts_with("Kubernetes ")) << out_;
  EXPECT_EQ(run_plain({"-help"}), 0);
  EXPECT_EQ(run({"frobnicate"}), 255);
  EXPECT_EQ(run({"get", "pods"}), 255) << "without an id";
  EXPECT_EQ(run({"list", "pods/redis"}), 255) << "with an id";
  EXPECT_EQ(run({"delete", "pods"}), 255);
  EXPECT_EQ(run({"list", "Pods"}), 255) << "resources are case-sensitive";
  EXPECT_EQ(run({"create", "pods"}), 255) << "without -c";
  EXPECT_EQ(run({"resize", "web", "many"}), 255);
  EXPECT_EQ(run({"resize", "web"}), 255);
  EXPECT_TRUE(server_.requests().empty()) << "usage errors are found before anything is sent";
  server_.reply(404, R"({"kind":"Status","message":"pod \"x\" not found","reason":"NotFound","code":404})");
  EXPECT_EQ(run({"get", "pods/x"}), 255);
  EXPECT_EQ(err_, "kubecfg: pod \"x\" not found\n");
  EXPECT_EQ(out_, "");
}

TEST_F(KubecfgTest, CreatesGetsListsAndDeletes) {
  std::string file = write("redis.json", R"({"id":"redis","desiredState":{},})");
  server_.reply(201, R"({"kind":"Pod","id":"redis"})");
  EXPECT_EQ(run({"-c", file, "create", "/pods"}), 0) << err_;
  EXPECT_EQ(server_.requests(), Words{"POST /api/v1beta1/pods?namespace=default "
                                      R"({"apiVersion":"v1beta1","desiredState":{},"id":"redis","kind":"Pod"})"});
  EXPECT_TRUE(out_.starts_with("Name     ")) << out_;

  server_.reply(200, R"({"kind":"Pod","id":"redis"})");
  EXPECT_EQ(run({"-json", "get", "pods/redis"}), 0) << err_;
  EXPECT_EQ(out_, "{\"id\":\"redis\",\"kind\":\"Pod\"}\n");
  EXPECT_EQ(server_.requests(), Words{"GET /api/v1beta1/pods/redis?namespace=default"});

  server_.reply(200, R"({"kind":"PodList","items":[]})");
  EXPECT_EQ(run({"-ns=other", "-l", "a=b", "-fields", "name=x", "list", "pods/"}), 0) << err_;
  EXPECT_EQ(server_.requests(), Words{"GET /api/v1beta1/pods?namespace=other&labels=a%3Db&fields=name%3Dx"});

  server_.reply(200, R"({"kind":"Status","status":"Success"})");
  EXPECT_EQ(run({"delete", "/pods/redis"}), 0) << err_;
  EXPECT_EQ(out_, "Status\n----------\nSuccess\n\n");
  EXPECT_EQ(server_.requests(), Words{"DELETE /api/v1beta1/pods/redis?namespace=default"});
}

TEST_F(KubecfgTest, AnUpdateCarriesTheStoredVersion) {
  std::string file = write("web.yaml", "id: web\nport: 81\n");
  server_.reply(200, R"({"kind":"Service","id":"web","resourceVersion":7})");
  server_.reply(200, R"({"kind":"Service","id":"web"})");
  EXPECT_EQ(run({"-c", file, "update", "services/web"}), 0) << err_;
  EXPECT_EQ(server_.requests(),
            (Words{"GET /api/v1beta1/services/web?namespace=default",
                   "PUT /api/v1beta1/services/web?namespace=default "
                   R"({"apiVersion":"v1beta1","id":"web","kind":"Service","port":81,"resourceVersion":7})"}));
}

TEST_F(KubecfgTest, PrintSendsNothing) {
  std::string file = write("m.json", R"({"id":"m1"})");
  EXPECT_EQ(run({"-c", file, "print", "minions"}), 0) << err_;
  EXPECT_EQ(out_, "Minion identifier\n----------\nm1\n\n");
  EXPECT_EQ(run({"-c", file, "-yaml", "print", "minions"}), 0) << err_;
  EXPECT_EQ(out_, "apiVersion: v1beta1\nid: m1\nkind: Minion\n");
  EXPECT_EQ(run({"-c", write("bad.json", "{"), "print", "minions"}), 255);
  EXPECT_EQ(run({"-c", folder_ + "/absent", "print", "minions"}), 255);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(KubecfgTest, RunMakesAControllerAndAService) {
  server_.reply(201, kController);
  server_.reply(201, R"({"kind":"Service","id":"Web"})");
  EXPECT_EQ(run({"-p", "8080:80", "-s", "80", "run", "nginx", "2", "Web"}), 0) << err_;
  Words requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0],
            "POST /api/v1beta1/replicationControllers?namespace=default "
            R"({"apiVersion":"v1beta1","desiredState":{"podTemplate":{"desiredState":{"manifest":{"containers":)"
            R"([{"image":"nginx","name":"web","ports":[{"containerPort":80,"hostPort":8080}]}],"version":"v1beta2"}},)"
            R"("labels":{"name":"Web"}},"replicaSelector":{"name":"Web"},"replicas":2},"id":"Web",)"
            R"("kind":"ReplicationController","labels":{"name":"Web"}})");
  EXPECT_EQ(requests[1],
            "POST /api/v1beta1/services?namespace=default "
            R"({"apiVersion":"v1beta1","containerPort":80,"id":"Web","kind":"Service",)"
            R"("labels":{"name":"Web"},"port":80,"selector":{"name":"Web"}})");
  EXPECT_NE(out_.find("\n---\n"), std::string::npos) << out_;
}

TEST_F(KubecfgTest, ResizeStopAndRm) {
  const std::string path = " /api/v1beta1/replicationControllers/web?namespace=default";
  server_.reply(200, kController);
  server_.reply(200, kController);
  EXPECT_EQ(run({"resize", "web", "5"}), 0) << err_;
  Words requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_TRUE(requests[1].starts_with("PUT" + path)) << requests[1];
  EXPECT_NE(requests[1].find(R"("replicas":5)"), std::string::npos) << requests[1];

  server_.reply(200, kController);
  server_.reply(200, kController);
  EXPECT_EQ(run({"stop", "web"}), 0) << err_;
  EXPECT_NE(server_.requests().at(1).find(R"("replicas":0)"), std::string::npos);

  server_.reply(200, kController);
  EXPECT_EQ(run({"rm", "web"}), 255) << "it still has replicas";
  EXPECT_EQ(server_.requests(), Words{"GET" + path});
  server_.reply(200, R"({"kind":"ReplicationController","desiredState":{"replicas":0}})");
  server_.reply(200, R"({"kind":"Status","status":"Success"})");
  EXPECT_EQ(run({"rm", "web"}), 0) << err_;
  EXPECT_EQ(out_, "");
  EXPECT_EQ(server_.requests(), (Words{"GET" + path, "DELETE" + path}));
}

TEST_F(KubecfgTest, ARollingUpdateReplacesPodAfterPod) {
  server_.reply(200, R"({"kind":"ReplicationController","id":"web","desiredState":{"replicas":2,
    "replicaSelector":{"name":"web"},"podTemplate":{"desiredState":{"manifest":{"containers":[{"image":"old"}]}}}}})");
  server_.reply(200, kController);
  server_.reply(200, R"({"kind":"PodList","items":[{"id":"a"},{"id":"b"}]})");
  server_.reply(200, R"({"kind":"Status","status":"Success"})");
  server_.reply(404, R"({"kind":"Status","reason":"NotFound"})");
  server_.reply(200, R"({"kind":"PodList","items":[{"id":"c"},{"id":"d"}]})");
  EXPECT_EQ(run({"-u=0s", "-image=new", "rollingupdate", "web"}), 0) << err_;
  Words requests = server_.requests();
  ASSERT_EQ(requests.size(), 6U);
  EXPECT_NE(requests[1].find(R"("image":"new")"), std::string::npos) << requests[1];
  EXPECT_EQ(requests[2], "GET /api/v1beta1/pods?namespace=default&labels=name%3Dweb");
  EXPECT_EQ(requests[3], "DELETE /api/v1beta1/pods/a?namespace=default");
  EXPECT_EQ(requests[4], "DELETE /api/v1beta1/pods/b?namespace=default");
}

TEST_F(KubecfgTest, ANamespaceIsRemembered) {
  EXPECT_EQ(run({"ns"}), 0) << err_;
  EXPECT_EQ(out_, "Using namespace default\n");
  EXPECT_EQ(run({"ns", "team"}), 0) << err_;
  EXPECT_EQ(out_, "Using namespace team\n");
  EXPECT_EQ(read(".kubernetes_ns"), R"({"Namespace":"team"})");
  struct stat about {};
  ASSERT_EQ(::stat((folder_ + "/.kubernetes_ns").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  server_.reply(200, R"({"kind":"PodList","items":[]})");
  server_.reply(200, R"({"kind":"PodList","items":[]})");
  EXPECT_EQ(run({"list", "pods"}), 0) << err_;
  EXPECT_EQ(run({"-ns=other", "list", "pods"}), 0) << err_;
  EXPECT_EQ(server_.requests(),
            (Words{"GET /api/v1beta1/pods?namespace=team", "GET /api/v1beta1/pods?namespace=other"}));
}

TEST_F(KubecfgTest, AnswersThatMakeNoSenseAreErrors) {
  for (const char* body : {"", "[]", "\"text\"", "{", R"({"desiredState":1})", R"({"desiredState":{"replicas":[]}})"}) {
    for (const Words& words : {Words{"resize", "web", "1"}, Words{"rollingupdate", "web"}, Words{"list", "pods"}}) {
      server_.reply(200, body);
      EXPECT_EQ(run(words), 255) << body;
      server_.requests();
    }
  }
  server_.reply(502, "bad gateway");
  EXPECT_EQ(run({"list", "pods"}), 255);
  EXPECT_EQ(err_, "kubecfg: bad gateway\n");
}

TEST_F(KubecfgTest, AServersVersionIsShown) {
  server_.reply(200, R"({"gitVersion":"v1"})");
  EXPECT_EQ(run({"-server_version"}), 0) << err_;
  EXPECT_EQ(out_, "Server: {\"gitVersion\":\"v1\"}\n");
  server_.reply(503, "");
  EXPECT_EQ(run({"-server_version"}), 1);
}

}  // namespace
}  // namespace trireme::kubecfg
