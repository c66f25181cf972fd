#include "kubelet/logs/cri_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <vector>

namespace trireme::kubelet {
namespace {

constexpr int64_t kBlock = 4096;

int number(std::string_view text, size_t at, size_t digits) {
  int value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

std::optional<LogLine> parse_log_line(std::string_view line) {
  LogLine result;
  size_t first = line.find(' ');
  if (first == std::string_view::npos || first == 0) return std::nullopt;
  size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  result.time = line.substr(0, first);
  result.stream = line.substr(first + 1, second - first - 1);
  if (result.stream != "stdout" && result.stream != "stderr") return std::nullopt;
  size_t third = std::min(line.find(' ', second + 1), line.size());
  // Tags are joined by colons; the first one is F (full) or P (partial).
  std::string_view tag = line.substr(second + 1, third - second - 1);
  tag = tag.substr(0, tag.find(':'));
  if (tag != "F" && tag != "P") return std::nullopt;
  result.partial = tag == "P";
  result.text = third < line.size() ? line.substr(third + 1) : std::string_view();
  return result;
}

std::optional<WallTime> parse_log_time(std::string_view text) {
  tm parts{};
  parts.tm_year = number(text, 0, 4) - 1900;
  parts.tm_mon = number(text, 5, 2) - 1;
  parts.tm_mday = number(text, 8, 2);
  parts.tm_hour = number(text, 11, 2);
  parts.tm_min = number(text, 14, 2);
  parts.tm_sec = number(text, 17, 2);
  if (text.size() < 20 || parts.tm_year < 0 || parts.tm_mon < 0 || parts.tm_mday < 1 || parts.tm_hour < 0 ||
      parts.tm_min < 0 || parts.tm_sec < 0) {
    return std::nullopt;
  }
  int64_t nanoseconds = 0;
  size_t at = 19;
  if (text[at] == '.') {
    int64_t scale = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
      nanoseconds += (text[at] - '0') * scale;
    }
  }
  int64_t offset = 0;
  if (at >= text.size()) return std::nullopt;
  if (text[at] == '+' || text[at] == '-') {
    int hours = number(text, at + 1, 2);
    int minutes = number(text, at + 4, 2);
    if (hours < 0 || minutes < 0) return std::nullopt;
    offset = (hours * 3600 + minutes * 60) * (text[at] == '+' ? 1 : -1);
  } else if (text[at] != 'Z') {
    return std::nullopt;
  }
  auto since_epoch = std::chrono::seconds(::timegm(&parts) - offset) + std::chrono::nanoseconds(nanoseconds);
  return WallTime(std::chrono::duration_cast<WallTime::duration>(since_epoch));
}

int64_t tail_offset(int fd, int64_t size, int64_t lines) {
  if (lines <= 0) return size;
  std::vector<char> block(kBlock);
  int64_t seen = 0;
  int64_t end = size;
  while (end > 0) {
    int64_t start = std::max<int64_t>(end - kBlock, 0);
    ssize_t count = ::pread(fd, block.data(), static_cast<size_t>(end - start), start);
    if (count <= 0) return 0;
    for (ssize_t i = count - 1; i >= 0; --i) {
      if (block[static_cast<size_t>(i)] != '\n' || start + i == size - 1) continue;
      if (++seen == lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

std::string log_tail(const std::string& path, size_t max_lines, size_t max_bytes) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat info {};
  ::fstat(fd, &info);
  // A record's prefix is about 40 bytes; more than this can never be shown.
  int64_t wanted = static_cast<int64_t>(max_bytes + max_lines * 64);
  int64_t offset = std::max(tail_offset(fd, info.st_size, static_cast<int64_t>(max_lines)), info.st_size - wanted);
  std::string raw(static_cast<size_t>(info.st_size - offset), '\0');
  ssize_t count = ::pread(fd, raw.data(), raw.size(), offset);
  ::close(fd);
  if (count <= 0) return {};
  raw.resize(static_cast<size_t>(count));
  std::string text;
  for (size_t start = 0; start < raw.size();) {
    size_t end = std::min(raw.find('\n', start), raw.size());
    if (auto line = parse_log_line(std::string_view(raw).substr(start, end - start))) {
      text += line->text;
      if (!line->partial) text += '\n';
    }
    start = end + 1;
  }
  if (text.size() > max_bytes) text.erase(0, text.size() - max_bytes);
  return text;
}

}  // namespace trireme::kubelet
