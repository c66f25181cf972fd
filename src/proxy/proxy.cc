#include "proxy/proxy.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>

#include "api/endpoint_slices.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "linux/bridge_filter.h"
#include "linux/own_addresses.h"
#include "net/server.h"
#include "proxy/health.h"
#include "proxy/layer2.h"
#include "proxy/metrics.h"
#include "proxy/service_route.h"

namespace trireme::proxy {
namespace {

using api::corev1::Node;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

constexpr auto kZoneLabel = "topology.kubernetes.io/zone";
constexpr auto kToBeDeletedTaint = "ToBeDeletedByClusterAutoscaler";
constexpr auto kTriggerTime = "endpoints.kubernetes.io/last-change-trigger-time";
constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr Duration kLastRetry = std::chrono::seconds(30);
constexpr double kBurst = 2;

constexpr auto kJson = "application/json";
constexpr auto kText = "text/plain; charset=utf-8";
constexpr auto kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

bool kernel_has_ip6() { return ::access("/proc/net/if_inet6", F_OK) == 0; }

/// "0.0.0.0" is every address of both families where the machine has both.
std::string everywhere(const std::string& address) {
  return address == "0.0.0.0" && linux::has_ipv6() ? "::" : address;
}

const std::string* label(const api::Map<std::string>& labels, std::string_view name) {
  auto at = labels.find(name);
  return at == labels.end() ? nullptr : &at->second;
}

/// Answers by path.
class Paths final : public net::Handler {
 public:
  void add(std::string path, const char* content_type, std::function<Health::Answer()> answer) {
    paths_[std::move(path)] = {content_type, std::move(answer)};
  }

  void handle(std::shared_ptr<net::Exchange> exchange) override {
    const auto at = paths_.find(exchange->request().path());
    if (at == paths_.end()) return exchange->respond(404, {{"Content-Type", kText}}, "404 page not found\n");
    Health::Answer answer = at->second.answer();
    exchange->respond(answer.status, {{"Content-Type", at->second.type}, {"X-Content-Type-Options", "nosniff"}},
                      std::move(answer.body));
  }

