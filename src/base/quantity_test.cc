#include "base/quantity.h"

#include <gtest/gtest.h>

#include <limits>

namespace trireme {
namespace {

Quantity parse(std::string_view text) {
  Result<Quantity> quantity = Quantity::parse(text);
  EXPECT_TRUE(quantity.ok()) << text << ": " << quantity.status().to_string();
  return quantity.ok() ? *quantity : Quantity();
}

TEST(Quantity, PrintsCanonically) {
  const struct {
    std::string_view text, canonical;
  } cases[] = {
      {"0", "0"},
      {"0n", "0"},
      {"0Ki", "0"},
      {"-0", "0"},
      {"00.000", "0"},
      {"1", "1"},
      {"100m", "100m"},
      {"1000m", "1"},
      {"1500m", "1500m"},
      {"1.5", "1500m"},
      {"0.5", "500m"},
      {".5", "500m"},
      {"1.", "1."},
      {"2.0", "2"},
      {"1k", "1k"},
      {"1000", "1k"},
      {"1000k", "1M"},
      {"1024", "1024"},
      {"1024Ki", "1Mi"},
      {"1.5Gi", "1536Mi"},
      {"0.5Mi", "512Ki"},
      {"1Ki", "1Ki"},
      {"1000Ki", "1000Ki"},
      {"1536Mi", "1536Mi"},
      {"2048Mi", "2Gi"},
      {"0.5Ki", "512"},
      {"1e3", "1e3"},
      {"1000e0", "1e3"},
      {"1E3", "1E3"},
      {"1e-3", "1e-3"},
      {"100e-1", "10"},
      {"12e2", "1200"},
      {"1E", "1E"},
      {"1u", "1u"},
      {"1n", "1n"},
      {"0.1n", "1n"},
      {"1.1n", "2n"},
      {"-1.1n", "-2n"},
      {"-1", "-1"},
      {"-1.5Gi", "-1536Mi"},
      {"+1", "+1"},
      {"0001", "0001"},
      {"1.250", "1.250"},
      {"1.2500", "1250m"},
      {"1.123", "1.123"},
      {"100000Ki", "100000Ki"},
      {"9223372036854775807", "9223372036854775807"},
      {"9223372036854775808", "9223372036854775808"},  // beyond int64, exact
      {"8Ei", "9223372036854775807"},                  // binary is capped at int64
      {"1e100000", "100e27"},                          // saturates
      {"1.1Ki", "1126400m"},                           // never loses precision
      {"0.0001Ki", "102400u"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(parse(text).to_string(), canonical) << text;
}

TEST(Quantity, PrintingIsStable) {
  for (const std::string_view text : {"1.5Gi", "0.1n", "12e2", "1.250", "100000Ki", "+1", "1e-3", "1.1Ki"}) {
    const std::string once = parse(text).to_string();
    EXPECT_EQ(parse(once).to_string(), once) << text;
    EXPECT_EQ(parse(once), parse(text)) << text;
  }
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const std::string_view text : {"", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-", "1.1.M", "1+1.0M", "0.1mi", "0.1am",
                                      "1 Mi", "1Mi ", "0x10", "1e", "1ee3", "NaN", "1Kii", "--1", "1e1.5"}) {
    const Result<Quantity> quantity = Quantity::parse(text);
    EXPECT_FALSE(quantity.ok()) << text;
  }
}

TEST(Quantity, RoundsUpToUnits) {
  EXPECT_EQ(parse("1500m").value(), 2);
  EXPECT_EQ(parse("-1500m").value(), -2);
  EXPECT_EQ(parse("1n").milli_value(), 1);
  EXPECT_EQ(parse("100m").milli_value(), 100);
  EXPECT_EQ(parse("2").milli_value(), 2000);
  EXPECT_EQ(parse("1Gi").value(), 1073741824);
  EXPECT_EQ(parse("8E").milli_value(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parse("1k").scaled(3), 1);
  EXPECT_DOUBLE_EQ(parse("250m").to_double(), 0.25);
}

TEST(Quantity, SaturatesFarBeyondItsRange) {
  for (const char* text :
       {"72036854775808922337203685477580892233720", "1e1000", "999999999999999999999999999999999999E"}) {
    EXPECT_EQ(parse(text), parse("100000000000E")) << text;
    EXPECT_EQ(-parse(text), parse(std::string("-") + text)) << text;
  }
  EXPECT_EQ(parse("99999999999999999999999999Ei").value(), std::numeric_limits<int64_t>::max());
}

TEST(Quantity, AddsExactly) {
  EXPECT_EQ((parse("1Gi") + parse("512Mi")).to_string(), "1536Mi");
  EXPECT_EQ((parse("0") + parse("1Gi")).to_string(), "1Gi");  // a zero takes the other's format
  EXPECT_EQ((parse("1") - parse("1n")).to_string(), "999999999n");
  EXPECT_EQ((parse("9E") + parse("9E")).to_string(), "18E");  // beyond int64
  EXPECT_EQ((parse("1.250") + parse("0")).to_string(), "1250m");
  EXPECT_EQ((-parse("100m")).to_string(), "-100m");
  Quantity total;
  for (int i = 0; i < 1000; ++i) total += parse("1m");
  EXPECT_EQ(total.to_string(), "1");
}

TEST(Quantity, ComparesByAmount) {
  EXPECT_EQ(parse("1"), parse("1000m"));
  EXPECT_EQ(parse("1024"), parse("1Ki"));
  EXPECT_LT(parse("-1"), parse("0"));
  EXPECT_GT(parse("1Gi"), parse("1G"));
  EXPECT_EQ(parse("-5").sign(), -1);
  EXPECT_EQ(Quantity::of(3).to_string(), "3");
  EXPECT_EQ(Quantity::of_milli(1500).to_string(), "1500m");
  EXPECT_EQ(Quantity::of(1 << 20, Quantity::Format::kBinarySi).to_string(), "1Mi");
}

}  // namespace
}  // namespace trireme
