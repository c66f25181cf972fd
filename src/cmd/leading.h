#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/flags.h"
#include "client/client.h"
#include "client/leader_election.h"

namespace trireme::cmd {

/// The flags --leader-elect*, by upstream's names and with its defaults.
struct Leadership {
  bool elect = true;
  std::string resource_lock = "leases";
  client::LeaderElectionOptions options;
};

/// Binds the flags. `component` is the lease's default name: "kube-scheduler".
void add_leadership_flags(FlagSet& flags, Leadership& leadership, std::string component);

/// BadRequest for durations that do not go together and for locks other than leases.
Status check(const Leadership& leadership);

/// Runs `work` when this process leads, or at once without election. `work` returns when the token it is given is
/// stopped: by `stop`, or because leadership was lost, which then is the Timeout that this returns. The identity is
/// made of the host's name. Events tell who leads.
Status run_as_leader(const Leadership& leadership, const std::shared_ptr<client::RawClient>& client,
                     const std::shared_ptr<Clock>& clock, std::stop_token stop,
                     const std::function<Status(std::stop_token)>& work);

/// Blocks until a stop is requested.
void wait_for_stop(std::stop_token stop);

}  // namespace trireme::cmd