 private:
  struct Page {
    const char* type = nullptr;
    std::function<Health::Answer()> answer;
  };
  std::map<std::string, Page, std::less<>> paths_;
};

class RunningProxy final : public Proxy {
 public:
  RunningProxy(ProxyOptions options, ProxyDependencies dependencies)
      : options_(std::move(options)),
        informers_(dependencies.informers),
        clock_(std::move(dependencies.clock)),
        applier_(std::move(dependencies.applier)),
        events_(std::move(dependencies.events)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        health_(clock_, options_.sync_period * 2),
        health_checks_(everywhere(options_.health_check_address), health_),
        shared_(std::make_shared<Shared>()) {
    shared_->proxy = this;
  }

  ~RunningProxy() override {
    {
      // Handlers live as long as their informers, which others share.
      const std::lock_guard lock(shared_->mutex);
      shared_->proxy = nullptr;
    }
    thread_.request_stop();
    wake();
    if (thread_.joinable()) thread_.join();
    retry_.reset();
    allowed_.reset();
    healthz_server_.reset();
    metrics_server_.reset();
    if (wake_ >= 0) ::close(wake_);
  }

  Status begin() {
    if (wake_ < 0) return Status::internal("eventfd failed");
    if (!applier_) {
      TRY_ASSIGN(applier_, nft_applier());
    }
    if (options_.ip4) planners_.emplace_back(options_.rules, false);
    if (options_.ip6 && kernel_has_ip6()) planners_.emplace_back(options_.rules, true);
    if (planners_.empty()) return Status::bad_request("the proxy has no address family to serve");
    if (Status status = linux::enable_bridge_filter(); !status.ok()) {
      log::warning("Services do not work between pods of this machine that share a bridge", {{"error", status}});
    }
    TRY(route_services());
    TRY(serve());
    watch();
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    return {};
  }

  bool wait_applied(Duration timeout) override {
    std::unique_lock lock(mutex_);
    const uint64_t until = reported_;
    return applied_changed_.wait_for(lock, timeout, [&] { return started_ && applied_ >= until; });
  }
  std::string metrics() const override { return metrics_.print(); }
  uint16_t healthz_port() const override { return healthz_server_ ? healthz_server_->port() : 0; }
  uint16_t metrics_port() const override { return metrics_server_ ? metrics_server_->port() : 0; }

 private:
  /// Between the proxy and its handlers, which may outlive it.
  struct Shared {
    std::mutex mutex;
    RunningProxy* proxy = nullptr;
  };

  /// A port that is taken keeps nobody from being served, as upstream has it without --bind-address-hard-fail.
  Status listen(const HostPort& where, net::Handler& handler, std::unique_ptr<net::Server>& server) const {
    auto started =
        net::Server::start({.address = everywhere(where.address), .port = where.port, .workers = 1}, handler);
    if (started.ok()) {
      server = std::move(*started);
    } else if (options_.hard_fail) {
      return started.status();
    } else {
      log::warning("The service proxy could not open a port", {{"port", where.port}, {"error", started.status()}});
    }
    return {};
  }

  /// A kernel that refuses IPv6 on a device (net.ipv6.conf.default.disable_ipv6) keeps the rest from nothing.
  Status route_services() const {
    std::array<std::vector<Prefix>, 2> by_family;
    for (const Prefix& prefix : options_.rules.service_cidrs) {
      by_family[is_ip6(prefix.address) ? 1 : 0].push_back(prefix);
    }
    TRY(add_service_routes(by_family[0]));
    if (!options_.ip6 || !kernel_has_ip6()) return {};
    if (Status status = add_service_routes(by_family[1]); !status.ok()) {
      log::warning("Processes of this machine reach IPv6 services only where it has a route to them",
                   {{"error", status}});
    }
    return {};
  }

  Status serve() {
    if (options_.healthz) {
      healthz_.add("/healthz", kJson, [this] { return health_.healthz(); });
      healthz_.add("/livez", kJson, [this] { return health_.livez(); });
      TRY(listen(*options_.healthz, healthz_, healthz_server_));
    }
    if (options_.metrics) {
      metrics_paths_.add("/metrics", kMetricsText, [this] { return Health::Answer{200, metrics_.print()}; });
      metrics_paths_.add("/proxyMode", kText, [] { return Health::Answer{200, "nftables"}; });
      metrics_paths_.add("/healthz", kJson, [this] { return health_.healthz(); });
      if (!options_.configz.empty()) {
        metrics_paths_.add("/configz", kJson, [this] { return Health::Answer{200, options_.configz}; });
      }
      TRY(listen(*options_.metrics, metrics_paths_, metrics_server_));
    }
    return {};
  }

  void watch() {
    const auto with_proxy = [shared = shared_](auto&& act) {
      const std::lock_guard lock(shared->mutex);
      if (shared->proxy != nullptr) act(*shared->proxy);
    };
    services_ = &informers_.informer<Service>();
    services_->add_handler([with_proxy](const auto& before, const auto& after) {
      with_proxy([&](RunningProxy& proxy) { proxy.on_service(before, after); });
    });
    slices_informer_ = &informers_.informer<EndpointSlice>();
    slices_informer_->add_handler([with_proxy](const auto& before, const auto& after) {
      with_proxy([&](RunningProxy& proxy) { proxy.on_slice(before, after); });
    });
    node_ = &informers_.informer<Node>({.field_selector = "metadata.name=" + options_.node_name});
    node_->add_handler([with_proxy](const auto&, const auto& after) {
      with_proxy([&](RunningProxy& proxy) { proxy.on_node(after); });
    });
    informers_.start();
  }

  void on_service(const std::shared_ptr<const Service>& before, const std::shared_ptr<const Service>& after) {
    ++metrics_.service_changes;
    ++metrics_.service_changes_pending;
    mark(client::key_of(after ? after->metadata : before->metadata));
  }

  void on_slice(const SlicePointer& before, const SlicePointer& after) {
    ++metrics_.endpoint_changes;
    ++metrics_.endpoint_changes_pending;
    std::string old_service = before ? api::service_key(*before) : std::string();
    std::string service = after ? api::service_key(*after) : std::string();
    {
      const std::lock_guard lock(mutex_);
      if (!old_service.empty() && old_service != service) {
        auto at = slices_.find(old_service);
        if (at != slices_.end()) {
          std::erase_if(at->second.all,
                        [&](const SlicePointer& one) { return one->metadata.name == before->metadata.name; });
          if (at->second.all.empty()) slices_.erase(at);
        }
      }
      if (!service.empty()) {
        std::vector<SlicePointer>& all = slices_[service].all;
        auto at = std::find_if(all.begin(), all.end(),
                               [&](const SlicePointer& one) { return one->metadata.name == after->metadata.name; });
        if (at == all.end()) {
          all.push_back(after);
          all.shrink_to_fit();
        } else {
          *at = after;
        }
      }
    }
    if (!old_service.empty() && old_service != service) mark(old_service);
    if (!service.empty()) mark(service);
  }

  void on_node(const std::shared_ptr<const Node>& node) {
    NodeView view{.name = options_.node_name};
    bool eligible = false;
    if (node) {
      if (options_.rules.local == Options::Local::kNodeRanges) {
        for (const std::string& range : node->spec.pod_cidrs) {
          if (auto prefix = parse_prefix(range)) view.pod_ranges.push_back(std::move(*prefix));
        }
      }
      if (const std::string* zone = label(node->metadata.labels, kZoneLabel)) view.zone = *zone;
      for (const auto& address : node->status.addresses) {
        if (address.type != "InternalIP") continue;
        if (auto bytes = parse_address(address.address)) view.addresses.push_back(std::move(*bytes));
      }
      eligible = !node->metadata.deletion_timestamp;
      for (const auto& taint : node->spec.taints) {
        if (taint.key == kToBeDeletedTaint) eligible = false;
      }
    }
    health_.set_node_eligible(eligible);
    {
      const std::lock_guard lock(mutex_);
      // A node that is gone keeps the rules it had.
      if (!node || view == node_view_) return;
      node_view_ = std::move(view);
      node_changed_ = true;
      ++reported_;
    }
    wake();
  }

  void mark(const std::string& service) {
    {
      const std::lock_guard lock(mutex_);
      dirty_.insert(service);
      ++reported_;
    }
    metrics_.last_queued_seconds =
        std::chrono::duration_cast<std::chrono::seconds>(clock_->now().time_since_epoch()).count();
    health_.change_waits();
    wake();
  }

  void wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(wake_, &one, sizeof(one));  // full: awake anyway
  }

