#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/leader_election.h"
#include "scheduler/args.h"
#include "scheduler/registry.h"

/// KubeSchedulerConfiguration: what a scheduler process is told by its file.
/// https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/
namespace trireme::scheduler {

struct PluginSetting {
  std::string name;
  int64_t weight = 0;  ///< 0: the default.
};
struct PluginSet {
  std::vector<PluginSetting> enabled;
  std::vector<std::string> disabled;  ///< "*" stands for all that are on by default.
};

/// The extension points that a configuration knows; several of them are one Point.
enum class ConfigPoint : uint8_t {
  kMultiPoint,
  kPreEnqueue,
  kQueueSort,
  kPreFilter,
  kFilter,
  kPostFilter,
  kPreScore,
  kScore,
  kReserve,
  kPermit,
  kPreBind,
  kBind,
  kPostBind,
};
inline constexpr size_t kConfigPoints = 13;

struct ProfileConfig {
  std::string scheduler_name = "default-scheduler";
  std::optional<int32_t> percentage_of_nodes_to_score;
  std::array<PluginSet, kConfigPoints> plugins;
  PluginArgs args;
};

/// A process beside the scheduler that it asks over HTTP.
/// https://github.com/kubernetes/design-proposals-archive/blob/main/scheduling/scheduler_extender.md
struct ExtenderConfig {
  std::string url_prefix;
  std::string filter_verb;
  std::string prioritize_verb;
  std::string preempt_verb;
  std::string bind_verb;
  int64_t weight = 1;
  Duration timeout = std::chrono::seconds(5);
  bool node_cache_capable = false;  ///< It knows nodes by name.
  bool ignorable = false;           ///< When it fails the scheduler goes on without it.
  struct Resource {
    std::string name;
    bool ignored_by_scheduler = false;
  };
  std::vector<Resource> managed_resources;  ///< When set, it is asked only for pods that want one of them.
  bool enable_https = false;
  bool insecure = false;
  std::string server_name;
  std::string ca_pem, certificate_pem, key_pem;
};

struct Configuration {
  std::vector<ProfileConfig> profiles = {ProfileConfig()};
  std::vector<ExtenderConfig> extenders;
  int32_t parallelism = 16;  ///< Accepted; one thread decides.
  int32_t percentage_of_nodes_to_score = 0;
  Duration pod_initial_backoff = std::chrono::seconds(1);
  Duration pod_max_backoff = std::chrono::seconds(10);
  bool leader_elect = true;
  client::LeaderElectionOptions leader_election{.name = "kube-scheduler"};
  std::string kubeconfig;
};

/// Reads a configuration (YAML or JSON). BadRequest lists everything that is wrong, with the fields' paths. Files that
/// it names (certificates) are read.
Result<Configuration> parse_configuration(std::string_view text);

/// The profile as configured. BadRequest when a plugin does not exist or does not serve a point it is enabled at.
Result<Profile> make_profile(const ProfileConfig& config, PluginContext context);

}  // namespace trireme::scheduler
