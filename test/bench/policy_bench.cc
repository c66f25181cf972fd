// 1,000 network policies and 5,000 pods: the time to compute and to program all rules of one node, what one pod's
// change costs, and the memory of it. In a network namespace of its own; needs root.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "policy/kernel_table.h"
#include "policy/model.h"
#include "policy/testing/objects.h"
#include "support/net_namespace.h"

namespace {

using namespace trireme;          // NOLINT: a program of one file
using namespace trireme::policy;  // NOLINT
using Clock = std::chrono::steady_clock;

constexpr int kNamespaces = 100;
constexpr int kPolicies = 1000;
constexpr int kPods = 5000;
constexpr int kLocalEvery = 50;  // 100 pods on this node
constexpr int kRounds = 5;
constexpr int kChanges = 200;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  long total = 0;
  long resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

std::string ns_of(int number) { return fmt::format("team-{}", number % kNamespaces); }

PodSpec pod(int number, int version = 1) {
  PodSpec spec;
  spec.key = fmt::format("{}/pod-{}", ns_of(number), number);
  spec.labels = fmt::format("app=app-{},tier={}", number / kNamespaces % 10, number % 3 == 0 ? "front" : "back");
  spec.node = number % kLocalEvery == 0 ? "node-1" : fmt::format("node-{}", 2 + number % kLocalEvery);
  spec.addresses = {fmt::format("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256),
                    fmt::format("fd00::{:x}", number + 1)};
  spec.ports = {"http/TCP/8080"};
  spec.version = version;
  return spec;
}

/// Ten policies in each namespace: callers by pods, by namespaces and by blocks, ports by number, range and name.
auto policy_object(int number) {
  static constexpr const char* kSpecs[] = {
      "{{podSelector: {{}}, policyTypes: [Ingress]}}",
      "{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{namespaceSelector: {{}}}}]}}]}}",
      "{{podSelector: {{matchLabels: {{tier: front}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: "
      "app-{0}}}}}}}], ports: "
      "[{{port: http}}]}}]}}",
      "{{podSelector: {{matchLabels: {{app: app-{0}}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{tier: "
      "front}}}}}}, "
      "{{namespaceSelector: {{matchLabels: {{team: t{0}}}}}}}], ports: [{{port: 80}}, {{port: 8000, endPort: "
      "8080}}]}}]}}",
      "{{podSelector: {{matchLabels: {{app: app-{0}}}}}, ingress: [{{from: [{{ipBlock: {{cidr: 192.0.2.0/24, except: "
      "[192.0.2.128/25]}}}}], ports: [{{port: 443}}]}}]}}",
  };
  const int in_ns = number / kNamespaces;
  return make_policy(fmt::format("{}/policy-{}", ns_of(number), in_ns),
                     fmt::format(fmt::runtime(kSpecs[in_ns % 5]), in_ns));
}

int fail(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
  return 1;
}

int run() {
  if (auto reason = test::NetNamespace::why_not()) return fail(*reason);
  test::NetNamespace own;
  if (!own.entered()) return fail("no network namespace");
  std::vector<Model::Policy> policies;
  std::vector<Model::Pod> pods;
  std::vector<Model::Namespace> namespaces;
  for (int i = 0; i < kNamespaces; ++i) namespaces.push_back(make_namespace(ns_of(i), fmt::format("team=t{}", i % 10)));
  for (int i = 0; i < kPods; ++i) pods.push_back(make_pod(pod(i)));
  for (int i = 0; i < kPolicies; ++i) policies.push_back(policy_object(i));
  malloc_trim(0);
  const double before = resident_mib();

  auto table = KernelTable::open([] {});
  if (!table.ok()) return fail(table.status().message());
  std::unique_ptr<Model> model;
  std::vector<double> compute;
  std::vector<double> program;
  size_t elements = 0;
  size_t chains = 0;
  for (int round = 0; round < kRounds; ++round) {
    model = std::make_unique<Model>("node-1");
    const auto start = Clock::now();
    for (const auto& ns : namespaces) model->set_namespace(ns);
    for (const auto& each : pods) model->set_pod(each);
    for (const auto& each : policies) model->set_policy(each);
    const Changes changes = model->everything();
    compute.push_back(milliseconds_since(start));
    const auto kernel = Clock::now();
    if (Status status = (*table)->replace(changes); !status.ok()) return fail(status.message());
    program.push_back(milliseconds_since(kernel));
    elements = 0;
    for (const auto& set : changes.sets) elements += set.added.size();
    chains = changes.chains.size();
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  malloc_trim(0);
  const double after = resident_mib();

  std::vector<double> pod_changes;
  std::vector<double> local_changes;
  size_t touched = 0;
  for (int i = 0; i < kChanges; ++i) {
    const bool local = i % 2 == 0;
    const int number = local ? i % 100 * kLocalEvery : i * 7 + 1;
    PodSpec spec = pod(number, i + 2);
    // Every pod comes twice, and with other labels each time.
    spec.labels = (i / 2 + i / 100) % 2 == 0 ? "app=app-1,tier=front" : "app=app-2,tier=back";
    const auto start = Clock::now();
    model->set_pod(make_pod(spec));
    const Changes changes = model->take_changes();
    if (Status status = (*table)->apply(changes); !status.ok()) return fail(status.message());
    (local ? local_changes : pod_changes).push_back(milliseconds_since(start));
    for (const auto& set : changes.sets) touched += set.added.size() + set.removed.size();
  }
  std::vector<double> policy_changes;
  for (int i = 0; i < kChanges / 2; ++i) {
    const std::string key = fmt::format("{}/policy-3", ns_of(i));
    const auto start = Clock::now();
    model->set_policy(
        make_policy(key, fmt::format("{{podSelector: {{}}, ingress: [{{ports: [{{port: {}}}]}}]}}", i + 1)));
    if (Status status = (*table)->apply(model->take_changes()); !status.ok()) return fail(status.message());
    policy_changes.push_back(milliseconds_since(start));
  }
  fmt::print("{} policies, {} pods ({} here), {} namespaces: {} elements, {} chains\n", kPolicies, kPods,
             kPods / kLocalEvery, kNamespaces, elements, chains);
  fmt::print("all rules: computed in {:.1f} ms, programmed in {:.1f} ms (medians of {})\n", median(compute),
             median(program), kRounds);
  fmt::print("one pod elsewhere: {:.2f} ms; one pod here: {:.2f} ms ({:.1f} elements each); one policy: {:.2f} ms\n",
             median(pod_changes), median(local_changes), static_cast<double>(touched) / kChanges,
             median(policy_changes));
  fmt::print("memory: {:.1f} MiB for the model, peak of the process {:.1f} MiB\n", after - before,
             static_cast<double>(usage.ru_maxrss) / 1024);
  return (*table)->remove().ok() ? 0 : 1;
}

}  // namespace

int main() { return run(); }
