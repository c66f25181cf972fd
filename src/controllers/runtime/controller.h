#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "client/work_queue.h"
#include "controllers/runtime/context.h"

/// What every controller is made of: a queue of keys, workers, and one function that brings one key's world nearer to
/// what is asked for.
namespace trireme::controllers {

/// What a successful reconciliation asks for: nothing, or to be called again after a time (for what only time changes).
struct Outcome {
  Duration requeue_after = Duration::zero();
  static Outcome done() { return {}; }
  static Outcome again_after(Duration delay) { return {delay}; }
};

/// A level-triggered controller. A subclass registers its informers' handlers in its constructor (they only call
/// `enqueue`) and reads all it needs from the caches when `reconcile` is called.
class Controller {
 public:
  Controller(const ControllerContext& context, std::string name, int workers = 1, client::RateLimit limit = {});
  /// `stop` must have been called when the workers were started.
  virtual ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  /// Brings the object `key` to its desired state, as far as one pass can. Called by one worker at a time per key; a
  /// failure is logged and tried again with back-off, so it need not be handled inside.
  virtual Result<Outcome> reconcile(const std::string& key) = 0;

  /// Called once before the workers start, when all caches are filled.
  virtual void begin() {}
  /// Called when the controller is asked to stop, before its workers are joined.
  virtual void end() {}

  void enqueue(std::string key) { queue_.add(std::move(key)); }
  void enqueue_after(std::string key, Duration delay) { queue_.add_after(std::move(key), delay); }

  /// Workers come with the work: there is one that waits until all are busy.
  /// With `ControllerContext::single_threaded` no worker starts: `step` does their work.
  void start();
  /// Takes one ready key and reconciles it on the caller's thread; false when none is ready.
  bool step();
  /// Lets the passes under way finish, then joins the workers. Safe to call twice.
  void stop();

  const std::string& name() const { return name_; }
  int workers() const { return workers_; }
  client::WorkQueue& queue() { return queue_; }

 protected:
  client::Client& client() { return context_.client; }
  Clock& clock() { return *context_.clock; }
  const ControllerContext& context() const { return context_; }

 private:
  void work(std::stop_token stop);
  void add_worker();
  void process(const std::string& key);

  ControllerContext context_;
  const std::string name_;
  const size_t workers_;
  client::WorkQueue queue_;
  std::mutex threads_mutex_;
  bool stopping_ = false;
  size_t busy_ = 0;                    ///< Workers that have a key.
  std::vector<std::jthread> threads_;  ///< One more than were ever busy, up to `workers_`.
};

}  // namespace trireme::controllers
