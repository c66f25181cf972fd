#include "overlay/overlay.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "client/work_queue.h"
#include "linux/file.h"
#include "linux/netlink_monitor.h"
#include "linux/nft.h"
#include "overlay/applier.h"
#include "overlay/files.h"
#include "overlay/forward.h"
#include "overlay/masquerade.h"

namespace trireme::overlay {
namespace {

namespace nft = linux::nft;

constexpr client::RateLimit kRetry{.base = std::chrono::milliseconds(50), .maximum = std::chrono::seconds(30)};
const std::string kSync = "sync";

/// Which of the kernel's notices concern the overlay. Most, on a busy machine, do not.
struct Interest {
  std::set<int> links;  ///< The devices and the external interface.
  std::set<std::string> names;
  IpPrefix network;
  IpPrefix ipv6_network;

  bool covers(const linux::NetlinkMessage& message) const {
    struct Visitor {
      const Interest& interest;
      bool operator()(const std::monostate&) const { return true; }
      bool operator()(const linux::Link& link) const {
        return interest.links.contains(link.index) || interest.names.contains(link.name);
      }
      bool operator()(const linux::Address& address) const { return interest.links.contains(address.link); }
      bool operator()(const linux::Route& route) const {
        return route.destination.length == 0 || interest.network.contains(route.destination) ||
               interest.ipv6_network.contains(route.destination);
      }
      bool operator()(const linux::Neighbour& neighbour) const { return interest.links.contains(neighbour.link); }
    };
    return std::visit(Visitor{*this}, message.object);
  }
};

class RunningOverlay final : public Overlay {
 public:
  RunningOverlay(OverlayOptions options, OverlayDeps deps)
      : options_(std::move(options)),
        leases_(std::move(deps.leases)),
        clock_(std::move(deps.clock)),
        interface_(options_.interface),
        queue_(clock_, kRetry) {}

  ~RunningOverlay() override {
    leases_->stop();
    queue_.shut_down();
    if (nft_thread_.joinable()) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(nft_wake_, &one, sizeof one);
      nft_thread_.join();
    }
    if (nft_wake_ >= 0) ::close(nft_wake_);
    monitor_.reset();
    worker_.request_stop();
    if (worker_.joinable()) worker_.join();
  }

  Status run() {
    TRY_ASSIGN(auto netlink, linux::Netlink::open());
    netlink_.emplace(std::move(netlink));
    TRY_ASSIGN(monitor_, linux::NetlinkMonitor::start([this](const linux::NetlinkMessage& message) {
                 {
                   const std::lock_guard lock(mutex_);
                   if (!interest_.covers(message)) return;
                 }
                 queue_.add(kSync);
               }));
    if (!options_.forward_rules) TRY(remove_forward_rules(options_.forward_chain));
    if (options_.ip_masq || options_.forward_rules) TRY(watch_rules());
    TRY(leases_->start([this] { queue_.add(kSync); }));
    queue_.add(kSync);
    worker_ = std::jthread([this](std::stop_token stop) { work(stop); });
    return {};
  }

  bool ready() const override {
    const std::lock_guard lock(mutex_);
    return ready_;
  }

  Status wait_ready(Duration timeout) override {
    std::unique_lock lock(mutex_);
    if (ready_changed_.wait_for(lock, timeout, [&] { return ready_; })) return {};
    return Status::timeout(last_problem_.empty() ? "the node has no range of pod addresses yet" : last_problem_);
  }

  void set_interface(InterfaceOptions interface) override {
    {
      const std::lock_guard lock(mutex_);
      interface_ = std::move(interface);
    }
    queue_.add(kSync);
  }

 private:
  void work(std::stop_token stop) {
    while (auto key = queue_.get(stop)) {
      const Result<bool> done = sync();
      const std::string problem = done.ok() ? "" : done.status().to_string();
      if (!problem.empty() && problem != last_problem_) {
        log::warning("The pod network is not complete; trying again", {{"error", done.status()}});
      } else if (problem.empty() && !last_problem_.empty()) {
        log::info("The pod network is complete again");
      }
      {
        const std::lock_guard lock(mutex_);
        last_problem_ = problem;
        ready_ = done.ok() && *done;
      }
      ready_changed_.notify_all();
      if (done.ok()) {
        queue_.forget(*key);
      } else {
        queue_.add_rate_limited(*key);
      }
      queue_.done(*key);
    }
  }

