#include "api/patch/patch.h"

#include <gtest/gtest.h>

#include <array>

#include "api/types/corev1.h"

namespace trireme::api {
namespace {

Value json(std::string_view text) {
  auto value = parse_value(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : Value();
}

struct Case {
  const char* what;
  const char* document;
  const char* patch;
  const char* result;  ///< null: refused
};

TEST(MergePatchTest, Rfc7386) {
  // The table of appendix A, and nesting.
  const Case cases[] = {
      {"", R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {"", R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {"", R"({"a":"b"})", R"({"a":null})", "{}"},
      {"", R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {"", R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {"", R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {"", R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {"", R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {"", R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {"", R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {"", R"({"a":"foo"})", "null", "null"},
      {"", R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {"", R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {"", "{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const Case& test : cases)
    EXPECT_EQ(to_json(apply_merge_patch(json(test.document), json(test.patch))), test.result) << test.patch;
}

TEST(JsonPatchTest, Rfc6902) {
  const Case cases[] = {
      {"add a member", R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])", R"({"a":1,"b":2})"},
      {"add replaces", R"({"a":1})", R"([{"op":"add","path":"/a","value":null}])", R"({"a":null})"},
      {"add inserts", "[1,3]", R"([{"op":"add","path":"/1","value":2}])", "[1,2,3]"},
      {"add at the end", "[1]", R"([{"op":"add","path":"/-","value":2},{"op":"add","path":"/2","value":3}])",
       "[1,2,3]"},
      {"add before the last", "[1,3]", R"([{"op":"add","path":"/-2","value":2}])", "[1,2,3]"},
      {"add beyond the end", "[1]", R"([{"op":"add","path":"/3","value":2}])", nullptr},
      {"add below nothing", "{}", R"([{"op":"add","path":"/a/b","value":2}])", nullptr},
      {"add to a scalar", R"({"a":1})", R"([{"op":"add","path":"/a/b","value":2}])", nullptr},
      {"the whole document", R"({"a":1})", R"([{"op":"add","path":"","value":[]}])", "[]"},
      {"escapes", R"({"a/b":1,"m~n":2})",
       R"([{"op":"remove","path":"/a~1b"},{"op":"replace","path":"/m~0n","value":3}])", R"({"m~n":3})"},
      {"empty name", R"({"":1})", R"([{"op":"replace","path":"/","value":3}])", R"({"":3})"},
      {"remove", R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/0"}])", R"({"a":[2]})"},
      {"remove nothing", "{}", R"([{"op":"remove","path":"/a"}])", nullptr},
      {"replace nothing", "{}", R"([{"op":"replace","path":"/a","value":1}])", nullptr},
      {"move", R"({"a":{"b":1},"c":{}})", R"([{"op":"move","from":"/a/b","path":"/c/d"}])", R"({"a":{},"c":{"d":1}})"},
      {"move in a list", "[1,2,3]", R"([{"op":"move","from":"/0","path":"/2"}])", "[2,3,1]"},
      {"move into itself", R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b"}])", nullptr},
      {"copy", R"({"a":[1]})", R"([{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/-","value":2}])",
       R"({"a":[1],"b":[1,2]})"},
      {"copy nothing", "{}", R"([{"op":"copy","from":"/a","path":"/b"}])", nullptr},
      {"test", R"({"a":{"b":[1,"x"]}})", R"([{"op":"test","path":"/a","value":{"b":[1.0,"x"]}}])",
       R"({"a":{"b":[1,"x"]}})"},
      {"test fails", R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])", nullptr},
      {"test of a missing member", "{}", R"([{"op":"test","path":"/a","value":null}])", "{}"},
      {"test of a missing member fails", "{}", R"([{"op":"test","path":"/a","value":1}])", nullptr},
      {"all or nothing", R"({"a":1})", R"([{"op":"remove","path":"/a"},{"op":"test","path":"/b","value":2}])", nullptr},
      {"unknown operation", "{}", R"([{"op":"merge","path":"/a","value":1}])", nullptr},
      {"no path", "{}", R"([{"op":"add","value":1}])", nullptr},
      {"no value", "{}", R"([{"op":"add","path":"/a"}])", nullptr},
      {"no operation object", "{}", "[1]", nullptr},
      {"no list", "{}", "{}", nullptr},
      {"bad pointer", "{}", R"([{"op":"add","path":"a","value":1}])", nullptr},
      {"bad index", "[1]", R"([{"op":"add","path":"/x","value":1}])", nullptr},
      {"empty patch", R"({"a":1})", "[]", R"({"a":1})"},
  };
  for (const Case& test : cases) {
    auto result = apply_json_patch(json(test.document), json(test.patch));
    ASSERT_EQ(result.ok(), test.result != nullptr) << test.what << result.status().to_string();
    if (result.ok()) {
      EXPECT_EQ(to_json(*result), test.result) << test.what;
    }
  }
}

TEST(JsonPatchTest, Limits) {
  Value many = Value::array();
  for (size_t i = 0; i <= kMaxJsonPatchOperations; ++i) many.push_back(json(R"({"op":"add","path":"/a","value":1})"));
  auto result = apply_json_patch(Value::object(), many);
  EXPECT_TRUE(result.status().is(Reason::kRequestEntityTooLarge));
  EXPECT_EQ(result.status().message(),
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001");
  Value bomb = Value::array();
  for (int i = 0; i < 64; ++i) {
    Value copy = json(R"({"op":"copy","from":""})");
    copy["path"] = "/a" + std::to_string(i);
    bomb.push_back(std::move(copy));
  }
  auto exploded = apply_json_patch(json(R"({"x":"y"})"), bomb);
  EXPECT_TRUE(exploded.status().is(Reason::kInvalid));
  EXPECT_NE(exploded.status().details().causes.front().message.find("accumulated size"), std::string::npos);
}

// A hand-made type, so that every strategy meets every directive: lists merged by name, replaced, of scalars;
// maps merged, replaced and with retained keys.
extern const TypeInfo kItemType;
extern const TypeInfo kInlineType;
constexpr FieldInfo field(std::string_view name, FieldKind kind, FieldShape shape, const TypeInfo* type,
                          std::string_view strategy = "", std::string_view merge_key = "") {
  FieldInfo info{};
  info.json_name = name;
  info.kind = kind;
  info.shape = shape;
  info.type = type;
  info.patch_strategy = strategy;
  info.patch_merge_key = merge_key;
  return info;
}
const std::array kInlineFields{field("inlined", FieldKind::kStruct, FieldShape::kSlice, &kItemType, "merge", "name")};
const TypeInfo kInlineType{.name = "Inline", .fields = kInlineFields};
const std::array kItemFields{
    field("name", FieldKind::kString, FieldShape::kPlain, nullptr),
    field("value", FieldKind::kInt64, FieldShape::kPlain, nullptr),
    field("items", FieldKind::kStruct, FieldShape::kSlice, &kItemType, "merge", "name"),
    field("atoms", FieldKind::kStruct, FieldShape::kSlice, &kItemType),
    field("words", FieldKind::kString, FieldShape::kSlice, nullptr, "merge"),
    field("lines", FieldKind::kString, FieldShape::kSlice, nullptr),
    field("sub", FieldKind::kStruct, FieldShape::kPointer, &kItemType),
    field("whole", FieldKind::kStruct, FieldShape::kPointer, &kItemType, "replace"),
    field("kept", FieldKind::kStruct, FieldShape::kPointer, &kItemType, "retainKeys"),
    field("keptItems", FieldKind::kStruct, FieldShape::kSlice, &kItemType, "merge,retainKeys", "name"),
    field("labels", FieldKind::kString, FieldShape::kMap, nullptr),
    field("raw", FieldKind::kRawJson, FieldShape::kPlain, nullptr),
    field("", FieldKind::kStruct, FieldShape::kPlain, &kInlineType),
};
const TypeInfo kItemType{.name = "Item", .fields = kItemFields};

TEST(StrategicMergeTest, Tables) {
  const Case cases[] = {
      {"scalars", R"({"name":"a","value":1})", R"({"value":2})", R"({"name":"a","value":2})"},
      {"null deletes", R"({"name":"a","value":1})", R"({"value":null,"sub":null})", R"({"name":"a"})"},
      {"nulls below new members vanish", "{}", R"({"sub":{"name":"a","value":null}})", R"({"sub":{"name":"a"}})"},
      {"maps merge", R"({"labels":{"a":"1","b":"2"}})", R"({"labels":{"b":"3","a":null,"c":"4"}})",
       R"({"labels":{"b":"3","c":"4"}})"},
      {"structs merge", R"({"sub":{"name":"a","value":1}})", R"({"sub":{"value":2}})",
       R"({"sub":{"name":"a","value":2}})"},
      {"raw json merges plainly", R"({"raw":{"a":{"b":1},"l":[1]}})", R"({"raw":{"a":{"c":2},"l":[2]}})",
       R"({"raw":{"a":{"b":1,"c":2},"l":[2]}})"},
      {"types change", R"({"sub":{"name":"a"}})", R"({"sub":"x"})", R"({"sub":"x"})"},

      {"replace strategy", R"({"whole":{"name":"a","value":1}})", R"({"whole":{"value":2}})",
       R"({"whole":{"value":2}})"},
      {"$patch replace", R"({"sub":{"name":"a","value":1}})", R"({"sub":{"$patch":"replace","value":2}})",
       R"({"sub":{"value":2}})"},
      {"$patch delete", R"({"sub":{"name":"a","value":1}})", R"({"sub":{"$patch":"delete"}})", R"({"sub":{}})"},
      {"$patch delete of nothing", "{}", R"({"sub":{"$patch":"delete"}})", "{}"},
      {"$patch at the top", R"({"name":"a"})", R"({"$patch":"replace","value":1})", R"({"value":1})"},
      {"$patch unknown", R"({"sub":{"name":"a"}})", R"({"sub":{"$patch":"other"}})", nullptr},
      {"$patch merge of a map", R"({"sub":{"name":"a"}})", R"({"sub":{"$patch":"merge"}})", nullptr},

      {"lists merge by key", R"({"items":[{"name":"a","value":1},{"name":"b"}]})",
       R"({"items":[{"name":"b","value":2}]})", R"({"items":[{"name":"a","value":1},{"name":"b","value":2}]})"},
      {"new elements go first", R"({"items":[{"name":"a"},{"name":"b"}]})", R"({"items":[{"name":"c"}]})",
       R"({"items":[{"name":"c"},{"name":"a"},{"name":"b"}]})"},
      {"patch order wins", R"({"items":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
       R"({"items":[{"name":"c","value":1},{"name":"a","value":2}]})",
       R"({"items":[{"name":"b"},{"name":"c","value":1},{"name":"a","value":2}]})"},
      {"inlined list", R"({"inlined":[{"name":"a","value":1}]})", R"({"inlined":[{"name":"a","value":2}]})",
       R"({"inlined":[{"name":"a","value":2}]})"},
      {"nested lists", R"({"items":[{"name":"a","items":[{"name":"x"}]}]})",
       R"({"items":[{"name":"a","items":[{"name":"x","value":3}]}]})",
       R"({"items":[{"items":[{"name":"x","value":3}],"name":"a"}]})"},
      {"delete an element", R"({"items":[{"name":"a"},{"name":"b"}]})", R"({"items":[{"name":"a","$patch":"delete"}]})",
       R"({"items":[{"name":"b"}]})"},
      {"delete a missing element", R"({"items":[{"name":"b"}]})", R"({"items":[{"name":"a","$patch":"delete"}]})",
       R"({"items":[{"name":"b"}]})"},
      {"delete from no list", "{}", R"({"items":[{"name":"a","$patch":"delete"}]})", R"({"items":[]})"},
      {"delete without a key", R"({"items":[{"name":"b"}]})", R"({"items":[{"$patch":"delete"}]})", nullptr},
      {"replace a merged list", R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"replace"},{"name":"b"}]})",
       R"({"items":[{"name":"b"}]})"},
      {"empty a merged list", R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"replace"}]})", R"({"items":[]})"},
      {"list directive merge", R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"merge","name":"a"}]})", nullptr},
      {"list directive unknown", R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"x","name":"a"}]})", nullptr},
      {"no merge key", R"({"items":[{"name":"a"}]})", R"({"items":[{"value":1}]})", nullptr},
      {"mixed elements", R"({"items":[{"name":"a"}]})", R"({"items":["x"]})", nullptr},
      {"null elements", R"({"items":[{"name":"a"}]})", R"({"items":[null]})", nullptr},
      {"lists of lists", R"({"items":[{"name":"a"}]})", R"({"items":[[]]})", nullptr},
      {"unmerged lists are replaced", R"({"atoms":[{"name":"a"}],"lines":["x"]})",
       R"({"atoms":[{"value":1}],"lines":["y"]})", R"({"atoms":[{"value":1}],"lines":["y"]})"},

