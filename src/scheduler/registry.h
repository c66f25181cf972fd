#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "client/client.h"
#include "client/informer_factory.h"
#include "scheduler/args.h"
#include "scheduler/framework.h"

/// Which plugins there are, and how they are made.
namespace trireme::scheduler {

class Extender;
class Nominations;

/// Pods that a plugin's `permit` has made wait. Thread-safe.
class WaitingPods {
 public:
  virtual ~WaitingPods() = default;
  virtual void allow(const std::string& uid, std::string_view plugin) = 0;
  virtual void refuse(const std::string& uid, std::string_view plugin, std::string message) = 0;
};

/// What a plugin is made from. Everything outlives the plugin.
struct PluginContext {
  PluginArgs args;
  /// Not started yet: ask for informers when the plugin is made. Null without an API server: plugins that cannot do
  /// without are then left out of profiles.
  client::InformerFactory* informers = nullptr;
  std::optional<client::Client> client;  ///< Set when `informers` is.
  std::shared_ptr<Clock> clock;
  const Cache* cache = nullptr;  ///< The scheduling thread's, as are the nominations.
  const Nominations* nominations = nullptr;
  WaitingPods* waiting = nullptr;
  const std::vector<std::unique_ptr<Extender>>* extenders = nullptr;  ///< Null: none.
  uint64_t random_seed = 1;
};

struct PluginDescriptor {
  std::string_view name;
  int64_t weight;      ///< Of its score by default; 0: 1 when somebody enables it as a score.
  bool on_by_default;  ///< Takes part, at all its points, unless a configuration says otherwise.
  /// Null when it cannot work in this context.
  std::function<std::shared_ptr<Plugin>(const PluginContext&)> make;
};

/// All plugins, in the order in which the default profile asks them.
/// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
std::span<const PluginDescriptor> plugin_registry();
/// Null when there is no such plugin.
const PluginDescriptor* find_plugin(std::string_view name);

/// Upstream's default plugins and weights.
Profile default_profile(const PluginContext& context = {});

}  // namespace trireme::scheduler
