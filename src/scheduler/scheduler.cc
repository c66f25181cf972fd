#include "scheduler/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "api/types/storagev1.h"
#include "base/duration.h"
#include "base/log.h"
#include "client/informer.h"
#include "scheduler/cache.h"
#include "scheduler/cycle.h"
#include "scheduler/extender.h"
#include "scheduler/flight.h"
#include "scheduler/metrics.h"
#include "scheduler/queue.h"
#include "scheduler/registry.h"
#include "scheduler/siblings.h"
#include "scheduler/writer.h"

namespace trireme::scheduler {

using api::corev1::Namespace;
using api::corev1::Node;
using api::corev1::Pod;

namespace {

using NamespacePointer = std::shared_ptr<const Namespace>;

/// What the other threads tell the scheduling thread. Null `before`: added; null `after`: deleted.
struct PodChanged {
  PodPointer before, after;
};
struct NodeChanged {
  NodePointer before, after;
};
struct NamespaceChanged {
  NamespacePointer before, after;
};
/// An object of a kind that only plugins know.
struct ObjectChanged {
  uint32_t kinds;
  std::shared_ptr<const void> before, after;
};
/// `pre_bind` waits for something.
struct NotYet {
  FlightPointer flight;
  std::optional<Duration> look_again;
};
struct BindingDone {
  FlightPointer flight;
  Status status;
};
/// A plugin let a waiting pod go on; or not, when there is a message.
struct Answered {
  std::string uid, plugin;
  std::optional<std::string> refusal;
};
using Message = std::variant<PodChanged, NodeChanged, NamespaceChanged, ObjectChanged, NotYet, BindingDone, Answered>;

uint32_t node_change(const Node* before, const Node& after) {
  if (!before) return kNodeAdded;
  uint32_t kinds = 0;
  if (resources_of(before->status.allocatable) != resources_of(after.status.allocatable)) kinds |= kNodeAllocatable;
  if (before->metadata.labels != after.metadata.labels) kinds |= kNodeLabels;
  const auto same_taint = [](const auto& a, const auto& b) {
    return a.key == b.key && a.value == b.value && a.effect == b.effect;
  };
  if (before->spec.unschedulable != after.spec.unschedulable ||
      !std::ranges::equal(before->spec.taints, after.spec.taints, same_taint)) {
    kinds |= kNodeTaints;
  }
  return kinds;
}

uint64_t seed_or_random(uint64_t seed) { return seed != 0 ? seed : std::random_device()(); }

class SchedulerImpl final : public Scheduler, private WaitingPods {
 public:
  explicit SchedulerImpl(SchedulerContext context)
      : context_(std::move(context)),
        seed_(seed_or_random(context_.options.random_seed)),
        extenders_(make_extenders()),
        profiles_(make_profiles()),
        queue_(profiles_, cache_,
               {context_.options.pod_initial_backoff, context_.options.pod_max_backoff,
                context_.options.unschedulable_timeout}),
        cycle_(cache_, nominations_, seed_, extenders_pointer()),
        siblings_(*context_.informers),
        writer_(context_.client, context_.events, context_.clock,
                context_.single_threaded ? Writer::Mode::kStepped : Writer::Mode::kThreads) {
    for (const Profile& each : profiles_) metrics_.serve(each.scheduler_name);
    cache_.set_siblings([this](const Pod& pod) { return siblings_.find(pod); });
    follow<Pod, PodChanged>();
    follow<Node, NodeChanged>();
    follow<Namespace, NamespaceChanged>();
    follow_object<api::corev1::PersistentVolumeClaim>(kClaimAdded, kClaimUpdated);
    follow_object<api::corev1::PersistentVolume>(kVolumeAdded, kVolumeUpdated);
    follow_object<api::storagev1::StorageClass>(kStorageClassAdded, kStorageClassUpdated);
    follow_object<api::storagev1::CSINode>(kCsiNodeAdded, kCsiNodeUpdated, kCsiNodeRemoved);
    follow_object<api::storagev1::CSIDriver>(kCsiDriverAdded, kCsiDriverUpdated);
    follow_object<api::storagev1::CSIStorageCapacity>(kCsiCapacityAdded, kCsiCapacityUpdated);
  }
  ~SchedulerImpl() override { stop(); }

