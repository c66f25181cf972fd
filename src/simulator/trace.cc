#include "simulator/trace.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

namespace trireme::simulator {
namespace {

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

uint64_t mix(uint64_t hash, std::string_view bytes) {
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    hash = mix(hash, word);
    bytes.remove_prefix(8);
  }
  uint64_t rest = bytes.size() + 1;
  for (const char c : bytes) rest = (rest << 8) | static_cast<unsigned char>(c);
  return mix(hash, rest);
}

}  // namespace

class Trace::Sink final : public store::WatchSink {
 public:
  Sink(std::shared_ptr<Clock> clock, std::FILE* file) : clock_(std::move(clock)), file_(file) {}
  void events(std::vector<store::Event> batch) override {
    const auto now = static_cast<uint64_t>(clock_->monotonic().count());
    for (const store::Event& event : batch) {
      const uint64_t content = event.entry.value ? mix(uint64_t{7}, *event.entry.value) : 0;
      hash_ = mix(mix(mix(mix(hash_, event.entry.key), content), now), static_cast<uint64_t>(event.entry.mod_revision));
      ++writes_;
      if (file_) {
        fmt::print(file_, "{} {:.6f} {} {:016x}\n", event.entry.mod_revision, static_cast<double>(now) / 1e9,
                   event.entry.key, content);
      }
    }
  }
  void progress(store::Revision) override {}
  void ended(const Status&) override {}

  uint64_t hash() const { return hash_; }
  uint64_t writes() const { return writes_; }

 private:
  const std::shared_ptr<Clock> clock_;
  std::FILE* const file_;
  uint64_t hash_ = 1;
  uint64_t writes_ = 0;
};

Result<std::unique_ptr<Trace>> Trace::follow(store::Store& store, std::shared_ptr<Clock> clock, std::FILE* file) {
  auto trace = std::make_unique<Trace>();
  trace->sink_ = std::make_shared<Sink>(std::move(clock), file);
  TRY_ASSIGN(trace->watch_, store.watch("/", store::prefix_end("/"), 0, trace->sink_));
  return trace;
}

uint64_t Trace::hash() const { return sink_->hash(); }
uint64_t Trace::writes() const { return sink_->writes(); }

}  // namespace trireme::simulator
