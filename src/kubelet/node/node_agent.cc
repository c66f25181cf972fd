#include "kubelet/node/node_agent.h"

#include <algorithm>
#include <utility>

#include "api/codec.h"
#include "api/types/coordinationv1.h"
#include "api/validation/resources.h"
#include "api/value.h"
#include "base/log.h"

namespace trireme::kubelet {
namespace {

using api::coordinationv1::Lease;
using api::corev1::Node;
using api::corev1::NodeStatus;

constexpr std::chrono::milliseconds kUnreadyCheck{100};  // while the node waits for its runtime or network
constexpr std::chrono::seconds kLateCheck{1};            // and when that takes longer than
constexpr std::chrono::seconds kSoon{10};
constexpr std::chrono::minutes kImageListAge{1};
constexpr std::string_view kLeaseNamespace = "kube-node-lease";

bool is_ready(const NodeStatus& status) {
  return std::any_of(status.conditions.begin(), status.conditions.end(),
                     [](const auto& condition) { return condition.type == "Ready" && condition.status == "True"; });
}

}  // namespace

NodeAgent::NodeAgent(const KubeletOptions& options, std::string node_name, MachineInfo machine,
                     std::vector<std::string> addresses, client::Client client, std::shared_ptr<cri::Runtime> runtime,
                     std::shared_ptr<Clock> clock, client::EventRecorder* events)
    : options_(options),
      name_(std::move(node_name)),
      machine_(std::move(machine)),
      client_(std::move(client)),
      runtime_(std::move(runtime)),
      clock_(std::move(clock)),
      events_(events),
      addresses_(std::move(addresses)) {}

void NodeAgent::start(uint16_t server_port) {
  port_ = server_port;
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void NodeAgent::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void NodeAgent::observe(const Node& node) {
  const bool unknown = std::ranges::any_of(node.status.conditions, [](const auto& condition) {
    return condition.type == "Ready" && condition.status == "Unknown";
  });
  const auto own = node_capacity(NodeFacts{options_, machine_, name_, {}, 0, {}, false, {}, {}, {}, 0, {}, {}});
  api::Map<Quantity> extended;
  bool news = unknown;
  for (const auto& [name, amount] : node.status.capacity) {
    if (own.contains(name)) continue;
    extended.insert_or_assign(name, amount);
    news = news || node.status.allocatable.get(name) != amount;
  }
  std::set<std::string> unfounded;
  for (const auto& [name, amount] : node.status.allocatable) {
    if (!extended.contains(name) && api::validation::is_extended_resource(name)) unfounded.insert(name);
  }
  news = news || !unfounded.empty();
  const std::lock_guard lock(mutex_);
  extended_ = std::move(extended);
  unfounded_ = std::move(unfounded);
  if (!news) return;
  overdue_ = true;
  nap_.request_stop();
}

void NodeAgent::set_addresses(std::vector<std::string> addresses) {
  const std::lock_guard lock(mutex_);
  addresses_ = std::move(addresses);
  nap_.request_stop();
}

Status NodeAgent::network() const {
  const std::lock_guard lock(mutex_);
  return network_;
}

NodeFacts NodeAgent::gather() {
  NodeFacts facts{options_, machine_, name_, {}, port_, {}, false, {}, {}, {}, 0, clock_->now(), {}};
  {
    const std::lock_guard lock(mutex_);
    facts.addresses = addresses_;
    facts.extended = extended_;
    nap_ = std::stop_source();
  }
  if (version_.runtime_name.empty()) {
    if (auto version = runtime_->version(); version.ok()) version_ = *version;
  }
  facts.runtime = version_;
  if (auto conditions = runtime_->status(); conditions.ok()) {
    facts.runtime_reachable = true;
    facts.runtime_conditions = std::move(*conditions);
    {
      const std::lock_guard lock(mutex_);
      network_ = network_state(facts.runtime_conditions);
    }
    Duration now = clock_->monotonic();
    if (images_stale_.exchange(false) || now - images_at_ > kImageListAge) {
      if (auto images = runtime_->list_images(); images.ok()) images_ = std::move(*images);
      images_at_ = now;
    }
  }
  facts.images = images_;
  facts.node_filesystem = filesystem_space(options_.root_dir);
  facts.available_memory = available_memory();
  return facts;
}

Status NodeAgent::register_node(const NodeFacts& facts) {
  Node wanted = make_node(facts);
  auto made = client_.create(wanted);
  if (made.ok()) {
    uid_ = made->metadata.uid;
    reported_ = made->status;
    reported_at_ = clock_->monotonic();
    registered_ = true;
    log::info("Registered node", {{"node", name_}});
    announce({}, reported_);
    return {};
  }
  if (!made.status().is(Reason::kAlreadyExists)) return made.status();
  TRY_ASSIGN(Node present, client_.get<Node>("", name_));
  uid_ = present.metadata.uid;
  reported_ = present.status;
  api::Value missing = api::Value::object();
  for (const auto& [key, value] : node_labels(facts)) {
    if (present.metadata.labels.get(key) != value) missing["labels"][key] = value;
  }
  for (const auto& [key, value] : node_annotations(facts)) {
    if (present.metadata.annotations.get(key) != value) missing["annotations"][key] = value;
  }
  if (!missing.as_object().empty()) {
    api::Value patch = api::Value::object();
    patch["metadata"] = std::move(missing);
    TRY(client_.patch<Node>("", name_, client::PatchType::kMerge, api::to_json(patch)).status());
  }
  registered_ = true;
  return report(facts, true);
}

Status NodeAgent::report(const NodeFacts& facts, bool force) {
  NodeStatus status = make_node_status(facts, reported_);
  bool due = force || clock_->monotonic() - reported_at_ >= options_.node_status_report_frequency;
  if (!due && !node_status_changed(status, reported_)) return {};
  // A strategic merge: conditions merge by type, and what others wrote stays. Addresses would, too, but a node may have
  // two of one type: they are replaced as a whole.
  TRY_ASSIGN(api::Value body, api::parse_value(api::encode_json(status)));
  api::Value replace = api::Value::object();
  replace["$patch"] = "replace";
  body["addresses"].push_back(std::move(replace));
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& name : unfounded_) body["allocatable"][name] = api::Value();
  }
  api::Value patch = api::Value::object();
  patch["status"] = std::move(body);
  auto patched = client_.patch<Node>("", name_, client::PatchType::kStrategicMerge, api::to_json(patch), "status");
  if (!patched.ok()) {
    if (patched.status().is(Reason::kNotFound)) registered_ = false;  // deleted: register again
    return patched.status();
  }
  announce(reported_, status);
  reported_ = std::move(status);
  reported_at_ = clock_->monotonic();
  return {};
}