  Status start(std::stop_token stop) override {
    TRY(made_);
    context_.informers->start();
    if (!context_.informers->wait_synced(stop)) return Status::timeout("stopped before the informers were synced");
    if (!context_.single_threaded) thread_ = std::jthread([this](std::stop_token own_stop) { run(own_stop); });
    log::info("Started the scheduler", {{"name", context_.options.scheduler_name}});
    return {};
  }

  void stop() override {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    timer_.reset();
    writer_.stop();
    context_.informers->stop();
  }

  bool step() override {
    bool worked = false;
    {
      const std::lock_guard lock(inbox_mutex_);
      messages_.swap(inbox_);
    }
    for (const Message& message : messages_) {
      std::visit([this](const auto& each) { apply(each); }, message);
      worked = true;
    }
    messages_.clear();
    const Duration now = context_.clock->monotonic();
    queue_.advance(now);
    for (const FlightPointer& flight : flights_.due(now)) resume(flight, now);
    show_queue();
    if (const QueuedPod* pod = queue_.pop()) {
      schedule(*pod);
      return true;
    }
    arm();
    return worked;
  }

  bool ready() const override {
    const std::lock_guard lock(inbox_mutex_);
    return !inbox_.empty() || timer_fired_ || queue_.size(Queue::Place::kActive) > 0;
  }

  bool write() override { return writer_.step(); }
  size_t unwritten() const override { return writer_.waiting(); }

  std::string metrics() const override { return metrics_.print(); }

 private:
  Extenders make_extenders() {
    Extenders extenders;
    for (const ExtenderConfig& config : context_.options.extenders) {
      auto extender = Extender::create(config);
      if (extender.ok()) {
        extenders.push_back(std::move(*extender));
      } else {
        made_ = extender.status();
      }
    }
    return extenders;
  }
  const Extenders* extenders_pointer() const { return extenders_.empty() ? nullptr : &extenders_; }

  std::vector<Profile> make_profiles() {
    PluginContext context;
    context.informers = context_.informers.get();
    context.client = context_.client;
    context.clock = context_.clock;
    context.cache = &cache_;
    context.nominations = &nominations_;
    context.waiting = this;
    context.extenders = extenders_pointer();
    context.random_seed = seed_;
    std::vector<ProfileConfig> configs = context_.options.profiles;
    if (configs.empty()) configs.emplace_back().scheduler_name = context_.options.scheduler_name;
    std::vector<Profile> profiles;
    for (ProfileConfig& config : configs) {
      for (const ExtenderConfig& extender : context_.options.extenders) {
        for (const auto& resource : extender.managed_resources) {
          if (resource.ignored_by_scheduler) config.args.fit.ignored_resources.push_back(resource.name);
        }
      }
      auto profile = make_profile(config, context);
      if (profile.ok()) {
        for (const PluginDescriptor& more : context_.options.more_plugins) {
          profile->add(more.make(context), more.weight);
        }
        profiles.push_back(std::move(*profile));
      } else {
        made_ = profile.status();
      }
    }
    return profiles;
  }

  template <typename T, typename Changed>
  void follow() {
    context_.informers->informer<T>().add_handler([this](const auto& before, const auto& after) {
      post(Changed{before, after});
    });
  }

  /// Follows a kind that some plugin waits for.
  template <typename T>
  void follow_object(Change added, Change updated, uint32_t removed = 0) {
    const auto waits = [&](const std::shared_ptr<Plugin>& plugin) {
      return (plugin->changes() & (added | updated | removed)) != 0;
    };
    if (std::ranges::none_of(profiles_,
                             [&](const Profile& each) { return std::ranges::any_of(each.plugins, waits); })) {
      return;
    }
    context_.informers->informer<T>().add_handler(
        [this, added, updated, removed](const auto& before, const auto& after) {
          const uint32_t kind = !before ? uint32_t{added} : after ? uint32_t{updated} : removed;
          if (kind) post(ObjectChanged{kind, before, after});
        });
  }

  void post(Message message) {
    {
      const std::lock_guard lock(inbox_mutex_);
      inbox_.push_back(std::move(message));
    }
    inbox_changed_.notify_one();
  }

  void run(std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (!step()) wait(stop);
    }
  }

