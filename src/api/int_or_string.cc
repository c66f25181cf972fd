#include "api/int_or_string.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace trireme::api {

Result<int32_t> IntOrString::scaled(int32_t total, bool round_up) const {
  if (!is_string_) return int_;
  int64_t percent = 0;
  const char* const end = text_.data() + text_.size();
  const auto [after, error] = std::from_chars(text_.data(), end, percent);
  if (error != std::errc() || after + 1 != end || *after != '%' || percent > std::numeric_limits<int32_t>::max() ||
      percent < std::numeric_limits<int32_t>::min()) {
    return Status::bad_request("invalid value for IntOrString: invalid type: string is not a percentage");
  }
  const int64_t hundredfold = percent * total;
  const int64_t value = hundredfold / 100 + (round_up && hundredfold % 100 > 0 ? 1 : 0);
  return static_cast<int32_t>(
      std::clamp<int64_t>(value, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}

}  // namespace trireme::api
