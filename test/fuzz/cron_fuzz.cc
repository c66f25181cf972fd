#include "api/cron.h"
#include "fuzz.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {
    "*/5 0-6 1,15 jan-mar MON", "59 23 31 2 *", "0 0 29 2 ?", "TZ=Asia/Tokyo @daily", "@every 1h30m",
    "5/20,7 * * * 1-5",         nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;  // NOLINT
  auto schedule = api::CronSchedule::parse(fuzz::text_of(data, size));
  if (!schedule.ok()) return 0;
  const bool interval = fuzz::text_of(data, size).find('@') != std::string_view::npos;
  static const api::TimeZone zones[] = {api::TimeZone(), *api::TimeZone::load("America/Sao_Paulo"),
                                        *api::TimeZone::load("Australia/Lord_Howe")};
  for (const api::TimeZone& zone : zones) {
    schedule->set_zone(zone);
    WallTime at{std::chrono::seconds(1'500'000'000)};
    for (int i = 0; i < 4; ++i) {
      const auto next = schedule->next(at);
      if (!next) break;
      fuzz::require(*next > at, "time goes forward");
      if (!interval) {
        fuzz::require(schedule->next(*next - std::chrono::nanoseconds(1)) == *next, "a time is its own next");
      }
      at = *next;
    }
  }
  return 0;
}