  /// False: the node has no subnets yet.
  Result<bool> sync() {
    if (!config_) {
      TRY_ASSIGN(config_, leases_->config());
      const std::lock_guard lock(mutex_);
      interest_.network = config_->network;
      interest_.ipv6_network = config_->ipv6_network;
      for (const bool ipv6 : {false, true}) interest_.names.insert(device_name(*config_, ipv6));
    }
    PlanInput input;
    input.config = *config_;
    TRY_ASSIGN(input.external, find_interface(*netlink_, interface(), *config_));
    {
      const std::lock_guard lock(mutex_);
      interest_.links.insert(input.external.index);
    }
    TRY_ASSIGN(const Lease mine, own_side(input));
    TRY_ASSIGN(auto own, leases_->acquire(*config_, mine));
    if (!own) return false;
    input.own = std::move(*own);
    input.others = leases_->others(*config_);
    input.is_on_link = [&](const IpAddress& address) {
      auto route = netlink_->route_to(address);
      return route.ok() && route->gateway.empty() && route->link == input.external.index;
    };
    const Plan plan = make_plan(input);
    complain(plan.problems);
    Applier applier(*netlink_);
    Status status = applier.apply(plan, input);
    watch(input, applier.device_links());
    const uint32_t mtu = pod_mtu(*config_, input.external.mtu);
    TRY(masquerade(input.own));
    TRY(write_files(input.own, mtu));
    TRY(leases_->complete());
    TRY(let_forwarded_pass());
    TRY(status);
    return true;
  }

  InterfaceOptions interface() const {
    const std::lock_guard lock(mutex_);
    return interface_;
  }

  /// How others reach this node. A device that is there keeps its address; so does one that was announced.
  Result<Lease> own_side(PlanInput& input) {
    Lease mine;
    const auto address = [](const std::string& text, bool ipv6, const IpAddress& found) -> Result<IpAddress> {
      if (text.empty()) return found;
      const auto parsed = IpAddress::parse(text);
      if (parsed && parsed->is_ipv6() == ipv6) return *parsed;
      return Status::bad_request(fmt::format("public address \"{}\" is no IPv{} address", text, ipv6 ? 6 : 4));
    };
    if (config_->enable_ipv4) {
      TRY_ASSIGN(mine.public_ip, address(options_.public_ip, false, input.external.address));
    }
    if (config_->enable_ipv6) {
      TRY_ASSIGN(mine.public_ipv6, address(options_.public_ipv6, true, input.external.address_ipv6));
    }
    input.device_always = options_.device_always;
    if (config_->backend != Backend::kVxlan) return mine;
    for (const bool ipv6 : {false, true}) {
      MacAddress& mac = ipv6 ? mac_ipv6_ : mac_;
      if (!(ipv6 ? config_->enable_ipv6 : config_->enable_ipv4)) continue;
      const auto device = netlink_->link(device_name(*config_, ipv6));
      const bool present = device.ok() && device->kind == "vxlan";
      if (present) input.device_always = true;
      if (!mac.empty()) continue;
      if (present) {
        mac = device->mac;
        continue;
      }
      if (const auto before = leases_->announced(mine)) mac = ipv6 ? before->vtep_mac_ipv6 : before->vtep_mac;
      if (mac.empty()) mac = MacAddress::random();
    }
    mine.vtep_mac = mac_;
    mine.vtep_mac_ipv6 = mac_ipv6_;
    return mine;
  }

  void complain(const std::vector<std::string>& problems) {
    const std::set<std::string> now(problems.begin(), problems.end());
    for (const std::string& each : now) {
      if (!complaints_.contains(each)) log::warning("A node's pods cannot be reached", {{"why", each}});
    }
    complaints_ = now;
  }

  void watch(const PlanInput& input, const std::vector<int>& devices) {
    const std::lock_guard lock(mutex_);
    interest_.links = {devices.begin(), devices.end()};
    interest_.links.insert(input.external.index);
  }

  Status masquerade(const Lease& own) {
    if (!options_.ip_masq) return {};
    const bool same = own.subnet == masqueraded_.subnet && own.ipv6_subnet == masqueraded_.ipv6_subnet;
    if (same && !rules_touched_.exchange(false)) return {};
    nft::Batch batch;
    masquerade_rules(options_.masquerade_table, *config_, own, batch);
    rules_touched_ = false;
    TRY(nft_->commit(batch).with_context("masquerading"));
    masqueraded_ = own;
    return {};
  }

  Status let_forwarded_pass() {
    if (!options_.forward_rules) return {};
    // Not a failure of the network's: this iptables may be there without being used.
    const Status legacy = ensure_legacy_forward_rules(options_.forward_chain, *config_);
    if (!legacy.ok() && legacy.message() != legacy_problem_) {
      log::warning("Packets of pods are not let through by iptables-legacy", {{"error", legacy}});
    }
    legacy_problem_ = legacy.message();
    if (!forward_touched_.exchange(false)) return {};
    Status status = ensure_forward_rules(*nft_, options_.forward_chain, *config_);
    if (!status.ok()) forward_touched_ = true;
    return status;
  }

