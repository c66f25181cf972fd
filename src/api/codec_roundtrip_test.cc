#include <gtest/gtest.h>

#include <random>

#include "api/codec.h"
#include "api/int_or_string.h"
#include "api/kinds.h"
#include "api/map.h"
#include "api/object.h"
#include "api/raw_json.h"
#include "api/time.h"
#include "base/box.h"
#include "base/quantity.h"

// Every kind with values made from its own table, through both codecs.
namespace trireme::api {
namespace {

/// Sets every field of a struct to a value of its own.
class Filler {
 public:
  void fill(const TypeInfo& type, void* object, int depth = 0) {
    for (const FieldInfo& field : type.fields) {
      void* member = static_cast<char*>(object) + field.offset;
      // Of a union one field is set: the schema, and the boolean that a schema implies.
      if (type.json_union && field.shape == FieldShape::kSlice) continue;
      if (field.shape == FieldShape::kPlain) {
        value(field, member, depth);
      } else if (!too_deep(field, depth)) {
        container(field, member, depth);
      }
    }
  }

 private:
  /// Schemas contain schemas; a union must keep room for the schema that it needs.
  static bool too_deep(const FieldInfo& field, int depth) {
    constexpr int kLimit = 8;
    if (field.kind != FieldKind::kStruct) return false;
    return depth + (field.type->json_union ? 1 : 0) >= kLimit;
  }

  void container(const FieldInfo& field, void* member, int depth) {
    const std::string key = "key<" + std::to_string(++counter_);
    switch (field.shape) {
      case FieldShape::kMap:
        value(field, field.ops->insert(member, key), depth + 1);
        value(field, field.ops->insert(member, "a/b"), depth + 1);
        break;
      case FieldShape::kMapOfSlices:
        *static_cast<std::vector<std::string>*>(field.ops->insert(member, key)) = {"one", ""};
        break;
      case FieldShape::kSlice:
        value(field, field.ops->add(member), depth + 1);
        value(field, field.ops->add(member), depth + 1);
        break;
      default:
        value(field, field.ops->add(member), depth + 1);
    }
  }

