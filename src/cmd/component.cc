#include "cmd/component.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <utility>

#include "base/log.h"
#include "cmd/stop_signals.h"

namespace trireme::cmd {

FlagSet common_flags(std::string usage, CommonOptions& options) {
  FlagSet flags(std::move(usage));
  flags.add("kubeconfig", &options.kubeconfig,
            "how to reach the API server, and as whom (default: as kubectl does; in a pod as its service account)");
  flags.add("v", &options.verbosity, "verbosity of the log; 2 and more show debugging lines");
  flags.add("help", &options.help, "print this text");
  flags.add_ignored("logtostderr");
  return flags;
}

bool parse(FlagSet& flags, const std::vector<std::string>& words, const CommonOptions& options,
           std::string_view component, int& code) {
  auto arguments = flags.parse(words);
  Status status = arguments.status();
  if (status.ok() && options.help) {
    fmt::print("{}", flags.help());
    code = 0;
    return false;
  }
  if (status.ok() && !arguments->empty())
    status = Status::bad_request("unexpected argument \"" + arguments->front() + "\"");
  if (status.ok()) {
    if (options.verbosity >= 2) log::set_level(log::Level::kDebug);
    return true;
  }
  code = fail(component, status);
  return false;
}

int fail(std::string_view component, const Status& status) {
  fmt::print(stderr, "{}: {}\n", component, status.message());
  return 1;
}

Status run_until_signal(const std::function<Status(std::stop_token)>& start) {
  sigset_t signals = block_stop_signals();
  std::stop_source stop;
  Status status;
  std::jthread starter([&] {
    status = start(stop.get_token());
    if (!status.ok()) ::kill(::getpid(), SIGTERM);
  });
  int signal = 0;
  sigwait(&signals, &signal);
  stop.request_stop();
  starter.join();
  return status;
}

}  // namespace trireme::cmd
