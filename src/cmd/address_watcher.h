#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "client/client.h"

namespace trireme::cmd {

struct AddressWatcherOptions {
  std::vector<std::string> present;  ///< What the caller knows.
  std::string cluster_cidr;          ///< Addresses of pods and of their bridges are no machine's.
};

/// Tells when the addresses by which others reach this machine change, by the kernel's events; between those nothing
/// runs. A change that is taken back within a moment (an interface that goes down and up) is none; a machine that has
/// lost all its addresses keeps the last ones.
class AddressWatcher {
 public:
  /// Called on the watcher's thread, with at least one address. A failure is logged and tried again after a while.
  using Changed = std::function<Status(const std::vector<std::string>& addresses)>;

  static Result<std::unique_ptr<AddressWatcher>> start(AddressWatcherOptions options, Changed changed);
  virtual ~AddressWatcher() = default;
};

/// Makes the service default/kubernetes lead to this address of the API server.
Status advertise(client::Client admin, const std::string& address, uint16_t port);

}  // namespace trireme::cmd
