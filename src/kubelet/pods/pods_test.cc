#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/conditions.h"
#include "kubelet/pods/actions.h"
#include "kubelet/pods/backoff.h"
#include "kubelet/pods/container_config.h"
#include "kubelet/pods/environment.h"
#include "kubelet/pods/labels.h"
#include "kubelet/pods/resources.h"
#include "kubelet/pods/status.h"
#include "support/virtual_clock.h"

namespace trireme::kubelet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

Pod make_pod(const std::string& restart_policy = "Always") {
  Pod pod;
  pod.metadata.name = "redis";
  pod.metadata.namespace_ = "shop";
  pod.metadata.uid = "u1";
  pod.spec.restart_policy = restart_policy;
  auto& container = pod.spec.containers.emplace_back();
  container.name = "main";
  container.image = "redis";
  return pod;
}

Quantity quantity(const char* text) { return *Quantity::parse(text); }

TEST(Expand, ReplacesKnownNamesOnly) {
  std::map<std::string, std::string> variables{{"A", "1"}, {"B", "$(A)"}};
  const std::pair<const char*, const char*> rows[] = {
      {"plain", "plain"}, {"$(A)", "1"},  {"x$(A)y", "x1y"}, {"$$(A)", "$(A)"}, {"$(C)", "$(C)"}, {"$A", "$A"},
      {"$", "$"},         {"$(A", "$(A"}, {"$(B)", "$(A)"},  {"$$$(A)", "$1"},  {"$()", "$()"},   {"a$$", "a$"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(expand(text, variables), expected) << text;
}

std::shared_ptr<const api::corev1::Service> service(const char* ns, const char* name, const char* ip) {
  api::corev1::Service result;
  result.metadata.namespace_ = ns;
  result.metadata.name = name;
  result.spec.cluster_ip = ip;
  auto& port = result.spec.ports.emplace_back();
  port.name = "p-1";
  port.port = 6379;
  port.protocol = "TCP";
  return std::make_shared<api::corev1::Service>(result);
}

TEST(ServiceEnvironment, HasTheDockerLinkForm) {
  std::vector services{service("shop", "redis-master", "10.0.0.11"), service("other", "hidden", "10.0.0.12"),
                       service("default", "kubernetes", "10.0.0.1"), service("shop", "headless", "None")};
  auto variables = service_environment(services, "shop", true);
  EXPECT_EQ(variables["REDIS_MASTER_SERVICE_HOST"], "10.0.0.11");
  EXPECT_EQ(variables["REDIS_MASTER_SERVICE_PORT"], "6379");
  EXPECT_EQ(variables["REDIS_MASTER_SERVICE_PORT_P_1"], "6379");
  EXPECT_EQ(variables["REDIS_MASTER_PORT"], "tcp://10.0.0.11:6379");
  EXPECT_EQ(variables["REDIS_MASTER_PORT_6379_TCP"], "tcp://10.0.0.11:6379");
  EXPECT_EQ(variables["REDIS_MASTER_PORT_6379_TCP_PROTO"], "tcp");
  EXPECT_EQ(variables["REDIS_MASTER_PORT_6379_TCP_PORT"], "6379");
  EXPECT_EQ(variables["REDIS_MASTER_PORT_6379_TCP_ADDR"], "10.0.0.11");
  EXPECT_EQ(variables["KUBERNETES_SERVICE_HOST"], "10.0.0.1");
  EXPECT_FALSE(variables.contains("HIDDEN_SERVICE_HOST"));
  EXPECT_FALSE(variables.contains("HEADLESS_SERVICE_HOST"));
  auto without = service_environment(services, "shop", false);
  EXPECT_FALSE(without.contains("REDIS_MASTER_SERVICE_HOST"));
  EXPECT_TRUE(without.contains("KUBERNETES_SERVICE_HOST"));
}

TEST(Environment, ResolvesInOrderAndFromReferences) {
  Pod pod = make_pod();
  pod.metadata.labels["app"] = "cache";
  auto& container = pod.spec.containers[0];
  auto add = [&](const char* name, const char* value) -> api::corev1::EnvVar& {
    auto& variable = container.env.emplace_back();
    variable.name = name;
    variable.value = value;
    return variable;
  };
  container.env_from.emplace_back().prefix = "P_";
  container.env_from[0].config_map_ref.emplace().local_object_reference.name = "map";
  add("FIRST", "1");
  add("SECOND", "$(FIRST)-$(P_KEY)-$(SVC)-$(LATER)");
  add("LATER", "x");
  add("LABEL", "").value_from.emplace().field_ref.emplace().field_path = "metadata.labels['app']";
  add("CPU", "").value_from.emplace().resource_field_ref.emplace().resource = "limits.cpu";
  auto& missing = add("MISSING", "").value_from.emplace().secret_key_ref.emplace();
  missing.local_object_reference.name = "none";
  missing.key = "k";
  missing.optional = true;
  EnvironmentSources sources;
  sources.config_map = [](std::string_view) -> Result<std::shared_ptr<const api::corev1::ConfigMap>> {
    auto map = std::make_shared<api::corev1::ConfigMap>();
    map->data["KEY"] = "from-map";
    return std::shared_ptr<const api::corev1::ConfigMap>(map);
  };
  sources.secret = [](std::string_view) -> Result<std::shared_ptr<const api::corev1::Secret>> {
    return Status::not_found("secret \"none\" not found");
  };
  DownwardContext context;
  context.allocatable_milli_cpu = 1500;
  auto result = make_environment(pod, container, {{"SVC", "s"}, {"FIRST", "shadowed"}}, context, sources);
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  std::map<std::string, std::string> values;
  for (const auto& variable : *result) values[variable.name] = variable.value;
  EXPECT_EQ(values["P_KEY"], "from-map");
  EXPECT_EQ(values["SECOND"], "1-from-map-s-$(LATER)");
  EXPECT_EQ(values["LABEL"], "cache");
  EXPECT_EQ(values["CPU"], "2");
  EXPECT_EQ(values["SVC"], "s");
  EXPECT_EQ(values["FIRST"], "1");
  EXPECT_FALSE(values.contains("MISSING"));

  container.env.back().value_from->secret_key_ref->optional = false;
  result = make_environment(pod, container, {}, context, sources);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().message(), "secret \"none\" not found");
}

TEST(Resources, QosClassAndKernelNumbers) {
  Pod pod = make_pod();
  EXPECT_EQ(qos_class(pod), QosClass::kBestEffort);
  EXPECT_EQ(oom_score_adjust(pod, pod.spec.containers[0], 1000), 1000);
  auto& resources = pod.spec.containers[0].resources;
  resources.requests["cpu"] = quantity("250m");
  EXPECT_EQ(qos_class(pod), QosClass::kBurstable);
  resources.limits["cpu"] = quantity("500m");
  resources.limits["memory"] = quantity("100Mi");
  resources.requests["memory"] = quantity("50Mi");
  EXPECT_EQ(qos_class(pod), QosClass::kBurstable);
  EXPECT_EQ(oom_score_adjust(pod, pod.spec.containers[0], uint64_t{200} << 20), 750);
  cri::Resources made = container_resources(pod, pod.spec.containers[0], uint64_t{1} << 30, true);
  EXPECT_EQ(made.cpu_shares, 256);
  EXPECT_EQ(made.cpu_quota, 50'000);
  EXPECT_EQ(made.cpu_period, 100'000);
  EXPECT_EQ(made.memory_limit_bytes, 100 << 20);
  EXPECT_EQ(made.unified["memory.oom.group"], "1");
  EXPECT_EQ(*pod_limits(pod).memory_bytes, 100 << 20);
  EXPECT_EQ(pod_cgroup("", pod), "/kubepods/burstable/podu1");
  resources.requests = resources.limits;
  EXPECT_EQ(qos_class(pod), QosClass::kGuaranteed);
  EXPECT_EQ(pod_cgroup("/test", pod), "/test/kubepods/podu1");
  EXPECT_EQ(milli_cpu_to_shares(0), 2u);
  EXPECT_EQ(milli_cpu_to_shares(1), 2u);
  EXPECT_EQ(milli_cpu_to_quota(1), 1000);
}

TEST(Dns, FollowsThePolicy) {
  NodeContext node;
  node.cluster_dns = {"10.96.0.10"};
  node.cluster_domain = "cluster.local";
  node.host_dns = parse_resolv_conf("# comment\nnameserver 9.9.9.9\nsearch home.example\noptions edns0 trust-ad\n");
  Pod pod = make_pod();
  cri::DnsConfig dns = pod_dns(pod, node);
  EXPECT_THAT(dns.servers, ElementsAre("10.96.0.10"));
  EXPECT_THAT(dns.searches,
              ElementsAre("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "home.example"));
  EXPECT_THAT(dns.options, ElementsAre("ndots:5"));
  pod.spec.host_network = true;
  EXPECT_THAT(pod_dns(pod, node).servers, ElementsAre("9.9.9.9"));
  pod.spec.dns_policy = "ClusterFirstWithHostNet";
  EXPECT_THAT(pod_dns(pod, node).servers, ElementsAre("10.96.0.10"));
  pod.spec.dns_policy = "None";
  auto& config = pod.spec.dns_config.emplace();
  config.nameservers = {"1.2.3.4"};
  config.options.emplace_back().name = "ndots";
  config.options[0].value = "2";
  EXPECT_THAT(pod_dns(pod, node).servers, ElementsAre("1.2.3.4"));
  EXPECT_THAT(pod_dns(pod, node).options, ElementsAre("ndots:2"));
}

TEST(Dns, LimitsAreKeptAndTold) {
  NodeContext node;
  node.cluster_domain = "cluster.local";
  Pod pod = make_pod();
  pod.metadata.uid = "u1";
  std::vector<DnsWarning> warnings;
  EXPECT_TRUE(pod_dns(pod, node, &warnings).servers.empty());
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].reason, "MissingClusterDNS");
  EXPECT_THAT(warnings[0].message, testing::EndsWith("Falling back to \"Default\" policy."));

  warnings.clear();
  node.cluster_dns = {"10.96.0.10"};
  auto& config = pod.spec.dns_config.emplace();
  config.nameservers = {"10.96.0.10", "1.1.1.1", "2.2.2.2", "3.3.3.3"};
  config.searches = {std::string(254, 'x'), "short.example"};
  config.options.emplace_back().name = "rotate";
  config.options[0].value = "";
  const cri::DnsConfig dns = pod_dns(pod, node, &warnings);
  EXPECT_THAT(dns.servers, ElementsAre("10.96.0.10", "1.1.1.1", "2.2.2.2"));
  EXPECT_THAT(dns.searches,
              ElementsAre("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "short.example"));
  EXPECT_THAT(dns.options, ElementsAre("ndots:5", "rotate"));
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(warnings[0].message,
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            "10.96.0.10 1.1.1.1 2.2.2.2");
  EXPECT_EQ(warnings[1].message,
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
            "shop.svc.cluster.local svc.cluster.local cluster.local short.example");

  warnings.clear();
  config.nameservers.clear();
  config.searches.clear();
  for (int i = 0; i < 40; ++i) config.searches.push_back(fmt::format("{:0>100}", i));
  size_t length = 0;
  for (const std::string& search : pod_dns(pod, node, &warnings).searches) length += search.size() + 1;
  EXPECT_LE(length, 2049u);
  EXPECT_GT(length, 1900u);
  EXPECT_EQ(warnings.size(), 1u);
}

TEST(Dns, ReadsResolvConf) {
  const auto dns = parse_resolv_conf("search a.example. b.example .\nnameserver 1.1.1.1 # x\n");
  EXPECT_THAT(dns.searches, ElementsAre("a.example", "b.example", "."));
  EXPECT_THAT(dns.servers, ElementsAre("1.1.1.1"));
}

TEST(Names, AFullHostNameMustFitTheKernel) {
  Pod pod = make_pod();
  pod.spec.subdomain = "sub";
  pod.spec.hostname = std::string(40, 'h');
  EXPECT_TRUE(check_host_name(pod, "cluster.local").ok());
  pod.spec.set_hostname_as_fqdn = true;
  EXPECT_THAT(check_host_name(pod, "cluster.local").message(),
              testing::HasSubstr("is too long (64 characters is the max, 67 characters requested)"));
  pod.spec.hostname = "h";
  EXPECT_TRUE(check_host_name(pod, "cluster.local").ok());
  EXPECT_EQ(make_sandbox_config(pod, 0, {}).hostname, "h.sub.shop.svc.");
}

TEST(ContainerConfig, SecurityContextsMerge) {
  Pod pod = make_pod();
  auto& pod_context = pod.spec.security_context.emplace();
  pod_context.run_as_user = 1000;
  pod_context.fs_group = 2000;
  auto& own = pod.spec.containers[0].security_context.emplace();
  own.run_as_group = 3000;
  own.allow_privilege_escalation = false;
  own.capabilities.emplace().drop = {"ALL"};
  pod.spec.containers[0].command = {"run", "$(X)"};
  ContainerInputs inputs{pod, pod.spec.containers[0], 2, "s", {}, "sha256:1", {{"X", "y"}}, {}, {}};
  auto config = make_container_config(inputs, {});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->security.run_as_user, 1000);
  EXPECT_EQ(config->security.run_as_group, 3000);
  EXPECT_THAT(config->security.supplemental_groups, ElementsAre(2000));
  EXPECT_TRUE(config->security.no_new_privileges);
  EXPECT_THAT(config->security.drop_capabilities, ElementsAre("ALL"));
  EXPECT_FALSE(config->security.masked_paths.empty());
  EXPECT_THAT(config->command, ElementsAre("run", "y"));
  EXPECT_EQ(config->log_path, "main/2.log");
  EXPECT_EQ(config->annotations[std::string(labels::kRestartCount)], "2");

  own.run_as_non_root = true;
  own.run_as_user = 0;
  EXPECT_FALSE(make_container_config(inputs, {}).ok());
  own.run_as_user.reset();
  pod_context.run_as_user.reset();
  inputs.image.username = "redis";
  auto unverifiable = make_container_config(inputs, {});
  ASSERT_FALSE(unverifiable.ok());
  EXPECT_THAT(unverifiable.status().message(), testing::HasSubstr("non-numeric user (redis)"));
  inputs.image.uid = 999;
  EXPECT_TRUE(make_container_config(inputs, {}).ok());
}

TEST(BackoffTest, DoublesAndForgets) {
  auto clock = std::make_shared<test::VirtualClock>();
  Backoff backoff(clock, seconds(10), minutes(5));
  WallTime ended = clock->now();
  EXPECT_EQ(backoff.remaining("a", ended), Duration::zero());
  std::vector<int64_t> delays;
  for (int i = 0; i < 7; ++i) {
    backoff.next("a", ended);
    delays.push_back(std::chrono::duration_cast<seconds>(backoff.delay("a")).count());
    ended = clock->now();
    EXPECT_EQ(backoff.remaining("a", ended), backoff.delay("a"));
    clock->advance(backoff.delay("a"));
    EXPECT_EQ(backoff.remaining("a", ended), Duration::zero());
  }
  EXPECT_THAT(delays, ElementsAre(10, 20, 40, 80, 160, 300, 300));
  clock->advance(minutes(11));
  EXPECT_EQ(backoff.remaining("a", clock->now()), Duration::zero());
  backoff.next("a", clock->now());
  EXPECT_EQ(backoff.delay("a"), Duration(seconds(10)));
}

/// A runtime's view with one ready sandbox.
class RuntimeView {
 public:
  RuntimeView() {
    cri::SandboxStatus sandbox;
    sandbox.id = "s1";
    sandbox.state = cri::SandboxState::kReady;
    sandbox.ips = {"10.1.1.1"};
    pod.sandboxes.push_back(sandbox);
  }
  RuntimeView& add(const Container& container, cri::ContainerState state, int exit_code = 0, uint32_t attempt = 0) {
    cri::ContainerStatus status;
    status.id = container.name + std::to_string(attempt);
    status.name = container.name;
    status.sandbox_id = "s1";
    status.state = state;
    status.exit_code = exit_code;
    status.attempt = attempt;
    status.reason = exit_code == 0 ? "Completed" : "Error";
    status.annotations[std::string(labels::kHash)] = container_hash(container);
    status.started_at = 1'700'000'000'000'000'000;
    status.finished_at = state == cri::ContainerState::kExited ? 1'700'000'001'000'000'000 : 0;
    pod.containers.insert(pod.containers.begin(), status);
    return *this;
  }
  RuntimePod pod;
};

std::vector<std::string> names(const std::vector<const Container*>& containers) {
  std::vector<std::string> result;
  for (const Container* container : containers) result.push_back(container->name);
  return result;
}

TEST(Actions, FollowTheRestartPolicy) {
  struct Row {
    const char* policy;
    int exit_code;
    bool start;
    bool finished;
  };
  for (const Row& row :
       {Row{"Always", 0, true, false}, Row{"Always", 1, true, false}, Row{"OnFailure", 0, false, true},
        Row{"OnFailure", 1, true, false}, Row{"Never", 0, false, true}, Row{"Never", 1, false, true}}) {
    Pod pod = make_pod(row.policy);
    RuntimeView view;
    view.add(pod.spec.containers[0], cri::ContainerState::kExited, row.exit_code);
    PodActions actions = compute_actions(pod, view.pod, {});
    EXPECT_EQ(!actions.start.empty(), row.start) << row.policy << row.exit_code;
    EXPECT_EQ(actions.finished, row.finished) << row.policy << row.exit_code;
  }
}

TEST(Actions, NewPodGetsASandboxAndItsFirstInitContainer) {
  Pod pod = make_pod();
  for (const char* name : {"one", "two"}) pod.spec.init_containers.emplace_back().name = name;
  PodActions actions = compute_actions(pod, {}, {});
  EXPECT_TRUE(actions.create_sandbox);
  EXPECT_FALSE(actions.stop_sandboxes);
  EXPECT_THAT(names(actions.start), ElementsAre("one"));

  RuntimeView view;
  view.add(pod.spec.init_containers[0], cri::ContainerState::kExited, 0);
  EXPECT_THAT(names(compute_actions(pod, view.pod, {}).start), ElementsAre("two"));
  view.add(pod.spec.init_containers[1], cri::ContainerState::kRunning);
  EXPECT_TRUE(compute_actions(pod, view.pod, {}).start.empty());
}

TEST(Actions, SidecarsStartBeforeAndStay) {
  Pod pod = make_pod("Never");
  auto& sidecar = pod.spec.init_containers.emplace_back();
  sidecar.name = "sidecar";
  sidecar.restart_policy = "Always";
  RuntimeView view;
  EXPECT_THAT(names(compute_actions(pod, view.pod, {}).start), ElementsAre("sidecar"));
  view.add(sidecar, cri::ContainerState::kRunning);
  EXPECT_THAT(names(compute_actions(pod, view.pod, {}).start), ElementsAre("main"));
  view.add(pod.spec.containers[0], cri::ContainerState::kExited, 0);
  EXPECT_TRUE(compute_actions(pod, view.pod, {}).finished);
}

TEST(Actions, ReplacesWhatChangedOrFailedItsProbe) {
  Pod pod = make_pod();
  RuntimeView view;
  view.add(pod.spec.containers[0], cri::ContainerState::kRunning);
  ProbeResults probes;
  EXPECT_TRUE(compute_actions(pod, view.pod, probes).kill.empty());
  probes.set("main0", ProbeKind::kLiveness, false);
  PodActions actions = compute_actions(pod, view.pod, probes);
  ASSERT_EQ(actions.kill.size(), 1u);
  EXPECT_EQ(actions.kill[0].message, "Container main failed liveness probe, will be restarted");
  EXPECT_THAT(names(actions.start), ElementsAre("main"));
  probes.set("main0", ProbeKind::kLiveness, true);
  pod.spec.containers[0].image = "redis:8";
  EXPECT_EQ(compute_actions(pod, view.pod, probes).kill.size(), 1u);
}

TEST(Actions, ALostSandboxIsMadeAgainUnlessAllIsDone) {
  Pod pod = make_pod();
  RuntimeView view;
  view.add(pod.spec.containers[0], cri::ContainerState::kExited, 137);
  view.pod.sandboxes[0].state = cri::SandboxState::kNotReady;
  PodActions actions = compute_actions(pod, view.pod, {});
  EXPECT_TRUE(actions.stop_sandboxes);
  EXPECT_TRUE(actions.create_sandbox);
  EXPECT_EQ(actions.sandbox_attempt, 1u);
  view.pod.sandboxes.push_back(view.pod.sandboxes[0]);
  view.pod.sandboxes.back().metadata.attempt = 3;
  EXPECT_EQ(compute_actions(pod, view.pod, {}).sandbox_attempt, 4u) << "the names of all are taken";
  pod.spec.restart_policy = "Never";
  EXPECT_TRUE(compute_actions(pod, view.pod, {}).finished);
}

struct StatusFixture {
  Pod pod = make_pod();
  RuntimePod runtime;
  std::map<std::string, WaitingReason> waiting;
  std::map<std::string, std::string> messages;
  ProbeResults probes;
  bool terminal = false;
  std::optional<PodFailure> failure;

  api::corev1::PodStatus make() {
    return make_pod_status({pod,
                            runtime,
                            waiting,
                            probes,
                            {"192.168.0.1"},
                            messages,
                            "containerd",
                            terminal,
                            failure,
                            test::VirtualClock::kDefaultStart});
  }
};

std::string condition(const api::corev1::PodStatus& status, std::string_view type) {
  const auto* found = api::find_condition(status.conditions, type);
  return found == nullptr ? "" : found->status + (found->reason.empty() ? "" : "/" + found->reason);
}

TEST(PodStatus, OfANewPod) {
  StatusFixture fixture;
  auto status = fixture.make();
  EXPECT_EQ(status.phase, "Pending");
  EXPECT_EQ(status.container_statuses[0].state.waiting->reason, "ContainerCreating");
  EXPECT_EQ(condition(status, "Ready"), "False/ContainersNotReady");
  EXPECT_EQ(condition(status, "PodReadyToStartContainers"), "False");
  EXPECT_EQ(condition(status, "Initialized"), "True");
  EXPECT_EQ(status.host_ip, "192.168.0.1");
}

TEST(PodStatus, OfARunningPod) {
  StatusFixture fixture;
  fixture.runtime = RuntimeView().add(fixture.pod.spec.containers[0], cri::ContainerState::kRunning).pod;
  auto status = fixture.make();
  EXPECT_EQ(status.phase, "Running");
  EXPECT_EQ(status.pod_ip, "10.1.1.1");
  EXPECT_TRUE(status.container_statuses[0].ready);
  EXPECT_EQ(status.container_statuses[0].container_id, "containerd://main0");
  EXPECT_EQ(condition(status, "Ready"), "True");
  fixture.pod.spec.containers[0].readiness_probe.emplace();
  EXPECT_EQ(condition(fixture.make(), "Ready"), "False/ContainersNotReady");
  fixture.probes.set("main0", ProbeKind::kReadiness, true);
  EXPECT_EQ(condition(fixture.make(), "Ready"), "True");
  fixture.pod.spec.readiness_gates.emplace_back().condition_type = "example.com/gate";
  EXPECT_EQ(condition(fixture.make(), "Ready"), "False/ReadinessGatesNotReady");
}

TEST(PodStatus, OfACrashLoop) {
  StatusFixture fixture;
  fixture.runtime = RuntimeView().add(fixture.pod.spec.containers[0], cri::ContainerState::kExited, 3, 2).pod;
  fixture.waiting["main"] = {"CrashLoopBackOff", "back-off 20s"};
  fixture.messages["main2"] = "last words";
  auto status = fixture.make();
  EXPECT_EQ(status.phase, "Running");
  EXPECT_EQ(status.container_statuses[0].state.waiting->reason, "CrashLoopBackOff");
  EXPECT_EQ(status.container_statuses[0].restart_count, 2);
  EXPECT_EQ(status.container_statuses[0].last_state.terminated->exit_code, 3);
  EXPECT_EQ(status.container_statuses[0].last_state.terminated->message, "last words");
}

TEST(PodStatus, OfFinishedPods) {
  struct Row {
    const char* policy;
    int exit_code;
    bool terminal;
    const char* phase;
  };
  for (const Row& row :
       {Row{"Never", 0, false, "Succeeded"}, Row{"Never", 1, false, "Failed"}, Row{"OnFailure", 1, false, "Running"},
        Row{"Always", 0, false, "Running"}, Row{"Always", 0, true, "Succeeded"}, Row{"Always", 143, true, "Failed"}}) {
    StatusFixture fixture;
    fixture.pod = make_pod(row.policy);
    fixture.terminal = row.terminal;
    fixture.runtime =
        RuntimeView().add(fixture.pod.spec.containers[0], cri::ContainerState::kExited, row.exit_code).pod;
    EXPECT_EQ(fixture.make().phase, row.phase) << row.policy << row.exit_code << row.terminal;
  }
  StatusFixture fixture;
  fixture.failure = PodFailure{"DeadlineExceeded", "too long"};
  auto status = fixture.make();
  EXPECT_EQ(status.phase, "Failed");
  EXPECT_EQ(status.reason, "DeadlineExceeded");
}

TEST(PodStatus, KeepsTransitionTimesAndForeignConditions) {
  StatusFixture fixture;
  auto& before = fixture.pod.status.conditions.emplace_back();
  before.type = "Ready";
  before.status = "False";
  before.last_transition_time = api::Time::from_unix(1000);
  auto& foreign = fixture.pod.status.conditions.emplace_back();
  foreign.type = "example.com/other";
  foreign.status = "True";
  auto status = fixture.make();
  EXPECT_EQ(api::find_condition(status.conditions, "Ready")->last_transition_time, api::Time::from_unix(1000));
  EXPECT_NE(api::find_condition(status.conditions, "example.com/other"), nullptr);
}

}  // namespace
}  // namespace trireme::kubelet
