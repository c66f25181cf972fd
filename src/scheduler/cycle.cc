#include "scheduler/cycle.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::scheduler {

void Nominations::set(const PodInfoPointer& pod, const std::string& node) {
  remove(pod->uid());
  by_uid_[pod->uid()] = node;
  by_node_[node].push_back(pod);
}

void Nominations::remove(const std::string& uid) {
  const auto found = by_uid_.find(uid);
  if (found == by_uid_.end()) return;
  const auto node = by_node_.find(found->second);
  std::erase_if(node->second, [&](const PodInfoPointer& each) { return each->uid() == uid; });
  if (node->second.empty()) by_node_.erase(node);
  by_uid_.erase(found);
}

std::string Nominations::node_of(const std::string& uid) const {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? std::string() : found->second;
}

const std::vector<PodInfoPointer>& Nominations::on(const std::string& node) const {
  static const std::vector<PodInfoPointer> kNone;
  const auto found = by_node_.find(node);
  return found == by_node_.end() ? kNone : found->second;
}

std::string Refusal::message() const {
  if (all_nodes == 0) return "no nodes available to schedule pods";
  std::vector<std::string> parts;
  parts.reserve(reasons.size());
  for (const auto& [reason, count] : reasons) parts.push_back(fmt::format("{} {}", count, reason));
  std::ranges::sort(parts);
  std::string out = fmt::format("0/{} nodes are available:", all_nodes);
  if (!pre_filter.empty()) out += fmt::format(" {}.", pre_filter);
  if (!parts.empty()) out += fmt::format(" {}.", fmt::join(parts, ", "));
  if (!preemption.empty()) out += " preemption: " + preemption;
  return out;
}

PodFilters::PodFilters(const Profile& profile, const Cache& cache, const Nominations& nominations, const PodInfo& pod)
    : profile_(profile), nominations_(nominations), pod_(pod) {
  filters_.reserve(profile.at(Point::kFilter).size());
  for (const Profile::Use& use : profile.at(Point::kFilter)) {
    const size_t i = use.plugin;
    FilterPlan plan = profile.plugins[i]->plan_filter(pod, cache);
    if (!plan.error.ok()) {
      error_ = std::move(plan.error);
      return;
    }
    if (!plan.refused.empty()) {
      refused_ = std::move(plan.refused);
      refused_as_ = plan.refused_as;
      refused_by_ |= 1U << i;
      // What no removal of pods can help needs no preemption, and so no other plugin's preparation.
      if (refused_as_ == Fit::kUnresolvable) return;
      continue;
    }
    if (plan.filter) filters_.push_back({i, std::move(plan.filter)});
    if (!plan.names) continue;
    narrowed_by_.push_back(i);
    if (!names_) {
      names_ = std::move(plan.names);
    } else {
      std::erase_if(*names_, [&](const std::string& name) { return std::ranges::count(*plan.names, name) == 0; });
    }
  }
}

Fit PodFilters::check_bare(const NodeInfo& node, Reasons& reasons, uint32_t& plugins) const {
  for (const Entry& entry : filters_) {
    const Fit fit = entry.filter->check(node, reasons);
    if (fit == Fit::kFits) continue;
    plugins |= 1U << entry.plugin;
    return fit;
  }
  return Fit::kFits;
}

Fit PodFilters::check(const NodeInfo& node, Reasons& reasons, uint32_t& plugins) {
  if (!nominations_.empty()) {
    std::vector<PodInfoPointer> promised = nominations_.on(node.name);
    std::erase_if(promised, [&](const PodInfoPointer& each) {
      return each->priority < pod_.priority || each->uid() == pod_.uid();
    });
    if (!promised.empty()) {
      NodeInfo with = node;
      for (const PodInfoPointer& each : promised) {
        with.add_pod(each);
        add_pod(*each, with);
      }
      const Fit fit = check_bare(with, reasons, plugins);
      for (const PodInfoPointer& each : promised) remove_pod(*each, with);
      if (fit != Fit::kFits) return fit;
    }
  }
  // Promised pods may yet go elsewhere: what needs their presence (affinity) must hold without them too.
  return check_bare(node, reasons, plugins);
}

void PodFilters::add_pod(const PodInfo& pod, const NodeInfo& node) {
  for (const Entry& entry : filters_) entry.filter->add_pod(pod, node);
}

void PodFilters::remove_pod(const PodInfo& pod, const NodeInfo& node) {
  for (const Entry& entry : filters_) entry.filter->remove_pod(pod, node);
}

size_t nodes_to_find(size_t all, int32_t percentage) {
  constexpr size_t kMinimum = 100;
  if (all < kMinimum) return all;
  if (percentage >= 100) return all;
  const size_t shrunk = all / 125;
  const size_t share = percentage > 0 ? static_cast<size_t>(percentage) : shrunk >= 45 ? 5 : 50 - shrunk;
  return std::max(kMinimum, all * share / 100);
}

