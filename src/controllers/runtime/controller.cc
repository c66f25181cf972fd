#include "controllers/runtime/controller.h"

#include <algorithm>

#include "base/log.h"

namespace trireme::controllers {

Controller::Controller(const ControllerContext& context, std::string name, int workers, client::RateLimit limit)
    : context_(context),
      name_(std::move(name)),
      workers_(static_cast<size_t>(std::max(workers, 1))),
      queue_(context.clock, limit) {}

Controller::~Controller() = default;

void Controller::start() {
  begin();
  if (context_.single_threaded) return;
  const std::lock_guard lock(threads_mutex_);
  add_worker();
}

void Controller::add_worker() {
  if (stopping_ || threads_.size() >= workers_) return;
  threads_.emplace_back([this](std::stop_token stop) { work(stop); });
}

void Controller::stop() {
  end();
  {
    const std::lock_guard lock(threads_mutex_);
    stopping_ = true;
  }
  for (std::jthread& thread : threads_) thread.request_stop();
  queue_.shut_down();
  threads_.clear();
}

bool Controller::step() {
  const std::optional<std::string> key = queue_.try_get();
  if (!key) return false;
  process(*key);
  queue_.done(*key);
  return true;
}

void Controller::work(std::stop_token stop) {
  while (std::optional<std::string> key = queue_.get(stop)) {
    {
      const std::lock_guard lock(threads_mutex_);
      if (++busy_ == threads_.size()) add_worker();
    }
    process(*key);
    queue_.done(*key);
    const std::lock_guard lock(threads_mutex_);
    --busy_;
  }
}

void Controller::process(const std::string& key) {
  const Result<Outcome> outcome = reconcile(key);
  if (outcome.ok()) {
    queue_.forget(key);
    if (outcome->requeue_after > Duration::zero()) queue_.add_after(key, outcome->requeue_after);
    return;
  }
  // These only say that the cache is behind: the watch brings the newer object, the retry finds it.
  if (outcome.status().is(Reason::kConflict) || outcome.status().is(Reason::kAlreadyExists)) {
    log::debug("Reconciliation met a conflict", {{"controller", name_}, {"key", key}, {"error", outcome.status()}});
  } else {
    log::warning("Reconciliation failed", {{"controller", name_}, {"key", key}, {"error", outcome.status()}});
  }
  queue_.add_rate_limited(key);
}

}  // namespace trireme::controllers
