#include "dns/relay.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace trireme::dns {
namespace {

constexpr size_t kOptSize = 11;

uint32_t seconds_between(Duration from, Duration to) {
  const auto passed = std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
  return static_cast<uint32_t>(std::max<int64_t>(passed, 0));
}

/// RFC 2308: a negative answer is kept as long as its SOA record says; without one not at all.
uint32_t negative_seconds(Bytes packet, const std::vector<Record>& records) {
  for (const Record& record : records) {
    const Bytes data = record.data(packet);
    if (record.type == type::kSoa && data.size() >= 22) return std::min(record.ttl, get32(data, data.size() - 4));
  }
  return 0;
}

/// The records of a message, rewritten with their names whole.
bool copy_record(Writer& writer, Bytes message, const Record& record, uint32_t ttl) {
  size_t at = record.begin;
  Name owner;
  if (!read_name(message, at, owner)) return false;
  at = record.fixed + 10;
  const Bytes data = record.data(message);
  size_t prefix = 0;
  switch (record.type) {
    case type::kSoa: {
      Name primary;
      Name mailbox;
      if (!read_name(message, at, primary) || !read_name(message, at, mailbox) || at + 20 != record.end) return false;
      return writer.soa(owner, ttl, primary, mailbox, get32(message, at), get32(message, at + 16));
    }
    case type::kSrv:
      prefix = 6;
      break;
    case type::kMx:
      prefix = 2;
      break;
    case type::kCname:
    case type::kNs:
    case type::kPtr:
    case type::kDname:
      break;
    default:
      return writer.record(&owner, record.type, ttl, data);
  }
  Name target;
  if (data.size() <= prefix) return false;
  at += prefix;
  if (!read_name(message, at, target) || at != record.end) return false;
  return writer.prefixed_name(&owner, record.type, ttl, data.first(prefix), target, record.type != type::kDname);
}

}  // namespace

std::shared_ptr<const Relayed> read_response(Bytes packet, const Name& name, uint16_t type, Duration now,
                                             uint32_t cap) {
  if (packet.size() < kHeaderSize || packet.size() > kMaxMessage) return nullptr;
  const uint16_t flags = get16(packet, 2);
  if ((flags & flag::kResponse) == 0 || (flags & flag::kOpcodeMask) != 0 || get16(packet, 4) != 1) return nullptr;
  size_t at = kHeaderSize;
  Name question;
  if (!read_name(packet, at, question) || at + 4 > packet.size()) return nullptr;
  question.lower();
  const bool same = question.size == name.size &&
                    std::memcmp(question.bytes.data(), name.bytes.data(), name.size) == 0 &&
                    get16(packet, at) == type && get16(packet, at + 2) == kClassIn;
  // A question with a pointer in it would not have the length of ours.
  if (!same || at != kHeaderSize + name.size) return nullptr;
  at += 4;

  auto relayed = std::make_shared<Relayed>();
  relayed->question_end = at;
  relayed->rcode = flags & 0xf;
  relayed->truncated = (flags & flag::kTruncated) != 0;
  relayed->received = now;
  size_t end = at;
  std::vector<Record> records;
  std::array<size_t, 3> counts{};
  bool cut = false;
  uint32_t lowest = std::numeric_limits<uint32_t>::max();
  for (size_t section = 0; section < 3 && !cut; ++section) {
    for (int i = get16(packet, 6 + 2 * section); i > 0; --i) {
      Record record;
      if (!read_record(packet, at, record)) {
        // A truncated response may end anywhere.
        if (!relayed->truncated) return nullptr;
        cut = true;
        break;
      }
      if (record.type == type::kOpt) {
        // What follows could point behind it; it is never needed.
        cut = true;
        break;
      }
      records.push_back(record);
      ++counts[section];
      end = record.end;
      lowest = std::min(lowest, record.ttl);
    }
  }
  relayed->answers = counts[0];
  relayed->authorities = counts[1];
  relayed->bytes.assign(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(end));
  for (size_t i = 0; i < counts.size(); ++i) put16(relayed->bytes.data() + 6 + 2 * i, static_cast<uint16_t>(counts[i]));
  relayed->records.reserve(records.size());
  for (const Record& record : records) {
    relayed->records.push_back(
        {static_cast<uint16_t>(record.fixed + 4), static_cast<uint16_t>(record.end), record.ttl});
  }
  const bool negative = relayed->rcode == rcode::kNxDomain || counts[0] == 0;
  const bool known = relayed->rcode == rcode::kNoError || relayed->rcode == rcode::kNxDomain;
  if (known && !relayed->truncated) {
    relayed->keep_seconds = std::min(cap, negative ? negative_seconds(packet, records) : lowest);
  }
  return relayed;
}

