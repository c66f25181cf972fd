// Figures of the stores: durable writes with 1, 8 and 64 clients, CPU time of a write, reads of 3,000 entries, and
// resident memory. `store_bench [DIRECTORY]`: where the database is made decides what a sync costs (default: the
// current directory).

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/memory_store.h"
#include "store/sqlite_store.h"

namespace {

using namespace std::chrono_literals;
using trireme::store::Revision;
using trireme::store::Store;
using SteadyClock = std::chrono::steady_clock;

constexpr int kEntries = 3000;
constexpr std::size_t kValueBytes = 1300;  // about a pod's

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  long pages = 0;
  statm >> pages >> pages;
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void print(const std::string& what, double value, const char* unit) {
  fmt::print("{:<44}{:>12.1f} {}\n", what, value, unit);
}

template <typename T>
T must(trireme::Result<T> result) {
  if (result.ok()) return *std::move(result);
  fmt::print(stderr, "store_bench: {}\n", result.status().to_string());
  std::exit(1);
}

std::string key_of(int number) { return fmt::format("/registry/pods/default/pod-{:06}", number); }

/// Each client creates and then updates keys of its own.
void measure_puts(const std::string& name, Store& store, int clients, std::chrono::milliseconds length) {
  const auto value = trireme::share(std::string(kValueBytes, 'v'));
  std::atomic<bool> stop = false;
  std::atomic<int64_t> writes = 0;
  std::latch ready(clients + 1);
  std::vector<std::jthread> threads;
  for (int client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      std::vector<Revision> revisions(20, 0);
      for (std::size_t i = 0; i < revisions.size(); ++i) {
        const std::string key = fmt::format("/bench/{}/{}", client, i);
        if (auto known = store.get(key); known.ok()) revisions[i] = known->mod_revision;
      }
      ready.arrive_and_wait();
      for (std::size_t i = 0; !stop; i = (i + 1) % revisions.size()) {
        revisions[i] = must(store.put(fmt::format("/bench/{}/{}", client, i), value, revisions[i]));
        ++writes;
      }
    });
  }
  ready.arrive_and_wait();
  const auto start = SteadyClock::now();
  const double cpu = cpu_seconds();
  std::this_thread::sleep_for(length);
  const int64_t count = writes;
  const double used = cpu_seconds() - cpu;
  const double elapsed = seconds_since(start);
  stop = true;
  threads.clear();
  print(fmt::format("{}: puts, {} clients", name, clients), static_cast<double>(count) / elapsed, "/s");
  print(fmt::format("{}: CPU of a put, {} clients", name, clients), used / static_cast<double>(count) * 1e6, "us");
}

template <typename Body>
void measure_reads(const std::string& what, Body&& body, const char* unit, double scale) {
  constexpr int kRounds = 20;
  body();
  const double cpu = cpu_seconds();
  for (int round = 0; round < kRounds; ++round) body();
  print(what, (cpu_seconds() - cpu) / kRounds * scale, unit);
}

void measure(const std::string& name, Store& store) {
  for (int clients : {1, 8, 64}) measure_puts(name, store, clients, 1500ms);
  const auto start = SteadyClock::now();
  if (auto status = store.compact(must(store.current_revision())); !status.ok()) std::exit(1);
  print(name + ": compaction of the above", seconds_since(start) * 1e3, "ms");

  const std::string end = trireme::store::prefix_end("/registry/");
  measure_reads(
      name + ": CPU of a range of 3,000", [&] { must(store.range("/registry/", end, {})); }, "ms", 1e3);
  measure_reads(
      name + ": CPU of its keys only", [&] { must(store.range("/registry/", end, {.keys_only = true})); }, "ms", 1e3);
  measure_reads(
      name + ": CPU of a page of 500", [&] { must(store.range("/registry/", end, {.limit = 500})); }, "ms", 1e3);
  const std::string key = key_of(kEntries / 2);
  measure_reads(
      name + ": CPU of 1,000 gets",
      [&] {
        for (int i = 0; i < 1000; ++i) must(store.get(key));
      },
      "us each", 1e3);
}

void measure_sync(const std::filesystem::path& directory) {
  const std::string path = directory / "sync";
  int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const std::string block(4096, 'x');
  constexpr int kSyncs = 200;
  const auto start = SteadyClock::now();
  for (int i = 0; i < kSyncs; ++i) {
    if (::pwrite(fd, block.data(), block.size(), (i % 64) * 4096) < 0 || ::fdatasync(fd) != 0) break;
  }
  print("disk: 4 KiB write and fdatasync", seconds_since(start) / kSyncs * 1e6, "us");
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = (std::filesystem::path(argc > 1 ? argv[1] : ".") / "store-bench-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) {
    fmt::print(stderr, "store_bench: can't make {}\n", directory);
    return 1;
  }
  measure_sync(directory);
  {
    const double before = resident_mib();
    auto start = SteadyClock::now();
    auto sqlite = must(trireme::store::sqlite_store({.path = directory + "/state.db", .clock = trireme::real_clock()}));
    print("SQLite: open of a new database", seconds_since(start) * 1e3, "ms");
    for (int i = 0; i < kEntries; ++i) must(sqlite->put(key_of(i), trireme::share(std::string(kValueBytes, 'v')), 0));
    must(sqlite->range("/registry/", trireme::store::prefix_end("/registry/"), {.keys_only = true}));
    print("SQLite: resident memory with 3,000 entries", resident_mib() - before, "MiB above the start");
    measure("SQLite", *sqlite);
    print("SQLite: resident memory after the above", resident_mib() - before, "MiB above the start");
    sqlite.reset();
    start = SteadyClock::now();
    sqlite = must(trireme::store::sqlite_store({.path = directory + "/state.db", .clock = trireme::real_clock()}));
    print("SQLite: open again", seconds_since(start) * 1e3, "ms");
  }
  {
    auto memory = trireme::store::memory_store(trireme::real_clock());
    for (int i = 0; i < kEntries; ++i) must(memory->put(key_of(i), trireme::share(std::string(kValueBytes, 'v')), 0));
    measure("memory", *memory);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  return 0;
}
