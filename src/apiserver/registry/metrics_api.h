#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/scheme.h"
#include "apiserver/http/context.h"
#include "apiserver/registry/usage.h"
#include "apiserver/watch/caches.h"
#include "base/clock.h"
#include "net/transport.h"

namespace trireme::apiserver {

/// metrics.k8s.io: what nodes and pods use now. Nothing is collected while nobody asks: a request asks the kubelets it
/// is about, in parallel, and their answers are kept for a few seconds for whoever asks next. Thread-safe.
/// https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/
class MetricsApi {
 public:
  using Dial = std::function<Result<std::unique_ptr<net::Transport>>(const std::string& base_url)>;
  /// `dial` opens a connection to a kubelet; without it there are no metrics.
  MetricsApi(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock, Dial dial);

  static bool serves(const api::ResourceInfo& resource);
  /// Whether a request may have to wait for kubelets.
  bool may_wait() const { return dial_ != nullptr; }
  /// Answers a get or a list. Blocks until the kubelets have answered.
  void serve(RequestContext& context, const api::ResourceInfo& resource, std::stop_token stop);

 private:
  using Node = api::corev1::Node;
  using NodePointer = std::shared_ptr<const Node>;
  using UsagePointer = std::shared_ptr<const NodeUsage>;
  /// One kubelet: the connection to it and its last answer.
  struct Kubelet {
    std::mutex mutex;  ///< Held while it is asked, so that others wait for the same answer.
    std::string url;
    std::shared_ptr<net::Transport> transport;
    std::optional<Duration> asked;
    UsagePointer usage;
  };

  /// What these nodes use, in their order; null for those that did not answer.
  std::vector<UsagePointer> ask(const std::vector<NodePointer>& nodes, std::stop_token stop);
  UsagePointer ask(const Node& node, std::stop_token stop);
  Status refresh(const Node& node, Kubelet& kubelet, std::stop_token stop);
  std::shared_ptr<Kubelet> kubelet_of(const std::string& node);

  Result<std::vector<CachedPointer>> measure_nodes(const RequestContext& context, const api::ResourceInfo& resource,
                                                   std::stop_token stop);
  Result<std::vector<CachedPointer>> measure_pods(const RequestContext& context, const api::ResourceInfo& resource,
                                                  std::stop_token stop);

  const std::shared_ptr<Caches> caches_;
  const std::shared_ptr<Clock> clock_;
  const Dial dial_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Kubelet>> kubelets_;  ///< By node.
};

}  // namespace trireme::apiserver