void NodeAgent::announce(const NodeStatus& before, const NodeStatus& after) {
  api::corev1::ObjectReference node;
  node.kind = "Node";
  node.name = name_;
  node.uid = name_;
  struct Row {
    std::string_view type;
    std::string_view good;
    std::string_view when_true;
    std::string_view when_false;
  };
  static constexpr Row kRows[] = {
      {"MemoryPressure", "False", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"},
      {"DiskPressure", "False", "NodeHasDiskPressure", "NodeHasNoDiskPressure"},
      {"PIDPressure", "False", "NodeHasInsufficientPID", "NodeHasSufficientPID"},
      {"Ready", "True", "NodeReady", "NodeNotReady"},
  };
  for (const Row& row : kRows) {
    std::string old_value, new_value;
    for (const auto& condition : before.conditions) {
      if (condition.type == row.type) old_value = condition.status;
    }
    for (const auto& condition : after.conditions) {
      if (condition.type == row.type) new_value = condition.status;
    }
    if (old_value == new_value || new_value.empty()) continue;
    std::string_view reason = new_value == "True" ? row.when_true : row.when_false;
    events_->normal(node, reason, "Node " + name_ + " status is now: " + std::string(reason));
  }
}

Status NodeAgent::renew_lease() {
  Lease lease;
  auto present = client_.get<Lease>(kLeaseNamespace, name_);
  if (present.ok()) {
    lease = std::move(*present);
  } else if (!present.status().is(Reason::kNotFound)) {
    return present.status();
  }
  lease.metadata.name = name_;
  lease.metadata.namespace_ = kLeaseNamespace;
  lease.spec.holder_identity = name_;
  lease.spec.lease_duration_seconds = options_.node_lease_duration_seconds;
  lease.spec.renew_time = api::MicroTime(clock_->now());
  if (lease.metadata.owner_references.empty() && !uid_.empty()) {
    auto& owner = lease.metadata.owner_references.emplace_back();
    owner.api_version = "v1";
    owner.kind = "Node";
    owner.name = name_;
    owner.uid = uid_;
  }
  auto written = present.ok() ? client_.update(lease) : client_.create(lease);
  return written.ok() ? Status() : written.status();
}

void NodeAgent::run(std::stop_token stop) {
  Duration lease_every = std::chrono::seconds(std::max(options_.node_lease_duration_seconds / 4, 1));
  std::optional<Duration> lease_at;
  std::optional<Duration> unready_since;
  bool failing = false;
  while (!stop.stop_requested()) {
    NodeFacts facts = gather();
    bool given_up = false;
    {
      const std::lock_guard lock(mutex_);
      given_up = std::exchange(overdue_, false);
    }
    Status status = registered_ ? report(facts, given_up) : Status();
    if (!status.ok() && given_up) {
      const std::lock_guard lock(mutex_);
      overdue_ = true;
    }
    if (!registered_ && options_.register_node) status = register_node(facts);
    Duration now = clock_->monotonic();
    if (status.ok() && (!lease_at || now - *lease_at >= lease_every)) {
      status = renew_lease();
      if (status.ok()) lease_at = now;
    }
    if (!status.ok() && !std::exchange(failing, true)) {
      log::warning("Could not report the node to the API; will try again", {{"node", name_}, {"error", status}});
    } else if (status.ok() && std::exchange(failing, false)) {
      log::info("The node is reported to the API again", {{"node", name_}});
    }
    Duration wait = options_.node_status_update_frequency;
    if (lease_at) wait = std::min(wait, std::max<Duration>(*lease_at + lease_every - now, kUnreadyCheck));
    if (is_ready(reported_)) unready_since.reset();
    if (!is_ready(reported_) && !unready_since) unready_since = now;
    const bool long_unready = unready_since && now - *unready_since > kSoon;
    if (!status.ok() || unready_since) wait = std::min<Duration>(wait, long_unready ? kLateCheck : kUnreadyCheck);
    std::stop_token awake;
    {
      const std::lock_guard lock(mutex_);
      awake = nap_.get_token();
    }
    std::stop_callback wake(stop, [this] {
      const std::lock_guard lock(mutex_);
      nap_.request_stop();
    });
    clock_->sleep_for(wait, awake);
  }
}

}  // namespace trireme::kubelet
