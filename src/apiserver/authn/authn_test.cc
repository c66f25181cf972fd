#include <gtest/gtest.h>

#include "apiserver/authn/as_server.h"
#include "apiserver/authn/bearer.h"
#include "apiserver/authn/bootstrap_token.h"
#include "apiserver/authn/notices.h"
#include "apiserver/authn/service_account.h"
#include "apiserver/authn/x509.h"
#include "base/base64.h"
#include "integration/support/test_api_server.h"
#include "net/x509.h"

namespace trireme::apiserver::authn {
namespace {

using std::chrono::seconds;
using Strings = std::vector<std::string>;

net::Request with_token(const std::string& token) {
  net::Request request;
  request.headers.set("Authorization", "Bearer " + token);
  return request;
}

TEST(X509, TakesTheSubject) {
  X509Authenticator authenticator;
  net::Request request;
  EXPECT_FALSE(authenticator.authenticate(request)->has_value());
  request.peer.certificate = net::CertificateSubject{"", {"system:masters"}};
  EXPECT_FALSE(authenticator.authenticate(request)->has_value()) << "no name";
  request.peer.certificate = net::CertificateSubject{"jane", {"dev", "ops"}};
  auto user = authenticator.authenticate(request);
  ASSERT_TRUE(user.ok() && user->has_value());
  EXPECT_EQ((*user)->name, "jane");
  EXPECT_EQ((*user)->groups, (Strings{"dev", "ops"}));
}

TEST(Bearer, ReadsTheHeader) {
  struct Case {
    const char* header;
    std::optional<std::string> token;
  };
  for (const Case& each : std::vector<Case>{{"Bearer abc", "abc"},
                                            {"bearer abc", "abc"},
                                            {"BEARER abc", "abc"},
                                            {"  Bearer   abc  ", "abc"},
                                            {"Bearer", std::nullopt},
                                            {"Bearer ", std::nullopt},
                                            {"Bearerabc", std::nullopt},
                                            {"Basic YTpi", std::nullopt},
                                            {"", std::nullopt}}) {
    net::Request request;
    request.headers.set("Authorization", each.header);
    EXPECT_EQ(bearer_token(request), each.token) << each.header;
  }
}

TEST(Bearer, ReadsAWebSocketsSubprotocol) {
  struct Case {
    const char* protocols;
    std::optional<std::string> token;
  };
  for (const Case& each : std::vector<Case>{{"base64url.bearer.authorization.k8s.io.YWJj, v5.channel.k8s.io", "abc"},
                                            {"v5.channel.k8s.io,base64url.bearer.authorization.k8s.io.YWJj", "abc"},
                                            {"base64url.bearer.authorization.k8s.io.?", std::nullopt},
                                            {"v5.channel.k8s.io", std::nullopt},
                                            {",,", std::nullopt}}) {
    net::Request request;
    request.headers.add("Sec-WebSocket-Protocol", each.protocols);
    EXPECT_EQ(bearer_token(request), each.token) << each.protocols;
  }
}

TEST(TokenFile, MapsTokensToUsers) {
  auto file = TokenFileAuthenticator::parse(
      "# tokens\n\n"
      "t0ken,jane,u1,\"dev,ops\"\r\n"
      " spaced , bob , u2 \n"
      "\"with,comma\",carl,u3,single\n");
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  auto jane = (*file)->authenticate(with_token("t0ken"));
  ASSERT_TRUE(jane.ok() && jane->has_value());
  EXPECT_EQ((*jane)->name, "jane");
  EXPECT_EQ((*jane)->uid, "u1");
  EXPECT_EQ((*jane)->groups, (Strings{"dev", "ops"}));
  EXPECT_EQ((**(*file)->authenticate(with_token("spaced"))).name, "bob");
  EXPECT_EQ((**(*file)->authenticate(with_token("with,comma"))).groups, Strings{"single"});
  EXPECT_FALSE((*file)->authenticate(with_token("T0KEN"))->has_value());
  EXPECT_FALSE((*file)->authenticate({})->has_value());
}

TEST(TokenFile, RefusesLinesThatItCannotRead) {
  for (const char* text : {"token,user", "token", ",user,uid", "token,,uid", "token,user,uid,\"dev"}) {
    auto file = TokenFileAuthenticator::parse(std::string("ok,ok,ok\n") + text);
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_TRUE(file.status().message().starts_with("token file line 2:")) << file.status().message();
  }
}

TEST(AnyOf, RefusesATokenThatNobodyKnows) {
  auto file = TokenFileAuthenticator::parse("t0ken,jane,u1");
  ASSERT_TRUE(file.ok());
  auto all = any_of({std::make_shared<X509Authenticator>(), *file});
  EXPECT_TRUE(all->authenticate(with_token("t0ken"))->has_value());
  auto nobody = all->authenticate({});
  ASSERT_TRUE(nobody.ok());
  EXPECT_FALSE(nobody->has_value()) << "no credentials: anonymous";
  EXPECT_TRUE(all->authenticate(with_token("stale")).status().is(Reason::kUnauthorized));
  net::Request both = with_token("stale");
  both.peer.certificate = net::CertificateSubject{"bob", {}};
  EXPECT_TRUE(all->authenticate(both)->has_value()) << "the certificate suffices";
}

class ServiceAccountTest : public testing::Test {
 protected:
  ServiceAccountTest() {
    static const std::string key = *net::generate_rsa_key();
    options_.signing_key_pem = key;
    options_.clock = server_.clock_pointer();
    options_.label_secret = [this](const auto&, const auto& name, const auto&, const auto& label, const auto& value) {
      labelled_.push_back(name + " " + label + "=" + value);
      return Status();
    };
    issuer_ = *service_account_issuer(options_);
    authenticator_ = *ServiceAccountAuthenticator::create(
        options_, std::shared_ptr<Caches>(std::shared_ptr<void>(), &server_.server().caches()));
    uid_ = create("/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"robot"}})");
  }

