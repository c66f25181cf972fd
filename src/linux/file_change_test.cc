#include "linux/file_change.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "linux/file.h"

namespace trireme::linux {
namespace {

class FileChangeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "file-change-" + std::to_string(::getpid());
    ASSERT_TRUE(make_dirs(folder_ + "/one").ok());
    ASSERT_TRUE(make_dirs(folder_ + "/two").ok());
    put("one/config", "a");
    put("two/config", "b");
    std::filesystem::create_symlink("one", folder_ + "/data");
    std::filesystem::create_symlink("data/config", folder_ + "/config");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file(folder_ + "/" + name, text).ok());
  }
  void watch(const std::string& name) {
    auto started = FileChange::start(folder_ + "/" + name, [this] { told_.set_value(); });
    ASSERT_TRUE(started.ok()) << started.status().message();
    change_ = std::move(*started);
  }
  bool told(std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    return future_.wait_for(patience) == std::future_status::ready;
  }
  std::string folder_;
  std::promise<void> told_;
  std::future<void> future_ = told_.get_future();
  std::unique_ptr<FileChange> change_;
};

TEST_F(FileChangeTest, AnotherContentIsToldTheSameIsNot) {
  watch("one/config");
  put("one/config", "a");
  put("one/other", "x");
  EXPECT_FALSE(told(std::chrono::milliseconds(300)));
  put("one/config", "b");
  EXPECT_TRUE(told());
}

TEST_F(FileChangeTest, ALinkThatIsTurnedIsTold) {
  watch("config");
  std::filesystem::create_symlink("two", folder_ + "/data.new");
  std::filesystem::rename(folder_ + "/data.new", folder_ + "/data");
  EXPECT_TRUE(told());
}

TEST_F(FileChangeTest, AFileThatGoesIsToldOneThatIsReplacedByTheSameIsNot) {
  watch("one/config");
  ASSERT_TRUE(replace_file(folder_ + "/one/config", "a").ok());
  EXPECT_FALSE(told(std::chrono::milliseconds(300)));
  std::filesystem::remove(folder_ + "/one/config");
  EXPECT_TRUE(told());
}

TEST_F(FileChangeTest, WhatIsNotThereCannotBeWatched) {
  EXPECT_TRUE(FileChange::start(folder_ + "/nothing", [] {}).status().is(Reason::kNotFound));
}

}  // namespace
}  // namespace trireme::linux
