#include "base/base64.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(Base64, EncodesAndDecodes) {
  const struct {
    std::string_view bytes, text;
  } cases[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"\xff\xfe", "//4="},
               {std::string_view("\0\0\0", 3), "AAAA"}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(base64_encode(bytes), text);
    const Result<std::string> decoded = base64_decode(text);
    ASSERT_TRUE(decoded.ok()) << text;
    EXPECT_EQ(*decoded, bytes);
  }
}

TEST(Base64, SkipsLineBreaks) { EXPECT_EQ(*base64_decode("Zm\r\n9v\n"), "foo"); }

TEST(Base64, RefusesWhatIsNone) {
  for (const std::string_view text : {"Z", "Zg", "Zg=", "Zg===", "Zg==Zg==", "=", "Zm9v!", "Zm-v", "Z g=", "Zm9v="}) {
    EXPECT_FALSE(base64_decode(text).ok()) << text;
  }
  EXPECT_EQ(base64_decode("Zm9v!").status().message(), "illegal base64 data at input byte 4");
}

}  // namespace
}  // namespace trireme
