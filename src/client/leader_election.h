#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "api/types/coordinationv1.h"
#include "base/clock.h"
#include "client/client.h"

namespace trireme::client {

/// Upstream's flags --leader-elect-*, with its defaults.
struct LeaderElectionOptions {
  std::string ns = "kube-system";
  std::string name;      ///< Of the Lease: "kube-controller-manager".
  std::string identity;  ///< Unique among the candidates.
  Duration lease_duration = std::chrono::seconds(15);
  Duration renew_deadline = std::chrono::seconds(10);
  Duration retry_period = std::chrono::seconds(2);
  bool release_on_stop = true;  ///< Give the lease up at the end, so that another leads at once.
};

/// Leadership among processes by a Lease object, with client-go's rules: time is measured from when this process saw
/// the record change, so that the machines' clocks need not agree; a leader that cannot renew for `renew_deadline`
/// stops leading. Used by one thread.
class LeaderElector {
 public:
  LeaderElector(Client client, std::shared_ptr<Clock> clock, LeaderElectionOptions options);

  /// Waits to become leader, then calls `lead` on a thread of its own with a token that is stopped when leadership is
  /// lost or `stop` is requested. Returns when `lead` has returned: OK after a stop, Timeout after a loss.
  Status run(std::stop_token stop, const std::function<void(std::stop_token)>& lead);

  /// One try to acquire or renew. True when this process leads afterwards. Failures of the API are a "no".
  bool try_acquire_or_renew();
  /// Who leads as far as is known; empty when nobody does.
  std::string leader() const { return observed_.spec.holder_identity.value_or(""); }
  bool is_leader() const { return leader() == options_.identity; }

 private:
  void observe(api::coordinationv1::Lease lease);
  void release();
  Duration retry_delay() const;

  Client client_;
  const std::shared_ptr<Clock> clock_;
  const LeaderElectionOptions options_;
  api::coordinationv1::Lease observed_;
  Duration observed_at_{};
  bool reported_ = false;
};

}  // namespace trireme::client
