#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"
#include "client/event_correlator.h"

namespace trireme::client {

/// What an event is about. The type gives kind and apiVersion, which the struct itself does not carry.
template <typename T>
api::corev1::ObjectReference reference_to(const T& object) {
  api::corev1::ObjectReference reference;
  reference.kind = api::type_info<T>().kind;
  reference.api_version = api::type_info<T>().api_version;
  reference.namespace_ = object.metadata.namespace_;
  reference.name = object.metadata.name;
  reference.uid = object.metadata.uid;
  reference.resource_version = object.metadata.resource_version;
  return reference;
}

class EventRecorder;

/// Writes the Events of a process to the API in the background: best effort, never blocking the caller. What does not
/// fit into the queue is dropped, as are events the server refuses; while the server is away an event is tried again
/// up to twelve times. A few threads, which start with the first events; none when it is stepped. Thread-safe.
class EventBroadcaster {
 public:
  enum class Mode { kThread, kStepped };
  EventBroadcaster(Client client, std::shared_ptr<Clock> clock, Mode mode = Mode::kThread);
  /// Stops; events still queued are lost.
  ~EventBroadcaster();

  /// A recorder that signs as `component` (on `host`, for what runs on nodes). The broadcaster must outlive it.
  EventRecorder recorder(std::string component, std::string host = {});

  void post(api::corev1::Event event);
  /// Waits until every event posted so far has been written or given up (tests, an orderly end).
  void flush();
  /// Stepped broadcasters: writes the oldest event that waits; false when none does.
  bool step();
  /// Events that have not been taken up for writing.
  size_t waiting() const;

 private:
  static constexpr size_t kMaxQueue = 1000;  ///< Of stepped ones.
  static constexpr int kMaxTries = 12;
  void run(std::stop_token stop);
  void write(api::corev1::Event event, std::stop_token stop);
  Result<api::corev1::Event> send(const EventCorrelator::Verdict& verdict);

  Client client_;
  const std::shared_ptr<Clock> clock_;
  const Mode mode_;
  EventCorrelator correlator_;  ///< Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<api::corev1::Event> queue_;
  bool busy_ = false;
  std::jthread thread_;
};

/// Records events of one component. Cheap to copy; thread-safe.
class EventRecorder {
 public:
  EventRecorder(EventBroadcaster& broadcaster, std::string component, std::string host)
      : broadcaster_(&broadcaster), component_(std::move(component)), host_(std::move(host)) {}

  void normal(const api::corev1::ObjectReference& about, std::string_view reason, std::string message) {
    record(about, api::corev1::kEventTypeNormal, reason, std::move(message));
  }
  void warning(const api::corev1::ObjectReference& about, std::string_view reason, std::string message) {
    record(about, api::corev1::kEventTypeWarning, reason, std::move(message));
  }
  template <typename T>
  requires requires(const T& object) { object.metadata; }
  void normal(const T& about, std::string_view reason, std::string message) {
    normal(reference_to(about), reason, std::move(message));
  }
  template <typename T>
  requires requires(const T& object) { object.metadata; }
  void warning(const T& about, std::string_view reason, std::string message) {
    warning(reference_to(about), reason, std::move(message));
  }

 private:
  void record(const api::corev1::ObjectReference& about, std::string_view type, std::string_view reason,
              std::string message);

  EventBroadcaster* broadcaster_;
  std::string component_;
  std::string host_;
};

}  // namespace trireme::client
