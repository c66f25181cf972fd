#include "linux/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

extern char** environ;

namespace trireme::linux {
namespace {

Status system_error(std::string_view what) {
  return Status::internal(fmt::format("{}: {}", what, std::strerror(errno)));
}

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// True when the process behind the descriptor has ended within `timeout`.
bool wait_for_end(int pidfd, Duration timeout) {
  pollfd entry{pidfd, POLLIN, 0};
  auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  return ::poll(&entry, 1, static_cast<int>(milliseconds)) > 0;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

/// For the child, between fork and exec: the program gets its three standard streams and nothing else. Libraries open
/// sockets without O_CLOEXEC, and a port that a container's shim holds, too, stays taken when this process has gone.
/// Async-signal-safe.
void keep_only_standard_streams() {
  constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC, Linux 5.11
  if (::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, kCloseOnExec) == 0) return;
  constexpr int kMost = 4096;
  for (int descriptor = STDERR_FILENO + 1; descriptor < kMost; ++descriptor) {
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  }
}

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  void close_write() {
    if (write_end >= 0) ::close(write_end);
    write_end = -1;
  }
  ~Pipe() {
    close_write();
    if (read_end >= 0) ::close(read_end);
  }
};

}  // namespace

Result<ChildProcess> ChildProcess::spawn(const SpawnOptions& options) {
  std::vector<std::string> arguments = options.arguments;
  auto program = find_program(arguments.at(0));
  if (!program) return Status::not_found(fmt::format("program {} not found on PATH", arguments[0]));
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  std::vector<char*> argument_pointers = pointers(arguments);
  std::vector<char*> environment_pointers = pointers(environment);

  int log = -1;
  if (!options.log_file.empty()) {
    log = ::open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return system_error("open " + options.log_file);
  }
  // The child reports a failed exec through this pipe, which a successful one closes.
  Pipe failure;
  if (!failure.open()) {
    if (log >= 0) ::close(log);
    return system_error("pipe");
  }

  pid_t pid = ::fork();
  if (pid == 0) {
    // Only async-signal-safe calls between fork and exec.
    if (options.new_session) ::setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    if (log >= 0) {
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
    }
    keep_only_standard_streams();
    ::execve(program->c_str(), argument_pointers.data(), environment_pointers.data());
    int error = errno;
    [[maybe_unused]] ssize_t written = ::write(failure.write_end, &error, sizeof error);
    ::_exit(127);
  }
  if (log >= 0) ::close(log);
  if (pid < 0) return system_error("fork");
  failure.close_write();
  int error = 0;
  ssize_t got;
  do {
    got = ::read(failure.read_end, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    ::waitpid(pid, nullptr, 0);
    errno = error;
    return system_error("start " + *program);
  }
  return ChildProcess(pid);
}

bool ChildProcess::running() {
  if (!ended_ && ::waitpid(pid_, nullptr, WNOHANG) != 0) ended_ = true;
  return !ended_;
}

void ChildProcess::terminate(Duration grace) {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  int pidfd = pidfd_open(pid_);
  if (pidfd < 0 || !wait_for_end(pidfd, grace)) ::kill(pid_, SIGKILL);
  if (pidfd >= 0) ::close(pidfd);
  ::waitpid(pid_, nullptr, 0);
  ended_ = true;
}

void terminate_process(pid_t pid, Duration grace) {
  int pidfd = pidfd_open(pid);
  if (pidfd < 0) return;
  ::kill(pid, SIGTERM);
  if (!wait_for_end(pidfd, grace)) {
    ::kill(pid, SIGKILL);
    wait_for_end(pidfd, std::chrono::seconds(10));
  }
  ::close(pidfd);
  ::waitpid(pid, nullptr, WNOHANG);  // in case it was a child
}

std::optional<std::string> executable_of(pid_t pid) {
  std::error_code error;
  auto target = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error);
  if (error) return std::nullopt;
  return target.string();
}

std::vector<std::string> command_line_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

std::optional<std::string> find_program(const std::string& name, const std::vector<std::string>& extra_folders) {
  if (name.find('/') != std::string::npos) {
    return ::access(name.c_str(), X_OK) == 0 ? std::optional(name) : std::nullopt;
  }
  std::vector<std::string> folders;
  const char* path = std::getenv("PATH");
  std::stringstream list(path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string folder; std::getline(list, folder, ':');) folders.push_back(folder);
  folders.insert(folders.end(), extra_folders.begin(), extra_folders.end());
  for (const std::string& folder : folders) {
    std::string candidate = folder + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

Result<std::string> run_program(const std::vector<std::string>& arguments) {
  auto program = find_program(arguments.at(0));
  if (!program) return Status::not_found(fmt::format("program {} not found on PATH", arguments[0]));
  std::vector<std::string> words = arguments;
  std::vector<char*> argument_pointers = pointers(words);
  Pipe output;
  Pipe errors;
  if (!output.open() || !errors.open()) return system_error("pipe");
  pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(output.write_end, STDOUT_FILENO);
    ::dup2(errors.write_end, STDERR_FILENO);
    keep_only_standard_streams();
    ::execv(program->c_str(), argument_pointers.data());
    ::_exit(127);
  }
  if (pid < 0) return system_error("fork");
  output.close_write();
  errors.close_write();
  std::string texts[2];
  pollfd entries[2] = {{output.read_end, POLLIN, 0}, {errors.read_end, POLLIN, 0}};
  for (int open_ends = 2; open_ends > 0;) {
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) break;
    for (int i = 0; i < 2; ++i) {
      if (entries[i].fd < 0 || entries[i].revents == 0) continue;
      char buffer[4096];
      ssize_t got = ::read(entries[i].fd, buffer, sizeof buffer);
      if (got > 0) {
        texts[i].append(buffer, static_cast<size_t>(got));
      } else {
        entries[i].fd = -1;
        --open_ends;
      }
    }
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    while (!texts[1].empty() && texts[1].back() == '\n') texts[1].pop_back();
    return Status::internal(fmt::format("{}: {}", fmt::join(arguments, " "), texts[1]));
  }
  return texts[0];
}

}  // namespace trireme::linux