  void value(const FieldInfo& field, void* value, int depth) {
    const int n = ++counter_;
    switch (field.kind) {
      case FieldKind::kBool:
        *static_cast<bool*>(value) = true;
        break;
      case FieldKind::kInt32:
        *static_cast<int32_t*>(value) = n % 3 == 0 ? -n : n;
        break;
      case FieldKind::kInt64:
        *static_cast<int64_t*>(value) = n % 3 == 0 ? INT64_MIN + n : INT64_MAX - n;
        break;
      case FieldKind::kDouble:
        *static_cast<double*>(value) = n * 1.25e-3;
        break;
      case FieldKind::kString:
        *static_cast<std::string*>(value) = "täxt \"<&>\\\n\x01 " + std::to_string(n);
        break;
      case FieldKind::kBytes:
        *static_cast<Bytes*>(value) = std::string("\0\xff", 2) + std::to_string(n);
        break;
      case FieldKind::kTime:
        *static_cast<Time*>(value) = Time::from_unix(1'700'000'000 + n);
        break;
      case FieldKind::kMicroTime:
        *static_cast<MicroTime*>(value) = MicroTime::from_unix_micros(1'700'000'000'000'001 + n);
        break;
      case FieldKind::kDuration:
        *static_cast<GoDuration*>(value) = GoDuration(Duration(1'500'000'000LL * n));
        break;
      case FieldKind::kQuantity:
        *static_cast<Quantity*>(value) = Quantity::of_milli(n);
        break;
      case FieldKind::kIntOrString:
        *static_cast<IntOrString*>(value) = n % 2 == 0 ? IntOrString(n) : IntOrString(std::to_string(n) + "%");
        break;
      case FieldKind::kRawJson:
        static_cast<RawJson*>(value)->text = R"({"n":)" + std::to_string(n) + R"(,"list":[1.50,"a b",null]})";
        break;
      case FieldKind::kStruct:
        fill(*field.type, value, depth + 1);
        break;
    }
  }

  int counter_ = 0;
};

Object filled(const TypeInfo& type) {
  Object object(type);
  Filler().fill(type, object.data());
  return object;
}

std::string json_of(const Object& object) {
  std::string out;
  append_json(object.type(), object.data(), out);
  return out;
}

std::string proto_of(const Object& object) {
  std::string out;
  append_proto(object.type(), object.data(), out);
  return out;
}

Object from_json(const TypeInfo& type, std::string_view json, DecodeNotes* notes = nullptr) {
  Object object(type);
  const Status status = parse_json(type, json, object.data(), notes);
  EXPECT_TRUE(status.ok()) << type.schema_name << ": " << status.to_string();
  return object;
}

Object from_proto(const TypeInfo& type, std::string_view bytes) {
  Object object(type);
  const Status status = parse_proto(type, bytes, object.data());
  EXPECT_TRUE(status.ok()) << type.schema_name << ": " << status.to_string();
  return object;
}

/// Kinds whose Go types have no protobuf form.
bool has_proto(const TypeInfo& type) {
  for (const FieldInfo& field : type.fields) {
    if (field.proto_number == 0) return false;
  }
  return true;
}

class EveryKind : public testing::TestWithParam<const TypeInfo*> {};

TEST_P(EveryKind, EmptyRoundTrips) {
  const TypeInfo& type = *GetParam();
  const Object empty(type);
  const std::string json = json_of(empty);
  DecodeNotes notes;
  EXPECT_EQ(json_of(from_json(type, json, &notes)), json);
  EXPECT_TRUE(notes.unknown.empty() && notes.duplicate.empty());
  EXPECT_EQ(json_of(from_proto(type, proto_of(empty))), json);
  EXPECT_EQ(json_of(from_json(type, "{}")), json);
}

TEST_P(EveryKind, FilledRoundTrips) {
  const TypeInfo& type = *GetParam();
  const Object object = filled(type);
  const std::string json = json_of(object);
  DecodeNotes notes;
  const Object decoded = from_json(type, json, &notes);
  EXPECT_TRUE(notes.unknown.empty()) << notes.unknown.front();
  EXPECT_TRUE(notes.duplicate.empty()) << notes.duplicate.front();
  EXPECT_EQ(json_of(decoded), json);
  if (!has_proto(type)) return;
  const std::string bytes = proto_of(object);
  EXPECT_EQ(proto_of(decoded), bytes);
  const Object from_bytes = from_proto(type, bytes);
  EXPECT_EQ(proto_of(from_bytes), bytes);
  EXPECT_EQ(json_of(from_bytes), json);
}

TEST_P(EveryKind, CopiesAreDeep) {
  const TypeInfo& type = *GetParam();
  Object object = filled(type);
  const std::string json = json_of(object);
  Object copy = object.clone();
  object = Object(type);
  EXPECT_EQ(json_of(copy), json);
  type.copy(object.data(), copy.data());
  copy = Object();
  EXPECT_EQ(json_of(object), json);
}

TEST_P(EveryKind, UnknownFieldsAreNotedAndSkipped) {
  const TypeInfo& type = *GetParam();
  const Object object = filled(type);
  std::string json = json_of(object);
  json.insert(1, R"("zzUnknown":{"a":[1,2.5,{"b":null}],"c":"}"},)");
  DecodeNotes notes;
  EXPECT_EQ(json_of(from_json(type, json, &notes)), json_of(object));
  EXPECT_EQ(notes.unknown, std::vector<std::string>{R"(unknown field "zzUnknown")"});

  const std::string known = proto_of(object);
  // Field 9999 as varint, fixed64, bytes and fixed32.
  const std::string unknown =
      known + "\xF8\xF0\x04\x7F" + "\xF9\xF0\x04" + "12345678" + "\xFA\xF0\x04\x02hi" + "\xFD\xF0\x04" + "1234";
  EXPECT_EQ(proto_of(from_proto(type, unknown)), known);
}

TEST_P(EveryKind, DamagedBytesNeverCrash) {
  const TypeInfo& type = *GetParam();
  const Object object = filled(type);
  std::mt19937 random(1);
  for (std::string bytes : {proto_of(object), json_of(object)}) {
    const bool json = bytes.starts_with('{');
    for (int round = 0; round < 40 && !bytes.empty(); ++round) {
      std::string damaged = bytes.substr(0, 1 + random() % bytes.size());
      for (int i = 0; i < 3; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
      Object target(type);
      const Status status = json ? parse_json(type, damaged, target.data()) : parse_proto(type, damaged, target.data());
      if (status.ok()) json_of(target);
    }
  }
}

std::vector<const TypeInfo*> all_kinds() {
  std::vector<const TypeInfo*> types;
  for (const KindInfo& kind : kinds()) types.push_back(kind.type);
  return types;
}

std::string test_name(const testing::TestParamInfo<const TypeInfo*>& info) {
  std::string name(info.param->schema_name);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryKind, testing::ValuesIn(all_kinds()), test_name);

}  // namespace
}  // namespace trireme::api
