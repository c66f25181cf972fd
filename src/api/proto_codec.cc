#include <bit>
#include <cstring>
#include <limits>

#include "api/codec.h"
#include "api/int_or_string.h"
#include "api/json_syntax.h"
#include "api/map.h"
#include "api/raw_json.h"
#include "api/time.h"
#include "base/quantity.h"

// The bytes are those of upstream's generated marshalers: fields by ascending number, plain scalars and structs always
// written, pointers and slices when set, maps by ascending key, repeated scalars unpacked.
namespace trireme::api {
namespace {

constexpr int kMaxDepth = 300;
constexpr std::string_view kMagic("k8s\0", 4);

enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

template <typename T>
const T& as(const void* value) {
  return *static_cast<const T*>(value);
}

void put_varint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_tag(uint32_t number, WireType type, std::string& out) { put_varint(number << 3 | type, out); }

void put_bytes(uint32_t number, std::string_view bytes, std::string& out) {
  put_tag(number, kLengthDelimited, out);
  put_varint(bytes.size(), out);
  out += bytes;
}

void put_integer(uint32_t number, int64_t value, std::string& out) {
  put_tag(number, kVarint, out);
  put_varint(static_cast<uint64_t>(value), out);
}

/// Writes a message's tag, lets `body` append its content, and puts the length before it.
template <typename Body>
void put_message(uint32_t number, std::string& out, const Body& body) {
  put_tag(number, kLengthDelimited, out);
  // One byte is kept for the length: most messages are shorter than 128 bytes, longer ones move once.
  const size_t begin = out.size();
  out.push_back('\0');
  body();
  size_t length = out.size() - begin - 1;
  if (length < 0x80) {
    out[begin] = static_cast<char>(length);
    return;
  }
  char prefix[10];
  size_t digits = 0;
  for (; length >= 0x80; length >>= 7) prefix[digits++] = static_cast<char>(length | 0x80);
  prefix[digits++] = static_cast<char>(length);
  out.insert(begin, digits - 1, '\0');
  std::memcpy(out.data() + begin, prefix, digits);
}

void put_timestamp(uint32_t number, bool zero, int64_t seconds, int64_t nanos, std::string& out) {
  put_message(number, out, [&] {
    if (zero) return;
    put_integer(1, seconds, out);
    put_integer(2, nanos, out);
  });
}

void put_struct(const TypeInfo& type, const void* object, std::string& out);

void put_value(uint32_t number, const FieldInfo& field, const void* value, std::string& out) {
  switch (field.kind) {
    case FieldKind::kBool:
      return put_integer(number, as<bool>(value) ? 1 : 0, out);
    case FieldKind::kInt32:
      return put_integer(number, as<int32_t>(value), out);
    case FieldKind::kInt64:
      return put_integer(number, as<int64_t>(value), out);
    case FieldKind::kDouble: {
      put_tag(number, kFixed64, out);
      const uint64_t bits = std::bit_cast<uint64_t>(as<double>(value));
      for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(bits >> shift));
      return;
    }
    case FieldKind::kString:
    case FieldKind::kBytes:
      return put_bytes(number, as<std::string>(value), out);
    case FieldKind::kTime: {
      const Time time = as<Time>(value);
      return put_timestamp(number, time.is_zero(), time.unix_seconds(), 0, out);
    }
    case FieldKind::kMicroTime: {
      const MicroTime time = as<MicroTime>(value);
      const int64_t micros = time.is_zero() ? 0 : time.unix_micros();
      const int64_t below_second = (micros % 1'000'000 + 1'000'000) % 1'000'000;
      return put_timestamp(number, time.is_zero(), (micros - below_second) / 1'000'000, below_second * 1000, out);
    }
    case FieldKind::kDuration:
      return put_message(number, out, [&] { put_integer(1, as<GoDuration>(value).value().count(), out); });
    case FieldKind::kQuantity:
      return put_message(number, out, [&] { put_bytes(1, as<Quantity>(value).to_string(), out); });
    case FieldKind::kIntOrString:
      return put_message(number, out, [&] {
        const IntOrString& either = as<IntOrString>(value);
        put_integer(1, either.is_string() ? 1 : 0, out);
        put_integer(2, either.int_value(), out);
        put_bytes(3, either.string_value(), out);
      });
    case FieldKind::kRawJson:
      return put_message(number, out, [&] {
        if (!as<RawJson>(value).empty()) put_bytes(1, as<RawJson>(value).text, out);
      });
    case FieldKind::kStruct:
      return put_message(number, out, [&] { put_struct(*field.type, value, out); });
  }
}

void put_map(const FieldInfo& field, const void* member, std::string& out) {
  struct Visit {
    const FieldInfo& field;
    std::string& out;
  } visit{field, out};
  field.ops->each(member, &visit, [](void* context, std::string_view key, const void* value) {
    const Visit& visit = *static_cast<Visit*>(context);
    put_message(visit.field.proto_number, visit.out, [&] {
      put_bytes(1, key, visit.out);
      if (visit.field.shape == FieldShape::kMap) return put_value(2, visit.field, value, visit.out);
      // Named slices of strings (ExtraValue) are messages of their own.
      put_message(2, visit.out, [&] {
        for (const std::string& text : as<std::vector<std::string>>(value)) put_bytes(1, text, visit.out);
      });
    });
  });
}

void put_struct(const TypeInfo& type, const void* object, std::string& out) {
  for (const uint16_t index : type.proto_order) {
    const FieldInfo& field = type.fields[index];
    const void* member = static_cast<const char*>(object) + field.offset;
    switch (field.shape) {
      case FieldShape::kPlain:
        if (field.kind == FieldKind::kBytes && as<Bytes>(member).empty()) break;
        put_value(field.proto_number, field, member, out);
        break;
      case FieldShape::kPointer:
        if (const void* target = field.ops->at(member, 0)) put_value(field.proto_number, field, target, out);
        break;
      case FieldShape::kSlice: {
        const size_t count = field.ops->size(member);
        for (size_t i = 0; i < count; ++i) put_value(field.proto_number, field, field.ops->at(member, i), out);
        break;
      }
      case FieldShape::kMap:
      case FieldShape::kMapOfSlices:
        put_map(field, member, out);
        break;
    }
  }
}

/// A cursor over one message. Every read checks the bounds.
class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }

  bool varint(uint64_t& value) {
    value = 0;
    for (size_t i = 0; i < 10 && i < rest_.size(); ++i) {
      const uint64_t byte = static_cast<unsigned char>(rest_[i]);
      value |= (byte & 0x7F) << (7 * i);
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }

  bool tag(uint32_t& number, uint32_t& type) {
    uint64_t value = 0;
    if (!varint(value) || value >> 3 == 0 || value >> 3 > std::numeric_limits<int32_t>::max()) return false;
    number = static_cast<uint32_t>(value >> 3);
    type = static_cast<uint32_t>(value & 7);
    return true;
  }

  bool bytes(std::string_view& value) {
    uint64_t length = 0;
    if (!varint(length) || length > rest_.size()) return false;
    value = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }

  bool fixed(size_t size, uint64_t& value) {
    if (rest_.size() < size) return false;
    value = 0;
    for (size_t i = 0; i < size; ++i) value |= uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    rest_.remove_prefix(size);
    return true;
  }

  /// Skips a field of any type but groups, which upstream never writes.
  bool skip(uint32_t type) {
    uint64_t number = 0;
    std::string_view bytes_;
    switch (type) {
      case kVarint:
        return varint(number);
      case kFixed64:
        return fixed(8, number);
      case kFixed32:
        return fixed(4, number);
      case kLengthDelimited:
        return bytes(bytes_);
      default:
        return false;
    }
  }

 private:
  std::string_view rest_;
};

