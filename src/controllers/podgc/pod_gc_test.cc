#include <gtest/gtest.h>

#include "controllers/podgc/pod_gc_controller.h"

namespace trireme::controllers {
namespace {

PodPointer finished(const std::string& name, int64_t created, const std::string& reason = {}) {
  api::corev1::Pod pod;
  pod.metadata.name = name;
  pod.metadata.creation_timestamp = api::Time::from_unix(created);
  pod.status.phase = "Failed";
  pod.status.reason = reason;
  return std::make_shared<const api::corev1::Pod>(std::move(pod));
}

TEST(SurplusFinishedTest, EvictedThenOldestGo) {
  const std::vector<PodPointer> pods{finished("young", 30), finished("old", 10), finished("evicted", 40, "Evicted"),
                                     finished("middle", 20)};
  const auto names = [&](size_t threshold) {
    std::string out;
    for (const PodPointer& pod : surplus_finished(pods, threshold)) out += pod->metadata.name + " ";
    return out;
  };
  EXPECT_EQ(names(4), "");
  EXPECT_EQ(names(3), "evicted ");
  EXPECT_EQ(names(1), "evicted old middle ");
  EXPECT_EQ(names(0), "evicted old middle young ");
}

}  // namespace
}  // namespace trireme::controllers
