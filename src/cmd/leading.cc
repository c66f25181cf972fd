#include "cmd/leading.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <semaphore>

#include "api/names.h"
#include "base/log.h"
#include "client/event_recorder.h"

namespace trireme::cmd {
namespace {

// What jitter may add to a retry.
constexpr double kJitter = 1.2;

std::string identity() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("{}_{:08x}{:08x}", host.data(), api::system_random(), api::system_random());
}

}  // namespace

void add_leadership_flags(FlagSet& flags, Leadership& leadership, std::string component) {
  leadership.options.name = std::move(component);
  flags.add("leader-elect", &leadership.elect, "work only while holding a lease, so that several may run");
  flags.add("leader-elect-lease-duration", &leadership.options.lease_duration,
            "time after which others may take over a lease that is not renewed");
  flags.add("leader-elect-renew-deadline", &leadership.options.renew_deadline,
            "time without renewing after which the leader ends");
  flags.add("leader-elect-retry-period", &leadership.options.retry_period, "time between tries");
  flags.add("leader-elect-resource-lock", &leadership.resource_lock, "kind of the lock; only leases");
  flags.add("leader-elect-resource-name", &leadership.options.name, "name of the lease");
  flags.add("leader-elect-resource-namespace", &leadership.options.ns, "namespace of the lease");
}

Status check(const Leadership& leadership) {
  if (!leadership.elect) return {};
  const client::LeaderElectionOptions& options = leadership.options;
  if (leadership.resource_lock != "leases") {
    return Status::bad_request(
        fmt::format("flag --leader-elect-resource-lock: \"{}\" is not leases", leadership.resource_lock));
  }
  if (options.name.empty() || options.ns.empty()) {
    return Status::bad_request("flags --leader-elect-resource-name and -namespace may not be empty");
  }
  if (options.retry_period <= Duration::zero()) {
    return Status::bad_request("flag --leader-elect-retry-period must be greater than zero");
  }
  if (static_cast<double>(options.renew_deadline.count()) <=
      kJitter * static_cast<double>(options.retry_period.count())) {
    return Status::bad_request("flag --leader-elect-renew-deadline must be greater than 1.2 retry periods");
  }
  if (options.lease_duration < std::chrono::seconds(1)) {
    return Status::bad_request("flag --leader-elect-lease-duration must be at least a second");
  }
  if (options.lease_duration <= options.renew_deadline) {
    return Status::bad_request("flag --leader-elect-lease-duration must be greater than the renew deadline");
  }
  return {};
}

Status run_as_leader(const Leadership& leadership, const std::shared_ptr<client::RawClient>& client,
                     const std::shared_ptr<Clock>& clock, std::stop_token stop,
                     const std::function<Status(std::stop_token)>& work) {
  if (!leadership.elect) return work(std::move(stop));
  client::LeaderElectionOptions options = leadership.options;
  if (options.identity.empty()) options.identity = identity();
  client::EventBroadcaster broadcaster(client::Client(client), clock);
  client::EventRecorder events = broadcaster.recorder(client->user_agent());
  api::corev1::ObjectReference lease;
  lease.kind = "Lease";
  lease.api_version = "coordination.k8s.io/v1";
  lease.namespace_ = options.ns;
  lease.name = options.name;

  // The work may end by itself, by failing to start: then nobody leads any longer.
  std::stop_source over;
  std::stop_callback forward(stop, [&over] { over.request_stop(); });
  Status worked;
  client::LeaderElector elector(client::Client(client), clock, options);
  const Status led = elector.run(over.get_token(), [&](std::stop_token token) {
    events.normal(lease, "LeaderElection", options.identity + " became leader");
    worked = work(std::move(token));
    over.request_stop();
  });
  return led.ok() ? worked : led;
}

void wait_for_stop(std::stop_token stop) {
  std::binary_semaphore stopped{0};
  const std::stop_callback release(stop, [&stopped] { stopped.release(); });
  stopped.acquire();
}

}  // namespace trireme::cmd
