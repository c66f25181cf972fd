#include "linux/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace trireme::linux {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Process, RunsAProgramAndReturnsItsOutput) {
  auto output = run_program({"sh", "-c", "echo hello; echo noise >&2"});
  ASSERT_TRUE(output.ok()) << output.status().to_string();
  EXPECT_EQ(*output, "hello\n");
}

TEST(Process, AProgramInheritsNothingOfThisProcess) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);  // NOLINT: without O_CLOEXEC by intent
  const std::string names = std::to_string(ends[0]) + " " + std::to_string(ends[1]);
  auto output = run_program({"sh", "-c", "for n in " + names + "; do [ -e /proc/self/fd/$n ] && echo $n; done; true"});
  ::close(ends[0]);
  ::close(ends[1]);
  ASSERT_TRUE(output.ok()) << output.status().to_string();
  EXPECT_EQ(*output, "");
}

TEST(Process, AFailingProgramTellsItsError) {
  EXPECT_THAT(run_program({"sh", "-c", "echo broken >&2; exit 3"}).status().message(), HasSubstr("broken"));
  EXPECT_TRUE(run_program({"no-such-program-here"}).status().is(Reason::kNotFound));
}

TEST(Process, LogsToAFileThatOnlyItsOwnerReads) {
  auto file = std::filesystem::temp_directory_path() / ("process_test." + std::to_string(::getpid()));
  auto child = ChildProcess::spawn({{"sh", "-c", "echo $GREETING"}, {{"GREETING", "salve"}}, file.string(), false});
  ASSERT_TRUE(child.ok()) << child.status().to_string();
  while (child->running()) ::usleep(1000);
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  EXPECT_EQ(line, "salve");
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::remove(file);
}

TEST(Process, TerminateEndsAlsoWhoIgnoresIt) {
  auto file = std::filesystem::temp_directory_path() / ("process_test.ignores." + std::to_string(::getpid()));
  auto child = ChildProcess::spawn(
      {{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"}, {}, file.string(), true});
  ASSERT_TRUE(child.ok());
  EXPECT_THAT(command_line_of(child->pid()), testing::Contains("-c"));
  while (std::filesystem::file_size(file) == 0) ::usleep(1000);  // the trap is set
  child->terminate(std::chrono::milliseconds(50));
  EXPECT_FALSE(child->running());
  EXPECT_EQ(executable_of(child->pid()), std::nullopt);
  std::filesystem::remove(file);
}

TEST(Process, AProgramThatCannotStartIsAnError) {
  EXPECT_TRUE(ChildProcess::spawn({{"/etc"}, {}, "", false}).status().is(Reason::kInternalError));
}

}  // namespace
}  // namespace trireme::linux
