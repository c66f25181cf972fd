#include "kubelet/probes/probe_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kubelet/images/image_manager.h"
#include "kubelet/pods/container_config.h"
#include "kubelet/pods/environment.h"
#include "kubelet/pods/status.h"
#include "kubelet/probes/handlers.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Container;
using api::corev1::Pod;

constexpr const char* kUserAgent = "kube-probe/1.32";

std::string_view name_of(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kLiveness:
      return "Liveness";
    case ProbeKind::kReadiness:
      return "Readiness";
    case ProbeKind::kStartup:
      break;
  }
  return "Startup";
}

const api::corev1::Probe* spec_of(const Container& container, ProbeKind kind) {
  const auto& box = kind == ProbeKind::kLiveness    ? container.liveness_probe
                    : kind == ProbeKind::kReadiness ? container.readiness_probe
                                                    : container.startup_probe;
  return box ? &*box : nullptr;
}

std::chrono::seconds at_least_one(int32_t seconds) { return std::chrono::seconds(std::max(seconds, 1)); }

/// Whether the pod's last status shows this very container ready or started: after the kubelet's own restart such a
/// container keeps its verdict until the probe says otherwise.
bool was(const Pod& pod, const std::string& container_id, ProbeKind kind) {
  for (const auto* list : {&pod.status.container_statuses, &pod.status.init_container_statuses}) {
    for (const auto& status : *list) {
      if (!status.container_id.ends_with("//" + container_id)) continue;
      return kind == ProbeKind::kReadiness ? status.ready : status.started.value_or(false);
    }
  }
  return false;
}

}  // namespace

ProbeManager::ProbeManager(std::shared_ptr<cri::Runtime> runtime, std::shared_ptr<Clock> clock, TaskPool& pool,
                           client::EventRecorder* events, ProbeResults& results,
                           std::function<void(const std::string&)> on_change)
    : runtime_(std::move(runtime)),
      clock_(std::move(clock)),
      pool_(pool),
      events_(events),
      results_(results),
      on_change_(std::move(on_change)) {}

void ProbeManager::drop(const Key& key) {
  auto entry = probes_.find(key);
  if (entry == probes_.end()) return;
  results_.erase(entry->second.container_id, key.kind);
  probes_.erase(entry);
}

void ProbeManager::sync(const std::shared_ptr<const Pod>& pod, const RuntimePod& runtime) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  const std::string& uid = pod->metadata.uid;
  std::vector<std::string> ips = runtime.ips();
  std::string host = host_network(*pod) ? (pod->status.host_ip.empty() ? "127.0.0.1" : pod->status.host_ip)
                     : ips.empty()      ? std::string()
                                        : ips[0];
  auto visit = [&](const Container& container) {
    const cri::ContainerStatus* status = runtime.latest(container.name);
    bool running = status != nullptr && status->state == cri::ContainerState::kRunning;
    for (ProbeKind kind : {ProbeKind::kStartup, ProbeKind::kLiveness, ProbeKind::kReadiness}) {
      const api::corev1::Probe* spec = spec_of(container, kind);
      if (spec == nullptr) continue;
      Key key{uid, container.name, kind};
      // Others begin when the startup probe has succeeded; it ends then.
      bool wanted = running && (kind == ProbeKind::kStartup) != container_started(container, *status, results_);
      if (!running) {
        drop(key);
        continue;
      }
      auto entry = probes_.find(key);
      if (entry != probes_.end() && entry->second.container_id != status->id) {
        drop(key);
        entry = probes_.end();
      }
      if (kind == ProbeKind::kStartup && entry == probes_.end() && was(*pod, status->id, kind)) {
        results_.set(status->id, kind, true);
        continue;
      }
      if (!wanted) {
        if (entry != probes_.end() && kind == ProbeKind::kStartup) probes_.erase(entry);  // its verdict stays
        continue;
      }
      if (entry != probes_.end()) {
        entry->second.host = host;
        continue;
      }
      Probe probe;
      probe.pod = pod;
      probe.container = find_container(*pod, container.name);
      probe.spec = spec_of(*probe.container, kind);
      probe.container_id = status->id;
      probe.host = host;
      if (kind == ProbeKind::kLiveness) results_.set(status->id, kind, true);
      if (kind == ProbeKind::kReadiness) results_.set(status->id, kind, was(*pod, status->id, kind));
      Duration since = clock_->now() - wall_time(status->started_at);
      Duration delay = std::max<Duration>(std::chrono::seconds(spec->initial_delay_seconds) - since, Duration::zero());
      schedule(key, probes_.emplace(key, std::move(probe)).first->second, delay);
    }
  };
  for (const Container& container : pod->spec.init_containers) {
    if (is_restartable_init(container)) visit(container);
  }
  for (const Container& container : pod->spec.containers) visit(container);
}

