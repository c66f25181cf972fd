// How a machine joins, against a control plane with its controllers in this process, over TLS on loopback.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "api/types/certificatesv1.h"
#include "client/client.h"
#include "cmd/client_kubeconfig.h"
#include "cmd/cluster_options.h"
#include "cmd/control_plane.h"
#include "cmd/pki.h"
#include "join/bootstrap_token.h"
#include "join/cluster_info.h"
#include "join/discovery.h"
#include "join/node_certificates.h"
#include "linux/file.h"
#include "net/x509.h"

namespace trireme::cmd {
namespace {

using api::corev1::Node;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// The machine's clock, set wrong.
class WrongClock final : public Clock {
 public:
  explicit WrongClock(Duration ahead) : ahead_(ahead) {}
  WallTime now() const override { return real_->now() + std::chrono::duration_cast<WallTime::duration>(ahead_); }
  Duration monotonic() const override { return real_->monotonic(); }
  bool sleep_for(Duration duration, std::stop_token stop) override { return real_->sleep_for(duration, stop); }
  std::unique_ptr<Timer> call_after(Duration delay, std::function<void()> callback) override {
    return real_->call_after(delay, std::move(callback));
  }

 private:
  const std::shared_ptr<Clock> real_ = real_clock();
  const Duration ahead_;
};

class JoinFlowTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("join-" + std::to_string(::getpid()));
    options_.data_dir = folder_ + "/server";
    options_.node_ip = options_.bind_address = options_.advertise_address = "127.0.0.1";
    options_.https_port = 0;
    options_.controllers = {"csrapproving", "csrsigning", "bootstrapsigner", "kubelet-serving-approving-controller"};
    options_.cluster_signing_duration = seconds(12);
    ASSERT_TRUE(linux::make_dirs(options_.data_dir + "/store", 0700).ok());
    auto pki = Pki::open(options_.pki_folder(), *clock_);
    ASSERT_TRUE(pki.ok());
    pki_.emplace(std::move(*pki));
    auto plane = ControlPlane::start(options_, *pki_, clock_);
    ASSERT_TRUE(plane.ok()) << plane.status().message();
    plane_ = std::move(*plane);
    ASSERT_TRUE(plane_->start_controllers().ok());
    admin_.emplace(std::make_shared<client::RawClient>(plane_->transport("admin", {"system:masters"}), "test"));
    server_ = server_address("127.0.0.1", plane_->port());
    const Status opened = join::open_cluster(*admin_, {server_, pki_->authority_pem()}, {"10.1.0.0/16", "10.2.0.0/16"});
    ASSERT_TRUE(opened.ok()) << opened.message();
    ASSERT_TRUE(admin_->create(*join::token_secret(token_, {}, clock_->now())).ok());
  }
  void TearDown() override {
    if (plane_) plane_->stop();
    EXPECT_TRUE(linux::remove_tree(folder_).ok());
  }

  join::DiscoveryOptions discovery() {
    join::DiscoveryOptions out;
    out.address = server_;
    out.token = token_;
    out.ca_hashes = {*net::public_key_fingerprint(pki_->authority_pem())};
    return out;
  }
  join::NodeCertificateOptions certificate_options(const std::string& node) {
    const std::string folder = folder_ + "/" + node;
    EXPECT_TRUE(linux::make_dirs(folder, 0700).ok());
    return {folder, node, {server_, pki_->authority_pem()}};
  }
  client::Client bootstrap() { return *join::bootstrap_client({server_, pki_->authority_pem()}, token_); }
  static client::Client client_of(const join::NodeCertificates& certificates) {
    return client::Client(std::make_shared<client::RawClient>(certificates.transport(), "test"));
  }
  static Node node_of(const std::string& name, const std::vector<std::string>& addresses) {
    Node node;
    node.metadata.name = name;
    for (const std::string& address : addresses) {
      auto& entry = node.status.addresses.emplace_back();
      entry.type = "InternalIP";
      entry.address = address;
    }
    return node;
  }
  net::CertificateInfo certificate_in(const std::string& file) {
    auto text = linux::read_file(file);
    auto info = net::parse_certificate(text.ok() ? *text : "");
    return info.ok() ? *info : net::CertificateInfo();
  }
  bool within(Duration time, const std::function<bool()>& condition) {
    for (const Duration end = clock_->monotonic() + time; clock_->monotonic() < end;) {
      if (condition()) return true;
      clock_->sleep_for(std::chrono::milliseconds(20), {});
    }
    return condition();
  }