void Cycle::refuse(const NodeInfo& node, Fit fit, Refusal& refusal) {
  for (std::string& reason : reasons_) ++refusal.reasons[std::move(reason)];
  reasons_.clear();
  if (fit == Fit::kUnschedulable) refusal.resolvable.push_back(&node);
}

void Cycle::check_named(PodFilters& filters, Decision& decision) {
  for (const std::string& name : *filters.names()) {
    const NodeInfo* node = cache_.node(name);
    if (!node) continue;
    ++decision.evaluated;
    const Fit fit = filters.check(*node, reasons_, decision.refusal.plugins);
    if (fit == Fit::kFits) {
      feasible_.push_back(node);
    } else {
      refuse(*node, fit, decision.refusal);
    }
  }
  if (!feasible_.empty() || decision.evaluated == decision.refusal.all_nodes) return;
  std::vector<std::string> names;
  for (const size_t plugin : filters.narrowed_by()) {
    names.emplace_back(filters.profile().plugins[plugin]->name());
    decision.refusal.plugins |= 1U << plugin;
  }
  std::ranges::sort(names);
  decision.refusal.reasons[fmt::format("node(s) didn't satisfy plugin(s) [{}]", fmt::join(names, " "))] +=
      decision.refusal.all_nodes - decision.evaluated;
}

void Cycle::find_feasible(PodFilters& filters, Decision& decision) {
  if (const std::string promised = nominations_.node_of(filters.pod().uid()); !promised.empty()) {
    const NodeInfo* node = cache_.node(promised);
    uint32_t ignored = 0;
    const bool fits = node && filters.check(*node, reasons_, ignored) == Fit::kFits;
    reasons_.clear();
    if (fits) {
      decision.evaluated = 1;
      feasible_.push_back(node);
      return;
    }
  }
  if (filters.names()) {
    check_named(filters, decision);
    return;
  }
  const auto nodes = cache_.nodes();
  const size_t enough = nodes_to_find(nodes.size(), filters.profile().percentage_of_nodes_to_score);
  size_t at = next_start_ % nodes.size();
  for (size_t i = 0; i < nodes.size() && feasible_.size() < enough; ++i) {
    const NodeInfo& node = *nodes[at];
    if (++at == nodes.size()) at = 0;
    ++decision.evaluated;
    const Fit fit = filters.check(node, reasons_, decision.refusal.plugins);
    if (fit == Fit::kFits) {
      feasible_.push_back(&node);
    } else {
      refuse(node, fit, decision.refusal);
    }
  }
  // All nodes get the same chance over many pods.
  next_start_ = at;
}

Cycle::Decision Cycle::decide(PodFilters& filters) {
  Decision decision;
  decision.refusal.all_nodes = cache_.nodes().size();
  if (decision.refusal.all_nodes == 0) return decision;
  decision.error = filters.error();
  if (!decision.error.ok()) return decision;
  if (!filters.refused().empty()) {
    decision.refusal.pre_filter = filters.refused();
    decision.refusal.plugins = filters.refused_by();
    if (filters.refused_as() == Fit::kUnschedulable) {
      decision.refusal.resolvable.assign(cache_.nodes().begin(), cache_.nodes().end());
    }
    return decision;
  }
  feasible_.clear();
  reasons_.clear();
  find_feasible(filters, decision);
  decision.feasible = feasible_.size();
  if (feasible_.size() == 1) decision.node = feasible_[0];
  if (feasible_.size() > 1) decision.node = best(filters.profile(), filters.pod());
  return decision;
}

const NodeInfo* Cycle::best(const Profile& profile, const PodInfo& pod) {
  totals_.assign(feasible_.size(), 0);
  scores_.resize(feasible_.size());
  for (const auto& [plugin, weight] : profile.at(Point::kScore)) {
    const auto scorer = profile.plugins[plugin]->plan_score(pod, cache_, feasible_);
    if (!scorer) continue;
    scorer->score(feasible_, scores_);
    for (size_t i = 0; i < totals_.size(); ++i) totals_[i] += weight * scores_[i];
  }
  const int64_t highest = *std::ranges::max_element(totals_);
  const auto ties = static_cast<size_t>(std::ranges::count(totals_, highest));
  size_t pick = ties == 1 ? 0 : std::uniform_int_distribution<size_t>(0, ties - 1)(random_);
  for (size_t i = 0; i < totals_.size(); ++i) {
    if (totals_[i] == highest && pick-- == 0) return feasible_[i];
  }
  return nullptr;  // Unreachable: one of them has the highest total.
}

}  // namespace trireme::scheduler
