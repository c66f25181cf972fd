#include "kubelet/server/log_streamer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "kubelet/logs/cri_log.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

constexpr size_t kChunk = 64 * 1024;
constexpr int kCheckMilliseconds = 1000;
constexpr size_t kMaxRecord = 1 << 20;  // runtimes split lines at 16 KiB; anything longer is no log of theirs

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

Result<int64_t> to_number(std::string_view name, std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status::bad_request(std::string(name) + " is no whole number: " + std::string(text));
  }
  return value;
}

/// Turns records into the text that is asked for.
class Formatter {
 public:
  explicit Formatter(const LogOptions& options) : options_(options) {
    if (options.stream == "Stdout") stream_ = "stdout";
    if (options.stream == "Stderr") stream_ = "stderr";
  }

  /// Appends what `record` (without newline) contributes. False once the byte limit is reached.
  bool add(std::string_view record, std::string& out) {
    auto line = parse_log_line(record);
    if (!line) return true;
    if (!stream_.empty() && line->stream != stream_) return true;
    if (options_.since && !reached_) {
      auto time = parse_log_time(line->time);
      if (!time || *time < *options_.since) return true;
      reached_ = true;
    }
    size_t before = out.size();
    if (options_.timestamps && !continues_) {
      out += line->time;
      out += ' ';
    }
    out += line->text;
    if (!line->partial) out += '\n';
    continues_ = line->partial;
    written_ += static_cast<int64_t>(out.size() - before);
    if (!options_.limit_bytes || written_ < *options_.limit_bytes) return true;
    out.resize(out.size() - static_cast<size_t>(written_ - *options_.limit_bytes));
    return false;
  }

 private:
  const LogOptions& options_;
  std::string_view stream_;
  bool reached_ = false;
  bool continues_ = false;
  int64_t written_ = 0;
};

ino_t inode_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

ino_t inode_at(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

Result<LogOptions> parse_log_options(std::string_view query, WallTime now) {
  LogOptions options;
  for (const auto& [name, value] : net::parse_query(query)) {
    bool on = value == "true" || value == "1";
    if (name == "follow") options.follow = on;
    if (name == "previous") options.previous = on;
    if (name == "timestamps") options.timestamps = on;
    if (name == "stream" && value != "All") options.stream = value;
    if (name == "tailLines" || name == "limitBytes" || name == "sinceSeconds") {
      TRY_ASSIGN(int64_t number, to_number(name, value));
      if (number < 0) return Status::bad_request(name + " must not be negative");
      if (name == "tailLines") options.tail_lines = number;
      if (name == "limitBytes") options.limit_bytes = number;
      if (name == "sinceSeconds") options.since = now - std::chrono::seconds(number);
    }
    if (name == "sinceTime") {
      options.since = parse_log_time(value);
      if (!options.since) return Status::bad_request("sinceTime is no RFC 3339 time: " + value);
    }
  }
  return options;
}

Status stream_log(const std::string& path, const LogOptions& options, const std::function<bool()>& running,
                  const std::function<bool(std::string)>& out) {
  Descriptor watch(-1);
  if (options.follow) {
    watch.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    std::string directory = path.substr(0, path.find_last_of('/'));
    // The directory, so that the file made after a rotation is noticed.
    if (watch.get() < 0 ||
        ::inotify_add_watch(watch.get(), directory.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
      return linux::errno_status("watch", directory, errno);
    }
  }
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return linux::errno_status("open", path, errno);
  if (options.tail_lines) {
    struct stat info {};
    ::fstat(file.get(), &info);
    ::lseek(file.get(), tail_offset(file.get(), info.st_size, *options.tail_lines), SEEK_SET);
  }

  Formatter formatter(options);
  std::string pending;  // the beginning of a record whose end is not written yet
  std::string buffer(kChunk, '\0');
  bool last_round = false;
  while (true) {
    ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return linux::errno_status("read", path, errno);
    if (count > 0) {
      pending.append(buffer, 0, static_cast<size_t>(count));
      std::string text;
      bool more = true;
      size_t start = 0;
      for (size_t end; more && (end = pending.find('\n', start)) != std::string::npos; start = end + 1) {
        more = formatter.add(std::string_view(pending).substr(start, end - start), text);
      }
      pending.erase(0, start);
      if (pending.size() > kMaxRecord) pending.clear();
      if (!text.empty() && !out(std::move(text))) return {};
      if (!more) return {};
      continue;
    }
    if (!options.follow) return {};
    if (ino_t now = inode_at(path); now != 0 && now != inode_of(file.get())) {
      file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (file.get() < 0) return linux::errno_status("open", path, errno);
      pending.clear();
      continue;
    }
    if (last_round) return {};
    pollfd waiting{watch.get(), POLLIN, 0};
    int ready = ::poll(&waiting, 1, kCheckMilliseconds);
    if (ready > 0) {
      char events[4096];
      while (::read(watch.get(), events, sizeof(events)) > 0) {
      }
      continue;
    }
    // What was written just before the end is still to be read.
    last_round = !running();
    if (!last_round && !out({})) return {};
  }
}

}  // namespace trireme::kubelet
