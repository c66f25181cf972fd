#include "scheduler/writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/conditions.h"
#include "base/log.h"
#include "client/informer.h"

namespace trireme::scheduler {

using api::corev1::Pod;
using api::corev1::PodCondition;

namespace {

// Each waits for the disk most of the time: the more writes wait together, the more the store commits at once.
constexpr size_t kWorkers = 16;

/// As long as an event's note may be.
std::string cut(std::string message) {
  constexpr size_t kMaxNote = 1024;
  constexpr std::string_view kMore = " ...";
  if (message.size() > kMaxNote) message.replace(kMaxNote - kMore.size(), std::string::npos, kMore);
  return message;
}

/// The condition as a member of the patch's list; it keeps its time while its status stays.
std::string condition_json(const Pod& pod, std::string_view type, std::string_view status, std::string_view reason,
                           std::string_view message, WallTime now) {
  const PodCondition* before = api::find_condition(pod.status.conditions, type);
  const api::Time since = before && before->status == status ? before->last_transition_time : api::Time(now);
  PodCondition condition;
  condition.type = type;
  condition.status = status;
  condition.reason = reason;
  condition.message = message;
  condition.last_transition_time = since;
  return api::encode_json(condition);
}

}  // namespace

Writer::Writer(client::Client client, std::shared_ptr<client::EventBroadcaster> events, std::shared_ptr<Clock> clock,
               Mode mode)
    : client_(std::move(client)), events_(std::move(events)), clock_(std::move(clock)) {
  if (mode == Mode::kStepped) {
    workers_.push_back(std::make_unique<Worker>());
    return;
  }
  for (size_t i = 0; i < kWorkers; ++i) {
    Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
    worker.thread = std::jthread([&worker](std::stop_token stop) { run(worker, stop); });
  }
}

Writer::~Writer() { stop(); }

void Writer::stop() {
  for (const auto& worker : workers_) worker->thread.request_stop();
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void Writer::run(Worker& worker, std::stop_token stop) {
  std::unique_lock lock(worker.mutex);
  while (worker.changed.wait(lock, stop, [&] { return !worker.tasks.empty(); }) && !stop.stop_requested()) {
    const Task task = std::move(worker.tasks.front());
    worker.tasks.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

size_t Writer::waiting() const {
  size_t count = 0;
  for (const auto& worker : workers_) {
    const std::lock_guard lock(worker->mutex);
    count += worker->tasks.size();
  }
  return count;
}

bool Writer::step() {
  Task task;
  {
    Worker& worker = *workers_.front();
    const std::lock_guard lock(worker.mutex);
    if (worker.tasks.empty()) return false;
    task = std::move(worker.tasks.front());
    worker.tasks.pop_front();
  }
  task();
  return true;
}

void Writer::post(const std::string& uid, Task task) {
  Worker& worker = *workers_[std::hash<std::string>()(uid) % workers_.size()];
  {
    const std::lock_guard lock(worker.mutex);
    worker.tasks.push_back(std::move(task));
  }
  worker.changed.notify_one();
}

client::EventRecorder Writer::recorder_for(const Pod& pod) const { return events_->recorder(pod.spec.scheduler_name); }

void Writer::scheduled(const Pod& pod, const std::string& node) {
  recorder_for(pod).normal(
      pod, "Scheduled",
      fmt::format("Successfully assigned {}/{} to {}", pod.metadata.namespace_, pod.metadata.name, node));
}

void Writer::report(PodPointer pod, Failure failure) {
  const std::string& uid = pod->metadata.uid;
  post(uid, [this, pod, failure = std::move(failure)] { write_report(*pod, failure); });
}

void Writer::write_report(const Pod& pod, const Failure& failure) {
  recorder_for(pod).warning(pod, "FailedScheduling", cut(failure.message));
  const PodCondition* before = api::find_condition(pod.status.conditions, api::corev1::kPodScheduled);
  const bool known = before && before->status == api::corev1::kConditionFalse && before->reason == failure.reason &&
                     before->message == failure.message;
  if (known && pod.status.nominated_node_name == failure.nominated_node) return;
  std::string fields =
      fmt::format("\"conditions\":[{}]", condition_json(pod, api::corev1::kPodScheduled, api::corev1::kConditionFalse,
                                                        failure.reason, failure.message, clock_->now()));
  if (!failure.nominated_node.empty()) {
    fields += fmt::format(",\"nominatedNodeName\":\"{}\"", failure.nominated_node);
  } else if (!pod.status.nominated_node_name.empty()) {
    fields += ",\"nominatedNodeName\":null";
  }
  patch_status(pod, std::move(fields));
}

void Writer::clear_nomination(PodPointer pod) {
  const std::string& uid = pod->metadata.uid;
  post(uid, [this, pod] { patch_status(*pod, "\"nominatedNodeName\":null"); });
}

void Writer::patch_status(const Pod& pod, std::string fields) {
  // The UID keeps the patch from a pod that was made anew under the name.
  std::string body = fmt::format(R"({{"metadata":{{"uid":"{}"}},"status":{{{}}}}})", pod.metadata.uid, fields);
  const auto written = client_.patch<Pod>(pod.metadata.namespace_, pod.metadata.name,
                                          client::PatchType::kStrategicMerge, std::move(body), "status");
  if (written.ok() || written.status().is(Reason::kNotFound) || written.status().is(Reason::kConflict)) return;
  log::warning("Cannot write a pod's scheduling condition",
               {{"pod", client::key_of(pod.metadata)}, {"error", written.status()}});
}

void Writer::preempt(PodPointer victim, PodPointer preemptor, std::string node) {
  const std::string& uid = victim->metadata.uid;
  post(uid, [this, victim, preemptor, node = std::move(node)] {
    const Status status = write_preempt(*victim, preemptor->spec.scheduler_name);
    if (status.ok()) {
      recorder_for(*preemptor)
          .normal(*victim, "Preempted", fmt::format("Preempted by pod {} on node {}", preemptor->metadata.uid, node));
    } else {
      log::warning("Cannot preempt a pod", {{"pod", client::key_of(victim->metadata)}, {"error", status}});
    }
  });
}

Status Writer::write_preempt(const Pod& victim, const std::string& scheduler) {
  const PodCondition* told = api::find_condition(victim.status.conditions, api::corev1::kDisruptionTarget);
  if (!told || told->status != api::corev1::kConditionTrue) {
    const std::string message = scheduler + ": preempting to accommodate a higher priority pod";
    patch_status(victim,
                 fmt::format("\"conditions\":[{}]",
                             condition_json(victim, api::corev1::kDisruptionTarget, api::corev1::kConditionTrue,
                                            api::corev1::kPodReasonPreemptionByScheduler, message, clock_->now())));
  }
  client::DeleteOptions options;
  options.uid = victim.metadata.uid;
  Status removed = client_.remove<Pod>(victim.metadata.namespace_, victim.metadata.name, options);
  return removed.is(Reason::kNotFound) ? Status() : removed;
}

}  // namespace trireme::scheduler
