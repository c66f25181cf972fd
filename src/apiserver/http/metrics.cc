#include "apiserver/http/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/scheme.h"

namespace trireme::apiserver {

namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

/// The verb label as upstream writes it: LIST, WATCH and DELETECOLLECTION, otherwise the HTTP method.
std::string verb_label(const RequestInfo& info) {
  if (info.verb == "create") return "POST";
  if (info.verb == "update") return "PUT";
  return upper(info.verb);
}

void append_process(std::string& out, WallTime started) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  long pages_total = 0;
  long pages_resident = 0;
  std::ifstream("/proc/self/statm") >> pages_total >> pages_resident;
  std::error_code error;
  auto files = std::filesystem::directory_iterator("/proc/self/fd", error);
  long descriptors = error ? 0 : std::distance(begin(files), end(files));
  long page = sysconf(_SC_PAGESIZE);
  auto sink = std::back_inserter(out);
  auto gauge = [&](std::string_view name, std::string_view type, double value) {
    fmt::format_to(sink, "# TYPE {} {}\n{} {}\n", name, type, name, value);
  };
  gauge("process_cpu_seconds_total", "counter", seconds(usage.ru_utime) + seconds(usage.ru_stime));
  gauge("process_resident_memory_bytes", "gauge", static_cast<double>(pages_resident * page));
  gauge("process_virtual_memory_bytes", "gauge", static_cast<double>(pages_total * page));
  gauge("process_open_fds", "gauge", static_cast<double>(descriptors));
  gauge("process_start_time_seconds", "gauge", std::chrono::duration<double>(started.time_since_epoch()).count());
}

}  // namespace

void Metrics::finished(const RequestInfo& info, bool custom, int code, Duration took) {
  Key key{.verb = verb_label(info)};
  if (info.is_resource && (custom || api::find_resource(info.group, info.version, info.resource) != nullptr)) {
    key.group = info.group;
    key.version = info.version;
    key.resource = info.resource;
    key.subresource = info.subresource;
    key.scope = !info.name.empty() ? "resource" : !info.ns.empty() ? "namespace" : "cluster";
  }
  double seconds = std::chrono::duration<double>(took).count();
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;

  std::scoped_lock lock(mutex_);
  auto found = series_.find(key);
  if (found == series_.end()) {
    if (series_.size() >= kMaxSeries) return;
    found = series_.emplace(std::move(key), Series()).first;
  }
  ++found->second.by_code[code];
  ++found->second.durations.counts[bucket];
  found->second.durations.sum += seconds;
}

std::string Metrics::text() const {
  std::string out;
  auto sink = std::back_inserter(out);
  {
    std::scoped_lock lock(mutex_);
    auto labels = [](const Key& key) {
      return fmt::format(R"(group="{}",resource="{}",scope="{}",subresource="{}",verb="{}",version="{}")", key.group,
                         key.resource, key.scope, key.subresource, key.verb, key.version);
    };
    out +=
        "# HELP apiserver_request_total Requests by verb, resource and HTTP response code.\n"
        "# TYPE apiserver_request_total counter\n";
    for (const auto& [key, series] : series_) {
      for (const auto& [code, count] : series.by_code) {
        fmt::format_to(sink, "apiserver_request_total{{code=\"{}\",{}}} {}\n", code, labels(key), count);
      }
    }
    out +=
        "# HELP apiserver_request_duration_seconds Time until the answer (or its head, for streams) was sent.\n"
        "# TYPE apiserver_request_duration_seconds histogram\n";
    for (const auto& [key, series] : series_) {
      std::string text = labels(key);
      uint64_t total = 0;
      for (size_t i = 0; i < kBounds.size(); ++i) {
        total += series.durations.counts[i];
        fmt::format_to(sink, "apiserver_request_duration_seconds_bucket{{{},le=\"{}\"}} {}\n", text, kBounds[i], total);
      }
      total += series.durations.counts.back();
      fmt::format_to(sink, "apiserver_request_duration_seconds_bucket{{{},le=\"+Inf\"}} {}\n", text, total);
      fmt::format_to(sink, "apiserver_request_duration_seconds_sum{{{}}} {}\n", text, series.durations.sum);
      fmt::format_to(sink, "apiserver_request_duration_seconds_count{{{}}} {}\n", text, total);
    }
  }
  fmt::format_to(sink,
                 "# HELP apiserver_longrunning_requests Watches being served.\n"
                 "# TYPE apiserver_longrunning_requests gauge\napiserver_longrunning_requests{{verb=\"WATCH\"}} {}\n",
                 watches_.load());
  append_process(out, started_);
  for (const auto& collect : collectors_) collect(out);
  return out;
}

}  // namespace trireme::apiserver