  /// A timer for the queued or waiting pod that is due first.
  void arm() {
    if (timer_fired_.exchange(false)) timer_due_.reset();
    std::optional<Duration> due = queue_.next_due();
    if (const auto flight = flights_.next_due()) due = due ? std::min(*due, *flight) : flight;
    if (due != timer_due_) {
      timer_.reset();
      timer_due_ = due;
      if (due) {
        const Duration delay = std::max(Duration::zero(), *due - context_.clock->monotonic());
        timer_ = context_.clock->call_after(delay, [this] {
          {
            const std::lock_guard lock(inbox_mutex_);
            timer_fired_ = true;
          }
          inbox_changed_.notify_one();
        });
      }
    }
  }

  /// Until there is a message or the timer has fired.
  void wait(std::stop_token stop) {
    std::unique_lock lock(inbox_mutex_);
    inbox_changed_.wait(lock, stop, [this] { return !inbox_.empty() || timer_fired_; });
  }

  void show_queue() {
    const auto size = [this](Queue::Place place) { return static_cast<int64_t>(queue_.size(place)); };
    metrics_.active = size(Queue::Place::kActive);
    metrics_.backoff = size(Queue::Place::kBackoff);
    metrics_.unschedulable = size(Queue::Place::kUnschedulable);
    metrics_.gated = size(Queue::Place::kGated);
  }

  void schedule(const QueuedPod& queued) {
    const Duration started = context_.clock->monotonic();
    const PodInfoPointer pod = queued.info;
    if (pod->pod->metadata.deletion_timestamp) {
      queue_.remove(pod->uid());
      return;
    }
    const Profile& profile = *queued.profile;
    PodFilters filters(profile, cache_, nominations_, *pod);
    Cycle::Decision decision = cycle_.decide(filters);
    if (!decision.error.ok()) {
      fail(pod, decision.error);
      metrics_.record(profile.scheduler_name, Metrics::kError, context_.clock->monotonic() - started);
    } else if (decision.node) {
      auto flight = std::make_shared<Flight>();
      flight->pod = pod;
      flight->profile = &profile;
      flight->node = decision.node->name;
      flight->first_seen = queued.first_seen;
      flight->attempts = queued.attempts;
      flight->started = started;
      depart(flight, *decision.node);
    } else {
      if (decision.refusal.all_nodes > 0) rescue(pod, filters, decision.refusal);
      refuse(pod, decision.refusal);
      metrics_.record(profile.scheduler_name, Metrics::kUnschedulable, context_.clock->monotonic() - started);
    }
  }

  /// Sets aside what the pod needs on the node, and has it bound unless a plugin has it wait.
  void depart(const FlightPointer& flight, const NodeInfo& node) {
    const PodInfo& pod = *flight->pod;
    const Profile& profile = *flight->profile;
    cache_.assume(flight->pod, flight->node);
    flights_.add(flight);
    for (const Profile::Use& use : profile.at(Point::kReserve)) {
      Plugin& plugin = *profile.plugins[use.plugin];
      auto reservation = plugin.reserve(pod, node, cache_);
      if (!reservation.ok()) {
        abort(flight, plugin_error("Reserve", plugin, reservation.status()));
        return;
      }
      if (*reservation) flight->reservations.push_back({use.plugin, std::move(*reservation)});
      if (!flight->reservations.empty()) flight->care |= plugin.changes();
    }
    nominations_.remove(pod.uid());
    for (const Profile::Use& use : profile.at(Point::kPermit)) {
      Permission permission = profile.plugins[use.plugin]->permit(pod, node);
      if (permission.answer == Permission::Answer::kRefuse) {
        turn_back(flight, use.plugin, std::move(permission.message));
        return;
      }
      if (permission.answer == Permission::Answer::kWait) {
        flight->waits_for[use.plugin] = {context_.clock->monotonic() + permission.limit, permission.limit};
      }
    }
    if (flight->waits_for.empty()) {
      take_off(flight);
    } else {
      flights_.set_due(flight);
    }
  }

  /// Permitted: what remains to be done is done beside this thread.
  void take_off(const FlightPointer& flight) {
    queue_.settle(flight->pod->uid());
    prepare(flight);
  }

  void prepare(const FlightPointer& flight) {
    flight->running = true;
    flight->changed = false;
    flight->look_again.reset();
    flights_.set_due(flight);
    writer_.post(flight->pod->uid(), [this, flight] { work(flight); });
  }

