#include "dns/metrics.h"

#include <fmt/format.h>

#include <iterator>

#include "dns/wire.h"

namespace trireme::dns {
namespace {

constexpr Duration kFirstBucket = std::chrono::microseconds(250);
constexpr const char* kTypeNames[] = {"other", "A",  "AAAA", "SRV", "PTR",   "CNAME", "TXT",
                                      "NS",    "MX", "SOA",  "DS",  "HTTPS", "NAPTR", "ANY"};
constexpr const char* kRcodeNames[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
                                       "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "11",
                                       "12",       "13",      "14",       "15",       "BADVERS"};

}  // namespace

size_t Metrics::slot_of(uint16_t type) {
  switch (type) {
    case type::kA:
      return 1;
    case type::kAaaa:
      return 2;
    case type::kSrv:
      return 3;
    case type::kPtr:
      return 4;
    case type::kCname:
      return 5;
    case type::kTxt:
      return 6;
    case type::kNs:
      return 7;
    case type::kMx:
      return 8;
    case type::kSoa:
      return 9;
    case type::kDs:
      return 10;
    case type::kHttps:
      return 11;
    case type::kNaptr:
      return 12;
    case type::kAny:
      return 13;
    default:
      return 0;
  }
}

void Metrics::observe(Duration each, uint64_t count) {
  size_t bucket = 0;
  for (Duration bound = kFirstBucket; bucket < kBuckets && each > bound; bound *= 2) ++bucket;
  bump(durations_[bucket], count);
  bump(duration_sum_, static_cast<uint64_t>(each.count()) * count);
}

void Metrics::add(const Metrics& other) {
  const auto sum = [](Counter& to, const Counter& from) { bump(to, from.load(std::memory_order_relaxed)); };
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      for (size_t k = 0; k < kTypes; ++k) sum(requests_[i][j][k], other.requests_[i][j][k]);
    }
  }
  for (size_t i = 0; i < kRcodes; ++i) sum(responses_[i], other.responses_[i]);
  for (size_t i = 0; i <= kBuckets; ++i) sum(durations_[i], other.durations_[i]);
  sum(duration_sum_, other.duration_sum_);
  sum(hits_, other.hits_);
  sum(misses_, other.misses_);
  sum(forwards_, other.forwards_);
  sum(rejects_, other.rejects_);
  sum(broken_, other.broken_);
}

void Metrics::print(std::string& out, size_t cache_entries) const {
  constexpr const char* kServer = R"(server="dns://:53")";
  auto to = std::back_inserter(out);
  const auto head = [&](const char* name, const char* type, const char* help) {
    fmt::format_to(to, "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  };
  head("coredns_dns_requests_total", "counter", "Counter of DNS requests made per zone, protocol and family.");
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      for (size_t k = 0; k < kTypes; ++k) {
        if (const uint64_t value = requests_[i][j][k]; value > 0) {
          fmt::format_to(
              to, "coredns_dns_requests_total{{family=\"{}\",proto=\"{}\",{},type=\"{}\",view=\"\",zone=\".\"}} {}\n",
              j + 1, i == 0 ? "udp" : "tcp", kServer, kTypeNames[k], value);
        }
      }
    }
  }
  head("coredns_dns_responses_total", "counter", "Counter of response status codes.");
  for (size_t i = 0; i < kRcodes; ++i) {
    if (const uint64_t value = responses_[i]; value > 0) {
      fmt::format_to(to, "coredns_dns_responses_total{{plugin=\"\",rcode=\"{}\",{},view=\"\",zone=\".\"}} {}\n",
                     kRcodeNames[i], kServer, value);
    }
  }
  head("coredns_dns_request_duration_seconds", "histogram",
       "Histogram of the time (in seconds) each request took per zone.");
  uint64_t below = 0;
  double bound = 0.00025;
  for (size_t i = 0; i < kBuckets; ++i, bound *= 2) {
    below += durations_[i];
    fmt::format_to(to, "coredns_dns_request_duration_seconds_bucket{{{},view=\"\",zone=\".\",le=\"{}\"}} {}\n", kServer,
                   bound, below);
  }
  below += durations_[kBuckets];
  fmt::format_to(to, "coredns_dns_request_duration_seconds_bucket{{{},view=\"\",zone=\".\",le=\"+Inf\"}} {}\n", kServer,
                 below);
  fmt::format_to(to, "coredns_dns_request_duration_seconds_sum{{{},view=\"\",zone=\".\"}} {}\n", kServer,
                 static_cast<double>(duration_sum_) / 1e9);
  fmt::format_to(to, "coredns_dns_request_duration_seconds_count{{{},view=\"\",zone=\".\"}} {}\n", kServer, below);
  const auto single = [&](const char* name, const char* type, const char* help, const char* labels, uint64_t value) {
    head(name, type, help);
    fmt::format_to(to, "{}{{{}}} {}\n", name, labels, value);
  };
  const std::string cache = fmt::format("{},view=\"\",zones=\".\"", kServer);
  single("coredns_cache_hits_total", "counter", "The count of cache hits.", cache.c_str(), hits_);
  single("coredns_cache_misses_total", "counter", "The count of cache misses.", cache.c_str(), misses_);
  single("coredns_cache_entries", "gauge", "The number of elements in the cache.", cache.c_str(), cache_entries);
  single("coredns_proxy_requests_total", "counter", "Counter of requests made per upstream.", "proxy_name=\"forward\"",
         forwards_);
  single("coredns_forward_max_concurrent_rejects_total", "counter",
         "Counter of the number of queries rejected because the concurrent queries were at maximum.", "", rejects_);
  single("coredns_forward_healthcheck_broken_total", "counter",
         "Counter of the number of complete failures of the healthchecks.", "", broken_);
}

}  // namespace trireme::dns
