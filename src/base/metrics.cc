#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::metrics {
namespace {

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::vector<double> exponential_bounds(double first, double factor, size_t count) {
  std::vector<double> out;
  for (double bound = first; out.size() < count; bound *= factor) out.push_back(bound);
  return out;
}

void print_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

std::string label_text(const Labels& names, const Labels& values, std::string_view extra) {
  std::string inside;
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) {
    inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", names[i], escaped(values[i]));
  }
  if (!extra.empty()) inside += (inside.empty() ? "" : ",") + std::string(extra);
  return inside.empty() ? "" : "{" + inside + "}";
}

Counters::Counters(std::string name, std::string help, Labels labels)
    : name_(std::move(name)), help_(std::move(help)), labels_(std::move(labels)) {
  if (labels_.empty()) of({});
}

std::atomic<uint64_t>& Counters::of(const Labels& values) {
  const std::lock_guard lock(mutex_);
  return values_.try_emplace(values, 0).first->second;
}

uint64_t Counters::value(const Labels& values) const {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(values);
  return found == values_.end() ? 0 : found->second.load();
}

void Counters::print(std::string& out) const {
  const std::lock_guard lock(mutex_);
  print_head(out, name_, "counter", help_);
  for (const auto& [values, count] : values_) {
    out += fmt::format("{}{} {}\n", name_, label_text(labels_, values), count.load());
  }
}

Distribution::Distribution(const std::vector<double>& bounds)
    : bounds_(bounds), counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds.size() + 1)) {}

void Distribution::observe_value(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<size_t>(bucket)];
  sum_ += value;
}

uint64_t Distribution::count() const {
  uint64_t total = 0;
  for (size_t i = 0; i <= bounds_.size(); ++i) total += counts_[i];
  return total;
}

void Distribution::print(std::string& out, std::string_view name, const Labels& names, const Labels& values) const {
  uint64_t total = 0;
  for (size_t i = 0; i <= bounds_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < bounds_.size() ? fmt::format("le=\"{}\"", bounds_[i]) : "le=\"+Inf\"";
    out += fmt::format("{}_bucket{} {}\n", name, label_text(names, values, bound), total);
  }
  out += fmt::format("{}_sum{} {}\n", name, label_text(names, values), sum_.load());
  out += fmt::format("{}_count{} {}\n", name, label_text(names, values), total);
}

Histograms::Histograms(std::string name, std::string help, Labels labels, std::vector<double> bounds)
    : name_(std::move(name)), help_(std::move(help)), labels_(std::move(labels)), bounds_(std::move(bounds)) {
  if (labels_.empty()) of({});
}

Distribution& Histograms::of(const Labels& values) {
  const std::lock_guard lock(mutex_);
  return values_.try_emplace(values, bounds_).first->second;
}

void Histograms::print(std::string& out) const {
  const std::lock_guard lock(mutex_);
  print_head(out, name_, "histogram", help_);
  for (const auto& [values, distribution] : values_) distribution.print(out, name_, labels_, values);
}

}  // namespace trireme::metrics
