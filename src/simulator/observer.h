#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/informer_factory.h"

namespace trireme::simulator {

/// How many pods were in which state at one moment.
struct Sample {
  Duration at{};
  int64_t pending = 0;  ///< Without a node.
  int64_t unready = 0;  ///< Bound, not ready.
  int64_t ready = 0;
};

/// Something worth a mark in the plot: a fault, a step of a scenario.
struct Mark {
  Duration at{};
  std::string text;
};

/// Follows all pods and nodes as the server tells of them, counts, measures latencies, and sees at once when a node is
/// promised more than it has. Used by one thread.
class Observer {
 public:
  Observer(client::InformerFactory& informers, std::shared_ptr<Clock> clock);

  const Sample& now() const { return counts_; }
  int64_t alive() const { return counts_.pending + counts_.unready + counts_.ready; }
  int64_t created() const { return created_; }
  int64_t finished() const { return finished_; }
  int64_t ready_nodes() const { return ready_nodes_; }

  /// Pods belong to an app by this label; it is known as "NAMESPACE/VALUE".
  static constexpr std::string_view kAppLabel = "app";
  std::vector<std::shared_ptr<const api::corev1::Pod>> pods_of(const std::string& app) const;
  /// What must hold for an app's pods that are not being deleted, at every moment.
  struct Bound {
    int64_t full = 0;  ///< `least_ready` holds from the moment when so many are ready.
    int64_t least_ready = 0;
    int64_t most = 0;  ///< Ready or not.
  };
  void bound(const std::string& app, const Bound& bound) { apps_[app].bound = bound; }

  /// Seconds from a pod's creation to its binding, and to its first readiness.
  const std::vector<float>& to_scheduled() const { return to_scheduled_; }
  const std::vector<float>& to_ready() const { return to_ready_; }
  /// The value below which `fraction` of all lie; 0 of none.
  static double percentile(std::vector<float> values, double fraction);

  Duration next_sample() const { return next_sample_; }
  void take_sample();
  const std::vector<Sample>& samples() const { return samples_; }
  void mark(std::string text) { marks_.push_back({clock_->monotonic(), std::move(text)}); }
  const std::vector<Mark>& marks() const { return marks_; }

  client::Informer<api::corev1::Pod>& pods() { return pods_; }
  client::Informer<api::corev1::Node>& nodes() { return nodes_; }
  /// What went wrong so far, as text.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Pod = api::corev1::Pod;
  enum class State : uint8_t { kNone, kPending, kUnready, kReady, kOver };
  struct Seen {
    Duration created{};
    State state = State::kNone;
    bool was_ready = false;
    bool active = false, ready = false;  ///< Counted so for its app.
    int64_t milli_cpu = 0, memory = 0;
  };
  struct Load {
    int64_t milli_cpu = 0, memory = 0, pods = 0;
  };
  struct App {
    int64_t active = 0, ready = 0;
    bool was_full = false;
    std::optional<Bound> bound;
  };
  void count_app(const Pod& pod, Seen& seen, bool exists, State state);
  static State state_of(const Pod& pod);
  void on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after);
  void on_node(const api::corev1::Node* before, const api::corev1::Node* after);
  void count(State state, int64_t by);
  void load(const std::string& node, const Seen& seen, int64_t sign);

  const std::shared_ptr<Clock> clock_;
  client::Informer<Pod>& pods_;
  client::Informer<api::corev1::Node>& nodes_;
  std::unordered_map<std::string, Seen> seen_;  ///< By UID.
  std::unordered_map<std::string, Load> loads_, capacities_;
  std::unordered_map<std::string, App> apps_;
  Sample counts_;
  int64_t created_ = 0, finished_ = 0, ready_nodes_ = 0;
  std::vector<float> to_scheduled_, to_ready_;
  std::vector<Sample> samples_;
  Duration sample_every_ = std::chrono::milliseconds(250);
  Duration next_sample_{};
  std::vector<Mark> marks_;
  std::vector<std::string> violations_;
};

}  // namespace trireme::simulator