  std::string folder_;
  ClusterOptions options_;
  const std::shared_ptr<Clock> clock_ = real_clock();
  std::optional<Pki> pki_;
  std::unique_ptr<ControlPlane> plane_;
  std::optional<client::Client> admin_;
  std::string server_;
  const join::BootstrapToken token_{"abcdef", "0123456789abcdef"};
};

TEST_F(JoinFlowTest, TheClusterIsFoundAndNothingElseIsTakenForIt) {
  auto found = join::discover(discovery(), *clock_);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->server, server_);
  EXPECT_EQ(found->ca_pem, pki_->authority_pem());

  join::DiscoveryOptions wrong = discovery();
  wrong.ca_hashes = {"sha256:" + std::string(64, '0')};
  EXPECT_TRUE(join::discover(wrong, *clock_).status().is(Reason::kUnauthorized));
  wrong = discovery();
  wrong.token.secret = "0123456789abcdee";
  EXPECT_TRUE(join::discover(wrong, *clock_).status().message().starts_with("the token's secret is wrong"));
  wrong.token = {"zzzzzz", "0123456789abcdef"};
  EXPECT_TRUE(join::discover(wrong, *clock_).status().message().starts_with("the cluster does not know the token"));
  wrong = discovery();
  wrong.address = "127.0.0.1:1";
  EXPECT_TRUE(join::discover(wrong, *clock_).status().is(Reason::kServiceUnavailable));

  // A name that the server's certificate does not have leads to the address that the cluster gives itself.
  wrong = discovery();
  wrong.address = "127.0.0.2:" + std::to_string(plane_->port());
  options_.bind_address = "127.0.0.1";  // the server listens on 127.0.0.1 alone
  EXPECT_FALSE(join::discover(wrong, *clock_).ok());

  WrongClock behind(-hours(3));
  EXPECT_TRUE(
      join::discover(discovery(), behind).status().message().starts_with("this machine's clock is 3h0m0s behind the"))
      << join::discover(discovery(), behind).status().message();
  WrongClock ahead(minutes(30));
  EXPECT_NE(join::discover(discovery(), ahead).status().message().find("ahead of the server's"), std::string::npos);
}

TEST_F(JoinFlowTest, WithoutAMapForItNobodyJoins) {
  ASSERT_TRUE(admin_->remove<api::corev1::ConfigMap>("kube-public", "cluster-info").ok());
  const Status status = join::discover(discovery(), *clock_).status();
  EXPECT_NE(status.message().find("lets no machine join"), std::string::npos) << status.message();
}

TEST_F(JoinFlowTest, ALivingNodesNameIsTaken) {
  EXPECT_TRUE(join::check_name_is_free(bootstrap(), "n1").ok());
  Node node = node_of("n1", {});
  auto& ready = node.status.conditions.emplace_back();
  ready.type = "Ready";
  ready.status = "True";
  ASSERT_TRUE(admin_->create(node).ok());
  EXPECT_TRUE(join::check_name_is_free(bootstrap(), "n1").is(Reason::kConflict));
  auto present = admin_->get<Node>("", "n1");
  ASSERT_TRUE(present.ok());
  present->status.conditions[0].status = "Unknown";
  ASSERT_TRUE(admin_->update_status(*present).ok());
  EXPECT_TRUE(join::check_name_is_free(bootstrap(), "n1").ok()) << "a dead one's name is free";
}

