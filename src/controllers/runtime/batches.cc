#include "controllers/runtime/batches.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace trireme::controllers {

BatchResult run_batch(size_t count, bool parallel, const std::function<Status(size_t)>& call) {
  // Writes that wait together are committed together, so a few threads gain much, and more gain little.
  constexpr size_t kThreads = 16;
  std::vector<Status> statuses(count);
  if (parallel && count > 1) {
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t i = next++; i < count; i = next++) statuses[i] = call(i);
    };
    std::vector<std::jthread> others;
    for (size_t i = 1; i < std::min(count, kThreads); ++i) others.emplace_back(work);
    work();
  } else {
    for (size_t i = 0; i < count; ++i) statuses[i] = call(i);
  }
  BatchResult result;
  for (Status& status : statuses) {
    if (status.ok()) {
      ++result.succeeded;
    } else if (result.failure.ok()) {
      result.failure = std::move(status);
    }
  }
  return result;
}

BatchResult slow_start(size_t count, bool parallel, const std::function<Status(size_t)>& call) {
  BatchResult total;
  size_t begun = 0;
  for (size_t size = 1; begun < count && total.failure.ok(); size *= 2) {
    const size_t now = std::min(size, count - begun);
    BatchResult batch = run_batch(now, parallel, [&](size_t i) { return call(begun + i); });
    begun += now;
    total.succeeded += batch.succeeded;
    total.failure = std::move(batch.failure);
  }
  return total;
}

}  // namespace trireme::controllers