  void run(const std::stop_token& stop) {
    if (!informers_.wait_synced(stop)) return;
    need_all_ = true;
    due_ = true;
    last_refill_ = clock_->monotonic();
    while (!stop.stop_requested()) {
      if (due_ || pending()) {
        if (take_turn()) {
          due_ = false;
          sync();
          continue;
        }
      }
      std::array<pollfd, 2> waits = {pollfd{wake_, POLLIN, 0}, pollfd{applier_->watch_fd(), POLLIN, 0}};
      ::poll(waits.data(), waits.size(), -1);
      uint64_t count = 0;
      [[maybe_unused]] ssize_t got = ::read(wake_, &count, sizeof(count));  // nothing there: fine
      if (retry_due_.exchange(false)) due_ = true;
      if (applier_->watch_fd() >= 0 && (waits[1].revents & POLLIN) != 0 && applier_->disturbed() && !need_replace_) {
        log::warning("Service rules were changed by somebody else; restoring them");
        ++metrics_.restores;
        need_replace_ = true;
        due_ = true;
      }
    }
  }

  bool pending() {
    const std::lock_guard lock(mutex_);
    return !dirty_.empty() || node_changed_;
  }

  /// Whether writing is allowed now; else the thread is woken when it is.
  bool take_turn() {
    if (options_.min_sync_period.count() <= 0 || need_replace_) return true;
    Duration now = clock_->monotonic();
    double fresh =
        static_cast<double>((now - last_refill_).count()) / static_cast<double>(options_.min_sync_period.count());
    tokens_ = std::min(kBurst, tokens_ + fresh);
    last_refill_ = now;
    if (tokens_ >= 1) {
      tokens_ -= 1;
      return true;
    }
    auto wait =
        Duration(static_cast<int64_t>((1 - tokens_) * static_cast<double>(options_.min_sync_period.count())) + 1000);
    allowed_ = clock_->call_after(wait, [this] { wake(); });
    return false;
  }

