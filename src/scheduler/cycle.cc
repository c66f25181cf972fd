#include "scheduler/cycle.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <unordered_set>

#include "base/log.h"
#include "scheduler/extender.h"

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

Reasons::Text Reasons::intern(std::string_view text) {
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view each) const { return std::hash<std::string_view>()(each); }
  };
  // Texts name taints and resources of the cluster: they are few, and several threads may schedule in one process.
  static std::mutex mutex;
  static std::unordered_set<std::string, Hash, std::equal_to<>> texts;
  const std::lock_guard lock(mutex);
  const auto found = texts.find(text);
  return found != texts.end() ? &*found : &*texts.emplace(text).first;
}

void Refusal::count(Reasons::Text reason, size_t nodes) {
  for (auto& [known, count] : reasons) {
    if (known != reason) continue;
    count += nodes;
    return;
  }
  reasons.emplace_back(reason, nodes);
}

std::string Refusal::message() const {
  if (all_nodes == 0) return "no nodes available to schedule pods";
  std::vector<std::string> parts;
  parts.reserve(reasons.size());
  for (const auto& [reason, count] : reasons) parts.push_back(fmt::format("{} {}", count, *reason));
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
    if (plan.nodes) node_sets_.push_back(std::move(plan.nodes));
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

bool PodFilters::local() const {
  return nominations_.empty() && !names_ &&
         std::ranges::all_of(filters_, [](const Entry& entry) { return entry.filter->local(); });
}

void PodFilters::add_pod(const PodInfo& pod, const NodeInfo& node) {
  for (const Entry& entry : filters_) entry.filter->add_pod(pod, node);
}

void PodFilters::remove_pod(const PodInfo& pod, const NodeInfo& node) {
  for (const Entry& entry : filters_) entry.filter->remove_pod(pod, node);
}

std::string RefusalCache::key_of(const PodFilters& filters) {
  return filters.profile().scheduler_name + '\n' + filters.pod().shape();
}

void RefusalCache::clear(Kept& kept, size_t ordinal) {
  if (ordinal >= kept.of_node.size()) kept.of_node.resize(ordinal + 1);
  uint16_t& kind = kept.of_node[ordinal];
  if (kind != 0) --kept.kinds[kind - 1].nodes;
  kind = 0;
}

void RefusalCache::set(Kept& kept, size_t ordinal, Fit fit, const Reasons& reasons, uint32_t plugins) {
  clear(kept, ordinal);
  const auto same = [&](const Kind& each) {
    return each.fit == fit && each.plugins == plugins && each.reasons == reasons.texts();
  };
  auto found = std::ranges::find_if(kept.kinds, same);
  if (found == kept.kinds.end()) found = kept.kinds.insert(found, {fit, plugins, reasons.texts()});
  ++found->nodes;
  kept.of_node[ordinal] = static_cast<uint16_t>(found - kept.kinds.begin() + 1);
}

void RefusalCache::begin() {
  recording_.kinds.clear();
  recording_.of_node.clear();
}

void RefusalCache::record(const NodeInfo& node, Fit fit, const Reasons& reasons, uint32_t plugins) {
  set(recording_, node.ordinal, fit, reasons, plugins);
}

void RefusalCache::keep(const PodFilters& filters, const Cache& cache) {
  recording_.key = key_of(filters);
  recording_.version = cache.version();
  std::erase_if(kept_, [&](const Kept& each) { return each.key == recording_.key; });
  kept_.push_front(std::move(recording_));
  recording_ = {};
  if (kept_.size() > kMax) kept_.pop_back();
}

bool RefusalCache::recall(PodFilters& filters, const Cache& cache, Refusal& refusal) {
  const std::string key = key_of(filters);
  const auto found = std::ranges::find(kept_, key, &Kept::key);
  if (found == kept_.end()) return false;
  kept_.splice(kept_.begin(), kept_, found);
  Kept& kept = kept_.front();
  const auto changed = cache.changed_since(kept.version);
  bool refused = changed && changed->size() <= cache.ordinals();
  for (size_t i = 0; refused && i < changed->size(); ++i) {
    const uint32_t ordinal = (*changed)[i];
    const NodeInfo* node = cache.at_ordinal(ordinal);
    if (!node || !node->node) {
      clear(kept, ordinal);
      continue;
    }
    reasons_.clear();
    uint32_t plugins = 0;
    const Fit fit = filters.check(*node, reasons_, plugins);
    refused = fit != Fit::kFits;
    if (refused) set(kept, ordinal, fit, reasons_, plugins);
  }
  if (!refused) {
    kept_.pop_front();
    return false;
  }
  kept.version = cache.version();
  for (const Kind& kind : kept.kinds) {
    if (kind.nodes == 0) continue;
    refusal.plugins |= kind.plugins;
    for (const Reasons::Text reason : kind.reasons) refusal.count(reason, kind.nodes);
  }
  for (size_t ordinal = 0; ordinal < kept.of_node.size(); ++ordinal) {
    const uint16_t kind = kept.of_node[ordinal];
    if (kind != 0 && kept.kinds[kind - 1].fit == Fit::kUnschedulable) {
      refusal.resolvable.push_back(cache.at_ordinal(ordinal));
    }
  }
  return true;
}

size_t nodes_to_find(size_t all, int32_t percentage) {
  constexpr size_t kMinimum = 100;
  if (all < kMinimum) return all;
  if (percentage >= 100) return all;
  const size_t shrunk = all / 125;
  const size_t share = percentage > 0 ? static_cast<size_t>(percentage) : shrunk >= 45 ? 5 : 50 - shrunk;
  return std::max(kMinimum, all * share / 100);
}

void Cycle::refuse(const NodeInfo& node, Fit fit, uint32_t plugins, Refusal& refusal) {
  for (const Reasons::Text reason : reasons_.texts()) refusal.count(reason);
  refusal.plugins |= plugins;
  if (fit == Fit::kUnschedulable) refusal.resolvable.push_back(&node);
}

void Cycle::check_named(PodFilters& filters, Decision& decision) {
  for (const std::string& name : *filters.names()) {
    const NodeInfo* node = cache_.node(name);
    if (!node) continue;
    ++decision.evaluated;
    reasons_.clear();
    uint32_t plugins = 0;
    const Fit fit = filters.check(*node, reasons_, plugins);
    if (fit == Fit::kFits) {
      feasible_.push_back(node);
    } else {
      refuse(*node, fit, plugins, decision.refusal);
    }
  }
  if (!feasible_.empty() || decision.evaluated == decision.refusal.all_nodes) return;
  std::vector<std::string> names;
  for (const size_t plugin : filters.narrowed_by()) {
    names.emplace_back(filters.profile().plugins[plugin]->name());
    decision.refusal.plugins |= 1U << plugin;
  }
  std::ranges::sort(names);
  decision.refusal.count(fmt::format("node(s) didn't satisfy plugin(s) [{}]", fmt::join(names, " ")),
                         decision.refusal.all_nodes - decision.evaluated);
}

void Cycle::find_feasible(PodFilters& filters, Decision& decision) {
  if (const std::string promised = nominations_.node_of(filters.pod().uid()); !promised.empty()) {
    const NodeInfo* node = cache_.node(promised);
    uint32_t ignored = 0;
    reasons_.clear();
    if (node && filters.check(*node, reasons_, ignored) == Fit::kFits) {
      decision.evaluated = 1;
      feasible_.push_back(node);
      return;
    }
  }
  if (filters.names()) {
    check_named(filters, decision);
    return;
  }
  const bool local = filters.local();
  if (local && !refusals_.empty() && refusals_.recall(filters, cache_, decision.refusal)) {
    decision.evaluated = decision.refusal.all_nodes;
    return;
  }
  const auto nodes = cache_.nodes();
  const auto ordinals = cache_.node_ordinals();
  const size_t enough = nodes_to_find(nodes.size(), filters.profile().percentage_of_nodes_to_score);
  size_t at = next_start_ % nodes.size();
  // What node sets leave out is not touched, as long as some other node will do.
  const bool narrowed = filters.has_node_sets();
  if (!narrowed && local) refusals_.begin();
  for (size_t i = 0; i < nodes.size() && feasible_.size() < enough; ++i) {
    const size_t here = at;
    if (++at == nodes.size()) at = 0;
    ++decision.evaluated;
    if (narrowed && !filters.may_fit(ordinals[here])) continue;
    check(filters, *nodes[here], decision, !narrowed && local);
  }
  if (feasible_.empty() && narrowed) {
    decision.refusal.reasons.clear();
    decision.refusal.resolvable.clear();
    if (local) refusals_.begin();
    for (const NodeInfo* node : nodes) check(filters, *node, decision, local);
  }
  if (feasible_.empty() && local) refusals_.keep(filters, cache_);
  // All nodes get the same chance over many pods.
  next_start_ = at;
}

void Cycle::check(PodFilters& filters, const NodeInfo& node, Decision& decision, bool record) {
  uint32_t plugins = 0;
  reasons_.clear();
  const Fit fit = filters.check(node, reasons_, plugins);
  if (fit == Fit::kFits) {
    feasible_.push_back(&node);
    return;
  }
  refuse(node, fit, plugins, decision.refusal);
  if (record && feasible_.empty()) refusals_.record(node, fit, reasons_, plugins);
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
  find_feasible(filters, decision);
  if (extenders_) decision.error = ask_extenders(filters.pod(), decision.refusal);
  if (!decision.error.ok()) return decision;
  decision.feasible = feasible_.size();
  if (feasible_.size() == 1) decision.node = feasible_[0];
  if (feasible_.size() > 1) decision.node = best(filters.profile(), filters.pod());
  return decision;
}

Status Cycle::ask_extenders(const PodInfo& pod, Refusal& refusal) {
  for (const auto& extender : *extenders_) {
    if (feasible_.empty()) break;
    if (!extender->interested(*pod.pod)) continue;
    const Status asked = extender->filter(pod, feasible_, refusal);
    if (asked.ok()) continue;
    if (!extender->config().ignorable) return asked;
    log::info("An extender that may be ignored failed",
              {{"extender", extender->config().url_prefix}, {"error", asked}});
  }
  return {};
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
  if (extenders_) {
    for (const auto& extender : *extenders_) {
      if (extender->interested(*pod.pod)) extender->prioritize(pod, feasible_, totals_);
    }
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
