#include "kubecfg/kubecfg.h"

#include <iostream>

#include "base/version.h"
#include "kubecfg/commands.h"
#include "kubecfg/options.h"

namespace trireme::kubecfg {
namespace {

constexpr int kUsageExit = 1;
constexpr int kFlagExit = 2;
constexpr int kFailureExit = 255;

int print_server_version(const Options& options) {
  auto connection = connect(options);
  if (connection.ok()) {
    Session session(std::move(*connection), options);
    auto version = session.get_text("/version");
    if (version.ok()) {
      std::cout << "Server: " << *version << "\n";
      return 0;
    }
    std::cerr << "kubecfg: " << version.status().message() << "\n";
    return kUsageExit;
  }
  std::cerr << "kubecfg: " << connection.status().message() << "\n";
  return kUsageExit;
}

}  // namespace

int run(const std::vector<std::string>& words) {
  Options options;
  FlagSet flags = make_flags(options);
  auto arguments = flags.parse(words);
  if (!arguments.ok()) {
    std::cerr << "kubecfg: " << arguments.status().message() << "\n";
    return kFlagExit;
  }
  if (options.help) {
    std::cout << flags.help();
    return 0;
  }
  if (options.version) {
    std::cout << "Kubernetes " << kVersion << "\n";
    return 0;
  }
  if (options.server_version) return print_server_version(options);
  if (options.api_version != "v1beta1" && options.api_version != "v1beta2") {
    std::cerr << "kubecfg: -api_version must be v1beta1 or v1beta2\n";
    return kFlagExit;
  }
  if (arguments->empty()) {
    std::cerr << flags.help();
    return kUsageExit;
  }
  auto output = execute(*arguments, options);
  if (!output.ok()) {
    std::cerr << "kubecfg: " << output.status().message() << "\n";
    return kFailureExit;
  }
  std::cout << *output << std::flush;
  return 0;
}

}  // namespace trireme::kubecfg
