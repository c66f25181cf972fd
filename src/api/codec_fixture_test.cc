#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/codec.h"
#include "api/kinds.h"
#include "api/object.h"
#include "api/scheme.h"

// Upstream's type packages carry every kind filled with values, in JSON and protobuf, as its own servers write them.
namespace trireme::api {
namespace {

namespace fs = std::filesystem;

const fs::path kTestData = fs::path(TRIREME_GO_SOURCES) / "k8s.io/api/testdata";

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// Drops the space outside strings, as the fixtures are indented.
std::string compact(std::string_view json) {
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') {
      out += c;
      out += json[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (c != ' ' && c != '\n')) out += c;
  }
  return out;
}

/// The fixtures are of bare types, in which claim templates have no kind; an API server writes it.
std::string without_nested_kinds(std::string json) {
  constexpr std::string_view kNested = R"({"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata")";
  // The first occurrence may be the object itself.
  for (size_t at = json.find(kNested, 1); at != std::string::npos; at = json.find(kNested, at)) {
    json.replace(at, kNested.size(), R"({"metadata")");
  }
  return json;
}

struct Fixture {
  std::string name;
  const TypeInfo* type;
};

/// The fixtures of a folder that are of kinds served here.
std::vector<Fixture> fixtures(const std::string& folder) {
  std::vector<Fixture> found;
  for (const auto& entry : fs::directory_iterator(kTestData / folder)) {
    if (entry.path().extension() != ".pb") continue;
    const std::string bytes = read_file(entry.path());
    const Result<UnwrappedProto> envelope = unwrap_proto(bytes);
    if (!envelope.ok()) continue;
    const TypeInfo* type = find_type(envelope->api_version, envelope->kind);
    if (type != nullptr) found.push_back({entry.path().stem().string(), type});
  }
  return found;
}

TEST(CodecFixtures, JsonRoundTripsByteForByte) {
  const std::vector<Fixture> all = fixtures("HEAD");
  EXPECT_GT(all.size(), 60U);
  for (const auto& [name, type] : all) {
    const std::string json = compact(read_file(kTestData / "HEAD" / (name + ".json")));
    Object object(*type);
    DecodeNotes notes;
    const Status status = parse_json(*type, json, object.data(), &notes);
    ASSERT_TRUE(status.ok()) << name << ": " << status.to_string();
    EXPECT_TRUE(notes.unknown.empty()) << name << ": " << notes.unknown.front();
    EXPECT_TRUE(notes.duplicate.empty()) << name << ": " << notes.duplicate.front();
    std::string again;
    append_json(*type, object.data(), again);
    EXPECT_EQ(without_nested_kinds(again), json) << name;
  }
}

TEST(CodecFixtures, ProtobufRoundTripsByteForByte) {
  for (const auto& [name, type] : fixtures("HEAD")) {
    const std::string bytes = read_file(kTestData / "HEAD" / (name + ".pb"));
    const Result<UnwrappedProto> envelope = unwrap_proto(bytes);
    ASSERT_TRUE(envelope.ok()) << name;
    Object object(*type);
    const Status status = parse_proto(*type, envelope->raw, object.data());
    ASSERT_TRUE(status.ok()) << name << ": " << status.to_string();
    std::string raw;
    append_proto(*type, object.data(), raw);
    EXPECT_EQ(wrap_proto(type->api_version, type->kind, raw), bytes) << name;
  }
}

TEST(CodecFixtures, JsonAndProtobufHoldTheSameObject) {
  for (const auto& [name, type] : fixtures("HEAD")) {
    const std::string bytes = read_file(kTestData / "HEAD" / (name + ".pb"));
    const std::string json = compact(read_file(kTestData / "HEAD" / (name + ".json")));
    Object object(*type);
    ASSERT_TRUE(parse_proto(*type, unwrap_proto(bytes)->raw, object.data()).ok()) << name;
    std::string from_proto;
    append_json(*type, object.data(), from_proto);
    EXPECT_EQ(without_nested_kinds(from_proto), json) << name;
  }
}

TEST(CodecFixtures, OlderReleasesDecode) {
  for (const std::string folder : {"v1.30.0", "v1.31.0"}) {
    for (const auto& [name, type] : fixtures(folder)) {
      const std::string bytes = read_file(kTestData / folder / (name + ".pb"));
      Object from_proto(*type);
      EXPECT_TRUE(parse_proto(*type, unwrap_proto(bytes)->raw, from_proto.data()).ok()) << folder << ' ' << name;
      const fs::path json = kTestData / folder / (name + ".json");
      if (!fs::exists(json)) continue;
      Object from_json(*type);
      EXPECT_TRUE(parse_json(*type, read_file(json), from_json.data()).ok()) << folder << ' ' << name;
    }
  }
}

}  // namespace
}  // namespace trireme::api
