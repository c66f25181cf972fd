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

#include "base/log.h"
#include "client/informer.h"
#include "scheduler/cache.h"
#include "scheduler/cycle.h"
#include "scheduler/metrics.h"
#include "scheduler/preemption.h"
#include "scheduler/queue.h"
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
struct BindingDone {
  PodInfoPointer pod;
  Status status;
  Duration first_seen, started;
};
using Message = std::variant<PodChanged, NodeChanged, NamespaceChanged, BindingDone>;

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

bool asks_less(const Resources& before, const Resources& after) {
  if (after.milli_cpu < before.milli_cpu || after.memory < before.memory ||
      after.ephemeral_storage < before.ephemeral_storage) {
    return true;
  }
  return std::ranges::any_of(before.scalar, [&](const auto& each) {
    const auto found = after.scalar.find(each.first);
    return found == after.scalar.end() || found->second < each.second;
  });
}

uint64_t seed_or_random(uint64_t seed) { return seed != 0 ? seed : std::random_device()(); }

class SchedulerImpl final : public Scheduler {
 public:
  explicit SchedulerImpl(SchedulerContext context)
      : context_(std::move(context)),
        profile_(default_profile()),
        queue_(profile_, cache_, context_.options.pod_initial_backoff, context_.options.pod_max_backoff),
        cycle_(profile_, cache_, nominations_, seed_or_random(context_.options.random_seed)),
        budgets_(context_.informers->informer<api::policyv1::PodDisruptionBudget>()),
        preemption_(
            cache_, nominations_, [this](const std::string& ns) { return budgets_.list(ns); },
            seed_or_random(context_.options.random_seed)),
        siblings_(*context_.informers),
        writer_(context_.client, context_.events->recorder(context_.options.scheduler_name), context_.clock,
                context_.single_threaded ? Writer::Mode::kStepped : Writer::Mode::kThreads) {
    cache_.set_siblings([this](const Pod& pod) { return siblings_.find(pod); });
    follow<Pod, PodChanged>();
    follow<Node, NodeChanged>();
    follow<Namespace, NamespaceChanged>();
  }
  ~SchedulerImpl() override { stop(); }

  Status start(std::stop_token stop) override {
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
    queue_.advance(context_.clock->monotonic());
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

  std::string metrics() const override { return metrics_.print(context_.options.scheduler_name); }

 private:
  template <typename T, typename Changed>
  void follow() {
    context_.informers->informer<T>().add_handler([this](const auto& before, const auto& after) {
      post(Changed{before, after});
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

  /// A timer for the queued pod that is due first.
  void arm() {
    if (timer_fired_.exchange(false)) timer_due_.reset();
    const std::optional<Duration> due = queue_.next_due();
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
    PodFilters filters(profile_, cache_, nominations_, *pod);
    Cycle::Decision decision = cycle_.decide(filters);
    if (decision.node) {
      const std::string node = decision.node->name;
      cache_.assume(pod, node);
      nominations_.remove(pod->uid());
      writer_.bind(pod->pod, node, [this, pod, first_seen = queued.first_seen, started](const Status& status) {
        post(BindingDone{pod, status, first_seen, started});
      });
      return;
    }
    if (decision.refusal.all_nodes > 0) preempt(pod, filters, decision.refusal);
    refuse(pod, decision.refusal);
    metrics_.record(Metrics::kUnschedulable, context_.clock->monotonic() - started);
  }

  void preempt(const PodInfoPointer& pod, PodFilters& filters, Refusal& refusal) {
    const Preemption::Plan plan = preemption_.plan(filters, refusal);
    ++metrics_.preemption_attempts;
    refusal.preemption = plan.message;
    if (!plan.eligible) return;
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
    metrics_.preemption_victims += plan.victims.size();
    for (const PodInfoPointer& victim : plan.victims) {
      if (!victim->pod->metadata.deletion_timestamp) writer_.preempt(victim->pod, pod->pod, node);
    }
  }

  void refuse(const PodInfoPointer& pod, const Refusal& refusal) {
    queue_.requeue(pod->uid(), refusal.plugins, refusal.all_nodes == 0, context_.clock->monotonic());
    writer_.report(pod->pod, {std::string(api::corev1::kPodReasonUnschedulable), refusal.message(),
                              nominations_.node_of(pod->uid())});
  }

  void apply(const BindingDone& done) {
    const Duration now = context_.clock->monotonic();
    if (done.status.ok()) {
      queue_.remove(done.pod->uid());
      metrics_.record(Metrics::kScheduled, now - done.started);
      metrics_.pod_duration.observe(now - done.first_seen);
      return;
    }
    metrics_.record(Metrics::kError, now - done.started);
    // Bound after all: only the answer was lost. Or gone meanwhile.
    if (!cache_.is_assumed(done.pod->uid())) return;
    log::warning("Cannot bind a pod", {{"pod", client::key_of(done.pod->pod->metadata)}, {"error", done.status}});
    cache_.remove_pod(done.pod->uid());
    queue_.requeue(done.pod->uid(), 0, false, now);
    queue_.on_change({kPodGone, nullptr, done.pod.get()}, now);
    if (done.status.is(Reason::kNotFound)) return;
    writer_.report(done.pod->pod, {std::string(api::corev1::kPodReasonSchedulerError), done.status.message(), {}});
  }

  void apply(const NodeChanged& change) {
    const Duration now = context_.clock->monotonic();
    if (!change.after) {
      cache_.remove_node(change.before->metadata.name);
      queue_.on_change({kNodeRemoved, nullptr, nullptr}, now);
      return;
    }
    cache_.set_node(change.after);
    const uint32_t kinds = node_change(change.before.get(), *change.after);
    if (kinds) queue_.on_change({kinds, change.after.get(), nullptr}, now);
  }

  void apply(const NamespaceChanged& change) {
    if (!change.after) {
      cache_.remove_namespace(change.before->metadata.name);
      return;
    }
    const Labels& labels = change.after->metadata.labels;
    cache_.set_namespace(change.after->metadata.name, labels);
    if (change.before && change.before->metadata.labels == labels) return;
    queue_.on_change({kNamespaceLabels, nullptr, nullptr}, context_.clock->monotonic());
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
    if (kinds) queue_.on_change({kinds, nullptr, info.get()}, context_.clock->monotonic());
  }

  void apply_waiting(const PodPointer& pod) {
    if (pod->spec.scheduler_name != context_.options.scheduler_name) return;
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
    if (freed) queue_.on_change({kPodGone, nullptr, freed.get()}, context_.clock->monotonic());
  }

  SchedulerContext context_;
  const Profile profile_;
  Metrics metrics_;

  // The scheduling thread's alone.
  Cache cache_;
  Nominations nominations_;
  Queue queue_;
  Cycle cycle_;
  client::Informer<api::policyv1::PodDisruptionBudget>& budgets_;
  Preemption preemption_;
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

std::unique_ptr<Scheduler> Scheduler::create(SchedulerContext context) {
  return std::make_unique<SchedulerImpl>(std::move(context));
}

}  // namespace trireme::scheduler