Status malformed(std::string_view what) { return Status::bad_request("proto: malformed " + std::string(what)); }

/// Calls `visit(number, wire type, input)` for each field; it reads the field or returns false when it is malformed.
template <typename Visit>
Status each_field(std::string_view bytes, std::string_view what, const Visit& visit) {
  Input input(bytes);
  while (!input.at_end()) {
    uint32_t number = 0;
    uint32_t type = 0;
    if (!input.tag(number, type) || !visit(number, type, input)) return malformed(what);
  }
  return {};
}

Status get_struct(const TypeInfo& type, std::string_view bytes, void* object, int depth);

/// One of the small messages with an integer or bytes in each field; other fields are skipped.
struct Small {
  uint64_t integers[4] = {};
  std::string_view texts[4];

  Status read(std::string_view bytes, std::string_view what) {
    return each_field(bytes, what, [&](uint32_t number, uint32_t type, Input& input) {
      if (number > 3) return input.skip(type);
      if (type == kVarint) return input.varint(integers[number]);
      if (type == kLengthDelimited) return input.bytes(texts[number]);
      return input.skip(type);
    });
  }
};

/// What RFC 3339 can write; other seconds could not be sent as JSON.
bool representable(int64_t seconds) { return seconds >= -62'167'219'200 && seconds <= 253'402'300'799; }
constexpr int64_t kGoZeroSeconds = -62'135'596'800;

