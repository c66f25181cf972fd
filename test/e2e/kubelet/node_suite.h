#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/types/corev1.h"
#include "apiserver/api_server.h"
#include "client/client.h"
#include "containerd_instance.h"
#include "kubelet/kubelet.h"

namespace trireme::test {

/// A node of the test's own: an API server in this process, a containerd that the tests of a suite share, and a kubelet
/// named "test-node". Skips where the machine lacks what it takes. In the end no pod, mount or control group is left.
class NodeSuite : public testing::Test {
 protected:
  using Pod = api::corev1::Pod;

  static void SetUpTestSuite();
  static void TearDownTestSuite();
  /// Ends all pods, then `stop_components`, then the kubelet and the server.
  void TearDown() override;
  /// What else speaks with the server.
  virtual void stop_components() {}

  /// Ends the test where there is no containerd; then the caller must return.
  void need_containerd();
  /// On the real clock and a memory store, unless `options` name others.
  void start_server(apiserver::Options options);
  /// Who the server sees; nobody in particular without a user.
  std::shared_ptr<client::RawClient> raw(const std::string& user, std::vector<std::string> groups = {});
  /// `options` need not name the node, its folders or the runtime.
  void start_kubelet(kubelet::KubeletOptions options, std::shared_ptr<client::RawClient> as);

  std::string root() const { return containerd_->directory() + "/kubelet"; }
  static std::string cgroup_root();

  /// Waits for a condition of the real world, which no clock of ours drives.
  template <typename Condition>
  static bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(40)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  /// One container "main" of the busybox image; a second is enough to end it.
  static Pod make_pod(const std::string& name, std::vector<std::string> command);
  Pod get(const std::string& name);
  void remove(const std::string& name, int64_t grace);
  /// Fails the test, with the pod's status and all events, when it is not reached.
  bool wait_phase(const std::string& name, std::string_view phase);
  std::string log_of(const Pod& pod, const std::string& container = "main", int attempt = 0);

  static inline std::unique_ptr<ContainerdInstance> containerd_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;  ///< An administrator's.
  std::unique_ptr<kubelet::Kubelet> kubelet_;
};

}  // namespace trireme::test