  /// On a thread of the writer's.
  void work(const FlightPointer& flight) {
    while (flight->prepared < flight->reservations.size()) {
      auto& [plugin, reservation] = flight->reservations[flight->prepared];
      const auto progress = reservation->pre_bind();
      if (!progress.ok()) {
        post(BindingDone{flight, plugin_error("PreBind", *flight->profile->plugins[plugin], progress.status())});
        return;
      }
      if (!progress->done) {
        post(NotYet{flight, progress->look_again});
        return;
      }
      ++flight->prepared;
    }
    const auto extended = bind_by_extender(extenders_, *flight->pod->pod, flight->node);
    const Status status = extended ? *extended : bind(*flight);
    if (status.ok()) writer_.scheduled(*flight->pod->pod, flight->node);
    post(BindingDone{flight, status});
  }

  static Status bind(const Flight& flight) {
    for (const Profile::Use& use : flight.profile->at(Point::kBind)) {
      Plugin& plugin = *flight.profile->plugins[use.plugin];
      const auto status = plugin.bind(*flight.pod->pod, flight.node);
      if (status) return status->ok() ? *status : plugin_error("Bind", plugin, *status);
    }
    return Status::internal("no plugin binds the pod");
  }

  static Status plugin_error(std::string_view point, const Plugin& plugin, const Status& status) {
    return status.with_context(fmt::format("running {} plugin \"{}\"", point, plugin.name()));
  }

  /// The flight's time has come: it looks again, or has waited for its permission in vain.
  void resume(const FlightPointer& flight, Duration now) {
    if (flight->waits_for.empty()) {
      if (!flight->running) prepare(flight);
      return;
    }
    for (const auto& [plugin, wait] : flight->waits_for) {
      if (wait.until > now) continue;
      turn_back(flight, plugin,
                fmt::format("rejected due to timeout after waiting {} at plugin {}", format_duration(wait.limit),
                            flight->profile->plugins[plugin]->name()));
      return;
    }
  }

  /// Takes back that the pod is thought to be on its node.
  void cancel(const FlightPointer& flight) {
    flights_.remove(flight);
    for (auto each = flight->reservations.rbegin(); each != flight->reservations.rend(); ++each) {
      each->reservation->unreserve();
    }
    const std::string& uid = flight->pod->uid();
    if (cache_.is_assumed(uid)) cache_.remove_pod(uid);
  }

  void abort(const FlightPointer& flight, const Status& status) {
    cancel(flight);
    metrics_.record(flight->profile->scheduler_name, Metrics::kError, context_.clock->monotonic() - flight->started);
    fail(flight->pod, status);
    note({.kinds = kPodGone, .pod = flight->pod});
  }

  /// A plugin does not let the pod go.
  void turn_back(const FlightPointer& flight, size_t plugin, std::string message) {
    cancel(flight);
    metrics_.record(flight->profile->scheduler_name, Metrics::kUnschedulable,
                    context_.clock->monotonic() - flight->started);
    Refusal refusal;
    refusal.all_nodes = 1;
    refusal.count(message);
    refusal.plugins = 1U << plugin;
    refuse(flight->pod, refusal);
    note({.kinds = kPodGone, .pod = flight->pod});
  }

  void rescue(const PodInfoPointer& pod, PodFilters& filters, Refusal& refusal) {
    for (const Profile::Use& use : filters.profile().at(Point::kPostFilter)) {
      const auto rescue = filters.profile().plugins[use.plugin]->post_filter(filters, refusal);
      if (!rescue) continue;
      metrics_.preempting();
      refusal.preemption = rescue->message;
      if (rescue->eligible) preempt(pod, *rescue);
      return;
    }
  }

  void preempt(const PodInfoPointer& pod, const Rescue& plan) {
    nominations_.remove(pod->uid());
    if (!plan.node) return;
    const std::string& node = plan.node->name;
    log::info("Preempting pods",
              {{"pod", client::key_of(pod->pod->metadata)}, {"node", node}, {"victims", plan.victims.size()}});
    // Less important pods that were promised the node look for another.
    for (const PodInfoPointer& each : std::vector<PodInfoPointer>(nominations_.on(node))) {
      if (each->priority >= pod->priority) continue;
      nominations_.remove(each->uid());
      writer_.clear_nomination(each->pod);
    }
    nominations_.set(pod, node);
    metrics_.preempted(plan.victims.size());
    for (const PodInfoPointer& victim : plan.victims) {
      const FlightPointer flight = flights_.find(victim->uid());
      if (flight && !flight->waits_for.empty()) {
        turn_back(flight, flight->waits_for.begin()->first, "preempted");
      } else if (!victim->pod->metadata.deletion_timestamp) {
        writer_.preempt(victim->pod, pod->pod, node);
      }
    }
  }

