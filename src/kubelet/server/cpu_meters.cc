#include "kubelet/server/cpu_meters.h"

namespace trireme::kubelet {

bool CpuMeters::look(const std::string& key, uint64_t cpu_nanoseconds, Duration at, Duration now) {
  auto [entry, added] = meters_.try_emplace(key);
  Meter& meter = entry->second;
  meter.seen = now;
  const Duration interval = at - meter.at;
  if (added || interval > kLongest || interval < Duration::zero() || cpu_nanoseconds < meter.cpu_nanoseconds) {
    meter = {cpu_nanoseconds, at, now, std::nullopt};
    return false;
  }
  if (interval < kShortest) return meter.rate.has_value();
  const double used = static_cast<double>(cpu_nanoseconds - meter.cpu_nanoseconds);
  meter.rate = Rate{static_cast<uint64_t>(used * 1e9 / static_cast<double>(interval.count())), interval};
  if (interval >= kUsual) {
    meter.cpu_nanoseconds = cpu_nanoseconds;
    meter.at = at;
  }
  return true;
}

std::optional<CpuMeters::Rate> CpuMeters::rate(const std::string& key) const {
  const auto found = meters_.find(key);
  return found == meters_.end() ? std::nullopt : found->second.rate;
}

void CpuMeters::forget_unseen(Duration now) {
  std::erase_if(meters_, [&](const auto& entry) { return now - entry.second.seen > kLongest; });
}

}  // namespace trireme::kubelet
