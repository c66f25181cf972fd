#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "proxy/rules.h"

namespace trireme::proxy {

/// Whether the rules keep up with the objects: unhealthy when a change has waited longer than `timeout`. Thread-safe.
class Health {
 public:
  Health(std::shared_ptr<Clock> clock, Duration timeout) : clock_(std::move(clock)), timeout_(timeout) {}

  void change_waits();
  void up_to_date();
  /// The node is going away: load balancers are told to turn elsewhere, while the process itself is well.
  /// https://kep.k8s.io/3836
  void set_node_eligible(bool eligible);

  bool healthy() const;
  bool node_eligible() const;
  struct Answer {
    int status = 200;
    std::string body;
  };
  Answer healthz() const;
  Answer livez() const;

 private:
  Answer answer(bool with_node) const;

  const std::shared_ptr<Clock> clock_;
  const Duration timeout_;
  mutable std::mutex mutex_;
  std::optional<Duration> waits_since_;
  WallTime last_updated_{};
  bool node_eligible_ = true;
};

/// The health check node ports: each answers 200 while the node has endpoints of its service, else 503. Thread-safe.
class HealthCheckPorts {
 public:
  /// `health` must outlive it.
  HealthCheckPorts(std::string address, const Health& health);
  ~HealthCheckPorts();

  /// Opens, closes or updates the port of the service "namespace/name"; port 0 closes it. Fails when the port is
  /// taken; it is tried again at the next call.
  Status set(const std::string& service, const HealthCheck& check);

 private:
  class Port;
  const std::string address_;
  const Health& health_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Port>> ports_;
};

}  // namespace trireme::proxy
