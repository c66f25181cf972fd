#include "ingress/nginx.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "linux/file.h"

namespace trireme::ingress {
namespace {

constexpr auto kStopGrace = std::chrono::seconds(5);
constexpr Duration kFirstRestart = std::chrono::milliseconds(200);
constexpr Duration kLastRestart = std::chrono::seconds(30);
constexpr Duration kHealthy = std::chrono::seconds(10);  // ran this long: the next restart is soon again

/// Debian's folder is not on everybody's PATH.
std::optional<std::string> program() { return linux::find_program("nginx", {"/usr/sbin", "/usr/local/sbin"}); }

std::vector<std::string> command(const std::string& folder, const std::string& file) {
  return {program().value_or("nginx"), "-p", folder, "-c", file, "-e", folder + "/error.log"};
}

}  // namespace

void Nginx::end_leftover(const std::string& folder) {
  auto text = linux::read_file(folder + "/nginx.pid");
  if (!text.ok()) return;
  pid_t pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  const auto running = pid > 0 ? linux::executable_of(pid) : std::nullopt;
  if (!running || !running->ends_with("nginx")) return;
  const std::vector<std::string> words = linux::command_line_of(pid);
  const bool ours = std::any_of(words.begin(), words.end(),
                                [&](const std::string& word) { return word.find(folder) != std::string::npos; });
  if (ours) linux::terminate_process(pid, kStopGrace);
}

Result<std::unique_ptr<Nginx>> Nginx::create(std::string folder, std::shared_ptr<Clock> clock) {
  if (!program()) {
    return Status::not_found("nginx is not installed; on Debian: apt-get install nginx-light");
  }
  end_leftover(folder);
  std::unique_ptr<Nginx> nginx(new Nginx(std::move(folder), std::move(clock)));
  nginx->wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  nginx->minder_ = std::jthread([raw = nginx.get()](const std::stop_token& stop) { raw->mind(stop); });
  return nginx;
}

Nginx::~Nginx() {
  minder_.request_stop();
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  if (minder_.joinable()) minder_.join();
  if (process_) process_->terminate(kStopGrace);
  ::close(wake_);
}

pid_t Nginx::pid() const {
  const std::lock_guard lock(mutex_);
  return process_ ? process_->pid() : 0;
}

Status Nginx::spawn() {
  linux::SpawnOptions options;
  options.arguments = command(folder_, folder_ + "/nginx.conf");
  options.log_file = folder_ + "/error.log";
  options.new_session = true;
  TRY_ASSIGN(auto process, linux::ChildProcess::spawn(options));
  process_.emplace(std::move(process));
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  return {};
}

Status Nginx::apply(const std::string& configuration) {
  const std::string file = folder_ + "/nginx.conf";
  TRY(linux::replace_file(file + ".new", configuration, 0600));
  std::vector<std::string> check = command(folder_, file + ".new");
  check.insert(check.begin() + 1, {"-t", "-q"});
  if (auto checked = linux::run_program(check); !checked.ok()) {
    return Status::bad_request("nginx refuses the configuration: " + checked.status().message());
  }
  TRY(linux::replace_file(file, configuration, 0600));
  (void)linux::remove_tree(file + ".new");
  const std::lock_guard lock(mutex_);
  if (process_ && process_->running()) {
    ::kill(process_->pid(), SIGHUP);
    return {};
  }
  return spawn();
}

/// Starts it again when it ends by itself.
void Nginx::mind(const std::stop_token& stop) {
  Duration wait = kFirstRestart;
  while (!stop.stop_requested()) {
    int watched = -1;
    const Duration began = clock_->monotonic();
    {
      const std::lock_guard lock(mutex_);
      if (process_) watched = static_cast<int>(::syscall(SYS_pidfd_open, process_->pid(), 0));
    }
    pollfd entries[] = {{wake_, POLLIN, 0}, {watched, POLLIN, 0}};
    ::poll(entries, watched >= 0 ? 2 : 1, -1);
    if (watched >= 0) ::close(watched);
    uint64_t value = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_, &value, sizeof value);
    if (stop.stop_requested()) return;
    {
      const std::lock_guard lock(mutex_);
      if (!process_ || process_->running()) continue;
    }
    log::error("nginx has ended; it is started again", {{"log", folder_ + "/error.log"}});
    if (clock_->monotonic() - began > kHealthy) wait = kFirstRestart;
    if (!clock_->sleep_for(wait, stop)) return;
    wait = std::min(wait * 2, kLastRestart);
    const std::lock_guard lock(mutex_);
    if (process_->running()) continue;
    if (Status status = spawn(); !status.ok()) log::error("nginx could not be started", {{"error", status}});
  }
}

}  // namespace trireme::ingress