void ProbeManager::schedule(const Key& key, Probe& probe, Duration delay) {
  probe.generation = ++last_generation_;
  probe.timer = clock_->call_after(delay, [this, key, generation = probe.generation] {
    pool_.post([this, key, generation] { run(key, generation); });
  });
}

void ProbeManager::run(const Key& key, uint64_t generation) {
  std::shared_ptr<const Pod> pod;
  const Container* container;
  const api::corev1::Probe* spec;
  std::string id, host;
  {
    std::lock_guard lock(mutex_);
    auto entry = probes_.find(key);
    if (entry == probes_.end() || entry->second.generation != generation) return;
    pod = entry->second.pod;
    container = entry->second.container;
    spec = entry->second.spec;
    id = entry->second.container_id;
    host = entry->second.host;
  }
  const auto& handler = spec->probe_handler;
  std::chrono::seconds timeout = at_least_one(spec->timeout_seconds);
  HandlerOutcome outcome{false, "the probe has no handler"};
  if (handler.exec) {
    outcome = run_exec(*runtime_, id, *handler.exec, timeout);
  } else if (handler.http_get) {
    outcome = run_http_get(*handler.http_get, *container, host, timeout, kUserAgent);
  } else if (handler.tcp_socket) {
    outcome = run_tcp_socket(*handler.tcp_socket, *container, host, timeout);
  } else if (handler.grpc) {
    outcome = run_grpc(*handler.grpc, host, timeout);
  }
  conclude(key, generation, outcome);
}

void ProbeManager::conclude(const Key& key, uint64_t generation, const HandlerOutcome& outcome) {
  bool changed = false;
  {
    std::lock_guard lock(mutex_);
    auto entry = probes_.find(key);
    if (entry == probes_.end() || entry->second.generation != generation) return;
    Probe& probe = entry->second;
    probe.successes = outcome.success ? probe.successes + 1 : 0;
    probe.failures = outcome.success ? 0 : probe.failures + 1;
    if (!outcome.success) {
      events_->warning(container_reference(*probe.pod, *probe.container), "Unhealthy",
                       fmt::format("{} probe failed: {}", name_of(key.kind), outcome.output));
    }
    if (probe.successes >= std::max(probe.spec->success_threshold, 1)) {
      changed = results_.set(probe.container_id, key.kind, true);
    } else if (probe.failures >= std::max(probe.spec->failure_threshold, 1)) {
      changed = results_.set(probe.container_id, key.kind, false);
      probe.decided = key.kind != ProbeKind::kReadiness;
    }
    // A container that is to be replaced, or has started up, is not probed again for it.
    bool over = probe.decided || (key.kind == ProbeKind::kStartup && changed);
    if (!over) schedule(key, probe, at_least_one(probe.spec->period_seconds));
  }
  if (changed) on_change_(key.pod_uid);
}

void ProbeManager::remove_pod(const std::string& pod_uid) {
  std::lock_guard lock(mutex_);
  auto entry = probes_.lower_bound(Key{pod_uid, "", ProbeKind::kLiveness});
  while (entry != probes_.end() && entry->first.pod_uid == pod_uid) {
    results_.erase(entry->second.container_id, entry->first.kind);
    entry = probes_.erase(entry);
  }
}

void ProbeManager::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  probes_.clear();
}

}  // namespace trireme::kubelet
