#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// The DNS wire format (RFC 1035, EDNS: RFC 6891), as far as a server of a cluster needs it. Nothing here allocates
/// unless it says so; every reader takes whatever bytes come and never reads beyond them.
namespace trireme::dns {

using Bytes = std::span<const uint8_t>;

namespace type {
inline constexpr uint16_t kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kHinfo = 13, kMx = 15, kTxt = 16,
                          kAaaa = 28, kSrv = 33, kNaptr = 35, kDname = 39, kOpt = 41, kDs = 43, kHttps = 65,
                          kIxfr = 251, kAxfr = 252, kAny = 255;
}
namespace rcode {
inline constexpr uint8_t kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5,
                         kBadVers = 16;
}
namespace flag {
inline constexpr uint16_t kResponse = 0x8000, kAuthoritative = 0x0400, kTruncated = 0x0200, kRecursionDesired = 0x0100,
                          kRecursionAvailable = 0x0080, kAuthentic = 0x0020, kCheckingDisabled = 0x0010,
                          kOpcodeMask = 0x7800;
}
inline constexpr uint16_t kClassIn = 1;
inline constexpr uint16_t kClassAny = 255;
inline constexpr size_t kHeaderSize = 12;
inline constexpr size_t kMaxNameSize = 255;
inline constexpr size_t kMinUdpPayload = 512;   ///< What a client without EDNS takes.
inline constexpr size_t kMaxUdpPayload = 1232;  ///< Fits every path without fragments (DNS flag day 2020).
inline constexpr size_t kMaxMessage = 65535;    ///< Over TCP.
inline constexpr size_t kMaxQuerySize = 4096;   ///< Larger queries over TCP are not read.

/// A domain name in wire format, uncompressed, with its root label.
struct Name {
  std::array<uint8_t, kMaxNameSize> bytes;
  std::array<uint8_t, 128> offsets;  ///< Where each label begins (its length byte).
  uint8_t size = 0;
  uint8_t labels = 0;  ///< Without the root's.

  Name() {}  // NOLINT: the arrays are not cleared, for speed

  Bytes wire() const { return {bytes.data(), size}; }
  /// From the left: label(0) of "a.b." is "a".
  std::string_view label(size_t index) const {
    const uint8_t* begin = bytes.data() + offsets[index];
    return {reinterpret_cast<const char*>(begin + 1), *begin};
  }
  /// The name without its first `count` labels.
  Bytes suffix(size_t count) const {
    const size_t from = count < labels ? offsets[count] : static_cast<size_t>(size) - 1;
    return {bytes.data() + from, size - from};
  }
  void clear() {
    size = 1;
    labels = 0;
    bytes[0] = 0;
  }
  /// False when the name would be too long, or the label is empty or longer than 63 bytes.
  bool append(std::string_view label);
  /// A name in wire format at the end.
  bool append(Bytes wire);
  void lower();
  /// Whether it is `zone` (in lower case, as this name must be) or below it.
  bool within(const Name& zone) const;
};

/// "www.example.com" or "www.example.com."; no escapes. False when it is no name.
bool parse_name(std::string_view text, Name& name);
/// In presentation format, with a dot at the end; allocates.
std::string to_text(const Name& name);

/// Reads a name that may be compressed. `at` moves behind it. False when it is broken.
bool read_name(Bytes message, size_t& at, Name& name);

inline uint16_t get16(Bytes data, size_t at) { return static_cast<uint16_t>(data[at] << 8 | data[at + 1]); }
inline uint32_t get32(Bytes data, size_t at) {
  return static_cast<uint32_t>(get16(data, at)) << 16 | get16(data, at + 2);
}
inline void put16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline void put32(uint8_t* at, uint32_t value) {
  put16(at, static_cast<uint16_t>(value >> 16));
  put16(at + 2, static_cast<uint16_t>(value));
}

/// What was asked.
struct Query {
  uint16_t id = 0;
  uint16_t flags = 0;
  uint16_t type = 0;
  uint16_t klass = 0;
  Name name;                ///< In lower case; the question as it was sent stands in the packet.
  size_t question_end = 0;  ///< The question's bytes are [kHeaderSize, question_end); 0: there is none to repeat.
  bool edns = false;
  bool dnssec_ok = false;
  uint8_t edns_version = 0;
  uint16_t udp_payload = kMinUdpPayload;  ///< What the client takes, at least 512.
};

enum class Verdict {
  kGood,
  kIgnore,          ///< A response, or no DNS at all: answering could start a loop.
  kFormErr,         ///< Answer that; `query.id` is known, the question only when question_end is not 0.
  kNotImplemented,  ///< Another opcode than QUERY.
  kBadVersion,      ///< An EDNS version that is not 0.
};

Verdict parse_query(Bytes packet, Query& query);

/// Steps through the resource records of a response.
struct Record {
  size_t begin = 0;  ///< The owner's name.
  size_t fixed = 0;  ///< Type, class, TTL, length: 10 bytes.
  size_t end = 0;    ///< Behind the data.
  uint16_t type = 0;
  uint16_t klass = 0;
  uint32_t ttl = 0;
  Bytes data(Bytes message) const { return message.subspan(fixed + 10, end - fixed - 10); }
};
/// False when there is no whole record at `at`; else `at` moves behind it.
bool read_record(Bytes message, size_t& at, Record& record);

/// Writes one response into a buffer: question, then records in the order of the sections. What does not fit is left
/// out as a whole.
class Writer {
 public:
  /// `limit`: the response's greatest size, the OPT record included.
  Writer(std::span<uint8_t> buffer, size_t limit);

