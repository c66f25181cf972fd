#include "apiserver/registry/metrics_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "api/status_convert.h"
#include "apiserver/http/views.h"
#include "apiserver/registry/kubelets.h"
#include "apiserver/registry/selection.h"
#include "base/log.h"

namespace trireme::apiserver {

namespace corev1 = api::corev1;
namespace metrics = api::metricsv1beta1;

namespace {

/// An answer that is younger is given again.
constexpr Duration kFresh = std::chrono::seconds(5);
/// Who was not asked for so long is forgotten.
constexpr Duration kForgotten = std::chrono::minutes(5);
constexpr size_t kAtOnce = 16;

bool is_ready(const corev1::Node& node) {
  return std::ranges::any_of(node.status.conditions, [](const corev1::NodeCondition& each) {
    return each.type == corev1::kNodeReady && each.status == corev1::kConditionTrue;
  });
}

template <typename T>
CachedPointer wrap(T object) {
  return std::make_shared<const CachedObject>(std::string(), 0, api::Object::of(std::move(object)));
}

}  // namespace

MetricsApi::MetricsApi(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock, Dial dial)
    : caches_(std::move(caches)), clock_(std::move(clock)), dial_(std::move(dial)) {}

bool MetricsApi::serves(const api::ResourceInfo& resource) { return resource.group == metrics::kGroupName; }

std::shared_ptr<MetricsApi::Kubelet> MetricsApi::kubelet_of(const std::string& node) {
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<Kubelet>& kubelet = kubelets_[node];
  if (!kubelet) kubelet = std::make_shared<Kubelet>();
  return kubelet;
}

Status MetricsApi::refresh(const Node& node, Kubelet& kubelet, std::stop_token stop) {
  TRY_ASSIGN(std::string url, kubelet_url(node));
  if (!kubelet.transport || kubelet.url != url) {
    TRY_ASSIGN(kubelet.transport, dial_(url));
    kubelet.url = std::move(url);
  }
  net::Request request;
  request.method = "GET";
  request.target = "/stats/summary?only_cpu_and_memory=true";
  TRY_ASSIGN(const net::Response answer, kubelet.transport->round_trip(request, stop));
  if (answer.status != 200) return Status::internal(fmt::format("the kubelet answered {}", answer.status));
  TRY_ASSIGN(NodeUsage usage, parse_summary(answer.body));
  kubelet.usage = std::make_shared<const NodeUsage>(std::move(usage));
  return {};
}

MetricsApi::UsagePointer MetricsApi::ask(const Node& node, std::stop_token stop) {
  if (!dial_ || !is_ready(node)) return nullptr;
  const std::shared_ptr<Kubelet> kubelet = kubelet_of(node.metadata.name);
  const std::scoped_lock lock(kubelet->mutex);
  if (kubelet->asked && clock_->monotonic() - *kubelet->asked < kFresh) return kubelet->usage;
  kubelet->usage = nullptr;
  const Status status = refresh(node, *kubelet, stop);
  kubelet->asked = clock_->monotonic();
  if (!status.ok()) log::warning("A kubelet tells no usage", {{"node", node.metadata.name}, {"error", status}});
  return kubelet->usage;
}

std::vector<MetricsApi::UsagePointer> MetricsApi::ask(const std::vector<NodePointer>& nodes, std::stop_token stop) {
  std::vector<UsagePointer> out(nodes.size());
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i = next++; i < nodes.size() && !stop.stop_requested(); i = next++) out[i] = ask(*nodes[i], stop);
  };
  {
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min(kAtOnce, nodes.size()); ++i) helpers.emplace_back(work);
    work();
  }
  const std::scoped_lock lock(mutex_);
  const Duration now = clock_->monotonic();
  std::erase_if(kubelets_, [&](const auto& entry) {
    // Only ours: nobody else asks it now, nor can begin to.
    return entry.second.use_count() == 1 && now - entry.second->asked.value_or(now) > kForgotten;
  });
  return out;
}

