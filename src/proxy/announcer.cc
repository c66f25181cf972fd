#include "proxy/announcer.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "api/endpoint_slices.h"
#include "api/load_balancer.h"
#include "base/log.h"
#include "linux/netlink_monitor.h"
#include "proxy/announce_plan.h"
#include "proxy/layer2.h"
#include "proxy/service_route.h"

namespace trireme::proxy {
namespace {

using api::corev1::Node;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

constexpr Duration kRetry = std::chrono::seconds(5);
/// What is said to nobody in particular gets lost easily: it is said again, this long after.
constexpr Duration kTellAgain = std::chrono::seconds(1);
constexpr int kTellings = 4;

class RunningAnnouncer final : public Announcer {
 public:
  RunningAnnouncer(std::string node_name, AnnouncerDependencies dependencies)
      : node_name_(std::move(node_name)),
        informers_(dependencies.informers),
        clock_(std::move(dependencies.clock)),
        events_(dependencies.events->recorder("trireme-announcer", node_name_)),
        broadcaster_(std::move(dependencies.events)),
        shared_(std::make_shared<Shared>()) {
    shared_->announcer = this;
  }

  ~RunningAnnouncer() override {
    {
      // Handlers live as long as their informers, which others share.
      const std::lock_guard lock(shared_->mutex);
      shared_->announcer = nullptr;
    }
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  Status begin() {
    services_ = &informers_.informer<Service>();
    slices_ = &informers_.informer<EndpointSlice>();
    on_change<Service>(*services_, [](const Service* before, const Service* after) {
      return (before != nullptr && api::is_announced(*before)) || (after != nullptr && api::is_announced(*after));
    });
    on_change<EndpointSlice>(*slices_, [this](const EndpointSlice* before, const EndpointSlice* after) {
      const auto service = services_->get(api::service_key(after != nullptr ? *after : *before));
      return service && api::is_announced(*service) && service->spec.external_traffic_policy == "Local";
    });
    informers_.start();
    TRY_ASSIGN(kernel_, Layer2::open());
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    return {};
  }

 private:
  struct Shared {
    std::mutex mutex;
    RunningAnnouncer* announcer = nullptr;
  };

  template <typename T>
  void on_change(client::Informer<T>& informer, std::function<bool(const T*, const T*)> matters) {
    informer.add_handler([shared = shared_, matters = std::move(matters)](const auto& before, const auto& after) {
      const std::lock_guard lock(shared->mutex);
      if (shared->announcer != nullptr && matters(before.get(), after.get())) shared->announcer->wake();
    });
  }

  /// Everybody's nodes are followed from the first service on that needs one. False: it is time to stop.
  bool follow_nodes(const std::stop_token& stop) {
    const auto services = services_->list();
    if (nodes_ != nullptr ||
        std::ranges::none_of(services, [](const auto& each) { return api::is_announced(*each); })) {
      return true;
    }
    nodes_ = &informers_.informer<Node>();
    on_change<Node>(*nodes_, [](const Node* before, const Node* after) {
      return (before != nullptr ? families_served(*before) : Families()) !=
             (after != nullptr ? families_served(*after) : Families());
    });
    informers_.start();
    return informers_.wait_synced(stop);
  }

  std::vector<SlicePointer> slices_of(const std::string& key) const {
    std::vector<SlicePointer> out = slices_->list(client::split_key(key).ns);
    std::erase_if(out, [&](const SlicePointer& slice) { return api::service_key(*slice) != key; });
    return out;
  }

  void wake() {
    {
      const std::lock_guard lock(mutex_);
      changed_ = true;
    }
    wakeup_.notify_all();
  }

  void run(const std::stop_token& stop) {
    if (!informers_.wait_synced(stop)) return;
    std::optional<Duration> wait = Duration::zero();
    while (!stop.stop_requested()) {
      {
        std::unique_lock lock(mutex_);
        const auto due = [this] { return changed_; };
        if (!wait) wakeup_.wait(lock, stop, due);
        if (wait && wait->count() > 0) wakeup_.wait_for(lock, stop, *wait, due);
        changed_ = false;
      }
      if (stop.stop_requested() || !follow_nodes(stop)) break;
      wait = step();
    }
    std::vector<IpAddress> none;
    if (Status status = kernel_->apply(keys_of(plan_.all), {}, none); !status.ok()) {
      log::warning("Addresses of load balancers are still answered for", {{"error", status}});
    }
  }

  static std::set<IpAddress> keys_of(const std::map<IpAddress, std::string>& all) {
    std::set<IpAddress> out;
    for (const auto& [address, service] : all) out.insert(address);
    return out;
  }

  /// Returns when it is to be called again at the latest; none: when something changes.
  std::optional<Duration> step() {
    const auto nodes = nodes_ != nullptr ? nodes_->list() : std::vector<NodePointer>();
    plan_ = plan_announcements(
        services_->list(), nodes, [this](const std::string& key) { return slices_of(key); }, node_name_);
    std::optional<Duration> again;
    if (!plan_.all.empty() || active_) {
      std::vector<IpAddress> fresh;
      Status status = kernel_->apply(keys_of(plan_.all), plan_.ours, fresh);
      if (status.ok()) status = watch_links(!plan_.all.empty());
      for (const IpAddress& address : fresh) take_over(address);
      if (!status.ok()) {
        log::warning("Addresses of load balancers are not all announced; trying again", {{"error", status}});
        again = kRetry;
      }
      active_ = !plan_.all.empty() || !status.ok();
    }
    return tell(again);
  }

  /// An address or a link that comes or goes may change where something is to be answered for.
  Status watch_links(bool wanted) {
    if (!wanted) monitor_.reset();
    if (!wanted || monitor_) return {};
    TRY_ASSIGN(monitor_, linux::NetlinkMonitor::start([this](const linux::NetlinkMessage& message) {
                 const bool lost = std::holds_alternative<std::monostate>(message.object);
                 const auto* route = std::get_if<linux::Route>(&message.object);
                 if (lost || std::holds_alternative<linux::Link>(message.object) ||
                     std::holds_alternative<linux::Address>(message.object) ||
                     (route != nullptr && message.removed && route->protocol == kServiceRoute)) {
                   wake();
                 }
               }));
    return {};
  }

  void take_over(const IpAddress& address) {
    tellings_[address] = kTellings;
    const std::string& key = plan_.all.at(address);
    log::info("This node answers for a load balancer", {{"address", address.to_string()}, {"service", key}});
    if (const auto service = services_->get(key)) {
      events_.normal(*service, "nodeAssigned",
                     fmt::format("announcing from node \"{}\" with protocol \"layer2\"", node_name_));
    }
  }

  std::optional<Duration> tell(std::optional<Duration> again) {
    std::erase_if(tellings_, [this](const auto& each) { return !plan_.ours.contains(each.first); });
    const Duration now = clock_->monotonic();
    if (!tellings_.empty() && now - told_ >= kTellAgain) {
      std::vector<IpAddress> addresses;
      for (auto& [address, left] : tellings_) {
        addresses.push_back(address);
        --left;
      }
      told_ = now;
      if (Status status = kernel_->tell(addresses); !status.ok()) {
        log::warning("The neighbours could not be told of a load balancer's address", {{"error", status}});
      }
      std::erase_if(tellings_, [](const auto& each) { return each.second <= 0; });
    }
    if (tellings_.empty()) return again;
    return std::max(told_ + kTellAgain - now, Duration(1));
  }

  const std::string node_name_;
  client::InformerFactory& informers_;
  const std::shared_ptr<Clock> clock_;
  client::EventRecorder events_;
  const std::shared_ptr<client::EventBroadcaster> broadcaster_;
  const std::shared_ptr<Shared> shared_;
  client::Informer<Service>* services_ = nullptr;
  client::Informer<Node>* nodes_ = nullptr;
  client::Informer<EndpointSlice>* slices_ = nullptr;
  std::mutex mutex_;
  std::condition_variable_any wakeup_;
  bool changed_ = false;
  // The thread's own.
  std::optional<Layer2> kernel_;
  AnnouncePlan plan_;
  bool active_ = true;                 ///< Something may stand in the kernel: at first what an earlier run has left.
  std::map<IpAddress, int> tellings_;  ///< How often each is still to be told.
  Duration told_ = -kTellAgain;
  std::unique_ptr<linux::NetlinkMonitor> monitor_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<Announcer>> Announcer::start(std::string node_name, AnnouncerDependencies dependencies) {
  auto announcer = std::make_unique<RunningAnnouncer>(std::move(node_name), std::move(dependencies));
  TRY(announcer->begin());
  return std::unique_ptr<Announcer>(std::move(announcer));
}

}  // namespace trireme::proxy