Status get_message(const FieldInfo& field, std::string_view bytes, void* target, int depth) {
  if (field.kind == FieldKind::kStruct) return get_struct(*field.type, bytes, target, depth + 1);
  Small small;
  TRY(small.read(bytes, field.json_name));
  const int64_t seconds = static_cast<int64_t>(small.integers[1]);
  switch (field.kind) {
    case FieldKind::kTime:
      if (!representable(seconds)) return malformed("time");
      *static_cast<Time*>(target) = bytes.empty() || seconds == kGoZeroSeconds ? Time() : Time::from_unix(seconds);
      return {};
    case FieldKind::kMicroTime: {
      const int64_t nanos = static_cast<int64_t>(small.integers[2]);
      if (!representable(seconds) || nanos < 0 || nanos > 999'999'999) return malformed("time");
      const bool zero = bytes.empty() || (seconds == kGoZeroSeconds && nanos == 0);
      *static_cast<MicroTime*>(target) =
          zero ? MicroTime() : MicroTime::from_unix_micros(seconds * 1'000'000 + nanos / 1000);
      return {};
    }
    case FieldKind::kDuration:
      *static_cast<GoDuration*>(target) = GoDuration(Duration(static_cast<int64_t>(small.integers[1])));
      return {};
    case FieldKind::kQuantity: {
      // An empty message is Go's zero quantity.
      if (small.texts[1].empty()) return {};
      TRY_ASSIGN(*static_cast<Quantity*>(target), Quantity::parse(small.texts[1]));
      return {};
    }
    case FieldKind::kIntOrString:
      *static_cast<IntOrString*>(target) = small.integers[1] == 1
                                               ? IntOrString(std::string(small.texts[3]))
                                               : IntOrString(static_cast<int32_t>(small.integers[2]));
      return {};
    default: {
      // Where protobuf carries protobuf (watch events), the bytes pass; anything else will be written as JSON.
      const std::string_view text = small.texts[1];
      if (!text.empty() && !text.starts_with(kMagic) && !is_json(text)) return malformed("JSON value");
      static_cast<RawJson*>(target)->text = text;
      return {};
    }
  }
}

/// Reads one value of any kind from the input into `target`.
Status get_value(const FieldInfo& field, uint32_t type, Input& input, void* target, int depth) {
  uint64_t number = 0;
  std::string_view bytes;
  switch (field.kind) {
    case FieldKind::kBool:
    case FieldKind::kInt32:
    case FieldKind::kInt64:
      if (type != kVarint || !input.varint(number)) return malformed(field.json_name);
      if (field.kind == FieldKind::kBool) {
        *static_cast<bool*>(target) = number != 0;
      } else if (field.kind == FieldKind::kInt32) {
        *static_cast<int32_t*>(target) = static_cast<int32_t>(number);
      } else {
        *static_cast<int64_t*>(target) = static_cast<int64_t>(number);
      }
      return {};
    case FieldKind::kDouble:
      if (type != kFixed64 || !input.fixed(8, number)) return malformed(field.json_name);
      *static_cast<double*>(target) = std::bit_cast<double>(number);
      return {};
    default:
      if (type != kLengthDelimited || !input.bytes(bytes)) return malformed(field.json_name);
      if (field.kind != FieldKind::kString && field.kind != FieldKind::kBytes) {
        return get_message(field, bytes, target, depth);
      }
      static_cast<std::string*>(target)->assign(bytes);
      return {};
  }
}

