#include "cmd/containerd.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/text.h"
#include "linux/file.h"
#include "linux/process.h"

namespace trireme::cmd {
namespace {

constexpr long kOverlayFilesystem = 0x794c7630;
constexpr int kCapSysResource = 24;

/// Without this capability runc cannot lower a container's oom_score_adj and fails to start it.
bool may_lower_oom_score() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("CapEff:", 0) != 0) continue;
    uint64_t capabilities = std::strtoull(line.c_str() + 7, nullptr, 16);
    return (capabilities >> kCapSysResource & 1) != 0;
  }
  return false;
}

/// An overlay cannot stand on an overlay: inside a container the slower copying snapshotter has to do.
std::string_view snapshotter(const std::string& folder) {
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) == 0 && info.f_type == kOverlayFilesystem) return "native";
  return "overlayfs";
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string configuration(const ContainerdOptions& options, const std::string& socket) {
  return fmt::format(
      R"(# Written by trireme at every start; changes are lost.
version = 2
root = {root}
state = {state}
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing"]

[grpc]
  address = {socket}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {sandbox}
  restrict_oom_score_adj = {restrict}
  stream_server_address = "127.0.0.1"
  max_container_log_line_size = 16384
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = {snapshotter}
    discard_unpacked_layers = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {cni_programs}
    conf_dir = {cni_configuration}
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = {registries}
)",
      fmt::arg("root", toml_string(options.folder + "/root")),
      fmt::arg("state", toml_string(options.folder + "/state")), fmt::arg("socket", toml_string(socket)),
      fmt::arg("sandbox", toml_string(options.sandbox_image)), fmt::arg("restrict", !may_lower_oom_score()),
      fmt::arg("snapshotter", toml_string(snapshotter(options.folder))),
      fmt::arg("cni_programs", toml_string(options.cni_program_folder)),
      fmt::arg("cni_configuration", toml_string(options.cni_config_folder)),
      fmt::arg("registries", toml_string(options.folder + "/registries")));
}

/// containerd's per-host files: the mirror is asked first, then the host itself.
Status write_mirrors(const ContainerdOptions& options) {
  for (const auto& [host, url] : options.registry_mirrors) {
    std::string folder = options.folder + "/registries/" + host;
    TRY(linux::make_dirs(folder));
    std::string server = host == "docker.io" ? "registry-1.docker.io" : host;
    TRY(linux::replace_file(
        folder + "/hosts.toml",
        fmt::format("server = \"https://{}\"\n\n[host.{}]\n  capabilities = [\"pull\", \"resolve\"]\n", server,
                    toml_string(url)),
        0644));
  }
  return {};
}

bool accepts_connections(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, socket.data(), socket.size());
  int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool connected = ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(client);
  return connected;
}

}  // namespace

Result<ContainerdOptions> last_containerd_options(const std::string& folder) {
  TRY_ASSIGN(const std::string text, linux::read_file(folder + "/config.toml"));
  const auto setting = [&](std::string_view name) -> std::string {
    for (const std::string_view line : split_list(text, '\n')) {
      const auto value = line.starts_with(name) ? line.find(" = \"") : std::string_view::npos;
      if (value == name.size() && line.ends_with('"'))
        return std::string(line.substr(value + 4, line.size() - value - 5));
    }
    return {};
  };
  ContainerdOptions options;
  options.folder = folder;
  options.cni_config_folder = setting("conf_dir");
  options.cni_program_folder = setting("bin_dir");
  options.sandbox_image = setting("sandbox_image");
  return options;
}

pid_t running_containerd(const std::string& folder) {
  auto text = linux::read_file(folder + "/containerd.pid");
  if (!text.ok()) return 0;
  pid_t pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  if (pid <= 0) return 0;
  // A process id may have been given to another program since.
  std::vector<std::string> words = linux::command_line_of(pid);
  for (const std::string& word : words) {
    if (word == folder + "/config.toml") return pid;
  }
  return 0;
}

Containerd::Containerd(const std::string& folder)
    : configuration_file_(folder + "/config.toml"),
      socket_(folder + "/containerd.sock"),
      log_file_(folder + "/containerd.log"),
      pid_file_(folder + "/containerd.pid"),
      pid_(running_containerd(folder)) {}

Result<std::unique_ptr<Containerd>> Containerd::start(const ContainerdOptions& options) {
  auto containerd = std::unique_ptr<Containerd>(new Containerd(options.folder));
  const std::string& socket = containerd->socket_;
  if (socket.size() + sizeof ".ttrpc" >= sizeof sockaddr_un::sun_path) {
    return Status::bad_request(fmt::format(
        "the data folder's path is too long: a Unix socket's name may have {} characters, {} has {}; choose a shorter "
        "--data-dir",
        sizeof sockaddr_un::sun_path - sizeof ".ttrpc" - 1, socket, socket.size()));
  }
  TRY(linux::make_dirs(options.folder, 0711));
  TRY(write_mirrors(options));  // read at each pull, so that they hold for a running containerd too
  const std::string wanted = configuration(options, socket);
  if (containerd->pid_ != 0) {
    const auto used = linux::read_file(containerd->configuration_file_);
    if (used.ok() && *used == wanted) return containerd;
    // Containers do not need it, and the next one finds them.
    containerd->stop();
  }
  TRY(linux::replace_file(containerd->configuration_file_, wanted, 0644));
  TRY(containerd->launch());
  return containerd;
}

Status Containerd::launch() {
  ::unlink(socket_.c_str());
  if (!linux::find_program("containerd")) {
    return Status::not_found("containerd is not installed; on Debian: apt-get install containerd runc");
  }
  TRY_ASSIGN(linux::ChildProcess child,
             linux::ChildProcess::spawn(
                 {{"containerd", "--config", configuration_file_}, {}, log_file_, /*new_session=*/true}));
  pid_ = child.pid();
  return linux::replace_file(pid_file_, fmt::format("{}\n", pid_), 0644);
}

Status Containerd::wait_ready(Duration timeout) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!accepts_connections(socket_)) {
    bool alive = linux::executable_of(pid_).has_value();
    if (!alive || std::chrono::steady_clock::now() > deadline) {
      return Status::unavailable(
          fmt::format("containerd {}; its log is {}", alive ? "does not answer" : "ended at its start", log_file_));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

void Containerd::stop() {
  if (pid_ == 0) return;
  linux::terminate_process(pid_, std::chrono::seconds(10));
  ::unlink(pid_file_.c_str());
  pid_ = 0;
}

}  // namespace trireme::cmd
