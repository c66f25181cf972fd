#include "client/event_recorder.h"

#include "api/value.h"
#include "base/log.h"

namespace trireme::client {

using api::corev1::Event;

EventBroadcaster::EventBroadcaster(Client client, std::shared_ptr<Clock> clock, Mode mode)
    : client_(std::move(client)), clock_(std::move(clock)), mode_(mode) {}

EventBroadcaster::~EventBroadcaster() = default;

EventRecorder EventBroadcaster::recorder(std::string component, std::string host) {
  return EventRecorder(*this, std::move(component), std::move(host));
}

void EventBroadcaster::post(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kMaxQueue) return;
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
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !queue_.empty(); })) {
    if (stop.stop_requested()) return;
    Event event = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    write(std::move(event), stop);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
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
  const EventCorrelator::Verdict verdict = correlator_.correlate(std::move(event), clock_->monotonic(), clock_->now());
  if (verdict.drop) return;
  for (int attempt = 1; !stop.stop_requested(); ++attempt) {
    const Result<Event> written = send(verdict);
    if (written.ok()) {
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