  Status write_files(const Lease& own, uint32_t mtu) {
    if (!options_.subnet_file.empty()) {
      TRY(write_if_changed(options_.subnet_file, subnet_env(*config_, own, mtu, options_.ip_masq)));
    }
    if (options_.cni_file.empty()) return {};
    CniConfig cni;
    cni.bridge = options_.cni_bridge;
    cni.address_folder = options_.cni_address_folder;
    cni.subnet = own.subnet;
    cni.ipv6_subnet = own.ipv6_subnet;
    cni.mtu = mtu;
    return write_if_changed(options_.cni_file, cni_conflist(cni));
  }

  static Status write_if_changed(const std::string& path, const std::string& text) {
    const auto before = linux::read_file(path);
    if (before.ok() && *before == text) return {};
    const size_t slash = path.rfind('/');
    if (slash != std::string::npos && slash > 0) TRY(linux::make_dirs(path.substr(0, slash)));
    return linux::replace_file(path, text, 0644);
  }

  /// Rules that somebody else deletes are written again.
  Status watch_rules() {
    TRY_ASSIGN(auto socket, nft::Socket::open());
    nft_.emplace(std::move(socket));
    TRY_ASSIGN(auto monitor, nft::Monitor::open(nft_->port_id()));
    nft_monitor_.emplace(std::move(monitor));
    nft_wake_ = ::eventfd(0, EFD_CLOEXEC);
    if (nft_wake_ < 0) return linux::errno_status("watch", "nftables", errno);
    nft_thread_ = std::thread([this] {
      std::array<pollfd, 2> waiting{pollfd{nft_monitor_->fd(), POLLIN, 0}, pollfd{nft_wake_, POLLIN, 0}};
      while (true) {
        if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
        if (waiting[1].revents != 0) return;
        for (const nft::Monitor::Event& event : nft_monitor_->read()) {
          const bool lost = event.what == nft::Monitor::What::kOverrun;
          const bool deleted = event.what == nft::Monitor::What::kDeleted;
          const bool ours = deleted && event.table.name == options_.masquerade_table;
          const bool forward = options_.forward_rules && concerns_forwarding(event.table) &&
                               (deleted || event.what == nft::Monitor::What::kChainAdded);
          if (lost || ours) rules_touched_ = true;
          if (lost || forward) forward_touched_ = true;
          if (lost || ours || forward) queue_.add(kSync);
        }
      }
    });
    return {};
  }

  const OverlayOptions options_;
  const std::unique_ptr<LeaseSource> leases_;
  const std::shared_ptr<Clock> clock_;
  mutable std::mutex mutex_;
  InterfaceOptions interface_;
  std::condition_variable ready_changed_;
  bool ready_ = false;
  std::string last_problem_;
  Interest interest_;
  client::WorkQueue queue_;

  // Of the worker alone.
  std::optional<linux::Netlink> netlink_;
  std::optional<NetworkConfig> config_;
  MacAddress mac_;
  MacAddress mac_ipv6_;
  std::set<std::string> complaints_;
  Lease masqueraded_;

  std::string legacy_problem_;

  std::atomic<bool> rules_touched_ = true;
  std::atomic<bool> forward_touched_ = true;
  std::optional<nft::Socket> nft_;
  std::optional<nft::Monitor> nft_monitor_;
  int nft_wake_ = -1;
  std::thread nft_thread_;
  std::unique_ptr<linux::NetlinkMonitor> monitor_;
  std::jthread worker_;
};

}  // namespace

Result<std::unique_ptr<Overlay>> Overlay::start(OverlayOptions options, OverlayDeps deps) {
  auto overlay = std::make_unique<RunningOverlay>(std::move(options), std::move(deps));
  TRY(overlay->run());
  return std::unique_ptr<Overlay>(std::move(overlay));
}

Status remove_overlay(const NetworkConfig& config, const Lease& own, const std::string& masquerade_table,
                      const std::string& forward_chain) {
  TRY_ASSIGN(auto netlink, linux::Netlink::open());
  TRY_ASSIGN(const auto routes, netlink.routes({.protocol = linux::kRouteProtocol}));
  for (const linux::Route& route : routes) {
    const bool inside = config.network.contains(route.destination) || config.ipv6_network.contains(route.destination);
    if (route.type == linux::RouteType::kUnicast && inside) TRY(netlink.delete_route(route));
  }
  for (const bool ipv6 : {false, true}) {
    const auto device = netlink.link(device_name(config, ipv6));
    const IpPrefix& subnet = ipv6 ? own.ipv6_subnet : own.subnet;
    if (!device.ok() || device->kind != "vxlan" || subnet.empty()) continue;
    TRY_ASSIGN(const auto addresses, netlink.addresses(device->index));
    const bool ours = std::ranges::any_of(
        addresses, [&](const linux::Address& each) { return each.prefix == IpPrefix::host(subnet.address); });
    if (ours) TRY(netlink.delete_link(device->index));
  }
  TRY(remove_forward_rules(forward_chain));
  return remove_masquerade(masquerade_table);
}

}  // namespace trireme::overlay