Status get_map_entry(const FieldInfo& field, std::string_view entry, void* member, int depth) {
  std::string_view key;
  // The key comes first in practice, but need not.
  TRY(each_field(entry, field.json_name, [&](uint32_t number, uint32_t type, Input& input) {
    return number == 1 && type == kLengthDelimited ? input.bytes(key) : input.skip(type);
  }));
  void* target = field.ops->insert(member, key);
  Status inner;
  TRY(each_field(entry, field.json_name, [&](uint32_t number, uint32_t type, Input& input) {
    if (number != 2) return input.skip(type);
    if (field.shape == FieldShape::kMap) {
      inner = get_value(field, type, input, target, depth);
      return inner.ok();
    }
    std::string_view bytes;
    if (type != kLengthDelimited || !input.bytes(bytes)) return false;
    inner = each_field(bytes, field.json_name, [&](uint32_t item, uint32_t item_type, Input& items) {
      if (item != 1) return items.skip(item_type);
      std::string_view text;
      if (item_type != kLengthDelimited || !items.bytes(text)) return false;
      static_cast<std::vector<std::string>*>(target)->emplace_back(text);
      return true;
    });
    return inner.ok();
  }));
  return {};
}

/// Repeated integers may come packed.
Status get_packed(const FieldInfo& field, Input& input, void* member, int depth) {
  std::string_view bytes;
  if (!input.bytes(bytes)) return malformed(field.json_name);
  Input items(bytes);
  const uint32_t type = field.kind == FieldKind::kDouble ? kFixed64 : kVarint;
  while (!items.at_end()) TRY(get_value(field, type, items, field.ops->add(member), depth));
  return {};
}

bool is_number(FieldKind kind) { return kind <= FieldKind::kDouble; }

Status get_field(const FieldInfo& field, uint32_t type, Input& input, void* member, int depth) {
  switch (field.shape) {
    case FieldShape::kPlain:
      return get_value(field, type, input, member, depth);
    case FieldShape::kPointer: {
      const void* present = field.ops->at(member, 0);
      return get_value(field, type, input, present != nullptr ? const_cast<void*>(present) : field.ops->add(member),
                       depth);
    }
    case FieldShape::kSlice:
      if (type == kLengthDelimited && is_number(field.kind)) return get_packed(field, input, member, depth);
      return get_value(field, type, input, field.ops->add(member), depth);
    default: {
      std::string_view entry;
      if (type != kLengthDelimited || !input.bytes(entry)) return malformed(field.json_name);
      return get_map_entry(field, entry, member, depth);
    }
  }
}

Status get_struct(const TypeInfo& type, std::string_view bytes, void* object, int depth) {
  if (depth > kMaxDepth) return malformed("message: nested too deeply");
  Input input(bytes);
  size_t next = 0;  // in proto_order: messages are written in that order
  const size_t count = type.proto_order.size();
  while (!input.at_end()) {
    uint32_t number = 0;
    uint32_t wire_type = 0;
    if (!input.tag(number, wire_type)) return malformed(type.name);
    const FieldInfo* field = nullptr;
    for (size_t i = 0; i < count; ++i) {
      const size_t at = next + i < count ? next + i : next + i - count;
      if (type.fields[type.proto_order[at]].proto_number == number) {
        field = &type.fields[type.proto_order[at]];
        next = at;
        break;
      }
    }
    if (field == nullptr) {
      if (!input.skip(wire_type)) return malformed(type.name);
      continue;
    }
    TRY(get_field(*field, wire_type, input, static_cast<char*>(object) + field->offset, depth));
  }
  return {};
}

}  // namespace

void append_proto(const TypeInfo& type, const void* object, std::string& out) { put_struct(type, object, out); }

Status parse_proto(const TypeInfo& type, std::string_view bytes, void* object) {
  return get_struct(type, bytes, object, 0);
}

std::string wrap_proto(std::string_view api_version, std::string_view kind, std::string_view raw) {
  std::string out(kMagic);
  out.reserve(kMagic.size() + api_version.size() + kind.size() + raw.size() + 32);
  put_message(1, out, [&] {
    put_bytes(1, api_version, out);
    put_bytes(2, kind, out);
  });
  put_bytes(2, raw, out);
  put_bytes(3, "", out);  // content encoding
  put_bytes(4, "", out);  // content type
  return out;
}

Result<UnwrappedProto> unwrap_proto(std::string_view envelope) {
  if (!envelope.starts_with(kMagic)) {
    return Status::bad_request("provided data does not appear to be a protobuf message, expected prefix \"k8s\\x00\"");
  }
  Small unknown;
  TRY(unknown.read(envelope.substr(kMagic.size()), "envelope"));
  Small type_meta;
  TRY(type_meta.read(unknown.texts[1], "envelope"));
  return UnwrappedProto{type_meta.texts[1], type_meta.texts[2], unknown.texts[2]};
}

}  // namespace trireme::api
