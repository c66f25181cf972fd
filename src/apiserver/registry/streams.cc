#include "apiserver/registry/streams.h"

#include <condition_variable>

#include "api/status_convert.h"

namespace trireme::apiserver {

namespace {

constexpr size_t kQueueLimit = 512 * 1024;

}  // namespace

Status Streams::start(std::function<void(std::stop_token)> run) {
  std::list<Entry> finished;  // joined after the lock
  std::scoped_lock lock(mutex_);
  if (stopped_) return Status::unavailable("the server is shutting down");
  for (auto entry = running_.begin(); entry != running_.end();) {
    auto next = std::next(entry);
    if (entry->done) finished.splice(finished.end(), running_, entry);
    entry = next;
  }
  if (running_.size() >= kMost) return api::too_many_requests("too many streams are open", 1);
  Entry& entry = running_.emplace_back();
  entry.thread = std::jthread([this, &entry, run = std::move(run)](std::stop_token stop) {
    run(stop);
    std::scoped_lock done_lock(mutex_);
    entry.done = true;
  });
  return {};
}

void Streams::stop() {
  std::list<Entry> running;
  {
    std::scoped_lock lock(mutex_);
    stopped_ = true;
    running.swap(running_);
  }
  for (Entry& entry : running) entry.thread.request_stop();
  for (Entry& entry : running) entry.thread.join();
}

struct PacedWriter::State {
  std::mutex mutex;
  std::condition_variable_any changed;
  uint64_t drains = 0;
  bool closed = false;
};

PacedWriter::PacedWriter(std::shared_ptr<net::Exchange> exchange, std::stop_source gone)
    : exchange_(std::move(exchange)), state_(std::make_shared<State>()) {
  exchange_->on_closed([state = state_, gone]() mutable {
    {
      std::scoped_lock lock(state->mutex);
      state->closed = true;
    }
    gone.request_stop();
  });
  exchange_->on_drained([state = state_] {
    std::scoped_lock lock(state->mutex);
    ++state->drains;
    state->changed.notify_all();
  });
}

bool PacedWriter::write(std::string bytes, std::stop_token stop) {
  uint64_t before = 0;
  {
    std::scoped_lock lock(state_->mutex);
    if (state_->closed) return false;
    before = state_->drains;
  }
  size_t waiting = exchange_->write(share(std::move(bytes)));
  if (waiting <= kQueueLimit) return !stop.stop_requested();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, stop, [&] { return state_->closed || state_->drains != before; });
  return !state_->closed && !stop.stop_requested();
}

}  // namespace trireme::apiserver
