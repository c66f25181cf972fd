#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "linux/process.h"

namespace trireme::ingress {

/// One nginx, a child process, with a configuration of its own. Comes back when it ends. Thread-safe.
class Nginx {
 public:
  /// `folder` must exist. Ends an nginx that an earlier process left behind there. NotFound when nginx is not
  /// installed.
  static Result<std::unique_ptr<Nginx>> create(std::string folder, std::shared_ptr<Clock> clock);
  /// Ends it.
  ~Nginx();
  /// Ends one that a killed process left behind: it would keep the ports.
  static void end_leftover(const std::string& folder);

  /// Has nginx check the configuration, then starts it or lets it take the new one over: connections go on. BadRequest
  /// with nginx's words when it refuses; then everything stays as it was.
  Status apply(const std::string& configuration);
  pid_t pid() const;

 private:
  Nginx(std::string folder, std::shared_ptr<Clock> clock) : folder_(std::move(folder)), clock_(std::move(clock)) {}
  Status spawn();
  void mind(const std::stop_token& stop);

  const std::string folder_;
  const std::shared_ptr<Clock> clock_;
  mutable std::mutex mutex_;
  std::optional<linux::ChildProcess> process_;
  int wake_ = -1;  ///< An eventfd: there is a process to mind, or none any more.
  std::jthread minder_;
};

}  // namespace trireme::ingress
