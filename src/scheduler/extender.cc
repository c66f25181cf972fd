#include "scheduler/extender.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/codec.h"
#include "api/value.h"
#include "base/log.h"

namespace trireme::scheduler {

using api::Value;
using api::corev1::Pod;

namespace {

constexpr int64_t kExtenderMaxScore = 10;
constexpr int kHttpOk = 200;

/// What it says went wrong; Go's decoders take either spelling.
std::string_view error_of(const Value& answer) {
  for (const char* name : {"error", "Error"}) {
    if (const Value* error = answer.find(name)) return error->string_or_empty();
  }
  return {};
}

bool wants(const std::vector<api::corev1::Container>& containers,
           const std::vector<ExtenderConfig::Resource>& managed) {
  return std::ranges::any_of(containers, [&](const auto& container) {
    return std::ranges::any_of(managed, [&](const ExtenderConfig::Resource& resource) {
      return container.resources.requests.contains(resource.name) || container.resources.limits.contains(resource.name);
    });
  });
}

}  // namespace

Extender::Extender(ExtenderConfig config, std::shared_ptr<net::Transport> transport, std::string base_path)
    : config_(std::move(config)), transport_(std::move(transport)), base_path_(std::move(base_path)) {}

Result<std::unique_ptr<Extender>> Extender::create(ExtenderConfig config) {
  std::string url = config.url_prefix;
  while (url.ends_with('/')) url.pop_back();
  net::HttpTransportOptions options;
  options.base_url = url;
  options.timeout = config.timeout;
  options.connect_timeout = config.timeout;
  options.tls.ca_pem = config.ca_pem;
  options.tls.certificate_pem = config.certificate_pem;
  options.tls.key_pem = config.key_pem;
  options.tls.server_name = config.server_name;
  // As upstream: HTTPS without an authority is not verified.
  options.tls.insecure_skip_verify = config.insecure || (config.enable_https && config.ca_pem.empty());
  auto transport = net::http_transport(std::move(options));
  if (!transport.ok()) return transport.status().with_context("extender " + config.url_prefix);
  return std::make_unique<Extender>(std::move(config), std::shared_ptr<net::Transport>(std::move(*transport)), "");
}

bool Extender::interested(const Pod& pod) const {
  return config_.managed_resources.empty() || wants(pod.spec.containers, config_.managed_resources) ||
         wants(pod.spec.init_containers, config_.managed_resources);
}

Result<Value> Extender::call(const std::string& verb, std::string body) const {
  net::Request request;
  request.method = "POST";
  request.target = base_path_ + "/" + verb;
  request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  TRY_ASSIGN(const net::Response response, transport_->round_trip(request));
  if (response.status != kHttpOk) {
    return Status::unavailable(
        fmt::format("failed {} with extender at URL {}/{}, code {}", verb, config_.url_prefix, verb, response.status));
  }
  return api::parse_value(response.body);
}

std::string Extender::arguments(const PodInfo& pod, std::span<const NodeInfo* const> nodes) const {
  std::string out = "{\"pod\":" + api::encode_json(*pod.pod);
  if (config_.node_cache_capable) {
    Value::Array names;
    for (const NodeInfo* node : nodes) names.emplace_back(node->name);
    out += ",\"nodenames\":" + api::to_json(Value(std::move(names)));
  } else {
    out += R"(,"nodes":{"metadata":{},"items":[)";
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (i > 0) out += ',';
      out += api::encode_json(*nodes[i]->node);
    }
    out += "]}";
  }
  return out + "}";
}

Status Extender::filter(const PodInfo& pod, std::vector<const NodeInfo*>& feasible, Refusal& refusal) const {
  if (config_.filter_verb.empty()) return {};
  TRY_ASSIGN(const Value answer, call(config_.filter_verb, arguments(pod, feasible)));
  if (const auto error = error_of(answer); !error.empty()) return Status::unavailable(std::string(error));
  std::vector<std::string> names;
  const Value* listed = answer.find("nodenames");
  if (config_.node_cache_capable && listed && listed->is_array()) {
    for (const Value& each : listed->as_array()) names.emplace_back(each.string_or_empty());
  } else if (const Value* items = answer.at_path({"nodes", "items"}); items && items->is_array()) {
    for (const Value& each : items->as_array()) {
      const Value* name = each.at_path({"metadata", "name"});
      if (name) names.emplace_back(name->string_or_empty());
    }
  }
  std::map<std::string_view, const NodeInfo*> by_name;
  for (const NodeInfo* node : feasible) by_name.emplace(node->name, node);
  std::vector<const NodeInfo*> passed;
  for (const std::string& name : names) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      return Status::unavailable(
          fmt::format("extender \"{}\" claims a filtered node \"{}\" which is not found in the input node list",
                      config_.url_prefix, name));
    }
    passed.push_back(found->second);
  }
  const Value* unresolvable = answer.find("failedAndUnresolvableNodes");
  const auto note = [&](const Value* failed, bool resolvable) {
    if (!failed || !failed->is_object()) return;
    for (const auto& [name, message] : failed->as_object()) {
      const auto found = by_name.find(name);
      if (found == by_name.end() || (resolvable && unresolvable && unresolvable->find(name))) continue;
      refusal.count(message.string_or_empty());
      if (resolvable) refusal.resolvable.push_back(found->second);
    }
  };
  note(unresolvable, false);
  note(answer.find("failedNodes"), true);
  if (passed.size() < feasible.size()) refusal.plugins |= kExtenders;
  feasible = std::move(passed);
  return {};
}

