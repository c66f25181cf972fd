#include "linux/file_change.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <thread>
#include <utility>

#include "linux/file.h"

namespace trireme::linux {
namespace {

/// In which whoever writes a file, or puts another in its place, is done.
constexpr int kSettleMilliseconds = 100;

class InotifyChange final : public FileChange {
 public:
  InotifyChange(std::string path, std::function<void()> changed)
      : path_(std::move(path)), changed_(std::move(changed)) {}

  ~InotifyChange() override {
    const uint64_t one = 1;
    if (wake_ >= 0) [[maybe_unused]]
      const ssize_t written = ::write(wake_, &one, sizeof one);
    if (thread_.joinable()) thread_.join();
    if (events_ >= 0) ::close(events_);
    if (wake_ >= 0) ::close(wake_);
  }

  Status begin() {
    events_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    wake_ = ::eventfd(0, EFD_CLOEXEC);
    std::string folder = std::filesystem::path(path_).parent_path();
    if (folder.empty()) folder = ".";
    const uint32_t mask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    if (events_ < 0 || wake_ < 0 || ::inotify_add_watch(events_, folder.c_str(), mask) < 0) {
      return errno_status("watch", folder, errno);
    }
    TRY_ASSIGN(before_, read_file(path_));
    thread_ = std::thread([this] { run(); });
    return {};
  }

 private:
  /// False when it is time to stop.
  bool wait(int milliseconds) const {
    std::array<pollfd, 2> files{pollfd{wake_, POLLIN, 0}, pollfd{events_, POLLIN, 0}};
    ::poll(files.data(), milliseconds < 0 ? files.size() : 1, milliseconds);
    return files[0].revents == 0;
  }

  void run() const {
    while (wait(-1) && wait(kSettleMilliseconds)) {
      std::array<char, 4096> buffer;
      while (::read(events_, buffer.data(), buffer.size()) > 0) {
      }
      const auto now = read_file(path_);
      if (now.ok() && *now == before_) continue;
      changed_();
      return;
    }
  }

  const std::string path_;
  const std::function<void()> changed_;
  std::string before_;
  int events_ = -1;
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<FileChange>> FileChange::start(std::string path, std::function<void()> changed) {
  auto watch = std::make_unique<InotifyChange>(std::move(path), std::move(changed));
  TRY(watch->begin());
  return std::unique_ptr<FileChange>(std::move(watch));
}

}  // namespace trireme::linux
