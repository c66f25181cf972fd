#include "client/leader_election.h"

#include <random>
#include <thread>

#include "base/log.h"

namespace trireme::client {

using api::coordinationv1::Lease;

LeaderElector::LeaderElector(Client client, std::shared_ptr<Clock> clock, LeaderElectionOptions options)
    : client_(std::move(client)), clock_(std::move(clock)), options_(std::move(options)) {}

void LeaderElector::observe(Lease lease) {
  if (lease.metadata.resource_version == observed_.metadata.resource_version) return;
  observed_ = std::move(lease);
  observed_at_ = clock_->monotonic();
}

bool LeaderElector::try_acquire_or_renew() {
  const api::MicroTime now(clock_->now());
  Lease wanted;
  wanted.metadata.namespace_ = options_.ns;
  wanted.metadata.name = options_.name;
  wanted.spec.holder_identity = options_.identity;
  wanted.spec.lease_duration_seconds =
      static_cast<int32_t>(std::chrono::duration_cast<std::chrono::seconds>(options_.lease_duration).count());
  wanted.spec.acquire_time = now;
  wanted.spec.renew_time = now;
  wanted.spec.lease_transitions = 0;

  Result<Lease> found = client_.get<Lease>(options_.ns, options_.name);
  Result<Lease> written = Status::internal("nothing was written");
  if (found.status().is(Reason::kNotFound)) {
    written = client_.create(wanted);
  } else if (!found.ok()) {
    written = found.status();
  } else {
    observe(*found);
    const std::string holder = found->spec.holder_identity.value_or("");
    const Duration lasts = std::chrono::seconds(found->spec.lease_duration_seconds.value_or(0));
    if (!holder.empty() && holder != options_.identity && clock_->monotonic() < observed_at_ + lasts) return false;
    const int32_t transitions = found->spec.lease_transitions.value_or(0);
    if (holder == options_.identity) {
      wanted.spec.acquire_time = found->spec.acquire_time;
      wanted.spec.lease_transitions = transitions;
    } else {
      wanted.spec.lease_transitions = transitions + 1;
    }
    found->spec = wanted.spec;
    written = client_.update(*found);
  }
  if (!written.ok()) {
    // Losing the race for a lease is how others win it, and no error.
    if (!written.status().is(Reason::kConflict) && !written.status().is(Reason::kAlreadyExists) && !reported_) {
      log::warning("Cannot write the leader's lease", {{"lease", options_.name}, {"error", written.status()}});
      reported_ = true;
    }
    return false;
  }
  reported_ = false;
  observe(std::move(*written));
  return true;
}

Duration LeaderElector::retry_delay() const {
  // Candidates that start together must not go on asking together.
  static thread_local std::minstd_rand random{std::random_device{}()};
  const double jitter = 1 + 1.2 * std::uniform_real_distribution<double>(0, 1)(random);
  return Duration(static_cast<int64_t>(static_cast<double>(options_.retry_period.count()) * jitter));
}

void LeaderElector::release() {
  if (!is_leader()) return;
  Lease lease = observed_;
  lease.spec.holder_identity.reset();
  lease.spec.lease_duration_seconds = 1;
  lease.spec.renew_time = api::MicroTime(clock_->now());
  if (Result<Lease> written = client_.update(lease); written.ok()) {
    observe(std::move(*written));
  } else {
    log::warning("Cannot release the leader's lease", {{"lease", options_.name}, {"error", written.status()}});
  }
}

Status LeaderElector::run(std::stop_token stop, const std::function<void(std::stop_token)>& lead) {
  while (!try_acquire_or_renew()) {
    if (!clock_->sleep_for(retry_delay(), stop)) return {};
  }
  log::info("Became leader", {{"lease", options_.name}, {"identity", options_.identity}});
  std::jthread leading(lead);
  Duration renewed = clock_->monotonic();
  bool lost = false;
  while (!lost && clock_->sleep_for(options_.retry_period, stop)) {
    if (try_acquire_or_renew()) {
      renewed = clock_->monotonic();
    } else {
      lost = clock_->monotonic() - renewed >= options_.renew_deadline || !is_leader();
    }
  }
  leading.request_stop();
  leading.join();
  if (!lost) {
    if (options_.release_on_stop) release();
    return {};
  }
  log::error("Lost leadership", {{"lease", options_.name}, {"identity", options_.identity}});
  return Status::timeout("leadership was lost");
}

}  // namespace trireme::client
