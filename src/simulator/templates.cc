#include "simulator/templates.h"

#include <fmt/format.h>

#include "controllers/support/pods.h"

namespace trireme::simulator {

namespace corev1 = api::corev1;

std::string image_of(int version) { return fmt::format("registry.k8s.io/pause:3.{}", version); }

corev1::PodTemplateSpec pod_template(const std::string& app, Random& random) {
  corev1::PodTemplateSpec out;
  out.metadata.labels.insert_or_assign(std::string(Observer::kAppLabel), app);
  auto& container = out.spec.containers.emplace_back();
  container.name = "main";
  container.image = image_of(1);
  // A hundred to five hundred thousandths of a CPU, 128 to 640 MiB.
  const auto size = static_cast<int64_t>(1 + random.below(5));
  container.resources.requests.insert_or_assign("cpu", Quantity::of_milli(100 * size));
  container.resources.requests.insert_or_assign("memory", Quantity::of(size << 27, Quantity::Format::kBinarySi));
  return out;
}

void plan_namespace(World& world, const std::string& name) {
  world.after(Duration::zero(), [&world, name] {
    corev1::Namespace ns;
    ns.metadata.name = name;
    if (const auto made = world.client().create(ns); !made.ok()) world.fail("namespace: " + made.status().message());
  });
}

void check_bindings(World& world) {
  Observer& observer = world.observer();
  for (const auto& pod : observer.pods().list()) {
    const std::string& node = pod->spec.node_name;
    if (controllers::is_finished(*pod)) continue;
    if (node.empty() || (observer.nodes().get("", node) && world.nodes().is_up(node))) continue;
    world.fail(fmt::format("pod {}/{} is bound to {}, which is gone or does not answer", pod->metadata.namespace_,
                           pod->metadata.name, node));
  }
}

}  // namespace trireme::simulator