  std::string create(const std::string& where, const std::string& body) {
    auto answer = server_.post(where, body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.at({"metadata", "uid"});
  }
  TokenParameters parameters() {
    return {.ns = "default", .service_account = "robot", .service_account_uid = uid_, .expiration_seconds = 600};
  }
  std::string issue(const TokenParameters& parameters) {
    auto issued = issuer_->issue(parameters);
    EXPECT_TRUE(issued.ok()) << issued.status().to_string();
    return issued->token;
  }
  Result<std::optional<UserInfo>> check(const std::string& token, const Strings& audiences = {}) {
    return authenticator_->authenticate_token(token, audiences);
  }
  void expect_refused(const std::string& token, const std::string& why) {
    auto user = check(token);
    ASSERT_FALSE(user.ok());
    EXPECT_TRUE(user.status().is(Reason::kUnauthorized));
    EXPECT_EQ(user.status().message(), "invalid bearer token: " + why);
  }

  test::TestApiServer server_;
  ServiceAccountOptions options_;
  std::shared_ptr<TokenIssuer> issuer_;
  std::shared_ptr<ServiceAccountAuthenticator> authenticator_;
  std::string uid_;
  Strings labelled_;
};

TEST_F(ServiceAccountTest, ATokenNamesItsAccount) {
  auto issued = issuer_->issue(parameters());
  ASSERT_TRUE(issued.ok());
  EXPECT_EQ(issued->expiration, server_.clock().now() + seconds(600));
  EXPECT_EQ(issued->audiences, Strings{options_.issuer});
  auto user = authenticator_->authenticate(with_token(issued->token));
  ASSERT_TRUE(user.ok() && user->has_value());
  EXPECT_EQ((*user)->name, "system:serviceaccount:default:robot");
  EXPECT_EQ((*user)->uid, uid_);
  EXPECT_EQ((*user)->groups, (Strings{"system:serviceaccounts", "system:serviceaccounts:default"}));
  const Strings& id = (*user)->extra.at("authentication.kubernetes.io/credential-id");
  ASSERT_EQ(id.size(), 1U);
  EXPECT_TRUE(id[0].starts_with("JTI="));
  EXPECT_NE(issue(parameters()), issued->token) << "each token has an id of its own";
}

TEST_F(ServiceAccountTest, ATokenRunsOut) {
  std::string token = issue(parameters());
  server_.clock().advance(seconds(600));
  EXPECT_TRUE(check(token).ok());
  server_.clock().advance(seconds(11));
  expect_refused(token, "token has expired");
}

TEST_F(ServiceAccountTest, ATokenIsGoodForItsAudienceOnly) {
  TokenParameters vault = parameters();
  vault.audiences = {"vault"};
  std::string token = issue(vault);
  expect_refused(token, "token is not meant for this audience");
  auto user = check(token, {"other", "vault"});
  ASSERT_TRUE(user.ok());
  EXPECT_TRUE(user->has_value());
  EXPECT_FALSE(check(issue(parameters()), {"vault"}).ok());
}

TEST_F(ServiceAccountTest, ATokenGoesWithItsAccount) {
  std::string token = issue(parameters());
  const std::string accounts = "/api/v1/namespaces/default/serviceaccounts";
  ASSERT_EQ(server_.remove(accounts + "/robot").status, 200);
  expect_refused(token, "service account not found");
  create(accounts, R"({"metadata":{"name":"robot"}})");
  expect_refused(token, "service account UID does not match");
}

TEST_F(ServiceAccountTest, ABoundTokenGoesWithItsPod) {
  const std::string pods = "/api/v1/namespaces/default/pods";
  TokenParameters bound = parameters();
  bound.bound_kind = "Pod";
  bound.bound_name = "web";
  bound.bound_uid = create(pods, test::pod("web"));
  bound.node_name = "n1";
  bound.node_uid = "n1-uid";
  std::string token = issue(bound);
  auto user = check(token);
  ASSERT_TRUE(user.ok() && user->has_value()) << user.status().to_string();
  EXPECT_EQ((*user)->extra.at("authentication.kubernetes.io/pod-name"), Strings{"web"});
  EXPECT_EQ((*user)->extra.at("authentication.kubernetes.io/pod-uid"), Strings{bound.bound_uid});
  EXPECT_EQ((*user)->extra.at("authentication.kubernetes.io/node-name"), Strings{"n1"});
  EXPECT_EQ((*user)->extra.at("authentication.kubernetes.io/node-uid"), Strings{"n1-uid"});
  ASSERT_EQ(server_.remove(pods + "/web", R"({"gracePeriodSeconds":0})").status, 200);
  expect_refused(token, "the pod of the token is gone");
  create(pods, test::pod("web"));
  expect_refused(token, "the pod of the token is gone");
}

TEST_F(ServiceAccountTest, ABoundTokenGoesWithItsSecretOrNode) {
  TokenParameters bound = parameters();
  bound.bound_kind = "Secret";
  bound.bound_name = "anchor";
  bound.bound_uid = create("/api/v1/namespaces/default/secrets", R"({"metadata":{"name":"anchor"}})");
  std::string token = issue(bound);
  EXPECT_TRUE(check(token).ok());
  ASSERT_EQ(server_.remove("/api/v1/namespaces/default/secrets/anchor").status, 200);
  expect_refused(token, "the secret of the token is gone");

  bound.bound_kind = "Node";
  bound.bound_name = "n1";
  bound.bound_uid = create("/api/v1/nodes", R"({"metadata":{"name":"n1"}})");
  token = issue(bound);
  auto user = check(token);
  ASSERT_TRUE(user.ok() && user->has_value()) << user.status().to_string();
  EXPECT_EQ((*user)->extra.at("authentication.kubernetes.io/node-name"), Strings{"n1"});
  ASSERT_EQ(server_.remove("/api/v1/nodes/n1").status, 200);
  expect_refused(token, "the node of the token is gone");
}

TEST_F(ServiceAccountTest, AChangedTokenIsRefused) {
  std::string token = issue(parameters());
  size_t first = token.find('.');
  size_t second = token.find('.', first + 1);
  std::string body = token;
  body[first + 5] = body[first + 5] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(check(body).ok());
  std::string signature = token;
  signature[second + 5] = signature[second + 5] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(check(signature).ok());
  EXPECT_FALSE(check(token.substr(0, second + 1)).ok());
  // {"alg":"none"}
  EXPECT_FALSE(check("eyJhbGciOiJub25lIn0" + token.substr(first, second - first + 1)).ok());
  for (const char* other : {"", "abc", "a.b", "a.b.c.d"}) {
    auto user = check(other);
    ASSERT_TRUE(user.ok()) << other;
    EXPECT_FALSE(user->has_value()) << other;
  }
  EXPECT_FALSE(check("..").ok());
}

TEST_F(ServiceAccountTest, KeysAndIssuersDecideWhoseTokensAreTaken) {
  ServiceAccountOptions other = options_;
  other.signing_key_pem = *net::generate_key();
  std::string token = (*service_account_issuer(other))->issue(parameters())->token;
  EXPECT_FALSE(check(token).ok()) << "a key that is not known";
  ServiceAccountOptions both = options_;
  both.verification_keys_pem = {*net::public_key(other.signing_key_pem)};
  auto rotated = ServiceAccountAuthenticator::create(
      both, std::shared_ptr<Caches>(std::shared_ptr<void>(), &server_.server().caches()));
  ASSERT_TRUE(rotated.ok());
  EXPECT_TRUE((*rotated)->authenticate_token(token, {})->has_value());

  other = options_;
  other.issuer = "https://elsewhere";
  auto foreign = check((*service_account_issuer(other))->issue(parameters())->token);
  ASSERT_TRUE(foreign.ok());
  EXPECT_FALSE(foreign->has_value()) << "another issuer's token is somebody else's to judge";
}

TEST_F(ServiceAccountTest, ATokenWithoutEndGoesWithItsSecret) {
  const std::string secrets = "/api/v1/namespaces/default/secrets";
  const std::string claims =
      R"({"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"default",)"
      R"("kubernetes.io/serviceaccount/secret.name":"robot-token","kubernetes.io/serviceaccount/service-account.name":)"
      R"("robot","kubernetes.io/serviceaccount/service-account.uid":")" +
      uid_ + R"(","sub":"system:serviceaccount:default:robot"})";
  const std::string token = *net::sign_jwt(claims, options_.signing_key_pem, *net::key_id(options_.signing_key_pem));
  expect_refused(token, "the secret of the token is gone");
  create(secrets, R"({"metadata":{"name":"robot-token","annotations":{"kubernetes.io/service-account.name":"robot"}},)"
                  R"("type":"kubernetes.io/service-account-token","data":{"token":")" +
                      base64_encode(token) + R"("}})");
  auto user = check(token);
  ASSERT_TRUE(user.ok() && user->has_value()) << user.status().to_string();
  EXPECT_EQ((*user)->name, "system:serviceaccount:default:robot");
  server_.clock().advance(std::chrono::hours(24 * 3650));
  EXPECT_TRUE(check(token).ok()) << "no end";
  EXPECT_EQ(labelled_, (Strings{"robot-token kubernetes.io/legacy-token-last-used=2024-01-01",
                                "robot-token kubernetes.io/legacy-token-last-used=2033-12-29"}));
  {
    Notices notices;
    EXPECT_TRUE(check(token).ok());
    EXPECT_TRUE(notices.take().empty()) << "somebody made the secret";
  }
  ASSERT_EQ(server_.patch("/api/v1/namespaces/default/serviceaccounts/robot", R"({"secrets":[{"name":"robot-token"}]})")
                .status,
            200);
  {
    Notices notices;
    EXPECT_TRUE(check(token).ok());
    EXPECT_EQ(notices.take(), (Strings{"Use tokens from the TokenRequest API or manually created secret-based tokens "
                                       "instead of auto-generated secret-based tokens."}));
  }
  // A day that is noted is not noted again; one that another server notes ahead is left alone.
  labelled_.clear();
  const auto label = [&](const std::string& text) {
    ASSERT_EQ(server_.patch(secrets + "/robot-token", R"({"metadata":{"labels":{)" + text + "}}}").status, 200);
  };
  for (const char* day : {"2033-12-29", "2033-12-30"}) {
    label(R"("kubernetes.io/legacy-token-last-used":")" + std::string(day) + "\"");
    EXPECT_TRUE(check(token).ok());
    EXPECT_TRUE(labelled_.empty()) << day;
  }
  label(R"("kubernetes.io/legacy-token-invalid-since":"2033-12-29")");
  expect_refused(token,
                 "the token in secret default/robot-token for service account default/robot has been marked invalid. "
                 "Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the "
                 "'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this "
                 "token");
  ASSERT_EQ(server_.remove(secrets + "/robot-token").status, 200);
  expect_refused(token, "the secret of the token is gone");
}

