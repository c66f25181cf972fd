#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

/// Metrics as Prometheus reads them: https://prometheus.io/docs/instrumenting/exposition_formats/. Thread-safe.
namespace trireme::metrics {

using Labels = std::vector<std::string>;

/// `bounds[i] = first * factor^i`, in seconds.
std::vector<double> exponential_bounds(double first, double factor, size_t count);

/// "# HELP …" and "# TYPE …".
void print_head(std::string& out, std::string_view name, std::string_view type, std::string_view help);
/// `{a="x",b="y"}`, values escaped; empty without labels. `extra` (such as `le="1"`) comes last.
std::string label_text(const Labels& names, const Labels& values, std::string_view extra = {});

/// Counters of one name, told apart by the values of their labels. One that was never touched is not printed, unless
/// there are no labels.
class Counters {
 public:
  Counters(std::string name, std::string help, Labels labels = {});
  /// The counter itself, for those who count often; lives as long as this.
  std::atomic<uint64_t>& of(const Labels& values);
  void add(const Labels& values, uint64_t by = 1) { of(values) += by; }
  uint64_t value(const Labels& values) const;
  void print(std::string& out) const;

 private:
  const std::string name_, help_;
  const Labels labels_;
  mutable std::mutex mutex_;
  std::map<Labels, std::atomic<uint64_t>> values_;
};

/// Durations in seconds, or other numbers, by buckets.
class Distribution {
 public:
  /// Upper bounds, ascending.
  explicit Distribution(const std::vector<double>& bounds);
  void observe(Duration duration) { observe_value(std::chrono::duration<double>(duration).count()); }
  /// Of what is no duration.
  void observe_value(double value);
  uint64_t count() const;
  /// The lines of buckets, sum and count.
  void print(std::string& out, std::string_view name, const Labels& names, const Labels& values) const;

 private:
  const std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> counts_;  ///< One more than bounds.
  std::atomic<double> sum_ = 0;
};

/// Distributions of one name, told apart by the values of their labels.
class Histograms {
 public:
  Histograms(std::string name, std::string help, Labels labels, std::vector<double> bounds);
  /// As Counters::of.
  Distribution& of(const Labels& values);
  void observe(const Labels& values, Duration duration) { of(values).observe(duration); }
  void print(std::string& out) const;

 private:
  const std::string name_, help_;
  const Labels labels_;
  const std::vector<double> bounds_;
  mutable std::mutex mutex_;
  std::map<Labels, Distribution> values_;
};

/// Whoever has metrics besides those that all of its kind have.
class Source {
 public:
  virtual ~Source() = default;
  virtual void print_metrics(std::string& out) const = 0;
};

}  // namespace trireme::metrics
