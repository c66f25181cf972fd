#include "api/compact.h"

#include <gtest/gtest.h>

#include <thread>

#include "api/codec.h"
#include "api/types/corev1.h"

namespace trireme::api {
namespace {

corev1::Pod pod() {
  corev1::Pod out;
  out.metadata.name = "a-name-longer-than-what-fits-into-a-string";
  for (const char* label : {"app", "tier", "release"}) out.metadata.labels.emplace(label, "some value of some length");
  out.spec.node_selector.emplace("x", "y");
  auto& container = out.spec.containers.emplace_back();
  container.name = "main";
  container.resources.requests.emplace("memory", Quantity::parse("16Mi").value());
  container.resources.limits.emplace("cpu", Quantity::of_milli(1500));
  container.liveness_probe.emplace().period_seconds = 3;
  out.spec.volumes.emplace_back().volume_source.host_path.emplace().path = "/var/lib/somewhere/else/on/the/node";
  out.status.start_time = Time::from_unix(1);
  return out;
}

TEST(CompactObjectTest, IsEqualToWhatItIsACopyOf) {
  const Object original = Object::of(pod());
  std::string expected;
  append_json(original.type(), original.data(), expected);
  const CompactObject compact(original);
  std::string text;
  append_json(compact.get().type(), compact.get().data(), text);
  EXPECT_EQ(text, expected);
  EXPECT_EQ(compact.get().metadata().name, pod().metadata.name);
}

TEST(CompactObjectTest, CopiesOfItAreOrdinary) {
  Object copy;
  {
    const CompactObject compact(Object::of(pod()));
    copy = compact.get().clone();
  }
  copy.as<corev1::Pod>()->spec.containers.clear();
  copy.metadata().labels["more"] = std::string(100, 'x');
  EXPECT_EQ(copy.metadata().labels.size(), 4u);
}

TEST(CompactObjectTest, TakesLargeOnes) {
  corev1::ConfigMap map;
  map.metadata.name = "large";
  for (int i = 0; i < 100; ++i) map.data.emplace("key-" + std::to_string(i), std::string(10'000, 'x'));
  const CompactObject compact(Object::of(map));
  const auto* kept = compact.get().as<corev1::ConfigMap>();
  ASSERT_EQ(kept->data.size(), 100u);
  EXPECT_TRUE(kept->data == map.data);
}

TEST(CompactObjectTest, ManyThreadsMakeThem) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      std::vector<std::unique_ptr<CompactObject>> kept;
      for (int i = 0; i < 500; ++i) {
        kept.push_back(std::make_unique<CompactObject>(Object::of(pod())));
        if (i % 3 == 0) kept.erase(kept.begin());
      }
      for (const auto& each : kept) EXPECT_EQ(each->get().as<corev1::Pod>()->spec.containers.size(), 1u);
    });
  }
}

}  // namespace
}  // namespace trireme::api