void Extender::prioritize(const PodInfo& pod, std::span<const NodeInfo* const> nodes, std::span<int64_t> totals) const {
  if (config_.prioritize_verb.empty()) return;
  const auto answer = call(config_.prioritize_verb, arguments(pod, nodes));
  if (!answer.ok() || !answer->is_array()) {
    log::debug("An extender gave no scores", {{"extender", config_.url_prefix}, {"error", answer.status()}});
    return;
  }
  std::map<std::string_view, int64_t> scores;
  for (const Value& each : answer->as_array()) {
    const Value* host = each.find("host");
    const Value* score = each.find("score");
    if (host && score && score->is_int()) scores[host->string_or_empty()] = score->as_int();
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto found = scores.find(nodes[i]->name);
    if (found != scores.end()) totals[i] += found->second * config_.weight * (kMaxScore / kExtenderMaxScore);
  }
}

Result<Extender::Candidates> Extender::preempt(const PodInfo& pod, const Candidates& candidates,
                                               const Cache& cache) const {
  std::string victims;
  for (const auto& [node, each] : candidates) {
    std::string pods;
    for (const PodInfoPointer& victim : each.pods) {
      if (!pods.empty()) pods += ',';
      pods += config_.node_cache_capable ? fmt::format("{{\"uid\":\"{}\"}}", victim->uid())
                                         : api::encode_json(*victim->pod);
    }
    victims += fmt::format("{}\"{}\":{{\"pods\":[{}],\"numPDBViolations\":{}}}", victims.empty() ? "" : ",", node->name,
                           pods, each.violations);
  }
  TRY_ASSIGN(const Value answer,
             call(config_.preempt_verb,
                  fmt::format("{{\"pod\":{},\"{}\":{{{}}}}}", api::encode_json(*pod.pod),
                              config_.node_cache_capable ? "nodeNameToMetaVictims" : "nodeNameToVictims", victims)));
  Candidates agreed;
  const Value* nodes = answer.find("nodeNameToMetaVictims");
  if (!nodes || !nodes->is_object()) return agreed;
  for (const auto& [name, each] : nodes->as_object()) {
    const NodeInfo* node = cache.node(name);
    if (!node)
      return Status::unavailable(fmt::format("node \"{}\" of extender {} is not known", name, config_.url_prefix));
    Victims& into = agreed[node];
    if (const Value* violations = each.find("numPDBViolations"); violations && violations->is_int()) {
      into.violations = violations->as_int();
    }
    const Value* pods = each.find("pods");
    if (!pods || !pods->is_array()) continue;
    for (const Value& victim : pods->as_array()) {
      const Value* uid = victim.find("uid");
      const auto found = std::ranges::find_if(
          node->pods, [&](const PodInfoPointer& other) { return uid && other->uid() == uid->string_or_empty(); });
      if (found == node->pods.end()) {
        return Status::unavailable(
            fmt::format("extender: {} claims to preempt a pod on node: {}, but the pod is not "
                        "found on that node",
                        config_.url_prefix, name));
      }
      into.pods.push_back(*found);
    }
  }
  return agreed;
}

Status Extender::bind(const Pod& pod, const std::string& node) const {
  Value body = Value::object();
  body["PodName"] = Value(pod.metadata.name);
  body["PodNamespace"] = Value(pod.metadata.namespace_);
  body["PodUID"] = Value(pod.metadata.uid);
  body["Node"] = Value(node);
  TRY_ASSIGN(const Value answer, call(config_.bind_verb, api::to_json(body)));
  const auto error = error_of(answer);
  return error.empty() ? Status() : Status::unavailable(std::string(error));
}

std::optional<Status> bind_by_extender(const Extenders& extenders, const Pod& pod, const std::string& node) {
  for (const auto& extender : extenders) {
    if (extender->config().bind_verb.empty() || !extender->interested(pod)) continue;
    Status status = extender->bind(pod, node);
    if (status.ok() || !extender->config().ignorable) return status;
    log::info("An extender that may be ignored cannot bind",
              {{"extender", extender->config().url_prefix}, {"error", status}});
  }
  return std::nullopt;
}

}  // namespace trireme::scheduler
