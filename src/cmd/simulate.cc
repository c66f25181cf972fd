#include "simulator/simulate.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/flags.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "simulator/scenario.h"

namespace trireme::cmd {
namespace {

struct File {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Status write_whole(const std::string& path, std::string_view text) {
  const std::unique_ptr<std::FILE, File> file(std::fopen(path.c_str(), "w"));
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size()) {
    return Status::bad_request(fmt::format("cannot write {}", path));
  }
  return {};
}

std::string scenario_help() {
  std::string out = "what happens, one or several of:";
  for (const auto& each : simulator::scenarios()) out += fmt::format("\n      {:<15} {}", each.name, each.help);
  return out + "\n     or \"all\"";
}

}  // namespace

int simulate(const std::vector<std::string>& words) {
  simulator::SimulateOptions options;
  options.progress = true;
  int64_t seed = 1;
  bool help = false;
  bool quiet = false;
  int verbosity = 0;
  std::vector<std::string> names;
  std::string svg, trace;
  FlagSet flags("trireme simulate [flags]");
  flags.add("scenario", &names, scenario_help());
  flags.add("seed", &seed, "decides everything that happens: the same seed is the same run");
  flags.add("nodes", &options.nodes, "hollow nodes");
  flags.add("pods", &options.pods, "pods that the workloads ask for");
  flags.add("zones", &options.zones, "zones that the nodes are spread over");
  flags.add("duration", &options.duration, "virtual time over which a scenario acts");
  flags.add("svg", &svg, "file for a plot of the pods over the virtual time");
  flags.add("trace", &trace, "file for a line per write to the store, to compare two runs");
  flags.add("follow", &options.follow, "print every change of pods and workloads whose NAMESPACE/NAME begins so");
  flags.add("quiet", &quiet, "no progress on stderr");
  flags.add("v", &verbosity, "1: the components' warnings, 2: all they tell");
  flags.add("help", &help, "print this");
  const auto refuse = [](const Status& status) {
    fmt::print(stderr, "trireme simulate: {}\n", status.message());
    return 2;
  };
  if (const auto rest = flags.parse(words); !rest.ok()) {
    return refuse(rest.status());
  } else if (!rest->empty()) {
    return refuse(Status::bad_request("unexpected argument \"" + rest->front() + "\""));
  }
  if (help) {
    fmt::print("{}", flags.help());
    return 0;
  }
  options.seed = static_cast<uint64_t>(seed);
  options.progress = !quiet;
  log::set_level(verbosity >= 2 ? log::Level::kInfo : verbosity == 1 ? log::Level::kWarning : log::Level::kError);
  if (names.empty() || names == std::vector<std::string>{"all"}) {
    names.clear();
    for (const auto& each : simulator::scenarios()) names.emplace_back(each.name);
  }
  std::unique_ptr<std::FILE, File> trace_file;
  if (!trace.empty()) {
    trace_file.reset(std::fopen(trace.c_str(), "w"));
    if (!trace_file) return refuse(Status::bad_request("cannot write " + trace));
    options.trace_file = trace_file.get();
  }

  std::vector<simulator::Report> reports;
  bool failed = false;
  for (const std::string& name : names) {
    auto report = simulator::simulate(name, options);
    if (options.progress) fmt::print(stderr, "\n");
    if (!report.ok()) return refuse(report.status());
    for (const std::string& violation : report->violations) fmt::print("{}: {}\n", name, violation);
    if (!report->violations.empty()) {
      failed = true;
      fmt::print(
          "{0} failed. To see it again: trireme simulate --scenario {0} --seed {1} --nodes {2} --pods {3} "
          "--zones {4} --duration {5}s\n",
          name, options.seed, options.nodes, options.pods, options.zones,
          std::chrono::duration_cast<std::chrono::seconds>(options.duration).count());
    }
    reports.push_back(std::move(*report));
  }
  fmt::print("{}", simulator::print_table(reports));
  if (!svg.empty()) {
    if (const Status written = write_whole(svg, simulator::draw_svg(reports)); !written.ok()) return refuse(written);
  }
  return failed ? 1 : 0;
}

}  // namespace trireme::cmd