TEST_F(ServiceAccountTest, TheServerNotesSinceWhenItTracksAndWhatWasUsed) {
  const std::string maps = "/api/v1/namespaces/kube-system/configmaps";
  const std::string map = maps + "/kube-apiserver-legacy-service-account-token-tracking";
  const auto since = [&] { return server_.get(map).at({"data", "since"}); };
  const auto keep = [&] { return keep_token_tracking(server_.server(), server_.clock().now()).to_string(); };
  EXPECT_EQ(keep(), "OK");
  EXPECT_EQ(since(), "2024-01-01");
  server_.clock().advance(std::chrono::hours(48));
  EXPECT_EQ(keep(), "OK");
  EXPECT_EQ(since(), "2024-01-01") << "the first day stands";
  ASSERT_EQ(server_.patch(map, R"({"data":{"since":"yesterday"}})").status, 200);
  EXPECT_EQ(keep(), "OK");
  EXPECT_EQ(since(), "2024-01-03");

  EXPECT_EQ(publish_client_authority(server_.server(), "PEM").to_string(), "OK");
  EXPECT_EQ(publish_client_authority(server_.server(), "PEM 2").to_string(), "OK");
  EXPECT_EQ(server_.get(maps + "/extension-apiserver-authentication").at({"data", "client-ca-file"}), "PEM 2");

  const std::string secret = "/api/v1/namespaces/default/secrets";
  const std::string uid = create(secret, R"({"metadata":{"name":"s"}})");
  EXPECT_EQ(label_secret(server_.server(), "default", "s", uid, "a/b", "c").to_string(), "OK");
  EXPECT_EQ(server_.get(secret + "/s").at({"metadata", "labels", "a/b"}), "c");
  EXPECT_FALSE(label_secret(server_.server(), "default", "s", "another", "a/b", "d").ok());
  EXPECT_EQ(server_.get(secret + "/s").at({"metadata", "labels", "a/b"}), "c");
}

