#include "cmd/leading.h"

#include <gtest/gtest.h>

#include "api/types/coordinationv1.h"
#include "apiserver/api_server.h"
#include "store/memory_store.h"

namespace trireme::cmd {
namespace {

using api::coordinationv1::Lease;

TEST(LeadershipTest, TakesUpstreamsFlagsAndChecksThem) {
  struct Case {
    std::vector<std::string> words;
    bool good;
  };
  const Case cases[] = {
      {{}, true},
      {{"--leader-elect=false", "--leader-elect-lease-duration=1s"}, true},
      {{"--leader-elect-lease-duration=10s"}, false},
      {{"--leader-elect-retry-period=9s"}, false},
      {{"--leader-elect-retry-period=0s"}, false},
      {{"--leader-elect-resource-lock=endpoints"}, false},
      {{"--leader-elect-resource-name="}, false},
      {{"--leader-elect-lease-duration=900ms", "--leader-elect-renew-deadline=800ms",
        "--leader-elect-retry-period=1ms"},
       false},
      {{"--leader-elect-lease-duration=60s", "--leader-elect-renew-deadline=40s"}, true},
  };
  for (const Case& each : cases) {
    Leadership leadership;
    FlagSet flags("test");
    add_leadership_flags(flags, leadership, "kube-scheduler");
    ASSERT_TRUE(flags.parse(each.words).ok());
    EXPECT_EQ(check(leadership).ok(), each.good) << (each.words.empty() ? "" : each.words.front());
  }
}

class LeadingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    apiserver::Options options;
    options.store = store::memory_store(clock_);
    options.clock = clock_;
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok());
    server_ = std::move(*server);
    client_ = std::make_shared<client::RawClient>(
        std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})), "test");
    leadership_.options.name = "kube-scheduler";
    leadership_.options.lease_duration = std::chrono::seconds(1);
    leadership_.options.renew_deadline = std::chrono::milliseconds(100);
    leadership_.options.retry_period = std::chrono::milliseconds(10);
  }
  Result<Lease> lease() { return client::Client(client_).get<Lease>("kube-system", "kube-scheduler"); }

  std::shared_ptr<Clock> clock_ = real_clock();
  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<client::RawClient> client_;
  Leadership leadership_;
};

TEST_F(LeadingTest, WorksWithTheLeaseAndGivesItBack) {
  std::stop_source stop;
  std::string holder;
  const Status status = run_as_leader(leadership_, client_, clock_, stop.get_token(), [&](std::stop_token token) {
    holder = lease()->spec.holder_identity.value_or("");
    stop.request_stop();
    wait_for_stop(std::move(token));
    return Status();
  });
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_NE(holder, "");
  EXPECT_EQ(lease()->spec.holder_identity.value_or(""), "");
}

TEST_F(LeadingTest, EndsWhenAnotherTakesTheLease) {
  bool stopped = false;
  const Status status = run_as_leader(leadership_, client_, clock_, {}, [&](std::stop_token token) {
    Status taken;
    do {
      Lease other = *lease();
      other.spec.holder_identity = "another";
      other.spec.lease_duration_seconds = 3600;
      taken = client::Client(client_).update(other).status();
    } while (!taken.ok());
    wait_for_stop(std::move(token));
    stopped = true;
    return Status();
  });
  EXPECT_TRUE(status.is(Reason::kTimeout)) << status.to_string();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(lease()->spec.holder_identity.value_or(""), "another");
}

TEST_F(LeadingTest, AFailureToStartEndsIt) {
  const Status status =
      run_as_leader(leadership_, client_, clock_, {}, [](std::stop_token) { return Status::internal("no"); });
  EXPECT_EQ(status.message(), "no");
}

TEST_F(LeadingTest, WithoutElectionThereIsNoLease) {
  leadership_.elect = false;
  EXPECT_TRUE(run_as_leader(leadership_, client_, clock_, {}, [](std::stop_token) { return Status(); }).ok());
  EXPECT_TRUE(lease().status().is(Reason::kNotFound));
}

}  // namespace
}  // namespace trireme::cmd
