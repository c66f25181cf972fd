#include "overlay/etcd_leases.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "base/log.h"
#include "linux/file.h"
#include "overlay/files.h"

namespace trireme::overlay {
namespace {

constexpr Duration kLeaseTime = std::chrono::hours(24);
constexpr size_t kChoices = 100;  // flannel draws from the first hundred that are free
constexpr int kRaces = 10;
constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(5);

class EtcdLeases final : public LeaseSource {
 public:
  EtcdLeases(EtcdLeaseOptions options, std::unique_ptr<EtcdClient> client, std::shared_ptr<Clock> clock)
      : options_(std::move(options)), client_(std::move(client)), clock_(std::move(clock)) {
    while (options_.prefix.ends_with('/')) options_.prefix.pop_back();
    subnets_ = options_.prefix + "/subnets/";
  }
  ~EtcdLeases() override { stop(); }

  Status start(std::function<void()> changed) override {
    changed_ = std::move(changed);
    watcher_ = std::jthread([this](std::stop_token stop) { watch(stop); });
    return {};
  }

  void stop() override {
    watcher_.request_stop();
    if (watcher_.joinable()) watcher_.join();
    const std::lock_guard lock(mutex_);
    timer_.reset();
  }

  Result<NetworkConfig> config() override {
    const std::string key = options_.prefix + "/config";
    TRY_ASSIGN(const auto listing, client_->range(key, false));
    if (listing.items.empty()) return Status::not_found(fmt::format("etcd has no network configuration at {}", key));
    auto config = parse_network_config(listing.items.front().value);
    if (!config.ok()) return config.status().with_context(key);
    TRY(complete_subnets(*config).with_context(key));
    if (!config->enable_ipv4) return Status::bad_request(key + ": leases in etcd are of IPv4, or of both families");
    return config;
  }

  std::optional<Lease> announced(const Lease& mine) override {
    auto listing = client_->range(subnets_, true);
    if (!listing.ok()) return std::nullopt;
    for (const Lease& lease : leases_of(*listing)) {
      if (lease.public_ip == mine.public_ip) return lease;
    }
    return std::nullopt;
  }

  Result<std::optional<Lease>> acquire(const NetworkConfig& config, const Lease& mine) override {
    {
      const std::lock_guard lock(mutex_);
      const bool same = held_ && held_->public_ip == mine.public_ip && held_->public_ipv6 == mine.public_ipv6 &&
                        held_->vtep_mac == mine.vtep_mac && held_->vtep_mac_ipv6 == mine.vtep_mac_ipv6;
      if (same && !lost_ && clock_->now() < renew_at_) return held_;
    }
    for (int tries = 0; tries < kRaces; ++tries) {
      TRY_ASSIGN(auto lease, try_acquire(config, mine));
      if (lease) return lease;
    }
    return Status::unavailable("other nodes took every subnet that was asked for; trying again");
  }

  std::vector<Lease> others(const NetworkConfig&) override {
    const std::lock_guard lock(mutex_);
    std::vector<Lease> out;
    for (const Lease& lease : known_) {
      if (!held_ || lease.subnet != held_->subnet) out.push_back(lease);
    }
    return out;
  }

  Status complete() override { return {}; }

 private:
  std::vector<Lease> leases_of(const EtcdClient::Listing& listing) {
    std::vector<Lease> out;
    for (const auto& item : listing.items) {
      auto lease = parse_subnet_key(item.key);
      const Status read = lease ? read_lease_json(item.value, *lease) : Status::bad_request("it is no subnet");
      if (read.ok()) {
        out.push_back(std::move(*lease));
      } else {
        log::warning("A lease in etcd cannot be read", {{"key", item.key}, {"error", read}});
      }
    }
    return out;
  }

  static bool fits(const NetworkConfig& config, const Lease& lease) {
    const bool ipv4 = lease.subnet.length == config.subnet_len && lease.subnet.address >= config.subnet_min &&
                      lease.subnet.address <= config.subnet_max;
    if (!config.enable_ipv6) return ipv4 && lease.ipv6_subnet.empty();
    return ipv4 && lease.ipv6_subnet.length == config.ipv6_subnet_len &&
           lease.ipv6_subnet.address >= config.ipv6_subnet_min && lease.ipv6_subnet.address <= config.ipv6_subnet_max;
  }

  /// Nothing: another node was faster.
  Result<std::optional<Lease>> try_acquire(const NetworkConfig& config, const Lease& mine) {
    TRY_ASSIGN(const auto listing, client_->range(subnets_, true));
    const std::vector<Lease> leases = leases_of(listing);
    Lease lease = mine;
    lease.backend_type = to_string(config.backend);
    lease.vni = config.vni;
    for (const Lease& each : leases) {
      if (each.public_ip != mine.public_ip) continue;
      if (!fits(config, each)) {
        TRY(client_->remove(subnets_ + subnet_key(each)));
        continue;
      }
      lease.subnet = each.subnet;
      lease.ipv6_subnet = each.ipv6_subnet;
      const std::string key = subnets_ + subnet_key(each);
      const auto item = std::ranges::find_if(listing.items, [&](const auto& found) { return found.key == key; });
      const bool reserved = item != listing.items.end() && item->lease == 0;
      int64_t grant = 0;
      if (!reserved) {
        TRY_ASSIGN(grant, client_->grant(std::chrono::duration_cast<std::chrono::seconds>(kLeaseTime).count()));
      }
      TRY(client_->put(key, lease_json(lease, config), grant));
      return hold(std::move(lease));
    }
    TRY(choose(config, leases, lease));
    TRY_ASSIGN(const int64_t grant,
               client_->grant(std::chrono::duration_cast<std::chrono::seconds>(kLeaseTime).count()));
    auto created = client_->create_key(subnets_ + subnet_key(lease), lease_json(lease, config), grant);
    if (created.ok() && *created) {
      log::info("Leased a subnet", {{"subnet", lease.subnet.to_string()}});
      return hold(std::move(lease));
    }
    (void)client_->revoke(grant);
    if (!created.ok()) return created.status();
    return std::optional<Lease>();
  }

