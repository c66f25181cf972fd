#pragma once

#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "client/reflector.h"

namespace trireme::client {

/// Moves any number of reflectors over an in-process transport on one thread, which sleeps until one of them has
/// something to do: dozens of watches cost one thread, not dozens. Used by one thread.
class InformerDriver {
 public:
  explicit InformerDriver(std::shared_ptr<Clock> clock);
  /// Stops.
  ~InformerDriver();

  /// Begins a reflector that was not started.
  void add(const std::shared_ptr<Reflector>& reflector);
  /// Forgets a reflector; waits while it is being moved. Not called on the driver's thread.
  void remove(const Reflector& reflector);
  /// Joins the thread. The reflectors keep what they have.
  void stop();

 private:
  struct Entry;
  /// Which reflectors have something to do; shared with the callbacks that say so, which may outlive the driver.
  struct Ready;
  void run(const std::stop_token& stop);

  const std::shared_ptr<Clock> clock_;
  const std::shared_ptr<Ready> ready_;
  std::vector<std::shared_ptr<Entry>> entries_;
  std::jthread thread_;
};

}  // namespace trireme::client
