#include "dns/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace trireme::dns {
namespace {

constexpr size_t kOptSize = 11;
constexpr size_t kMaxPointer = 0x3fff;

uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c | 0x20) : c; }

}  // namespace

bool Name::append(std::string_view label) {
  if (size == 0) clear();
  if (label.empty() || label.size() > 63 || size + label.size() + 1 > kMaxNameSize) return false;
  const size_t at = static_cast<size_t>(size) - 1;
  offsets[labels++] = static_cast<uint8_t>(at);
  bytes[at] = static_cast<uint8_t>(label.size());
  std::memcpy(bytes.data() + at + 1, label.data(), label.size());
  size = static_cast<uint8_t>(size + label.size() + 1);
  bytes[size - 1] = 0;
  return true;
}

bool Name::append(Bytes wire) {
  for (size_t at = 0; at < wire.size() && wire[at] != 0; at += wire[at] + size_t{1}) {
    if (at + wire[at] >= wire.size()) return false;
    if (!append(std::string_view(reinterpret_cast<const char*>(wire.data()) + at + 1, wire[at]))) return false;
  }
  if (size == 0) clear();
  return true;
}

void Name::lower() {
  // Lengths are below 64 and so never taken for letters.
  for (size_t i = 0; i < size; ++i) bytes[i] = dns::lower(bytes[i]);
}

bool Name::within(const Name& zone) const {
  if (labels < zone.labels) return false;
  const Bytes end = suffix(static_cast<size_t>(labels - zone.labels));
  return end.size() == zone.size && std::memcmp(end.data(), zone.bytes.data(), zone.size) == 0;
}