  /// Header and question. `packet` is the query that was parsed.
  void begin(const Query& query, Bytes packet, uint16_t flags);

  enum class Section : uint8_t { kAnswer = 0, kAuthority = 1, kAdditional = 2 };
  void section(Section section) { section_ = section; }

  /// A record whose data hold no name. `owner` null: the question's name. All of these are false when it did not fit.
  bool record(const Name* owner, uint16_t type, uint32_t ttl, Bytes data);
  /// CNAME, PTR, NS.
  bool name_record(const Name* owner, uint16_t type, uint32_t ttl, const Name& target);
  bool srv(const Name* owner, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port, const Name& target);
  bool soa(const Name& zone, uint32_t ttl, const Name& primary, const Name& mailbox, uint32_t serial, uint32_t minimum);
  /// MX and the like: `prefix`, then a name.
  bool prefixed_name(const Name* owner, uint16_t type, uint32_t ttl, Bytes prefix, const Name& target, bool compress);

  uint16_t count(Section section) const { return counts_[static_cast<size_t>(section)]; }
  void set_rcode(uint8_t value) { rcode_ = value; }
  void set_flag(uint16_t flag, bool on = true) { flags_ = static_cast<uint16_t>(on ? flags_ | flag : flags_ & ~flag); }
  /// Completes header and OPT; returns the response's size.
  size_t finish();

 private:
  bool start_record(const Name* owner, uint16_t type, uint32_t ttl);
  bool end_record(bool written);
  bool put(Bytes data);
  bool put_name(const Name& name, bool compress = true);
  bool same_suffix(size_t offset, const Name& name, size_t label) const;

  uint8_t* const out_;
  size_t limit_;
  size_t size_ = 0;
  size_t record_begin_ = 0;
  size_t length_at_ = 0;
  uint16_t flags_ = 0;
  uint8_t rcode_ = 0;
  Section section_ = Section::kAnswer;
  bool edns_ = false;
  bool dnssec_ok_ = false;
  bool has_question_ = false;
  std::array<uint16_t, 3> counts_{};
  std::array<uint16_t, 48> known_;  ///< Offsets of labels that names can point to.
  size_t known_count_ = 0;
  size_t known_before_ = 0;
};

/// The room that a client leaves for a response.
size_t response_limit(const Query& query, bool tcp);

}  // namespace trireme::dns