      {"scalars merge", R"({"words":["a","b"]})", R"({"words":["c"]})", R"({"words":["c","a","b"]})"},
      {"scalars merge once", R"({"words":["a","b"]})", R"({"words":["b"]})", R"({"words":["a","b"]})"},
      {"delete scalars", R"({"words":["a","b","c"]})", R"({"$deleteFromPrimitiveList/words":["a","c","x"]})",
       R"({"words":["b"]})"},
      {"delete scalars of nothing", "{}", R"({"$deleteFromPrimitiveList/words":["a"]})", "{}"},
      {"delete list without a field", R"({"words":["a"]})", R"({"$deleteFromPrimitiveList":["a"]})", nullptr},
      {"delete and add scalars", R"({"words":["a","b"]})", R"({"$deleteFromPrimitiveList/words":["a"],"words":["c"]})",
       R"({"words":["c","b"]})"},

      {"order only", R"({"items":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
       R"({"$setElementOrder/items":[{"name":"c"},{"name":"a"}]})",
       R"({"items":[{"name":"b"},{"name":"c"},{"name":"a"}]})"},
      {"order with a change", R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"a"},{"name":"b"},{"name":"c"}],"items":[{"name":"c","value":1}]})",
       R"({"items":[{"name":"a"},{"name":"b"},{"name":"c","value":1}]})"},
      {"order with a deletion", R"({"items":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
       R"({"$setElementOrder/items":[{"name":"d"},{"name":"c"}],"items":[{"name":"d"},{"name":"a","$patch":"delete"}]})",
       R"({"items":[{"name":"b"},{"name":"d"},{"name":"c"}]})"},
      {"order of a new list", "{}",
       R"({"$setElementOrder/items":[{"name":"b"},{"name":"a"}],"items":[{"name":"b"},{"name":"a"}]})",
       R"({"items":[{"name":"b"},{"name":"a"}]})"},
      {"order of nothing", "{}", R"({"$setElementOrder/items":[{"name":"b"}]})", "{}"},
      {"order of scalars", R"({"words":["a","b","c"]})", R"({"$setElementOrder/words":["c","d","a"],"words":["d"]})",
       R"({"words":["b","c","d","a"]})"},
      {"order contradicts", R"({"items":[]})",
       R"({"$setElementOrder/items":[{"name":"b"},{"name":"a"}],"items":[{"name":"a"},{"name":"b"}]})", nullptr},
      {"order misses an element", R"({"items":[]})",
       R"({"$setElementOrder/items":[{"name":"b"}],"items":[{"name":"a"}]})", nullptr},
      {"order is no list", R"({"items":[]})", R"({"$setElementOrder/items":"b"})", nullptr},
      {"order without a field", R"({"items":[]})", R"({"$setElementOrder":[]})", nullptr},
      {"order of an unknown field", R"({"items":[]})", R"({"$setElementOrder/nothing":[]})", nullptr},

      {"retain keys", R"({"kept":{"name":"a","value":1}})", R"({"kept":{"$retainKeys":["sub"],"sub":{"name":"x"}}})",
       R"({"kept":{"sub":{"name":"x"}}})"},
      {"retain keys with a null", R"({"kept":{"name":"a","value":1}})",
       R"({"kept":{"$retainKeys":["value"],"name":null,"value":2}})", R"({"kept":{"value":2}})"},
      {"retain keys contradicts", R"({"kept":{"name":"a"}})", R"({"kept":{"$retainKeys":["name"],"value":2}})",
       nullptr},
      {"retain keys is no list", R"({"kept":{"name":"a"}})", R"({"kept":{"$retainKeys":"name"}})", nullptr},
      {"retain keys in lists", R"({"keptItems":[{"name":"a","value":1}]})",
       R"({"keptItems":[{"$retainKeys":["name","sub"],"name":"a","sub":{}}]})",
       R"({"keptItems":[{"name":"a","sub":{}}]})"},
      {"no object", "{}", "[]", nullptr},
  };
  for (const Case& test : cases) {
    auto result = apply_strategic_merge_patch(json(test.document), json(test.patch), kItemType);
    EXPECT_EQ(result.ok(), test.result != nullptr) << test.what << ": " << result.status().to_string();
    if (result.ok() && test.result != nullptr) {
      EXPECT_EQ(to_json(*result), test.result) << test.what;
    }
  }
}

