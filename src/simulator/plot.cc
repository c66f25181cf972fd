#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "simulator/simulate.h"

namespace trireme::simulator {
namespace {

constexpr double kWidth = 960, kHeight = 360;
constexpr double kLeft = 72, kRight = 24, kTop = 56, kBottom = 52;
constexpr size_t kMostLabels = 12;

struct Series {
  std::string_view name, colour;
  int64_t Sample::*member;
};
constexpr Series kSeries[] = {{"ready", "#2e7d32", &Sample::ready},
                              {"not ready", "#f9a825", &Sample::unready},
                              {"pending", "#c62828", &Sample::pending}};

/// A round step (1, 2 or 5 times a power of ten) that cuts `range` into about six.
double step_of(double range) {
  const double rough = std::max(range, 1e-9) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) return factor * power;
  }
  return 10 * power;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

double seconds_of(Duration time) { return std::chrono::duration<double>(time).count(); }

void draw_axes(std::string& out, double end, double most) {
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  const double down = step_of(most);
  for (double value = 0; value <= most * 1.0001; value += down) {
    const double y = bottom - value / most * (bottom - kTop);
    out += fmt::format("<line x1='{}' y1='{:.1f}' x2='{}' y2='{:.1f}' class='grid'/>", kLeft, y, right, y);
    out += fmt::format("<text x='{}' y='{:.1f}' text-anchor='end'>{:.0f}</text>\n", kLeft - 8, y + 4, value);
  }
  const double across = step_of(end);
  for (double value = 0; value <= end * 1.0001; value += across) {
    const double x = kLeft + value / end * (right - kLeft);
    out += fmt::format("<line x1='{0:.1f}' y1='{1}' x2='{0:.1f}' y2='{2}' class='axis'/>", x, bottom, bottom + 5);
    out += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>{:g}</text>\n", x, bottom + 20, value);
  }
  out += fmt::format("<path d='M{} {} V{} H{}' class='axis' fill='none'/>\n", kLeft, kTop, bottom, right);
  out += fmt::format("<text x='{}' y='{}' text-anchor='middle'>virtual time (s)</text>\n", (kLeft + right) / 2,
                     bottom + 40);
  out += fmt::format("<text transform='translate(16 {}) rotate(-90)' text-anchor='middle'>pods</text>\n",
                     (kTop + bottom) / 2);
}

void draw(std::string& out, const Report& report) {
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  double end = 1, most = 1;
  for (const Sample& sample : report.samples) {
    end = std::max(end, seconds_of(sample.at));
    for (const Series& series : kSeries) most = std::max(most, static_cast<double>(sample.*series.member));
  }
  most *= 1.05;
  const auto x_of = [&](Duration at) { return kLeft + std::min(seconds_of(at), end) / end * (right - kLeft); };

  out += fmt::format("<text x='{}' y='22' class='title'>{}: {} nodes, {} pods, seed {}</text>\n", kLeft,
                     escape(report.scenario), report.options.nodes, report.options.pods, report.options.seed);
  draw_axes(out, end, most);
  // Many marks without words tell more than many words on top of each other.
  const bool label = report.marks.size() <= kMostLabels;
  double row = 0;
  for (const Mark& mark : report.marks) {
    out += fmt::format("<line x1='{0:.1f}' y1='{1}' x2='{0:.1f}' y2='{2}' class='mark'><title>{3}</title></line>",
                       x_of(mark.at), kTop, bottom, escape(mark.text));
    if (!label) continue;
    const bool left = x_of(mark.at) > (kLeft + right) / 2;
    out += fmt::format("<text x='{:.1f}' y='{:.1f}' class='note' text-anchor='{}'>{}</text>\n",
                       x_of(mark.at) + (left ? -4 : 4), kTop + 12 + row, left ? "end" : "start", escape(mark.text));
    row = std::fmod(row + 14, 14 * 6);
  }
  double legend = right - 260;
  for (const Series& series : kSeries) {
    out += fmt::format("<path fill='none' stroke='{}' stroke-width='1.8' d='", series.colour);
    char verb = 'M';
    for (const Sample& sample : report.samples) {
      out += fmt::format("{}{:.1f} {:.1f}", std::exchange(verb, 'L'), x_of(sample.at),
                         bottom - static_cast<double>(sample.*series.member) / most * (bottom - kTop));
    }
    out += "'/>\n";
    out += fmt::format("<line x1='{0}' y1='36' x2='{1}' y2='36' stroke='{2}' stroke-width='3'/>", legend, legend + 20,
                       series.colour);
    out += fmt::format("<text x='{}' y='40'>{}</text>\n", legend + 26, series.name);
    legend += 90;
  }
}

}  // namespace

std::string draw_svg(const std::vector<Report>& reports) {
  std::string out = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' viewBox='0 0 {0} {1}' "
      "font-family='sans-serif' font-size='12'>\n"
      "<style>.grid{{stroke:#ddd}}.axis{{stroke:#444}}.mark{{stroke:#5c6bc0;stroke-dasharray:3 3}}"
      ".note{{fill:#5c6bc0;font-size:10px;paint-order:stroke;stroke:#fff;stroke-width:3px}}.title{{font-size:15px;font-"
      "weight:bold}}</style>\n"
      "<rect width='100%' height='100%' fill='white'/>\n",
      kWidth, kHeight * static_cast<double>(std::max<size_t>(1, reports.size())));
  for (size_t i = 0; i < reports.size(); ++i) {
    out += fmt::format("<g transform='translate(0 {})'>\n", kHeight * static_cast<double>(i));
    draw(out, reports[i]);
    out += "</g>\n";
  }
  return out + "</svg>\n";
}

}  // namespace trireme::simulator