  void sync() {
    const Duration begin = clock_->monotonic();
    std::set<std::string> dirty;
    std::optional<NodeView> node;
    uint64_t reported = 0;
    {
      const std::lock_guard lock(mutex_);
      dirty.swap(dirty_);
      if (node_changed_) node = node_view_;
      node_changed_ = false;
      reported = reported_;
    }
    metrics_.service_changes_pending = 0;
    metrics_.endpoint_changes_pending = 0;
    bool all = need_all_;
    if (node) {
      for (Planner& planner : planners_) {
        // What stands in the fixed part of the tables.
        if (planner.node().pod_ranges != node->pod_ranges) need_replace_ = true;
        all = planner.set_node(*node) || all;
      }
      if (options_.rules.nodeport_primary) need_replace_ = true;
    }
    if (need_all_) need_replace_ = true;
    if (all) {
      for (const auto& service : services_->list()) dirty.insert(client::key_of(service->metadata));
    }
    need_all_ = false;
    const std::vector<std::string> keys(dirty.begin(), dirty.end());
    const auto look = [this](const std::string& key) { return view_of(key); };
    const bool full = need_replace_;
    Status failed;
    size_t elements = 0;
    size_t services = 0;
    for (Planner& planner : planners_) {
      Change change = planner.update(keys, look);
      Status status = full ? applier_->replace(planner) : applier_->apply(planner.ip6(), change);
      if (!status.ok() && !full) {
        log::warning("A change of the service rules failed; writing all of them", {{"error", status}});
        ++metrics_.failures;
        status = applier_->replace(planner);
      }
      if (!status.ok()) {
        failed = status;
        // What is stale is found again when everything is planned anew.
        continue;
      }
      auto gone = applier_->forget(planner.ip6(), change.stale);
      if (!gone.ok()) {
        log::warning("Stale connections could not be deleted", {{"error", gone.status()}});
      } else {
        metrics_.flows_forgotten += *gone;
      }
      elements += planner.entries();
      services += planner.services().size();
    }
    metrics_.elements = static_cast<int64_t>(elements);
    metrics_.services = static_cast<int64_t>(services);
    if (!failed.ok()) {
      if (failed.is(Reason::kConflict)) {
        ++metrics_.restores;
        log::debug("Others changed rules meanwhile; the service rules are written again");
      } else {
        ++metrics_.failures;
        log::error("Writing the service rules failed", {{"error", failed}});
      }
      need_replace_ = true;
      retry_wait_ = retry_wait_.count() == 0 ? kFirstRetry : std::min(kLastRetry, retry_wait_ * 2);
      retry_ = clock_->call_after(retry_wait_, [this] {
        retry_due_ = true;
        wake();
      });
      return;
    }
    need_replace_ = false;
    retry_wait_ = {};
    for (const std::string& key : keys) update_health_check(key);
    const Duration took = clock_->monotonic() - begin;
    metrics_.sync.observe(took);
    (full ? metrics_.sync_full : metrics_.sync_partial).observe(took);
    metrics_.last_sync_seconds =
        std::chrono::duration_cast<std::chrono::seconds>(clock_->now().time_since_epoch()).count();
    if (!full) observe_programming(keys);
    {
      const std::lock_guard lock(mutex_);
      if (!started_) {
        log::info("Service rules stand",
                  {{"services", services},
                   {"elements", elements},
                   {"milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
      }
      started_ = true;
      applied_ = reported;
      if (dirty_.empty()) health_.up_to_date();
    }
    applied_changed_.notify_all();
  }

  ServiceView view_of(const std::string& key) {
    ServiceView view;
    view.service = services_->get(key);
    const std::lock_guard lock(mutex_);
    if (auto at = slices_.find(key); at != slices_.end()) view.slices = at->second.all;
    return view;
  }

  void update_health_check(const std::string& key) {
    NodeView node;
    {
      const std::lock_guard lock(mutex_);
      node = node_view_;
    }
    node.name = options_.node_name;
    ServiceView view = view_of(key);
    HealthCheck check = health_check_of(view, node);
    Status status = health_checks_.set(key, check);
    if (status.ok()) return;
    log::warning("A health check node port could not be opened",
                 {{"service", key}, {"port", check.port}, {"error", status}});
    if (!events_ || !view.service) return;
    events_->recorder("kube-proxy", options_.node_name)
        .warning(client::reference_to(*view.service), "FailedToStartServiceHealthcheck",
                 fmt::format("node {} failed to start healthcheck \"{}\" on port {}: {}", options_.node_name, key,
                             check.port, status.message()));
  }

  void observe_programming(const std::vector<std::string>& keys) {
    const std::lock_guard lock(mutex_);
    for (const std::string& key : keys) {
      auto at = slices_.find(key);
      if (at == slices_.end()) continue;
      for (const SlicePointer& slice : at->second.all) {
        const std::string* text = label(slice->metadata.annotations, kTriggerTime);
        if (text == nullptr || *text <= at->second.trigger) continue;
        at->second.trigger = *text;
        std::tm parts{};
        if (::strptime(text->c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) continue;
        auto triggered = std::chrono::system_clock::from_time_t(::timegm(&parts));
        if (auto took = clock_->now() - triggered; took.count() > 0) metrics_.programming.observe(took);
      }
    }
  }

  const ProxyOptions options_;
  client::InformerFactory& informers_;
  const std::shared_ptr<Clock> clock_;
  std::unique_ptr<Applier> applier_;
  const std::shared_ptr<client::EventBroadcaster> events_;
  const int wake_;
  Health health_;
  HealthCheckPorts health_checks_;
  Metrics metrics_;
  Paths healthz_;
  Paths metrics_paths_;
  std::unique_ptr<net::Server> healthz_server_;
  std::unique_ptr<net::Server> metrics_server_;
  client::Informer<Service>* services_ = nullptr;
  client::Informer<EndpointSlice>* slices_informer_ = nullptr;
  client::Informer<Node>* node_ = nullptr;
  const std::shared_ptr<Shared> shared_;

  std::mutex mutex_;
  std::condition_variable applied_changed_;
  std::set<std::string> dirty_;
  struct Slices {
    std::vector<SlicePointer> all;
    std::string trigger;  ///< The newest change that was measured.
  };
  std::unordered_map<std::string, Slices> slices_;  ///< By service.
  NodeView node_view_;
  bool node_changed_ = false;
  uint64_t reported_ = 0;
  uint64_t applied_ = 0;
  bool started_ = false;

  // The thread's own.
  std::vector<Planner> planners_;
  bool need_all_ = false;
  bool need_replace_ = false;
  bool due_ = false;
  double tokens_ = kBurst;
  Duration last_refill_{};
  Duration retry_wait_{};
  std::atomic<bool> retry_due_ = false;
  std::unique_ptr<Clock::Timer> retry_;
  std::unique_ptr<Clock::Timer> allowed_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::start(ProxyOptions options, ProxyDependencies dependencies) {
  auto proxy = std::make_unique<RunningProxy>(std::move(options), std::move(dependencies));
  TRY(proxy->begin());
  return std::unique_ptr<Proxy>(std::move(proxy));
}

Status remove_proxy_rules() {
  TRY(remove_tables());
  TRY(remove_layer2());
  return remove_service_routes();
}

Result<std::vector<Prefix>> parse_prefixes(const std::vector<std::string>& texts, std::string_view flag) {
  std::vector<Prefix> out;
  for (const std::string& text : texts) {
    if (text.empty()) continue;
    auto prefix = parse_prefix(text);
    if (!prefix) return Status::bad_request(fmt::format("--{}: \"{}\" is not a network in CIDR notation", flag, text));
    out.push_back(std::move(*prefix));
  }
  return out;
}

Status parse_nodeport_addresses(const std::vector<std::string>& texts, Options& options) {
  options.nodeport_primary = texts.size() == 1 && texts[0] == "primary";
  if (options.nodeport_primary) return {};
  TRY_ASSIGN(options.nodeport_addresses, parse_prefixes(texts, "nodeport-addresses"));
  return {};
}

}  // namespace trireme::proxy