  void refuse(const PodInfoPointer& pod, const Refusal& refusal) {
    queue_.requeue(pod->uid(), refusal.plugins, refusal.all_nodes == 0, context_.clock->monotonic());
    writer_.report(pod->pod, {std::string(api::corev1::kPodReasonUnschedulable), refusal.message(),
                              nominations_.node_of(pod->uid())});
  }

  void fail(const PodInfoPointer& pod, const Status& status) {
    log::warning("Cannot schedule a pod", {{"pod", client::key_of(pod->pod->metadata)}, {"error", status}});
    queue_.requeue(pod->uid(), 0, false, context_.clock->monotonic());
    if (status.is(Reason::kNotFound)) return;
    writer_.report(pod->pod, {std::string(api::corev1::kPodReasonSchedulerError), status.message(), {}});
  }

  /// Tells everybody who waits for a change.
  void note(const ClusterChange& change) {
    queue_.on_change(change, context_.clock->monotonic());
    for (const FlightPointer& flight : flights_.caring(change.kinds)) {
      flight->changed = true;
      if (!flight->running) prepare(flight);
    }
  }

  // WaitingPods, for plugins on any thread.
  void allow(const std::string& uid, std::string_view plugin) override {
    post(Answered{uid, std::string(plugin), std::nullopt});
  }
  void refuse(const std::string& uid, std::string_view plugin, std::string message) override {
    post(Answered{uid, std::string(plugin), std::move(message)});
  }

  void apply(const Answered& answer) {
    const FlightPointer flight = flights_.find(answer.uid);
    if (!flight) return;
    const auto found = std::ranges::find_if(flight->waits_for, [&](const auto& each) {
      return flight->profile->plugins[each.first]->name() == answer.plugin;
    });
    if (found == flight->waits_for.end()) return;
    if (answer.refusal) {
      turn_back(flight, found->first, *answer.refusal);
      return;
    }
    flight->waits_for.erase(found);
    if (flight->waits_for.empty()) {
      take_off(flight);
    } else {
      flights_.set_due(flight);
    }
  }

  void apply(const NotYet& message) {
    const FlightPointer& flight = message.flight;
    flight->running = false;
    const std::string& uid = flight->pod->uid();
    const bool elsewhere = cache_.pod(uid) && !cache_.is_assumed(uid);  // Somebody else bound it.
    if (flight->abandoned || elsewhere) {
      cancel(flight);
      return;
    }
    if (flight->changed) {
      prepare(flight);
      return;
    }
    flight->look_again = message.look_again;
    flights_.set_due(flight);
  }

  void apply(const BindingDone& done) {
    const FlightPointer& flight = done.flight;
    const std::string& uid = flight->pod->uid();
    const Duration now = context_.clock->monotonic();
    flight->running = false;
    // Perhaps it is bound though the answer was lost.
    if (done.status.ok() || (cache_.pod(uid) && !cache_.is_assumed(uid))) {
      flights_.remove(flight);
      for (const auto& each : flight->reservations) each.reservation->post_bind();
      queue_.remove(uid);
      metrics_.record(flight->profile->scheduler_name, Metrics::kScheduled, now - flight->started);
      metrics_.bound(flight->attempts, now - flight->first_seen);
      return;
    }
    const bool gone = flight->abandoned;
    if (!gone) {
      abort(flight, done.status);
      return;
    }
    cancel(flight);
    metrics_.record(flight->profile->scheduler_name, Metrics::kError, now - flight->started);
  }

  void apply(const ObjectChanged& change) {
    note({.kinds = change.kinds,
          .object = change.after ? change.after : change.before,
          .object_before = change.after ? change.before : nullptr});
  }

  void apply(const NodeChanged& change) {
    if (!change.after) {
      cache_.remove_node(change.before->metadata.name);
      note({.kinds = kNodeRemoved, .node_before = change.before});
      return;
    }
    cache_.set_node(change.after);
    const uint32_t kinds = node_change(change.before.get(), *change.after);
    if (kinds) note({.kinds = kinds, .node = change.after, .node_before = change.before});
  }

