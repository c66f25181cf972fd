#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "dns/wire.h"

/// What upstream servers answered: checked once, then handed to as many clients as ask, within its time to live.
namespace trireme::dns {

/// A response of an upstream server, without its OPT record.
struct Relayed {
  struct Mark {
    uint16_t ttl_at = 0;
    uint16_t end = 0;
    uint32_t ttl = 0;
  };
  std::vector<uint8_t> bytes;
  std::vector<Mark> records;
  size_t answers = 0;
  size_t authorities = 0;
  size_t question_end = 0;
  uint8_t rcode = 0;
  bool truncated = false;
  Duration received{};        ///< Monotonic.
  uint32_t keep_seconds = 0;  ///< How long it may be kept; 0: not at all.

  size_t memory() const { return sizeof *this + bytes.capacity() + records.capacity() * sizeof(Mark); }
};

/// Checks a response to the question (name in lower case, type). Null when it is not one: a forged or broken packet,
/// which is to be ignored. `cap`: the longest time in seconds for which it may be kept.
std::shared_ptr<const Relayed> read_response(Bytes packet, const Name& name, uint16_t type, Duration now, uint32_t cap);

/// Writes it as the response to `packet`, its times to live lowered by what has passed. `out` must hold `limit` bytes.
size_t render(const Relayed& relayed, const Query& query, Bytes packet, Duration now, size_t limit,
              std::span<uint8_t> out);

/// Writes `partial` (an answer of our own that ends in a CNAME) with what the upstream server knows of its target
/// behind.
size_t render_chased(Bytes partial, const Relayed& relayed, const Query& query, Bytes packet, Duration now,
                     size_t limit, std::span<uint8_t> out);

/// What makes two questions the same for an upstream server: name, type, and the flags that change its answer.
class QuestionKey {
 public:
  QuestionKey(const Name& name, uint16_t type, const Query& query);
  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, kMaxNameSize + 3> bytes_;
  size_t size_;
};

/// Relayed responses by question key, the longest unused given up first. Thread-safe.
class Cache {
 public:
  explicit Cache(size_t max_bytes) : shard_bytes_(max_bytes / kShards) {}

  /// Null when there is none that is still good.
  std::shared_ptr<const Relayed> find(std::string_view key, Duration now);
  void store(const std::string& key, std::shared_ptr<const Relayed> relayed);
  size_t bytes() const;
  size_t entries() const;

 private:
  static constexpr size_t kShards = 16;
  struct Entry {
    std::string key;
    std::shared_ptr<const Relayed> relayed;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::list<Entry> order;  ///< The last used first.
    std::unordered_map<std::string_view, std::list<Entry>::iterator> entries;
    size_t bytes = 0;
  };
  Shard& shard(std::string_view key) { return shards_[std::hash<std::string_view>()(key) % kShards]; }
  static size_t cost(const Entry& entry);
  static void drop(Shard& shard, std::list<Entry>::iterator entry);

  const size_t shard_bytes_;
  std::array<Shard, kShards> shards_;
};

}  // namespace trireme::dns