TEST(BootstrapToken, SpeaksForItsSecret) {
  test::TestApiServer server;
  BootstrapTokenAuthenticator authenticator(std::shared_ptr<Caches>(std::shared_ptr<void>(), &server.server().caches()),
                                            server.clock_pointer());
  const std::string token = "abcdef.0123456789abcdef";
  const auto check = [&](const std::string& text) { return authenticator.authenticate(with_token(text)); };
  EXPECT_FALSE(check(token)->has_value()) << "nobody knows it";
  const auto secret = [](const std::string& more) {
    return R"({"metadata":{"name":"bootstrap-token-abcdef"},"type":"bootstrap.kubernetes.io/token","stringData":)"
           R"({"token-id":"abcdef","token-secret":"0123456789abcdef")" +
           more + "}}";
  };
  const std::string secrets = "/api/v1/namespaces/kube-system/secrets";
  ASSERT_EQ(server.post(secrets, secret("")).status, 201);
  EXPECT_FALSE(check(token).ok()) << "not for authentication";
  ASSERT_EQ(server.remove(secrets + "/bootstrap-token-abcdef").status, 200);
  ASSERT_EQ(server
                .post(secrets, secret(R"(,"usage-bootstrap-authentication":"true","expiration":"2024-01-01T01:00:00Z",)"
                                      R"("auth-extra-groups":"system:bootstrappers:racks,system:bootstrappers:x")"))
                .status,
            201);
  auto user = check(token);
  ASSERT_TRUE(user.ok() && user->has_value());
  EXPECT_EQ((*user)->name, "system:bootstrap:abcdef");
  EXPECT_EQ((*user)->groups, (Strings{"system:bootstrappers", "system:bootstrappers:racks", "system:bootstrappers:x"}));
  EXPECT_FALSE(check("abcdef.0123456789abcdee").ok());
  EXPECT_FALSE(check("ABCDEF.0123456789abcdef")->has_value()) << "some other kind of token";
  server.clock().advance(std::chrono::hours(1));
  EXPECT_FALSE(check(token).ok()) << "expired";
}

}  // namespace
}  // namespace trireme::apiserver::authn
