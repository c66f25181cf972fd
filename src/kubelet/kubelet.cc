#include "kubelet/kubelet.h"

#include <mutex>
#include <thread>

#include "base/log.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"
#include "kubelet/images/image_gc.h"
#include "kubelet/logs/log_rotation.h"
#include "kubelet/node/node_agent.h"
#include "kubelet/pods/eviction.h"
#include "kubelet/pods/pod_manager.h"
#include "kubelet/pods/resources.h"
#include "kubelet/server/kubelet_server.h"
#include "linux/file.h"
#include "linux/mounts.h"

namespace trireme::kubelet {
namespace {

constexpr size_t kPoolThreads = 256;

class KubeletImpl final : public Kubelet {
 public:
  KubeletImpl(KubeletOptions options, KubeletDependencies dependencies, MachineInfo machine)
      : options_(std::move(options)),
        machine_(std::move(machine)),
        client_(dependencies.client),
        clock_(dependencies.clock),
        network_(std::move(dependencies.network)),
        runtime_(dependencies.runtime ? dependencies.runtime : cri::grpc_runtime(options_.container_runtime_endpoint)),
        addresses_(node_addresses(options_.node_ip)),
        broadcaster_(client_, clock_),
        events_(broadcaster_.recorder("kubelet", options_.node_name)),
        pool_(kPoolThreads),
        factory_(dependencies.client, clock_),
        observer_(runtime_),
        images_(runtime_, clock_, &events_),
        objects_(client_, clock_, [this](const std::string& uid) { manager_->volumes_changed(uid); }),
        tokens_(client_, clock_),
        claims_(client_),
        local_paths_(options_.local_path_folder(), options_.node_name, client_, pool_),
        volumes_(options_.root_dir, objects_, tokens_, &claims_, &local_paths_),
        probes_(runtime_, clock_, pool_, &events_, probe_results_,
                [this](const std::string& uid) { manager_->wake(uid); }),
        statuses_(client_, clock_, pool_),
        restarts_(clock_, std::chrono::seconds(10), std::chrono::minutes(5)),
        node_agent_(options_, options_.node_name, machine_, addresses_, client_, runtime_, clock_, &events_) {}

  ~KubeletImpl() override {
    starter_.request_stop();
    if (starter_.joinable()) starter_.join();
    if (server_) server_->stop();
    node_agent_.stop();
    factory_.stop();
    if (manager_) manager_->stop();
    if (housekeeper_.joinable()) {
      housekeeper_.request_stop();
      housekeeper_.join();
    }
    probes_.stop();
    statuses_.stop();
    pool_.shut_down();
    objects_.stop();  // its watches call the manager, which goes before it
  }

  Status begin() {
    TRY(linux::make_dirs(options_.root_dir, 0750));
    TRY(linux::make_dirs(options_.root_dir + "/pods", 0750));
    TRY(linux::make_dirs(options_.pod_logs_dir, 0755));
    if (Status status = linux::make_shared_mount(options_.root_dir); !status.ok()) {
      log::warning("Volumes with mountPropagation Bidirectional will not work", {{"error", status}});
    }
    node_.emplace(NodeServices{options_,  clock_,    runtime_,     pool_,      &events_,       nullptr,
                               observer_, images_,   objects_,     volumes_,   probe_results_, probes_,
                               statuses_, restarts_, std::nullopt, addresses_, "containerd",   {},
                               {},        network_,  nullptr});
    node_->network.ready = [this] { return node_agent_.network(); };
    fill_context();
    TRY(set_up_cgroups());
    manager_ = std::make_unique<PodManager>(*node_);
    if (options_.enable_server) {
      TRY_ASSIGN(server_, KubeletServer::start(*node_, *manager_));
    }
    node_agent_.start(port());
    api::corev1::ObjectReference node;
    node.kind = "Node";
    node.name = node.uid = options_.node_name;
    events_.normal(node, "Starting", "Starting kubelet.");
    auto& services = factory_.informer<api::corev1::Service>();
    node_->services = &services;
    client::Scope own_node;
    own_node.field_selector = "metadata.name=" + options_.node_name;
    auto& nodes = factory_.informer<api::corev1::Node>(own_node);
    node_->own_node = &nodes;
    local_paths_.follow(nodes);
    nodes.add_handler([this](const auto&, const auto& after) {
      if (after) node_agent_.observe(*after);
    });
    client::Scope own;
    own.field_selector = "spec.nodeName=" + options_.node_name;
    auto& pods = factory_.informer<api::corev1::Pod>(own);
    factory_.start();
    starter_ = std::jthread([this, &pods](std::stop_token stop) { start_pods(pods, stop); });
    return {};
  }

  const std::string& node_name() const override { return options_.node_name; }
  uint16_t port() const override { return server_ ? server_->port() : 0; }
  size_t pod_count() const override { return manager_->count(); }
  void set_addresses(std::vector<std::string> addresses) override {
    node_->host_ips.set(addresses);
    node_agent_.set_addresses(std::move(addresses));
  }