Result<std::vector<CachedPointer>> MetricsApi::measure_nodes(const RequestContext& context,
                                                             const api::ResourceInfo& resource, std::stop_token stop) {
  std::vector<NodePointer> nodes;
  if (context.info.verb == "get") {
    TRY_ASSIGN(NodePointer node, caches_->get<Node>("", context.info.name));
    nodes.push_back(std::move(node));
  } else {
    TRY_ASSIGN(const Selection selection, Selection::parse(resource, "", context.query, "/"));
    TRY_ASSIGN(const auto all, caches_->list(api::resource_of<Node>()));
    for (const CachedPointer& each : all) {
      if (selection.matches(each->object())) nodes.emplace_back(each, each->object().as<Node>());
    }
  }
  const std::vector<UsagePointer> usages = ask(nodes, stop);
  std::vector<CachedPointer> out;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (usages[i] && usages[i]->node) out.push_back(wrap(node_metrics(*nodes[i], *usages[i])));
  }
  return out;
}

Result<std::vector<CachedPointer>> MetricsApi::measure_pods(const RequestContext& context,
                                                            const api::ResourceInfo& resource, std::stop_token stop) {
  using corev1::Pod;
  std::vector<std::shared_ptr<const Pod>> pods;
  if (context.info.verb == "get") {
    TRY_ASSIGN(auto pod, caches_->get<Pod>(context.info.ns, context.info.name));
    pods.push_back(std::move(pod));
  } else {
    TRY_ASSIGN(const Selection selection, Selection::parse(resource, context.info.ns, context.query, "/"));
    TRY_ASSIGN(const auto all, caches_->list(api::resource_of<Pod>(), context.info.ns));
    for (const CachedPointer& each : all) {
      if (selection.matches(each->object())) pods.emplace_back(each, each->object().as<Pod>());
    }
  }
  std::erase_if(pods, [](const auto& pod) {
    return pod->spec.node_name.empty() || pod->status.phase == corev1::kPodSucceeded ||
           pod->status.phase == corev1::kPodFailed;
  });
  std::set<std::string> names;
  for (const auto& pod : pods) names.insert(pod->spec.node_name);
  std::vector<NodePointer> nodes;
  for (const std::string& name : names) {
    if (auto node = caches_->get<Node>("", name); node.ok()) nodes.push_back(*node);
  }
  const std::vector<UsagePointer> usages = ask(nodes, stop);
  std::map<std::string_view, const NodeUsage*> by_node;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (usages[i]) by_node.emplace(nodes[i]->metadata.name, usages[i].get());
  }
  std::vector<CachedPointer> out;
  for (const auto& pod : pods) {
    const auto node = by_node.find(pod->spec.node_name);
    if (node == by_node.end()) continue;
    const auto usage = node->second->pods.find(pod->metadata.uid);
    if (usage != node->second->pods.end()) out.push_back(wrap(pod_metrics(*pod, usage->second)));
  }
  return out;
}

void MetricsApi::serve(RequestContext& context, const api::ResourceInfo& resource, std::stop_token stop) {
  const bool nodes = resource.type == &api::type_info<metrics::NodeMetrics>();
  auto found = nodes ? measure_nodes(context, resource, stop) : measure_pods(context, resource, stop);
  if (!found.ok()) {
    // What is not there is not there under this group's name, either.
    const bool missing = found.status().is(Reason::kNotFound);
    return context.fail(missing ? api::not_found(resource, context.info.name) : found.status());
  }
  if (context.info.verb == "get") {
    if (found->empty()) return context.fail(api::not_found(resource, context.info.name));
    return respond_cached(context, 200, resource, found->front(), *clock_);
  }
  ListPage page;
  page.items = std::move(*found);
  respond_list(context, resource, page, *clock_);
}

}  // namespace trireme::apiserver
