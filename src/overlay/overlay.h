#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "overlay/external_interface.h"
#include "overlay/forward.h"
#include "overlay/lease_source.h"
#include "overlay/masquerade.h"

namespace trireme::overlay {

struct OverlayOptions {
  InterfaceOptions interface;
  /// What others send to; empty: the interface's own addresses.
  std::string public_ip;
  std::string public_ipv6;
  bool ip_masq = false;
  std::string masquerade_table{kMasqueradeTable};
  /// Accept rules in iptables' chain FORWARD; false takes away what an earlier run has left.
  bool forward_rules = true;
  std::string forward_chain{kForwardChain};
  std::string subnet_file;  ///< subnet.env; empty: not written.
  std::string cni_file;     ///< A CNI conflist; empty: not written.
  std::string cni_bridge;
  std::string cni_address_folder;
  /// Make the VXLAN device although no other node is reached through it yet.
  bool device_always = true;
};

struct OverlayDeps {
  std::unique_ptr<LeaseSource> leases;
  std::shared_ptr<Clock> clock;
};

/// flannel's work on one node: takes the node's subnets, announces how to reach it, and keeps the kernel's routes,
/// neighbours and tunnel entries as the other nodes' announcements want them, whatever else changes them. It acts on
/// events only, of the leases and of the kernel; what fails is tried again with a growing pause.
///
/// Everything stays in place when it stops, and is taken over at the next start.
class Overlay {
 public:
  /// Returns once the threads run. Fails where the kernel's changes cannot be watched.
  static Result<std::unique_ptr<Overlay>> start(OverlayOptions options, OverlayDeps deps);
  virtual ~Overlay() = default;

  /// Whether the node has its subnets and everything is as planned.
  virtual bool ready() const = 0;
  /// Waits for that; Timeout carries what is in the way.
  virtual Status wait_ready(Duration timeout) = 0;
  /// The machine's addresses have changed.
  virtual void set_interface(InterfaceOptions interface) = 0;
};

/// Removes what an overlay with this configuration and these subnets has left in this network namespace: its rules, its
/// routes, and the devices that carry its addresses.
Status remove_overlay(const NetworkConfig& config, const Lease& own, const std::string& masquerade_table,
                      const std::string& forward_chain);

}  // namespace trireme::overlay
