#include "containerd_instance.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "kubelet/cri/runtime.h"
#include "linux/file.h"
#include "linux/mounts.h"
#include "linux/route.h"

namespace trireme::test {
namespace {

constexpr const char* kPause = "trireme.test/pause:1";

std::string cni_directory() {
  for (const char* candidate : {"/usr/lib/cni", "/opt/cni/bin"}) {
    if (linux::exists(std::string(candidate) + "/bridge")) return candidate;
  }
  return {};
}

std::string static_busybox() {
  if (const char* path = std::getenv("TRIREME_BUSYBOX")) return path;
  for (const char* candidate : {"/bin/busybox", "/usr/bin/busybox"}) {
    if (linux::exists(candidate)) return candidate;
  }
  return {};
}

}  // namespace

std::optional<std::string> ContainerdInstance::why_not() {
  if (::geteuid() != 0) return "needs root";
  for (const char* program : {"containerd", "ctr", "runc", "python3"}) {
    if (!linux::find_program(program, {"/usr/sbin"})) return fmt::format("needs {}", program);
  }
  if (cni_directory().empty()) return "needs containernetworking-plugins";
  if (static_busybox().empty()) return "needs busybox-static (or TRIREME_BUSYBOX)";
  return std::nullopt;
}

Result<std::unique_ptr<ContainerdInstance>> ContainerdInstance::start() {
  std::unique_ptr<ContainerdInstance> instance(new ContainerdInstance);
  char name[] = "/tmp/trireme-kubelet-XXXXXX";
  if (::mkdtemp(name) == nullptr) return linux::errno_status("create", name, errno);
  instance->directory_ = name;
  // Every instance has addresses of its own; nothing leaves the machine when no pod has one.
  int number = static_cast<int>(::getpid() % 100) * 2;
  instance->bridge_ = fmt::format("tk{}", ::getpid());
  instance->unreachable_ = fmt::format("10.250.{}.0/23", number);
  TRY(linux::add_unreachable_route(instance->unreachable_));
  const std::string& folder = instance->directory_;
  TRY(linux::make_dirs(folder + "/cni"));
  TRY(linux::write_file(folder + "/cni/10-test.conflist",
                        fmt::format(R"({{
  "cniVersion": "0.4.0", "name": "test",
  "plugins": [
    {{"type": "bridge", "bridge": "{}", "isGateway": true, "ipMasq": false, "hairpinMode": true,
      "ipam": {{"type": "host-local", "dataDir": "{}/ipam", "ranges": [[{{"subnet": "10.250.{}.0/24"}}]]}}}},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}})",
                                    instance->bridge_, folder, number),
                        0644));
  TRY(linux::write_file(folder + "/containerd.toml",
                        fmt::format(R"(version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{0}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{1}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{2}"
    conf_dir = "{0}/cni"
)",
                                    folder, kPause, cni_directory()),
                        0644));
  TRY(instance->launch());
  std::string busybox = static_busybox();
  TRY(instance->import_image(busybox, kPause, {"/bin/busybox", "sleep", "2147483647"}));
  TRY(instance->import_image(busybox, instance->image(), {}));
  return instance;
}

Status ContainerdInstance::launch() {
  linux::SpawnOptions options;
  options.arguments = {"containerd", "--config", directory_ + "/containerd.toml"};
  options.log_file = directory_ + "/containerd.log";
  options.new_session = true;
  TRY_ASSIGN(auto process, linux::ChildProcess::spawn(options));
  process_ = std::move(process);
  auto runtime = kubelet::cri::grpc_runtime(endpoint());
  for (int i = 0; i < 200; ++i) {
    if (runtime->version().ok()) return {};
    if (!process_->running()) return Status::internal("containerd ended; see " + directory_ + "/containerd.log");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return Status::timeout("containerd does not answer");
}

Status ContainerdInstance::restart() {
  process_->terminate(std::chrono::seconds(10));
  return launch();
}

Status ContainerdInstance::import_image(const std::string& busybox, const std::string& name,
                                        const std::vector<std::string>& entrypoint) {
  std::string archive = directory_ + "/image.tar";
  std::vector<std::string> command = {"python3", std::string(TEST_SOURCE_DIR) + "/make_image.py", busybox, archive,
                                      name};
  command.insert(command.end(), entrypoint.begin(), entrypoint.end());
  TRY(linux::run_program(command).status());
  return linux::run_program(
             {"ctr", "--address", directory_ + "/containerd.sock", "-n", "k8s.io", "images", "import", archive})
      .status();
}

void ContainerdInstance::end_pods() {
  auto runtime = kubelet::cri::grpc_runtime(endpoint());
  auto sandboxes = runtime->list_sandboxes({});
  if (!sandboxes.ok()) return;
  for (const auto& sandbox : *sandboxes) {
    (void)runtime->stop_sandbox(sandbox.id);
    (void)runtime->remove_sandbox(sandbox.id);
  }
}

ContainerdInstance::~ContainerdInstance() {
  if (process_) {
    if (process_->running()) end_pods();
    process_->terminate(std::chrono::seconds(10));
  }
  if (!bridge_.empty()) (void)linux::delete_link(bridge_);
  if (!unreachable_.empty()) (void)linux::remove_unreachable_route(unreachable_);
  (void)linux::unmount_under(directory_);
  (void)linux::remove_tree(directory_);
}

}  // namespace trireme::test
