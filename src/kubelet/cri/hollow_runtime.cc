#include "kubelet/cri/hollow_runtime.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::kubelet::cri {
namespace {

bool matches(const StringMap& labels, const StringMap& selector) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    auto entry = labels.find(wanted.first);
    return entry != labels.end() && entry->second == wanted.second;
  });
}

Status no(const std::string& what, const std::string& id) { return Status::not_found("no " + what + " " + id); }

}  // namespace

int64_t HollowRuntime::now() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(clock_->now().time_since_epoch()).count();
}

Status HollowRuntime::fault(const std::string& operation) {
  std::function<Status(const std::string&)> ask;
  {
    std::lock_guard lock(mutex_);
    ask = fault_;
  }
  return ask ? ask(operation) : Status();
}

void HollowRuntime::note(std::string call) {
  std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
}

void HollowRuntime::set_registry(std::set<std::string> images) {
  std::lock_guard lock(mutex_);
  registry_ = std::move(images);
}

void HollowRuntime::add_image(const std::string& name) {
  std::lock_guard lock(mutex_);
  Image image;
  image.id = "sha256:" + name;
  image.repo_tags = {name};
  image.size = 1000;
  images_[name] = std::move(image);
}

void HollowRuntime::set_fault(std::function<Status(const std::string&)> fault) {
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

void HollowRuntime::set_exec(std::function<ExecResult(const std::vector<std::string>&)> exec) {
  std::lock_guard lock(mutex_);
  exec_ = std::move(exec);
}

std::vector<std::string> HollowRuntime::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

ContainerConfig HollowRuntime::config_of(const std::string& container_id) const {
  std::lock_guard lock(mutex_);
  auto entry = containers_.find(container_id);
  return entry == containers_.end() ? ContainerConfig() : entry->second.config;
}

std::string HollowRuntime::container_id(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const Entry* newest = nullptr;
  for (const auto& [id, entry] : containers_) {
    if (entry.status.name != name) continue;
    if (newest == nullptr || newest->status.attempt <= entry.status.attempt) newest = &entry;
  }
  return newest == nullptr ? std::string() : newest->status.id;
}

void HollowRuntime::end_locked(Entry& entry, int32_t code) {
  entry.status.state = ContainerState::kExited;
  entry.status.exit_code = code;
  entry.status.reason = code == 0 ? "Completed" : "Error";
  entry.status.finished_at = now();
  exits_.push_back(entry.status.id);
  changed_.notify_all();
}

void HollowRuntime::exit(const std::string& container_id, int32_t code) {
  std::lock_guard lock(mutex_);
  auto entry = containers_.find(container_id);
  if (entry != containers_.end() && entry->second.status.state == ContainerState::kRunning) {
    end_locked(entry->second, code);
  }
}

Result<std::vector<RuntimeCondition>> HollowRuntime::status() {
  return std::vector<RuntimeCondition>{{"RuntimeReady", true, "", ""}, {"NetworkReady", true, "", ""}};
}

Result<std::string> HollowRuntime::run_sandbox(const SandboxConfig& config) {
  note("run_sandbox");
  TRY(fault("run_sandbox"));
  std::lock_guard lock(mutex_);
  int number = ++last_id_;
  SandboxStatus status;
  status.id = fmt::format("sandbox-{:08}", number);
  status.metadata = config.metadata;
  status.state = SandboxState::kReady;
  status.created_at = now() + number;  // in order, even where the clock stands still
  status.labels = config.labels;
  status.annotations = config.annotations;
  status.network = config.security.namespaces.network;
  if (status.network == NamespaceMode::kPod) {
    status.ips = {fmt::format("10.244.{}.{}", number / 250 % 250, number % 250 + 2)};
  }
  sandboxes_[status.id] = status;
  return status.id;
}

Status HollowRuntime::stop_sandbox(const std::string& id) {
  note("stop_sandbox");
  std::lock_guard lock(mutex_);
  auto entry = sandboxes_.find(id);
  if (entry == sandboxes_.end()) return no("sandbox", id);
  entry->second.state = SandboxState::kNotReady;
  for (auto& [container_id, container] : containers_) {
    if (container.status.sandbox_id == id && container.status.state == ContainerState::kRunning) {
      end_locked(container, 137);
    }
  }
  return {};
}

Status HollowRuntime::remove_sandbox(const std::string& id) {
  std::lock_guard lock(mutex_);
  std::erase_if(containers_, [&](const auto& entry) { return entry.second.status.sandbox_id == id; });
  return sandboxes_.erase(id) > 0 ? Status() : no("sandbox", id);
}

Result<SandboxStatus> HollowRuntime::sandbox_status(const std::string& id) {
  std::lock_guard lock(mutex_);
  auto entry = sandboxes_.find(id);
  if (entry == sandboxes_.end()) return no("sandbox", id);
  return entry->second;
}

Result<std::vector<Sandbox>> HollowRuntime::list_sandboxes(const SandboxFilter& filter) {
  std::lock_guard lock(mutex_);
  std::vector<Sandbox> result;
  for (const auto& [id, status] : sandboxes_) {
    if ((filter.id.empty() || filter.id == id) && matches(status.labels, filter.labels)) result.push_back(status);
  }
  return result;
}

Result<std::string> HollowRuntime::create_container(const std::string& sandbox_id, const ContainerConfig& config,
                                                    const SandboxConfig&) {
  note("create:" + config.name);
  TRY(fault("create_container"));
  std::lock_guard lock(mutex_);
  if (!sandboxes_.contains(sandbox_id)) return no("sandbox", sandbox_id);
  int number = ++last_id_;
  Entry entry;
  entry.config = config;
  ContainerStatus& status = entry.status;
  status.id = fmt::format("container-{:08}", number);
  status.sandbox_id = sandbox_id;
  status.name = config.name;
  status.attempt = config.attempt;
  status.image = config.user_specified_image;
  status.image_ref = config.image;
  status.state = ContainerState::kCreated;
  status.created_at = now() + number;
  status.labels = config.labels;
  status.annotations = config.annotations;
  std::string id = status.id;
  containers_[id] = std::move(entry);
  return id;
}

Status HollowRuntime::start_container(const std::string& id) {
  TRY(fault("start_container"));
  std::lock_guard lock(mutex_);
  auto entry = containers_.find(id);
  if (entry == containers_.end()) return no("container", id);
  calls_.push_back("start:" + entry->second.status.name);
  entry->second.status.state = ContainerState::kRunning;
  entry->second.status.started_at = now();
  return {};
}

Status HollowRuntime::stop_container(const std::string& id, std::chrono::seconds) {
  std::lock_guard lock(mutex_);
  auto entry = containers_.find(id);
  if (entry == containers_.end()) return no("container", id);
  calls_.push_back("stop:" + entry->second.status.name);
  if (entry->second.status.state == ContainerState::kRunning) end_locked(entry->second, 143);
  return {};
}

Status HollowRuntime::remove_container(const std::string& id) {
  std::lock_guard lock(mutex_);
  return containers_.erase(id) > 0 ? Status() : no("container", id);
}

Result<ContainerStatus> HollowRuntime::container_status(const std::string& id) {
  std::lock_guard lock(mutex_);
  auto entry = containers_.find(id);
  if (entry == containers_.end()) return no("container", id);
  return entry->second.status;
}

Result<std::vector<Container>> HollowRuntime::list_containers(const ContainerFilter& filter) {
  std::lock_guard lock(mutex_);
  std::vector<Container> result;
  for (const auto& [id, entry] : containers_) {
    const ContainerStatus& status = entry.status;
    if (!filter.id.empty() && filter.id != id) continue;
    if (!filter.sandbox_id.empty() && filter.sandbox_id != status.sandbox_id) continue;
    if (matches(status.labels, filter.labels)) result.push_back(status);
  }
  return result;
}

Result<ExecResult> HollowRuntime::exec_sync(const std::string& id, const std::vector<std::string>& command,
                                            std::chrono::seconds) {
  std::function<ExecResult(const std::vector<std::string>&)> exec;
  {
    std::lock_guard lock(mutex_);
    auto entry = containers_.find(id);
    if (entry == containers_.end() || entry->second.status.state != ContainerState::kRunning) {
      return no("running container", id);
    }
    exec = exec_;
  }
  return exec ? exec(command) : ExecResult{};
}

Result<std::vector<ContainerStats>> HollowRuntime::container_stats(const ContainerFilter& filter) {
  TRY_ASSIGN(auto containers, list_containers(filter));
  std::vector<ContainerStats> result;
  for (const Container& container : containers) {
    if (container.state != ContainerState::kRunning) continue;
    ContainerStats stats;
    stats.id = container.id;
    stats.name = container.name;
    stats.labels = container.labels;
    stats.timestamp = now();
    result.push_back(std::move(stats));
  }
  return result;
}

Result<std::vector<Image>> HollowRuntime::list_images() {
  std::lock_guard lock(mutex_);
  std::vector<Image> result;
  for (const auto& [name, image] : images_) result.push_back(image);
  return result;
}

Result<Image> HollowRuntime::image_status(const std::string& image) {
  std::lock_guard lock(mutex_);
  for (const auto& [name, candidate] : images_) {
    if (name == image || candidate.id == image) return candidate;
  }
  return no("image", image);
}

Result<std::string> HollowRuntime::pull_image(const std::string& image, const AuthConfig*, const SandboxConfig*) {
  note("pull:" + image);
  TRY(fault("pull_image"));
  {
    std::lock_guard lock(mutex_);
    if (!registry_.empty() && !registry_.contains(image)) return no("image", image + " in the registry");
  }
  add_image(image);
  return "sha256:" + image;
}

Status HollowRuntime::remove_image(const std::string& image) {
  std::lock_guard lock(mutex_);
  std::erase_if(images_, [&](const auto& entry) { return entry.first == image || entry.second.id == image; });
  return {};
}

Status HollowRuntime::watch_exits(std::stop_token stop, const std::function<void()>& on_open,
                                  const std::function<void(const std::string&)>& on_change) {
  on_open();
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !exits_.empty(); })) {
    std::vector<std::string> exits = std::exchange(exits_, {});
    lock.unlock();
    for (const std::string& id : exits) on_change(id);
    lock.lock();
  }
  return {};
}

}  // namespace trireme::kubelet::cri
