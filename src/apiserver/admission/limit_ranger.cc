#include <fmt/format.h>

#include <algorithm>

#include "api/pod_resources.h"
#include "api/types/corev1.h"
#include "apiserver/admission/plugins.h"

namespace trireme::apiserver::admission {
namespace {

using api::ResourceList;
using api::corev1::Container;
using api::corev1::LimitRange;
using api::corev1::LimitRangeItem;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;

constexpr std::string_view kAnnotation = "kubernetes.io/limit-ranger";

/// One bound of one resource, and what it bounds.
struct Bound {
  const std::string& type;
  const std::string& resource;
  const Quantity& limit;
  const ResourceList& requests;
  const ResourceList& limits;

  const Quantity* request() const { return find(requests); }
  const Quantity* upper() const { return find(limits); }

 private:
  const Quantity* find(const ResourceList& list) const {
    const auto found = list.find(resource);
    return found == list.end() ? nullptr : &found->second;
  }
};

/// Each returns what is wrong, or nothing.
std::string below_minimum(const Bound& bound) {
  const std::string rule =
      fmt::format("minimum {} usage per {} is {}", bound.resource, bound.type, bound.limit.to_string());
  const Quantity* request = bound.request();
  if (request == nullptr) return rule + ".  No request is specified";
  if (*request < bound.limit) return fmt::format("{}, but request is {}", rule, request->to_string());
  const Quantity* upper = bound.upper();
  if (upper != nullptr && *upper < bound.limit) return fmt::format("{}, but limit is {}", rule, upper->to_string());
  return {};
}

std::string maximum_rule(const Bound& bound) {
  return fmt::format("maximum {} usage per {} is {}", bound.resource, bound.type, bound.limit.to_string());
}

std::string request_above_maximum(const Bound& bound) {
  const Quantity* request = bound.request();
  if (request == nullptr) return maximum_rule(bound) + ".  No request is specified";
  if (*request <= bound.limit) return {};
  return fmt::format("{}, but request is {}", maximum_rule(bound), request->to_string());
}

std::string above_maximum(const Bound& bound) {
  const Quantity* upper = bound.upper();
  if (upper == nullptr) return maximum_rule(bound) + ".  No limit is specified";
  if (*upper > bound.limit) return fmt::format("{}, but limit is {}", maximum_rule(bound), upper->to_string());
  return bound.request() == nullptr ? std::string() : request_above_maximum(bound);
}

std::string above_ratio(const Bound& bound) {
  const std::string rule =
      fmt::format("{} max limit to request ratio per {} is {}", bound.resource, bound.type, bound.limit.to_string());
  const Quantity* request = bound.request();
  if (request == nullptr || request->is_zero()) return rule + ", but no request is specified or request is 0";
  const Quantity* upper = bound.upper();
  if (upper == nullptr || upper->is_zero()) return rule + ", but no limit is specified or limit is 0";
  const double ratio = upper->to_double() / request->to_double();
  // Thousandths of the allowed ratio count, finer parts do not.
  if (ratio * 1000 <= static_cast<double>(bound.limit.milli_value())) return {};
  return fmt::format("{}, but provided ratio is {:f}", rule, ratio);
}

using Problems = std::vector<std::string>;
using Rule = std::string (*)(const Bound&);

void check(const LimitRangeItem& item, const ResourceList& bounds, Rule rule, const ResourceList& requests,
           const ResourceList& limits, Problems& problems) {
  for (const auto& [resource, limit] : bounds) {
    std::string problem = rule({item.type, resource, limit, requests, limits});
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
}

void check_all(const LimitRangeItem& item, const ResourceList& requests, const ResourceList& limits,
               Problems& problems) {
  check(item, item.min, below_minimum, requests, limits, problems);
  check(item, item.max, above_maximum, requests, limits, problems);
  check(item, item.max_limit_request_ratio, above_ratio, requests, limits, problems);
}

Problems check_pod(const LimitRange& range, const Pod& pod) {
  Problems problems;
  for (const LimitRangeItem& item : range.spec.limits) {
    if (item.type == api::corev1::kLimitTypeContainer) {
      for (const auto* containers : {&pod.spec.containers, &pod.spec.init_containers}) {
        for (const Container& container : *containers) {
          check_all(item, container.resources.requests, container.resources.limits, problems);
        }
      }
    } else if (item.type == api::corev1::kLimitTypePod) {
      check_all(item, api::pod_requests(pod.spec, /*with_overhead=*/false),
                api::pod_limits(pod.spec, /*with_overhead=*/false), problems);
    }
  }
  return problems;
}

Problems check_claim(const LimitRange& range, const PersistentVolumeClaim& claim) {
  Problems problems;
  for (const LimitRangeItem& item : range.spec.limits) {
    if (item.type != api::corev1::kLimitTypePersistentVolumeClaim) continue;
    // A claim's own limits mean nothing to a range.
    check(item, item.min, below_minimum, claim.spec.resources.requests, {}, problems);
    check(item, item.max, request_above_maximum, claim.spec.resources.requests, {}, problems);
  }
  return problems;
}

/// Fills in what `list` does not name. Returns the names, joined with ", ".
std::string fill(ResourceList& list, const ResourceList& defaults) {
  std::vector<std::string> names;
  for (const auto& [name, quantity] : defaults) {
    if (list.emplace(name, quantity).second) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void apply_defaults(const LimitRange& range, Pod& pod) {
  ResourceList requests;
  ResourceList limits;
  for (const LimitRangeItem& item : range.spec.limits) {
    if (item.type != api::corev1::kLimitTypeContainer) continue;
    for (const auto& [name, quantity] : item.default_request) requests.insert_or_assign(name, quantity);
    for (const auto& [name, quantity] : item.default_) limits.insert_or_assign(name, quantity);
  }
  std::vector<std::string> notes;
  auto apply = [&](std::vector<Container>& containers, std::string_view what) {
    for (Container& container : containers) {
      const std::string set_limits = fill(container.resources.limits, limits);
      const std::string set_requests = fill(container.resources.requests, requests);
      if (!set_requests.empty())
        notes.push_back(fmt::format("{} request for {} {}", set_requests, what, container.name));
      if (!set_limits.empty()) notes.push_back(fmt::format("{} limit for {} {}", set_limits, what, container.name));
    }
  };
  apply(pod.spec.containers, "container");
  apply(pod.spec.init_containers, "init container");
  if (notes.empty()) return;
  pod.metadata.annotations.insert_or_assign(kAnnotation,
                                            fmt::format("LimitRanger plugin set: {}", fmt::join(notes, "; ")));
}

class LimitRangerPlugin final : public Plugin {
 public:
  explicit LimitRangerPlugin(std::shared_ptr<Caches> caches) : caches_(std::move(caches)) {}
  std::string_view name() const override { return "LimitRanger"; }

  Status admit(Attributes& attributes) override {
    if (!concerns(attributes)) return {};
    Pod* pod = attributes.object->as<Pod>();
    if (pod == nullptr) return {};
    TRY_ASSIGN(auto ranges, caches_->list<LimitRange>(attributes.ns));
    for (const auto& range : ranges) apply_defaults(*range, *pod);
    return {};
  }

  Status validate(const Attributes& attributes) override {
    if (!concerns(attributes)) return {};
    TRY_ASSIGN(auto ranges, caches_->list<LimitRange>(attributes.ns));
    for (const auto& range : ranges) {
      const Pod* pod = attributes.object->as<Pod>();
      const Problems problems = pod != nullptr ? check_pod(*range, *pod)
                                               : check_claim(*range, *attributes.object->as<PersistentVolumeClaim>());
      if (problems.size() == 1) return forbidden(attributes, problems.front());
      if (!problems.empty()) return forbidden(attributes, fmt::format("[{}]", fmt::join(problems, ", ")));
    }
    return {};
  }

 private:
  /// New pods, whose containers cannot change later, and claims.
  static bool concerns(const Attributes& attributes) {
    if (attributes.object == nullptr || !attributes.subresource.empty()) return false;
    const bool create = attributes.operation == Operation::kCreate;
    if (attributes.object->as<Pod>() != nullptr) return create;
    if (attributes.object->as<PersistentVolumeClaim>() == nullptr) return false;
    if (create) return true;
    return attributes.operation == Operation::kUpdate && !attributes.old_object->metadata().deletion_timestamp;
  }

  std::shared_ptr<Caches> caches_;
};

}  // namespace

std::shared_ptr<Plugin> limit_ranger_plugin(std::shared_ptr<Caches> caches) {
  return std::make_shared<LimitRangerPlugin>(std::move(caches));
}

}  // namespace trireme::apiserver::admission
