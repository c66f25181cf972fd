#include "client/event_correlator.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::client {
namespace {

constexpr size_t kSimilarLimit = 10;
constexpr Duration kSimilarWindow = std::chrono::seconds(600);
constexpr double kSpamBurst = 25;
constexpr double kSpamPerSecond = 1.0 / 300;
constexpr char kSeparator = '\x1f';

std::string source_and_object(const api::corev1::Event& event) {
  const auto& about = event.involved_object;
  std::string key;
  for (const std::string* part : {&event.source.component, &event.source.host, &about.kind, &about.namespace_,
                                  &about.name, &about.uid, &about.api_version}) {
    key += *part;
    key += kSeparator;
  }
  return key;
}

}  // namespace

bool EventCorrelator::spam(const api::corev1::Event& event, Duration now) {
  Bucket& bucket = buckets_[source_and_object(event)];
  if (!bucket.used) {
    bucket = {true, kSpamBurst, now};
  } else {
    const double passed = std::chrono::duration<double>(now - bucket.at).count();
    bucket.tokens = std::min(kSpamBurst, bucket.tokens + passed * kSpamPerSecond);
    bucket.at = now;
  }
  if (bucket.tokens < 1) return true;
  bucket.tokens -= 1;
  return false;
}

EventCorrelator::Verdict EventCorrelator::correlate(api::corev1::Event event, Duration now, WallTime wall) {
  Verdict verdict;
  const std::string group = source_and_object(event) + event.type + kSeparator + event.reason;
  verdict.cache_key = group + kSeparator + event.message;
  Similar& similar = similar_[group];
  if (!similar.messages.empty() && now - similar.last > kSimilarWindow) similar.messages.clear();
  similar.messages.insert(event.message);
  similar.last = now;
  if (similar.messages.size() >= kSimilarLimit) {
    similar.messages.erase(similar.messages.begin());
    event.message = "(combined from similar events): " + event.message;
    verdict.cache_key = group;
  }
  verdict.drop = spam(event, now);

  Observed& seen = observed_[verdict.cache_key];
  ++seen.count;
  if (seen.count == 1) seen.first = wall;
  verdict.patch = seen.count > 1 && !seen.name.empty();
  if (!verdict.patch) {
    seen.count = 1;
    seen.first = wall;
    // The time makes the name unique, as clients expect it: "redis.17f3a0c5d2b1e6aa".
    const int64_t nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(wall.time_since_epoch()).count();
    last_name_ = std::max(last_name_ + 1, nanos);
    seen.name = fmt::format("{}.{:x}", event.involved_object.name, last_name_);
  }
  event.metadata.name = seen.name;
  event.count = seen.count;
  event.first_timestamp = api::Time(seen.first);
  event.last_timestamp = api::Time(wall);
  verdict.event = std::move(event);
  return verdict;
}

void EventCorrelator::written(const std::string& cache_key, const api::corev1::Event& event) {
  Observed& seen = observed_[cache_key];
  seen.name = event.metadata.name;
  seen.count = event.count;
}

}  // namespace trireme::client
