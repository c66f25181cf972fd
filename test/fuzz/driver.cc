// Stands in for libFuzzer where the compiler has none: replays files, or mutates the seeds for -runs=N from -seed=S.

#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.h"

namespace {

using trireme::fuzz::kSeeds;

constexpr size_t kMaxLength = 4096;
std::string current;  // what to keep when the target aborts

void keep_input(int signal_number) {
  std::ofstream("fuzz-crash.bin", std::ios::binary) << current;
  std::cerr << "the input was written to fuzz-crash.bin\n";
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void run(std::string input) {
  current = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(current.data()), current.size());
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {
    for (const char* const* seed_text = kSeeds; *seed_text != nullptr; ++seed_text) corpus_.emplace_back(*seed_text);
  }

  std::string next() {
    std::string input = pick(corpus_);
    for (size_t changes = 1 + below(6); changes > 0; --changes) mutate(input);
    if (input.size() > kMaxLength) input.resize(kMaxLength);
    // Some mutants are built upon, so that the runs wander further from the seeds.
    if (below(16) == 0 && corpus_.size() < 2000) corpus_.push_back(input);
    return input;
  }

 private:
  size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void mutate(std::string& input) {
    static const std::vector<std::string> kTokens = {"{",
                                                     "}",
                                                     "[",
                                                     "]",
                                                     "\"",
                                                     ":",
                                                     ",",
                                                     "null",
                                                     "true",
                                                     "0",
                                                     "-1",
                                                     "1e999",
                                                     "9223372036854775808",
                                                     "\\u",
                                                     "\\\\",
                                                     "\xff",
                                                     "\xed\xa0\x80",
                                                     "\n",
                                                     "- ",
                                                     "? ",
                                                     "&a ",
                                                     "*a",
                                                     "<<: ",
                                                     "|\n ",
                                                     "!!str ",
                                                     "---\n",
                                                     "$patch",
                                                     "$setElementOrder/",
                                                     "/",
                                                     "~1",
                                                     "in (",
                                                     "notin",
                                                     "!=",
                                                     "=",
                                                     "%",
                                                     "Ki",
                                                     "m",
                                                     "k8s\0"};
    size_t at = below(input.size() + 1);
    switch (below(8)) {
      case 0:
        if (!input.empty()) input[below(input.size())] ^= static_cast<char>(1 << below(8));
        break;
      case 1:
        if (!input.empty()) input[below(input.size())] = static_cast<char>(below(256));
        break;
      case 2:
        input.insert(at, 1, static_cast<char>(below(256)));
        break;
      case 3:
        input.insert(at, pick(kTokens));
        break;
      case 4:
        input.erase(at, 1 + below(8));
        break;
      case 5:
        input.insert(at, input.substr(below(input.size() + 1), below(64)));
        break;
      case 6: {
        const std::string& other = pick(corpus_);
        size_t from = below(other.size() + 1);
        input.replace(at, below(32), other, from, below(64));
        break;
      }
      default: {
        const std::string& token = pick(kTokens);
        for (size_t times = below(64); times > 0; --times) input.insert(at, token);
      }
    }
  }

  std::mt19937 random_;
  std::vector<std::string> corpus_;
};

}  // namespace

int main(int argc, char** argv) {
  long runs = 10000;
  unsigned seed = 1;
  std::vector<const char*> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "-runs=", 6) == 0) {
      runs = std::strtol(argv[i] + 6, nullptr, 10);
    } else if (std::strncmp(argv[i], "-seed=", 6) == 0) {
      seed = static_cast<unsigned>(std::strtoul(argv[i] + 6, nullptr, 10));
    } else {
      files.push_back(argv[i]);
    }
  }
  for (int signal_number : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS}) std::signal(signal_number, keep_input);
  for (const char* file : files) {
    std::ifstream in(file, std::ios::binary);
    run(std::string(std::istreambuf_iterator<char>(in), {}));
  }
  if (!files.empty()) return 0;
  for (const char* const* seed_text = kSeeds; *seed_text != nullptr; ++seed_text) run(*seed_text);
  Mutator mutator(seed);
  for (long i = 0; i < runs; ++i) run(mutator.next());
  std::cout << runs << " runs from seed " << seed << "\n";
  return 0;
}