  /// The subnet held before, else one of those that are free.
  Status choose(const NetworkConfig& config, const std::vector<Lease>& leases, Lease& lease) {
    Lease before;
    {
      const std::lock_guard lock(mutex_);
      if (held_) before = *held_;
    }
    if (before.subnet.empty() && !options_.subnet_file.empty()) {
      if (const auto env = linux::read_file(options_.subnet_file); env.ok()) before = previous_subnets(*env, config);
    }
    const bool taken = std::ranges::any_of(leases, [&](const Lease& each) {
      return each.subnet.overlaps(before.subnet) ||
             (!before.ipv6_subnet.empty() && each.ipv6_subnet.overlaps(before.ipv6_subnet));
    });
    if (!before.subnet.empty() && !taken && fits(config, before)) {
      lease.subnet = before.subnet;
      lease.ipv6_subnet = before.ipv6_subnet;
      return {};
    }
    std::vector<IpPrefix> used;
    std::vector<IpPrefix> used_ipv6;
    for (const Lease& each : leases) {
      used.push_back(each.subnet);
      if (!each.ipv6_subnet.empty()) used_ipv6.push_back(each.ipv6_subnet);
    }
    const auto pick = [](size_t count) {
      std::random_device device;
      return std::uniform_int_distribution<size_t>(0, count - 1)(device);
    };
    TRY_ASSIGN(lease.subnet, free_subnet(config.subnet_min, config.subnet_max, config.subnet_len, used, pick));
    if (!config.enable_ipv6) return {};
    TRY_ASSIGN(lease.ipv6_subnet,
               free_subnet(config.ipv6_subnet_min, config.ipv6_subnet_max, config.ipv6_subnet_len, used_ipv6, pick));
    return {};
  }

  Result<std::optional<Lease>> hold(Lease lease) {
    const Duration wait = std::max<Duration>(kLeaseTime - options_.renew_margin, std::chrono::minutes(1));
    auto timer = clock_->call_after(wait, [this] { changed_(); });
    const std::lock_guard lock(mutex_);
    held_ = std::move(lease);
    lost_ = false;
    renew_at_ = clock_->now() + std::chrono::duration_cast<WallTime::duration>(wait);
    timer_.swap(timer);
    return held_;
  }

  void watch(std::stop_token stop) {
    Duration pause = kFirstPause;
    while (!stop.stop_requested()) {
      int64_t revision = 0;
      Status status = refresh(revision);
      if (status.ok()) {
        pause = kFirstPause;
        status = client_->watch(subnets_, revision + 1, stop, [&] {
          const Status read = refresh(revision);
          if (!read.ok()) log::warning("The leases in etcd cannot be read", {{"error", read}});
        });
      }
      if (stop.stop_requested()) return;
      log::debug("Watching the leases in etcd begins anew", {{"error", status}});
      if (!clock_->sleep_for(pause, stop)) return;
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  Status refresh(int64_t& revision) {
    TRY_ASSIGN(const auto listing, client_->range(subnets_, true));
    std::vector<Lease> leases = leases_of(listing);
    revision = listing.revision;
    bool news = false;
    {
      const std::lock_guard lock(mutex_);
      if (held_) {
        lost_ = std::ranges::none_of(leases, [&](const Lease& each) {
          return each.subnet == held_->subnet && each.public_ip == held_->public_ip;
        });
      }
      news = lost_ || leases != known_;
      known_ = std::move(leases);
    }
    if (news) changed_();
    return {};
  }

  EtcdLeaseOptions options_;
  const std::unique_ptr<EtcdClient> client_;
  const std::shared_ptr<Clock> clock_;
  std::string subnets_;  ///< PREFIX/subnets/
  std::function<void()> changed_;
  std::mutex mutex_;
  std::vector<Lease> known_;
  std::optional<Lease> held_;
  bool lost_ = false;  ///< Somebody has revoked it, or it ended while this node was cut off.
  WallTime renew_at_{};
  std::unique_ptr<Clock::Timer> timer_;
  std::jthread watcher_;
};

}  // namespace

Result<IpPrefix> free_subnet(const IpAddress& minimum, const IpAddress& maximum, int length,
                             const std::vector<IpPrefix>& taken, const std::function<size_t(size_t)>& pick) {
  std::vector<IpPrefix> free;
  IpPrefix subnet{minimum, static_cast<uint8_t>(length)};
  while (free.size() < kChoices) {
    if (std::ranges::none_of(taken, [&](const IpPrefix& each) { return each.overlaps(subnet); })) {
      free.push_back(subnet);
    }
    if (subnet.address >= maximum) break;
    subnet = subnet.next();
  }
  if (free.empty()) return Status::internal("out of subnets");
  return free[pick(free.size())];
}

Result<std::unique_ptr<LeaseSource>> etcd_leases(EtcdLeaseOptions options, std::shared_ptr<Clock> clock) {
  TRY_ASSIGN(auto client, EtcdClient::create(options.etcd));
  return std::unique_ptr<LeaseSource>(
      std::make_unique<EtcdLeases>(std::move(options), std::move(client), std::move(clock)));
}

}  // namespace trireme::overlay
