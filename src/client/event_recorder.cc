#include "client/event_recorder.h"

#include <array>
#include <atomic>
#include <functional>
#include <utility>

#include "api/value.h"
#include "base/log.h"

namespace trireme::client {

using api::corev1::Event;

namespace {

// Events that may wait to be written: a burst of bindings brings thousands in a second. About 3 KB each.
constexpr size_t kMaxWaiting = 20'000;
// Of these so many have been given to a lane.
constexpr size_t kMaxInLanes = 1'000;
// Where each write waits for a disk or a network several at a time get through faster.
constexpr size_t kLanes = 4;

/// Queues with a thread each, which starts with the first event. What is about one object stays in order: it all goes
/// through one of them.
class Lanes {
 public:
  using Write = std::function<void(Event event, std::stop_token stop)>;
  /// `changed` is called when nothing is unwritten any more, and when there is room again.
  Lanes(Write write, std::function<void()> changed) : write_(std::move(write)), changed_(std::move(changed)) {}
  ~Lanes() {
    for (Lane& lane : lanes_) lane.thread.request_stop();
  }
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  /// Counts what is still to be added, too.
  size_t unwritten() const { return unwritten_; }
  /// One more is going to be added.
  void expect() { ++unwritten_; }

  void add(Event event) {
    const auto& about = event.involved_object;
    const std::hash<std::string> hash;
    Lane& lane = lanes_[(hash(about.uid) ^ hash(about.namespace_) ^ hash(about.name)) % kLanes];
    {
      const std::lock_guard lock(lane.mutex);
      lane.queue.push_back(std::move(event));
      if (!lane.thread.joinable()) lane.thread = std::jthread([this, &lane](std::stop_token stop) { run(lane, stop); });
    }
    lane.arrived.notify_one();
  }

 private:
  struct Lane {
    std::mutex mutex;
    std::condition_variable_any arrived;
    std::deque<Event> queue;
    std::jthread thread;
  };

  void run(Lane& lane, const std::stop_token& stop) {
    std::unique_lock lock(lane.mutex);
    while (lane.arrived.wait(lock, stop, [&] { return !lane.queue.empty(); })) {
      if (stop.stop_requested()) return;
      Event event = std::move(lane.queue.front());
      lane.queue.pop_front();
      lock.unlock();
      write_(std::move(event), stop);
      const size_t left = --unwritten_;
      if (left == 0 || left == kMaxInLanes - 1) changed_();
      lock.lock();
    }
  }

  const Write write_;
  const std::function<void()> changed_;
  std::atomic<size_t> unwritten_ = 0;
  std::array<Lane, kLanes> lanes_;
};

}  // namespace

EventBroadcaster::EventBroadcaster(Client client, std::shared_ptr<Clock> clock, Mode mode)
    : client_(std::move(client)), clock_(std::move(clock)), mode_(mode) {}

EventBroadcaster::~EventBroadcaster() = default;

EventRecorder EventBroadcaster::recorder(std::string component, std::string host) {
  return EventRecorder(*this, std::move(component), std::move(host));
}

void EventBroadcaster::post(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= (mode_ == Mode::kStepped ? kMaxQueue : kMaxWaiting)) return;
    queue_.push_back(std::move(event));
    if (mode_ == Mode::kStepped) return;
    if (!thread_.joinable()) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  changed_.notify_all();
}

size_t EventBroadcaster::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

bool EventBroadcaster::step() {
  Event event;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    event = std::move(queue_.front());
    queue_.pop_front();
  }
  write(std::move(event), {});
  return true;
}

void EventBroadcaster::flush() {
  if (mode_ == Mode::kStepped) {
    while (step()) continue;
    return;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void EventBroadcaster::run(std::stop_token stop) {
  Lanes lanes([this](Event event, std::stop_token lane_stop) { write(std::move(event), std::move(lane_stop)); },
              [this, &lanes] {
                {
                  const std::lock_guard lock(mutex_);
                  busy_ = lanes.unwritten() > 0;
                }
                changed_.notify_all();
              });
  std::unique_lock lock(mutex_);
  // While the lanes are full the queue fills, too, and then drops.
  while (changed_.wait(lock, stop, [&] { return !queue_.empty() && lanes.unwritten() < kMaxInLanes; })) {
    if (stop.stop_requested()) return;
    Event event = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lanes.expect();
    lock.unlock();
    lanes.add(std::move(event));
    lock.lock();
  }
}

Result<Event> EventBroadcaster::send(const EventCorrelator::Verdict& verdict) {
  const Event& event = verdict.event;
  if (verdict.patch) {
    api::Value patch = api::Value::object();
    patch["count"] = int64_t{event.count};
    patch["message"] = event.message;
    patch["lastTimestamp"] = event.last_timestamp.to_string();
    Result<Event> patched = client_.patch<Event>(event.metadata.namespace_, event.metadata.name,
                                                 PatchType::kStrategicMerge, api::to_json(patch));
    // Events expire: then it is written anew.
    if (patched.ok() || !patched.status().is(Reason::kNotFound)) return patched;
  }
  return client_.create(event);
}

void EventBroadcaster::write(Event event, std::stop_token stop) {
  EventCorrelator::Verdict verdict;
  {
    const std::lock_guard lock(mutex_);
    verdict = correlator_.correlate(std::move(event), clock_->monotonic(), clock_->now());
  }
  if (verdict.drop) return;
  for (int attempt = 1; !stop.stop_requested(); ++attempt) {
    const Result<Event> written = send(verdict);
    if (written.ok()) {
      const std::lock_guard lock(mutex_);
      correlator_.written(verdict.cache_key, *written);
      return;
    }
    const Status& status = written.status();
    const bool away = status.is(Reason::kServiceUnavailable) || status.is(Reason::kTimeout);
    if (!away || attempt >= kMaxTries) {
      // A namespace that is ending refuses events as a matter of course.
      if (!status.is(Reason::kForbidden) && !status.is(Reason::kAlreadyExists)) {
        log::warning(
            "Cannot write an event",
            {{"reason", verdict.event.reason}, {"object", verdict.event.involved_object.name}, {"error", status}});
      }
      return;
    }
    if (!clock_->sleep_for(std::chrono::seconds(10), stop)) return;
  }
}

void EventRecorder::record(const api::corev1::ObjectReference& about, std::string_view type, std::string_view reason,
                           std::string message) {
  Event event;
  // Cluster-scoped objects have their events in the default namespace.
  event.metadata.namespace_ = about.namespace_.empty() ? "default" : about.namespace_;
  event.involved_object = about;
  event.type = type;
  event.reason = reason;
  // The API refuses longer notes than 1,024 bytes for the newer form of events; upstream cuts here, too.
  constexpr size_t kMaxMessage = 1024;
  if (message.size() > kMaxMessage) message.resize(kMaxMessage);
  event.message = std::move(message);
  event.source.component = component_;
  event.source.host = host_;
  event.reporting_component = component_;
  event.reporting_instance = host_;
  broadcaster_->post(std::move(event));
}

}  // namespace trireme::client