TEST_F(JoinFlowTest, CertificatesAreObtainedAndRenewedWhileTheyAreInUse) {
  join::NodeCertificates certificates(certificate_options("n1"), clock_);
  EXPECT_TRUE(certificates.load().is(Reason::kNotFound));
  ASSERT_TRUE(certificates.obtain(bootstrap()).ok());
  client::Client client = client_of(certificates);
  ASSERT_TRUE(client.create(node_of("n1", {"192.0.2.1"})).ok()) << "as system:node:n1";
  EXPECT_TRUE(client.create(node_of("n2", {})).status().is(Reason::kForbidden)) << "and as nobody else";
  // The cluster's facts are for nodes to read.
  const auto facts = client.get<api::corev1::ConfigMap>(join::kSystemNamespace, join::kClusterFacts);
  ASSERT_TRUE(facts.ok()) << facts.status().message();
  EXPECT_EQ(join::read_facts(*facts).cluster_cidr, "10.1.0.0/16");

  ASSERT_TRUE(certificates.prepare_serving({"192.0.2.1"}).ok());
  const std::string serving = certificates.serving_file();
  EXPECT_EQ(certificate_in(serving).issuer_common_name, "n1") << "until the cluster has issued one";
  certificates.start();
  ASSERT_TRUE(certificates.wait_serving(seconds(20)));
  const net::CertificateInfo first = certificate_in(serving);
  EXPECT_EQ(first.issuer_common_name, "kubernetes");
  EXPECT_EQ(first.ip_addresses, std::vector<std::string>{"192.0.2.1"});
  EXPECT_EQ(first.dns_names, std::vector<std::string>{"n1"});

  // Both run out after twelve seconds and are replaced before, and the client never notices.
  const std::string client_file = folder_ + "/n1/kubelet-client.pem";
  const std::string first_serial = certificate_in(client_file).serial;
  const WallTime first_end = certificate_in(client_file).not_after;
  ASSERT_TRUE(within(seconds(40), [&] { return certificate_in(client_file).serial != first_serial; }));
  EXPECT_LT(clock_->now(), first_end) << "renewed before its end";
  ASSERT_TRUE(within(seconds(40), [&] { return certificate_in(serving).serial != first.serial; }));
  ASSERT_TRUE(within(seconds(30), [&] { return clock_->now() > first_end; }));
  EXPECT_TRUE(client.get<Node>("", "n1").ok()) << "by the new certificate, through the same transport";

  // An address that comes later is in the certificate when the Node object has it.
  certificates.set_addresses({"192.0.2.1", "2001:db8::1"});
  auto node = client.get<Node>("", "n1");
  ASSERT_TRUE(node.ok());
  auto& added = node->status.addresses.emplace_back();
  added.type = "InternalIP";
  added.address = "2001:db8::1";
  ASSERT_TRUE(client.update_status(*node).ok());
  EXPECT_TRUE(certificates.wait_serving(seconds(20)));
  EXPECT_EQ(certificate_in(serving).ip_addresses, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  certificates.stop();

  // What has been obtained is there for the next start, until it runs out.
  join::NodeCertificates again(certificate_options("n1"), clock_);
  ASSERT_TRUE(again.load().ok());
  EXPECT_TRUE(client_of(again).get<Node>("", "n1").ok());
  join::NodeCertificates late(certificate_options("n1"), std::make_shared<WrongClock>(hours(1)));
  EXPECT_TRUE(late.load().is(Reason::kExpired));
}

TEST_F(JoinFlowTest, ANodeGetsNoCertificateForOthersAddresses) {
  join::NodeCertificates certificates(certificate_options("n1"), clock_);
  ASSERT_TRUE(certificates.obtain(bootstrap()).ok());
  client::Client client = client_of(certificates);
  ASSERT_TRUE(client.create(node_of("n1", {"192.0.2.1", "192.0.2.2"})).ok());
  ASSERT_TRUE(admin_->create(node_of("n2", {"192.0.2.2"})).ok());
  ASSERT_TRUE(certificates.prepare_serving({"192.0.2.1", "192.0.2.2"}).ok());
  certificates.start();
  EXPECT_FALSE(certificates.wait_serving(seconds(1)));
  // Left for a person: neither approved nor denied.
  auto requests =
      admin_->list<api::certificatesv1::CertificateSigningRequest, api::certificatesv1::CertificateSigningRequestList>(
          "");
  ASSERT_TRUE(requests.ok());
  int waiting = 0;
  for (const auto& request : requests->items) {
    if (request.spec.signer_name != "kubernetes.io/kubelet-serving") continue;
    ++waiting;
    EXPECT_TRUE(request.status.conditions.empty());
  }
  EXPECT_EQ(waiting, 1);
  // The other node goes; then nothing speaks against it. The request is looked at again when the node's status changes.
  ASSERT_TRUE(admin_->remove<Node>("", "n2").ok());
  certificates.set_addresses({"192.0.2.1"});
  EXPECT_TRUE(certificates.wait_serving(seconds(20)));
}

}  // namespace
}  // namespace trireme::cmd