bool parse_name(std::string_view text, Name& name) {
  name.clear();
  if (text == ".") return true;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty()) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!name.append(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string to_text(const Name& name) {
  std::string text;
  for (size_t i = 0; i < name.labels; ++i) {
    for (const char c : name.label(i)) {
      if (c > ' ' && c < 0x7f && c != '.' && c != '\\') {
        text += c;
      } else {
        text += fmt::format("\\{:03}", static_cast<unsigned char>(c));
      }
    }
    text += '.';
  }
  return text.empty() ? "." : text;
}

bool read_name(Bytes message, size_t& at, Name& name) {
  name.clear();
  size_t from = at;
  size_t behind = 0;  // Of the first pointer: where reading goes on.
  while (true) {
    if (from >= message.size()) return false;
    const uint8_t length = message[from];
    if (length == 0) {
      at = behind != 0 ? behind : from + 1;
      return true;
    }
    if ((length & 0xc0) == 0xc0) {
      if (from + 1 >= message.size()) return false;
      if (behind == 0) behind = from + 2;
      const size_t target = static_cast<size_t>(length & 0x3f) << 8 | message[from + 1];
      // Pointers lead backwards only, so that they cannot go round.
      if (target >= from) return false;
      from = target;
      continue;
    }
    if ((length & 0xc0) != 0 || from + length >= message.size()) return false;
    if (!name.append(std::string_view(reinterpret_cast<const char*>(message.data()) + from + 1, length))) return false;
    from += length + size_t{1};
  }
}

bool read_record(Bytes message, size_t& at, Record& record) {
  record.begin = at;
  size_t here = at;
  // Skipping a name needs no decompression.
  while (true) {
    if (here >= message.size()) return false;
    const uint8_t length = message[here];
    if (length == 0) {
      ++here;
      break;
    }
    if ((length & 0xc0) == 0xc0) {
      here += 2;
      break;
    }
    if ((length & 0xc0) != 0) return false;
    here += length + size_t{1};
  }
  if (here + 10 > message.size()) return false;
  record.fixed = here;
  record.type = get16(message, here);
  record.klass = get16(message, here + 2);
  record.ttl = get32(message, here + 4);
  record.end = here + 10 + get16(message, here + 8);
  if (record.end > message.size()) return false;
  at = record.end;
  return true;
}

Verdict parse_query(Bytes packet, Query& query) {
  query.question_end = 0;
  query.edns = false;
  query.dnssec_ok = false;
  query.udp_payload = kMinUdpPayload;
  if (packet.size() < kHeaderSize) return Verdict::kIgnore;
  query.id = get16(packet, 0);
  query.flags = get16(packet, 2);
  if ((query.flags & flag::kResponse) != 0) return Verdict::kIgnore;
  if ((query.flags & flag::kOpcodeMask) != 0) return Verdict::kNotImplemented;
  const uint16_t questions = get16(packet, 4);
  const uint16_t answers = get16(packet, 6);
  const uint16_t authorities = get16(packet, 8);
  const uint16_t additional = get16(packet, 10);
  // IXFR brings an authority record, TSIG and OPT come in the additional section; more belongs to no query.
  if (questions != 1 || answers != 0 || authorities > 1 || additional > 2) return Verdict::kFormErr;

  query.name.clear();
  size_t at = kHeaderSize;
  while (true) {
    if (at >= packet.size()) return Verdict::kFormErr;
    const uint8_t length = packet[at];
    if (length == 0) break;
    if (length > 63 || at + length >= packet.size()) return Verdict::kFormErr;
    if (!query.name.append(std::string_view(reinterpret_cast<const char*>(packet.data()) + at + 1, length))) {
      return Verdict::kFormErr;
    }
    at += length + size_t{1};
  }
  ++at;
  if (at + 4 > packet.size()) return Verdict::kFormErr;
  query.type = get16(packet, at);
  query.klass = get16(packet, at + 2);
  at += 4;
  query.question_end = at;
  query.name.lower();

  for (int i = 0; i < authorities + additional; ++i) {
    Record record;
    if (!read_record(packet, at, record)) return Verdict::kFormErr;
    if (record.type != type::kOpt || i < authorities) continue;
    if (query.edns || record.fixed != record.begin + 1) return Verdict::kFormErr;  // twice, or not of the root
    query.edns = true;
    query.udp_payload = std::max<uint16_t>(record.klass, kMinUdpPayload);
    query.edns_version = static_cast<uint8_t>(record.ttl >> 16);
    query.dnssec_ok = (record.ttl & 0x8000) != 0;
  }
  return query.edns && query.edns_version != 0 ? Verdict::kBadVersion : Verdict::kGood;
}

size_t response_limit(const Query& query, bool tcp) {
  return tcp ? kMaxMessage : std::min<size_t>(query.udp_payload, kMaxUdpPayload);
}

Writer::Writer(std::span<uint8_t> buffer, size_t limit) : out_(buffer.data()), limit_(std::min(limit, buffer.size())) {}

void Writer::begin(const Query& query, Bytes packet, uint16_t flags) {
  edns_ = query.edns;
  dnssec_ok_ = query.dnssec_ok;
  if (edns_) limit_ -= kOptSize;
  // Opcode, RD and CD come back as they were sent.
  constexpr uint16_t kRepeated = flag::kOpcodeMask | flag::kRecursionDesired | flag::kCheckingDisabled;
  flags_ = static_cast<uint16_t>(flags | flag::kResponse | (query.flags & kRepeated));
  std::memset(out_, 0, kHeaderSize);
  put16(out_, query.id);
  size_ = kHeaderSize;
  if (query.question_end != 0 && query.question_end <= limit_) {
    std::memcpy(out_ + kHeaderSize, packet.data() + kHeaderSize, query.question_end - kHeaderSize);
    size_ = query.question_end;
    has_question_ = true;
    for (size_t i = 0; i < query.name.labels && known_count_ < known_.size() / 2; ++i) {
      known_[known_count_++] = static_cast<uint16_t>(kHeaderSize + query.name.offsets[i]);
    }
  }
}

bool Writer::put(Bytes data) {
  if (size_ + data.size() > limit_) return false;
  if (!data.empty()) std::memcpy(out_ + size_, data.data(), data.size());
  size_ += data.size();
  return true;
}

/// Whether the name written at `offset` is `name` without its first `label` labels.
bool Writer::same_suffix(size_t offset, const Name& name, size_t label) const {
  while (true) {
    while ((out_[offset] & 0xc0) == 0xc0) offset = static_cast<size_t>(out_[offset] & 0x3f) << 8 | out_[offset + 1];
    const uint8_t length = out_[offset];
    if (label == name.labels) return length == 0;
    const uint8_t* own = name.bytes.data() + name.offsets[label];
    if (length != *own) return false;
    for (size_t i = 1; i <= length; ++i) {
      if (lower(out_[offset + i]) != lower(own[i])) return false;
    }
    offset += length + size_t{1};
    ++label;
  }
}

bool Writer::put_name(const Name& name, bool compress) {
  if (!compress) return put(name.wire());
  for (size_t label = 0; label < name.labels; ++label) {
    for (size_t i = 0; i < known_count_; ++i) {
      if (!same_suffix(known_[i], name, label)) continue;
      std::array<uint8_t, 2> pointer;
      put16(pointer.data(), static_cast<uint16_t>(0xc000 | known_[i]));
      return put(pointer);
    }
    if (size_ <= kMaxPointer && known_count_ < known_.size()) known_[known_count_++] = static_cast<uint16_t>(size_);
    const uint8_t* begin = name.bytes.data() + name.offsets[label];
    if (!put({begin, *begin + size_t{1}})) return false;
  }
  constexpr std::array<uint8_t, 1> kRoot{0};
  return put(kRoot);
}

bool Writer::start_record(const Name* owner, uint16_t type, uint32_t ttl) {
  record_begin_ = size_;
  known_before_ = known_count_;
  bool fits = false;
  if (owner == nullptr) {
    constexpr std::array<uint8_t, 2> kQuestion{0xc0, kHeaderSize};
    constexpr std::array<uint8_t, 1> kRoot{0};
    // The root's name is shorter than a pointer to it.
    fits = out_[kHeaderSize] == 0 ? put(kRoot) : put(kQuestion);
  } else {
    fits = put_name(*owner);
  }
  std::array<uint8_t, 10> fixed;
  put16(fixed.data(), type);
  put16(fixed.data() + 2, kClassIn);
  put32(fixed.data() + 4, ttl);
  put16(fixed.data() + 8, 0);
  fits = fits && put(fixed);
  length_at_ = size_ - 2;
  return fits;
}

bool Writer::end_record(bool written) {
  if (!written) {
    size_ = record_begin_;
    known_count_ = known_before_;
    return false;
  }
  put16(out_ + length_at_, static_cast<uint16_t>(size_ - length_at_ - 2));
  ++counts_[static_cast<size_t>(section_)];
  return true;
}

bool Writer::record(const Name* owner, uint16_t type, uint32_t ttl, Bytes data) {
  return end_record(start_record(owner, type, ttl) && put(data));
}

bool Writer::name_record(const Name* owner, uint16_t type, uint32_t ttl, const Name& target) {
  return end_record(start_record(owner, type, ttl) && put_name(target));
}

bool Writer::prefixed_name(const Name* owner, uint16_t type, uint32_t ttl, Bytes prefix, const Name& target,
                           bool compress) {
  return end_record(start_record(owner, type, ttl) && put(prefix) && put_name(target, compress));
}

bool Writer::srv(const Name* owner, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port,
                 const Name& target) {
  std::array<uint8_t, 6> numbers;
  put16(numbers.data(), priority);
  put16(numbers.data() + 2, weight);
  put16(numbers.data() + 4, port);
  // RFC 2782 forbids to compress the target; but every resolver reads it, and upstream's server compresses it.
  return prefixed_name(owner, type::kSrv, ttl, numbers, target, true);
}

bool Writer::soa(const Name& zone, uint32_t ttl, const Name& primary, const Name& mailbox, uint32_t serial,
                 uint32_t minimum) {
  std::array<uint8_t, 20> numbers;
  const std::array<uint32_t, 5> values{serial, 7200, 1800, 86400, minimum};
  for (size_t i = 0; i < values.size(); ++i) put32(numbers.data() + 4 * i, values[i]);
  return end_record(start_record(&zone, type::kSoa, ttl) && put_name(primary) && put_name(mailbox) && put(numbers));
}

size_t Writer::finish() {
  if (edns_) {
    limit_ += kOptSize;
    std::array<uint8_t, kOptSize> opt{};
    put16(opt.data() + 1, type::kOpt);
    put16(opt.data() + 3, kMaxUdpPayload);
    opt[5] = static_cast<uint8_t>(rcode_ >> 4);
    if (dnssec_ok_) opt[7] = 0x80;
    if (put(opt)) ++counts_[static_cast<size_t>(Section::kAdditional)];
  }
  put16(out_ + 2, static_cast<uint16_t>(flags_ | (rcode_ & 0x0f)));
  put16(out_ + 4, has_question_ ? 1 : 0);
  for (size_t i = 0; i < counts_.size(); ++i) put16(out_ + 6 + 2 * i, counts_[i]);
  return size_;
}

}  // namespace trireme::dns
