// Writes to a SQLite store from many threads until it is killed, and reports every acknowledged write on its standard
// output: "put KEY REVISION NUMBER" or "delete KEY REVISION", one write(2) a line, so that no line is torn.

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "store/sqlite_store.h"
#include "store_storm.h"

namespace {

constexpr int kThreads = 12;
constexpr int kSharedKeys = 20;
constexpr int kOwnKeys = 10;

using trireme::Reason;
using trireme::store::Revision;
using trireme::store::Store;

void report(const std::string& line) {
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::_Exit(3);
}

/// One write with the revision the store has for the key. Another thread may be faster: then nothing is reported.
void write_once(Store& store, const std::string& key, uint64_t number, std::mt19937_64& random) {
  auto now = store.get(key);
  if (!now.ok() && !now.status().is(Reason::kNotFound)) {
    fmt::print(stderr, "read: {}\n", now.status().to_string());
    std::_Exit(4);
  }
  const Revision expected = now.ok() ? now->mod_revision : 0;
  const bool remove = expected != 0 && random() % 6 == 0;
  const std::size_t length = random() % 16 == 0 ? 20000 + random() % 40000 : 50 + random() % 3000;
  auto written = remove
                     ? store.remove(key, expected)
                     : store.put(key, trireme::share(trireme::robustness::storm_value(key, number, length)), expected);
  if (written.ok()) {
    report(remove ? fmt::format("delete {} {}\n", key, *written)
                  : fmt::format("put {} {} {}\n", key, *written, number));
  } else if (!written.status().is(Reason::kConflict)) {
    fmt::print(stderr, "write: {}\n", written.status().to_string());
    std::_Exit(5);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: store_storm_writer DATABASE SEED\n");
    return 2;
  }
  const uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  auto opened = trireme::store::sqlite_store({.path = argv[1], .clock = trireme::real_clock()});
  if (!opened.ok()) {
    fmt::print(stderr, "open: {}\n", opened.status().to_string());
    return 1;
  }
  Store& store = **opened;
  const Revision first = store.current_revision().value();  // before anything is written here
  report("ready\n");
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&store, thread, seed] {
      std::mt19937_64 random(seed * 1000 + thread);
      for (uint64_t count = 0;; ++count) {
        const std::string key = random() % 2 == 0 ? fmt::format("/shared/{}", random() % kSharedKeys)
                                                  : fmt::format("/own/{}/{}", thread, random() % kOwnKeys);
        write_once(store, key, (seed * 100 + thread) * 10'000'000 + count, random);
      }
    });
  }
  // Compactions are part of the storm: a kill may come in the middle of one. What this process writes is newer and
  // stays, so that the judge can replay it.
  if (seed % 3 == 0) {
    if (trireme::Status status = store.compact(first); !status.ok()) {
      fmt::print(stderr, "compact: {}\n", status.to_string());
      std::_Exit(6);
    }
  }
  threads.clear();  // never comes back
}
