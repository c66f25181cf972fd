#include "controllers/job/indexes.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "api/types/batchv1.h"

namespace trireme::controllers {
namespace {

std::optional<int32_t> parse_index(std::string_view text) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

IndexSet IndexSet::of(std::vector<int32_t> indexes) {
  std::ranges::sort(indexes);
  IndexSet out;
  for (const int32_t index : indexes) {
    if (!out.intervals_.empty() && index <= out.intervals_.back().last + 1) {
      out.intervals_.back().last = index;
    } else {
      out.intervals_.push_back({index, index});
    }
  }
  return out;
}

IndexSet IndexSet::parse(std::string_view text, int32_t limit) {
  IndexSet out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const size_t dash = part.find('-');
    const auto first = parse_index(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_index(part.substr(dash + 1));
    if (!first || !last || *last < *first || *first >= limit) continue;
    IndexSet one;
    one.intervals_.push_back({*first, std::min(*last, limit - 1)});
    out.add(one);
  }
  return out;
}

std::string IndexSet::to_string() const {
  std::string out;
  for (const Interval& interval : intervals_) {
    if (!out.empty()) out += ',';
    out += std::to_string(interval.first);
    if (interval.last == interval.first) continue;
    out += interval.last == interval.first + 1 ? ',' : '-';
    out += std::to_string(interval.last);
  }
  return out;
}

void IndexSet::add(const IndexSet& other) {
  std::vector<Interval> all;
  all.reserve(intervals_.size() + other.intervals_.size());
  std::ranges::merge(intervals_, other.intervals_, std::back_inserter(all), {}, &Interval::first, &Interval::first);
  std::vector<Interval> joined;
  for (const Interval& next : all) {
    if (!joined.empty() && next.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, next.last);
    } else {
      joined.push_back(next);
    }
  }
  intervals_ = std::move(joined);
}

bool IndexSet::contains(int32_t index) const {
  const auto at = std::ranges::lower_bound(intervals_, index, {}, &Interval::last);
  return at != intervals_.end() && at->first <= index;
}

int32_t IndexSet::size() const {
  int32_t total = 0;
  for (const Interval& interval : intervals_) total += interval.last - interval.first + 1;
  return total;
}

int32_t IndexSet::common(const IndexSet& other) const {
  int32_t total = 0;
  auto a = intervals_.begin();
  auto b = other.intervals_.begin();
  while (a != intervals_.end() && b != other.intervals_.end()) {
    total += std::max(0, std::min(a->last, b->last) - std::max(a->first, b->first) + 1);
    if (a->last < b->last) {
      ++a;
    } else {
      ++b;
    }
  }
  return total;
}

std::vector<int32_t> IndexSet::missing(size_t count, int32_t limit) const {
  std::vector<int32_t> out;
  int32_t candidate = 0;
  auto next = intervals_.begin();
  while (out.size() < count && candidate < limit) {
    if (next != intervals_.end() && candidate >= next->first) {
      candidate = next->last + 1;
      ++next;
    } else {
      out.push_back(candidate++);
    }
  }
  return out;
}

int32_t completion_index(const api::corev1::Pod& pod) {
  const auto found = pod.metadata.annotations.find(api::batchv1::kJobCompletionIndexAnnotation);
  if (found == pod.metadata.annotations.end()) return kNoIndex;
  return parse_index(found->second).value_or(kNoIndex);
}

}  // namespace trireme::controllers