 private:
  void fill_context() {
    node_->node.host_name = machine_.host_name;
    node_->node.cluster_domain = options_.cluster_domain;
    node_->node.cluster_dns = options_.cluster_dns;
    node_->node.pod_logs_dir = options_.pod_logs_dir;
    node_->node.seccomp_root = options_.seccomp_profile_root;
    node_->node.memory_capacity = machine_.memory_bytes;
    NodeFacts facts{options_,
                    machine_,
                    options_.node_name,
                    addresses_,
                    0,
                    {},
                    false,
                    {},
                    {},
                    filesystem_space(options_.root_dir),
                    0,
                    clock_->now(),
                    {}};
    auto allocatable = node_allocatable(facts);
    node_->downward.allocatable_milli_cpu = allocatable["cpu"].milli_value();
    node_->downward.allocatable_memory = allocatable["memory"].value();
    node_->downward.allocatable_ephemeral_storage = allocatable["ephemeral-storage"].value();
  }

  /// The groups above the pods' own: best-effort pods get the least share of the CPU.
  Status set_up_cgroups() {
    if (!options_.cgroups_per_qos) return {};
    auto groups = linux::Cgroups::detect();
    if (!groups.ok()) return groups.status().with_context("--cgroups-per-qos");
    for (QosClass qos : {QosClass::kGuaranteed, QosClass::kBurstable, QosClass::kBestEffort}) {
      TRY(groups->create(qos_cgroup(options_.cgroup_root, qos)));
    }
    linux::CgroupLimits least;
    least.cpu_shares = 2;
    TRY(groups->apply(qos_cgroup(options_.cgroup_root, QosClass::kBestEffort), least));
    node_->node.cgroup_v2 = groups->v2();
    node_->cgroups = std::move(*groups);
    return {};
  }

  void start_pods(client::Informer<api::corev1::Pod>& pods, std::stop_token stop) {
    if (!factory_.wait_synced(stop)) return;
    if (auto version = runtime_->version(); version.ok()) node_->runtime_name = version->runtime_name;
    manager_->start(pods);
    housekeeper_ = std::jthread([this](std::stop_token inner) { keep_house(inner); });
  }

  /// Logs and limits every ten seconds while there are pods, image collection every five minutes.
  void keep_house(std::stop_token stop) {
    constexpr std::chrono::seconds kRotation{10};
    constexpr int kRoundsPerCollection = 30;
    for (int round = 1; clock_->sleep_for(kRotation, stop); ++round) {
      if (manager_->count() > 0) {
        rotate_logs(*runtime_, options_);
        enforce_volume_limits(*node_, *manager_);
      }
      share_burstable_cpu();
      if (round % kRoundsPerCollection == 0) collect_images(*runtime_, options_, clock_->now(), image_ages_, events_);
    }
  }

  /// The burstable pods together weigh as much as they request.
  void share_burstable_cpu() {
    if (!node_->cgroups) return;
    int64_t requested = 0;
    for (const api::corev1::Pod& pod : manager_->pods()) {
      bool over = pod.status.phase == "Succeeded" || pod.status.phase == "Failed";
      if (!over && qos_class(pod) == QosClass::kBurstable) requested += pod_request(pod, "cpu");
    }
    uint64_t shares = milli_cpu_to_shares(requested);
    if (shares == burstable_shares_) return;
    linux::CgroupLimits limits;
    limits.cpu_shares = shares;
    Status status = node_->cgroups->apply(qos_cgroup(options_.cgroup_root, QosClass::kBurstable), limits);
    if (!status.ok()) log::warning("Could not weigh the burstable pods", {{"error", status}});
    burstable_shares_ = shares;
  }

  const KubeletOptions options_;
  const MachineInfo machine_;
  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  const NetworkHooks network_;
  const std::shared_ptr<cri::Runtime> runtime_;
  const std::vector<std::string> addresses_;
  client::EventBroadcaster broadcaster_;
  client::EventRecorder events_;
  TaskPool pool_;
  client::InformerFactory factory_;
  RuntimeObserver observer_;
  ImageManager images_;
  ObjectSource objects_;
  TokenSource tokens_;
  ClaimSource claims_;
  LocalPaths local_paths_;
  VolumeManager volumes_;
  ProbeResults probe_results_;
  ProbeManager probes_;
  StatusManager statuses_;
  Backoff restarts_;
  NodeAgent node_agent_;
  ImageAges image_ages_;
  uint64_t burstable_shares_ = 0;  // the housekeeper's own
  std::optional<NodeServices> node_;
  std::unique_ptr<PodManager> manager_;
  std::unique_ptr<KubeletServer> server_;
  std::jthread housekeeper_;
  std::jthread starter_;
};

}  // namespace

Result<std::unique_ptr<Kubelet>> Kubelet::start(KubeletOptions options, KubeletDependencies dependencies) {
  MachineInfo machine = read_machine_info();
  if (options.node_name.empty()) options.node_name = machine.host_name;
  auto kubelet = std::make_unique<KubeletImpl>(std::move(options), std::move(dependencies), std::move(machine));
  TRY(kubelet->begin());
  return std::unique_ptr<Kubelet>(std::move(kubelet));
}

}  // namespace trireme::kubelet