size_t render(const Relayed& relayed, const Query& query, Bytes packet, Duration now, size_t limit,
              std::span<uint8_t> out) {
  const size_t room = limit - (query.edns ? kOptSize : 0);
  size_t kept = relayed.records.size();
  size_t size = relayed.bytes.size();
  while (size > room && kept > 0) {
    --kept;
    size = kept == 0 ? relayed.question_end : relayed.records[kept - 1].end;
  }
  std::memcpy(out.data(), relayed.bytes.data(), size);
  // The question as this client wrote it: names in the answer point to it.
  std::memcpy(out.data() + kHeaderSize, packet.data() + kHeaderSize, relayed.question_end - kHeaderSize);
  const uint32_t passed = seconds_between(relayed.received, now);
  for (size_t i = 0; i < kept; ++i) {
    const Relayed::Mark& mark = relayed.records[i];
    if (mark.ttl_at + size_t{4} > size) break;
    put32(out.data() + mark.ttl_at, mark.ttl > passed ? mark.ttl - passed : 0);
  }
  constexpr uint16_t kOurs = flag::kRecursionDesired | flag::kCheckingDisabled;
  auto flags = static_cast<uint16_t>((get16(relayed.bytes, 2) & ~kOurs) | (query.flags & kOurs));
  const std::array<size_t, 3> counts{
      std::min(kept, relayed.answers),
      kept > relayed.answers ? std::min(kept - relayed.answers, relayed.authorities) : 0,
      kept > relayed.answers + relayed.authorities ? kept - relayed.answers - relayed.authorities : 0};
  if (kept < relayed.answers + relayed.authorities) flags |= flag::kTruncated;
  put16(out.data(), query.id);
  put16(out.data() + 2, flags);
  for (size_t i = 0; i < counts.size(); ++i) put16(out.data() + 6 + 2 * i, static_cast<uint16_t>(counts[i]));
  if (query.edns) {
    std::array<uint8_t, kOptSize> opt{};
    put16(opt.data() + 1, type::kOpt);
    put16(opt.data() + 3, kMaxUdpPayload);
    if (query.dnssec_ok) opt[7] = 0x80;
    std::memcpy(out.data() + size, opt.data(), opt.size());
    size += opt.size();
    put16(out.data() + 10, static_cast<uint16_t>(counts[2] + 1));
  }
  return size;
}

size_t render_chased(Bytes partial, const Relayed& relayed, const Query& query, Bytes packet, Duration now,
                     size_t limit, std::span<uint8_t> out) {
  Writer writer(out, limit);
  writer.begin(query, packet, flag::kAuthoritative | flag::kRecursionAvailable);
  bool fits = true;
  size_t at = query.question_end;
  for (int i = get16(partial, 6); i > 0 && fits; --i) {
    Record record;
    fits = read_record(partial, at, record) && copy_record(writer, partial, record, record.ttl);
  }
  const uint32_t passed = seconds_between(relayed.received, now);
  at = relayed.question_end;
  for (size_t i = 0; i < relayed.answers + relayed.authorities && fits; ++i) {
    Record record;
    if (!read_record(relayed.bytes, at, record)) break;
    const bool answer = i < relayed.answers;
    writer.section(answer ? Writer::Section::kAnswer : Writer::Section::kAuthority);
    // Of the authority section only what makes a negative answer worth keeping.
    if (!answer && record.type != type::kSoa) continue;
    fits = copy_record(writer, relayed.bytes, record, record.ttl > passed ? record.ttl - passed : 0);
  }
  writer.set_rcode(relayed.rcode);
  if (!fits || relayed.truncated) writer.set_flag(flag::kTruncated);
  return writer.finish();
}

QuestionKey::QuestionKey(const Name& name, uint16_t type, const Query& query) : size_(name.size + size_t{3}) {
  std::memcpy(bytes_.data(), name.bytes.data(), name.size);
  char* at = bytes_.data() + name.size;
  at[0] = static_cast<char>(type >> 8);
  at[1] = static_cast<char>(type);
  at[2] = static_cast<char>((query.dnssec_ok ? 1 : 0) | ((query.flags & flag::kCheckingDisabled) != 0 ? 2 : 0) |
                            ((query.flags & flag::kRecursionDesired) != 0 ? 4 : 0) |
                            ((query.flags & flag::kAuthentic) != 0 ? 8 : 0));
}

size_t Cache::cost(const Entry& entry) {
  constexpr size_t kNodes = 160;  // list and map nodes, control block
  return entry.relayed->memory() + entry.key.capacity() + sizeof(Entry) + kNodes;
}

void Cache::drop(Shard& shard, std::list<Entry>::iterator entry) {
  shard.bytes -= cost(*entry);
  shard.entries.erase(entry->key);
  shard.order.erase(entry);
}

std::shared_ptr<const Relayed> Cache::find(std::string_view key, Duration now) {
  Shard& own = shard(key);
  const std::lock_guard lock(own.mutex);
  const auto found = own.entries.find(key);
  if (found == own.entries.end()) return nullptr;
  const auto entry = found->second;
  if (now >= entry->relayed->received + std::chrono::seconds(entry->relayed->keep_seconds)) {
    drop(own, entry);
    return nullptr;
  }
  own.order.splice(own.order.begin(), own.order, entry);
  return entry->relayed;
}

void Cache::store(const std::string& key, std::shared_ptr<const Relayed> relayed) {
  if (relayed->keep_seconds == 0) return;
  Shard& own = shard(key);
  const std::lock_guard lock(own.mutex);
  if (const auto found = own.entries.find(key); found != own.entries.end()) drop(own, found->second);
  own.order.push_front({key, std::move(relayed)});
  const auto entry = own.order.begin();
  own.entries.emplace(entry->key, entry);
  own.bytes += cost(*entry);
  while (own.bytes > shard_bytes_ && !own.order.empty()) drop(own, std::prev(own.order.end()));
}

size_t Cache::bytes() const {
  size_t sum = 0;
  for (const Shard& each : shards_) {
    const std::lock_guard lock(each.mutex);
    sum += each.bytes;
  }
  return sum;
}

size_t Cache::entries() const {
  size_t sum = 0;
  for (const Shard& each : shards_) {
    const std::lock_guard lock(each.mutex);
    sum += each.order.size();
  }
  return sum;
}

}  // namespace trireme::dns