TEST(StrategicMergeTest, SaysWhatIsWrong) {
  auto message = [](const char* document, const char* patch) {
    return apply_strategic_merge_patch(json(document), json(patch), kItemType).status().message();
  };
  EXPECT_EQ(message(R"({"items":[{"name":"a"}]})", R"({"items":[{"value":1}]})"),
            "map: map[value:1] does not contain declared merge key: name");
  EXPECT_EQ(message(R"({"sub":{"name":"a"}})", R"({"sub":{"$patch":"x"}})"),
            "unknown patch type: x in map: map[$patch:x]");
  EXPECT_EQ(message(R"({"items":[]})", R"({"$setElementOrder/items":1})"),
            "expected a []interface {}, but received a int64");
}

/// What `kubectl apply` sends for one container taken away and one added, on the real type.
TEST(StrategicMergeTest, Pods) {
  auto result = apply_strategic_merge_patch(
      json(
          R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","ports":[{"containerPort":80,"protocol":"TCP"}]}],)"
          R"("tolerations":[{"key":"x"}],"volumes":[{"name":"v","emptyDir":{}}]}})"),
      json(R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"c"}],)"
           R"("containers":[{"name":"c","image":"3"},{"name":"a","$patch":"delete"},)"
           R"({"name":"b","ports":[{"containerPort":80,"name":"http"}]}],)"
           R"("tolerations":[{"key":"y"}],)"
           R"("volumes":[{"name":"v","$retainKeys":["name","configMap"],"configMap":{"name":"m"}}]}})"),
      type_info<corev1::Pod>());
  ASSERT_FALSE(result.ok());  // c stands before b in the patch, but after it in the order
  result = apply_strategic_merge_patch(
      json(
          R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","ports":[{"containerPort":80,"protocol":"TCP"}]}],)"
          R"("tolerations":[{"key":"x"}],"volumes":[{"name":"v","emptyDir":{}}]}})"),
      json(R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"c"}],)"
           R"("containers":[{"name":"b","ports":[{"containerPort":80,"name":"http"}]},)"
           R"({"name":"c","image":"3"},{"name":"a","$patch":"delete"}],)"
           R"("tolerations":[{"key":"y"}],)"
           R"("volumes":[{"name":"v","$retainKeys":["name","configMap"],"configMap":{"name":"m"}}]}})"),
      type_info<corev1::Pod>());
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_EQ(to_json(*result),
            R"({"spec":{"containers":[{"name":"b","ports":[{"containerPort":80,"name":"http","protocol":"TCP"}]},)"
            R"({"image":"3","name":"c"}],"tolerations":[{"key":"y"}],)"
            R"("volumes":[{"configMap":{"name":"m"},"name":"v"}]}})");
}

}  // namespace
}  // namespace trireme::api