  void apply(const NamespaceChanged& change) {
    if (!change.after) {
      cache_.remove_namespace(change.before->metadata.name);
      return;
    }
    const Labels& labels = change.after->metadata.labels;
    cache_.set_namespace(change.after->metadata.name, labels);
    if (change.before && change.before->metadata.labels == labels) return;
    note({.kinds = kNamespaceLabels});
  }

  void apply(const PodChanged& change) {
    const bool replaced = change.before && change.after && change.before->metadata.uid != change.after->metadata.uid;
    if (!change.after || replaced) forget(*change.before);
    if (!change.after) return;
    const Pod& pod = *change.after;
    if (is_finished(pod)) {
      forget(pod);
    } else if (!pod.spec.node_name.empty()) {
      apply_assigned(change.after);
    } else if (!cache_.is_assumed(pod.metadata.uid)) {
      apply_waiting(change.after);
    } else if (queue_.place_of(pod.metadata.uid)) {
      // Being bound: should that fail, the next attempt needs the newest version.
      queue_.put(PodInfo::make(change.after), context_.clock->monotonic());
    }
  }

  void apply_assigned(const PodPointer& pod) {
    const std::string& uid = pod->metadata.uid;
    queue_.remove(uid);
    nominations_.remove(uid);
    if (const FlightPointer flight = flights_.find(uid)) {
      if (!flight->running) cancel(flight);  // Somebody else bound it.
    }
    const PodInfoPointer before = cache_.is_assumed(uid) ? nullptr : cache_.pod(uid);
    const PodInfoPointer info = PodInfo::make(pod);
    cache_.set_pod(info, pod->spec.node_name);
    uint32_t kinds = 0;
    if (!before) {
      kinds = kPodAssigned;
    } else {
      if (before->pod->metadata.labels != pod->metadata.labels) kinds |= kPodRelabelled;
      if (asks_less(before->requests, info->requests)) kinds |= kPodScaledDown;
    }
    if (kinds) note({.kinds = kinds, .pod = info, .pod_before = before});
  }

  void apply_waiting(const PodPointer& pod) {
    if (!find_profile(profiles_, pod->spec.scheduler_name)) return;
    if (pod->metadata.deletion_timestamp) {
      forget(*pod);
      return;
    }
    const PodInfoPointer info = PodInfo::make(pod);
    queue_.put(info, context_.clock->monotonic());
    // A promise made before this process started.
    if (!pod->status.nominated_node_name.empty() && nominations_.node_of(info->uid()).empty()) {
      nominations_.set(info, pod->status.nominated_node_name);
    }
  }

  void forget(const Pod& pod) {
    const std::string& uid = pod.metadata.uid;
    const PodInfoPointer waiting = queue_.remove(uid);
    const bool promised = !nominations_.node_of(uid).empty();
    nominations_.remove(uid);
    PodInfoPointer freed = cache_.remove_pod(uid);
    if (!freed && promised) freed = waiting;
    if (const FlightPointer flight = flights_.find(uid)) {
      flight->abandoned = true;
      if (!flight->running) cancel(flight);
    }
    if (freed) note({.kinds = kPodGone, .pod = freed});
  }

  SchedulerContext context_;
  const uint64_t seed_;
  Metrics metrics_;

  // The scheduling thread's alone.
  Cache cache_;
  Nominations nominations_;
  Status made_;  ///< Before what may fail to be made.
  const Extenders extenders_;
  const std::vector<Profile> profiles_;
  Queue queue_;
  Cycle cycle_;
  Flights flights_;
  std::optional<Duration> timer_due_;
  std::vector<Message> messages_;  ///< Taken from the inbox.

  mutable std::mutex inbox_mutex_;
  std::condition_variable_any inbox_changed_;
  std::vector<Message> inbox_;
  std::atomic<bool> timer_fired_ = false;

  SiblingFinder siblings_;
  Writer writer_;
  std::unique_ptr<Clock::Timer> timer_;
  std::jthread thread_;
};

}  // namespace

SchedulerOptions options_of(const Configuration& configuration) {
  SchedulerOptions options;
  options.scheduler_name = configuration.profiles.front().scheduler_name;
  options.pod_initial_backoff = configuration.pod_initial_backoff;
  options.pod_max_backoff = configuration.pod_max_backoff;
  options.profiles = configuration.profiles;
  options.extenders = configuration.extenders;
  return options;
}

std::unique_ptr<Scheduler> Scheduler::create(SchedulerContext context) {
  return std::make_unique<SchedulerImpl>(std::move(context));
}

}  // namespace trireme::scheduler
