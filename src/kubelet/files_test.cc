// What touches files: logs, rotation, atomic volumes; and the pure parts of images and the node's status.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "kubelet/images/credentials.h"
#include "kubelet/images/image_gc.h"
#include "kubelet/images/image_name.h"
#include "kubelet/logs/cri_log.h"
#include "kubelet/logs/log_rotation.h"
#include "kubelet/node/node_status.h"
#include "kubelet/server/log_streamer.h"
#include "kubelet/volumes/atomic_writer.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/trireme-files-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() { (void)linux::remove_tree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ImageName, FillsInDefaults) {
  const std::pair<const char*, const char*> good[] = {
      {"redis", "docker.io/library/redis:latest"}, {"dockerfile/redis", "docker.io/dockerfile/redis:latest"},
      {"redis:7", "docker.io/library/redis:7"},    {"localhost:5000/a/b", "localhost:5000/a/b:latest"},
      {"quay.io/x/y:v1", "quay.io/x/y:v1"},        {"a_b/c__d-e.f", "docker.io/a_b/c__d-e.f:latest"},
  };
  for (const auto& [text, expected] : good) {
    auto name = parse_image_name(text);
    ASSERT_TRUE(name.ok()) << text;
    EXPECT_EQ(name->to_string(), expected);
  }
  std::string digest = "redis@sha256:" + std::string(64, 'a');
  EXPECT_EQ(parse_image_name(digest)->to_string(), "docker.io/library/" + digest);
  for (const char* bad :
       {"", "Redis", "a//b", "redis:", "redis:!", "a b", "-x", "redis@sha256:1", "x/", "a..b", ":7"}) {
    EXPECT_FALSE(parse_image_name(bad).ok()) << bad;
  }
  EXPECT_EQ(effective_pull_policy("", *parse_image_name("redis")), "Always");
  EXPECT_EQ(effective_pull_policy("", *parse_image_name("redis:7")), "IfNotPresent");
  EXPECT_EQ(effective_pull_policy("Never", *parse_image_name("redis")), "Never");
}

TEST(Credentials, MatchByHostAndPath) {
  ImageName image = *parse_image_name("eu.example.com/team/app:1");
  EXPECT_TRUE(credential_matches("eu.example.com", image));
  EXPECT_TRUE(credential_matches("https://*.example.com", image));
  EXPECT_TRUE(credential_matches("eu.example.com/team", image));
  EXPECT_FALSE(credential_matches("example.com", image));
  EXPECT_FALSE(credential_matches("*.com", image));
  EXPECT_FALSE(credential_matches("eu.example.com/other", image));
  EXPECT_FALSE(credential_matches("eu.example.com:443", image));
  EXPECT_TRUE(credential_matches("https://index.docker.io/v1/", *parse_image_name("redis")));

  api::corev1::Secret secret;
  secret.data[".dockerconfigjson"] =
      R"({"auths":{"eu.example.com":{"auth":"dXNlcjpwYXNz"},"eu.example.com/team":{"username":"u2","password":"p2"}}})";
  api::corev1::Secret broken;
  broken.data[".dockerconfigjson"] = "{";
  auto logins = matching_credentials({broken, secret}, image);
  ASSERT_EQ(logins.size(), 2u);
  EXPECT_EQ(logins[0].username, "u2");
  EXPECT_EQ(logins[1].username, "user");
  EXPECT_EQ(logins[1].password, "pass");
}

TEST(ImageCollection, TakesTheLongestUnusedFirst) {
  WallTime now = WallTime() + hours(1000);
  std::vector<cri::Image> images;
  ImageAges ages;
  auto add = [&](const char* id, Duration detected, Duration used, bool pinned = false) {
    images.push_back({id, {std::string(id) + ":1"}, {}, 100, {}, {}, pinned});
    ages.by_id[id] = {now - std::chrono::duration_cast<WallTime::duration>(detected),
                      now - std::chrono::duration_cast<WallTime::duration>(used)};
  };
  add("young", minutes(1), minutes(1));
  add("old", hours(9), hours(5));
  add("older", hours(9), hours(6));
  add("used", hours(9), hours(9));
  add("pinned", hours(9), hours(9), true);
  cri::Container container;
  container.image = "used:1";
  EXPECT_THAT(choose_images(images, {container}, ages, 100, now, minutes(2)), ElementsAre("older"));
  EXPECT_THAT(choose_images(images, {container}, ages, 900, now, minutes(2)), ElementsAre("older", "old"));
}

TEST(CriLog, ParsesRecords) {
  auto line = parse_log_line("2024-01-01T00:00:00.5Z stdout P half a line");
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->partial);
  EXPECT_EQ(line->text, "half a line");
  EXPECT_EQ(parse_log_line("2024-01-01T00:00:00Z stderr F ")->text, "");
  EXPECT_EQ(parse_log_line("2024-01-01T00:00:00Z stderr F:x  two")->text, " two");
  for (const char* bad : {"", "x", "x y", "t stdout", "t other F z", "t stdout Q z"}) {
    EXPECT_FALSE(parse_log_line(bad)) << bad;
  }
  EXPECT_EQ(*parse_log_time("2024-01-01T02:00:00.5+02:00"), WallTime(std::chrono::milliseconds(1'704'067'200'500)));
  EXPECT_FALSE(parse_log_time("yesterday"));
}

std::string streamed(const std::string& path, const LogOptions& options) {
  std::string all;
  EXPECT_TRUE(stream_log(
                  path, options, [] { return false; },
                  [&](std::string text) {
                    all += text;
                    return true;
                  })
                  .ok());
  return all;
}

TEST(LogStream, SelectsAndJoins) {
  TempDir dir;
  std::string path = dir.path() + "/0.log";
  ASSERT_TRUE(linux::write_file(path,
                                "2024-01-01T00:00:01Z stdout F one\n"
                                "2024-01-01T00:00:02Z stderr P two-\n"
                                "2024-01-01T00:00:02Z stderr F more\n"
                                "2024-01-01T00:00:03Z stdout F three\n")
                  .ok());
  LogOptions options;
  EXPECT_EQ(streamed(path, options), "one\ntwo-more\nthree\n");
  options.tail_lines = 1;
  EXPECT_EQ(streamed(path, options), "three\n");
  options.tail_lines = 0;
  EXPECT_EQ(streamed(path, options), "");
  options = {};
  options.since = parse_log_time("2024-01-01T00:00:02Z");
  EXPECT_EQ(streamed(path, options), "two-more\nthree\n");
  options = {};
  options.timestamps = true;
  options.stream = "Stderr";
  EXPECT_EQ(streamed(path, options), "2024-01-01T00:00:02Z two-more\n");
  options = {};
  options.limit_bytes = 6;
  EXPECT_EQ(streamed(path, options), "one\ntw");
  EXPECT_EQ(log_tail(path, 2, 100), "more\nthree\n");

  EXPECT_TRUE(parse_log_options("follow=true&tailLines=3", {}).ok());
  EXPECT_FALSE(parse_log_options("tailLines=x", {}).ok());
  EXPECT_FALSE(parse_log_options("sinceTime=x", {}).ok());
}

TEST(LogStream, FollowsThroughRotation) {
  TempDir dir;
  std::string path = dir.path() + "/0.log";
  ASSERT_TRUE(linux::write_file(path, "2024-01-01T00:00:01Z stdout F one\n").ok());
  std::string all;
  LogOptions options;
  options.follow = true;
  // Each answer brings the next event about, so that no time needs to pass.
  Status status = stream_log(
      path, options, [] { return true; },
      [&](std::string text) {
        all += text;
        if (text == "one\n") {
          EXPECT_TRUE(rotate_log(path, "20240101-000000", 5, [&] {
                        return linux::write_file(path, "2024-01-01T00:00:02Z stdout F two\n");
                      }).ok());
        }
        return text != "two\n";
      });
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(all, "one\ntwo\n");
}

TEST(LogRotation, KeepsTheNewestFiles) {
  TempDir dir;
  std::string path = dir.path() + "/0.log";
  for (const char* stamp : {"20240101-000001", "20240101-000002", "20240101-000003", "20240101-000004"}) {
    ASSERT_TRUE(linux::write_file(path, "x").ok());
    ASSERT_TRUE(rotate_log(path, stamp, 3, [&] { return linux::write_file(path, ""); }).ok());
  }
  EXPECT_THAT(linux::list_dir(dir.path()), ElementsAre("0.log", "0.log.20240101-000003", "0.log.20240101-000004"));
  EXPECT_FALSE(rotate_log(path, "20240101-000005", 3, [] { return Status::internal("no"); }).ok());
  EXPECT_TRUE(linux::exists(path));
}

TEST(AtomicWriter, SwitchesAllFilesAtOnce) {
  TempDir dir;
  Payload payload{{"a", {"1", 0644, {}}}, {"sub/b", {"2", 0600, {}}}};
  auto first = write_atomically(dir.path(), payload, {});
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_TRUE(*first);
  EXPECT_EQ(*linux::read_file(dir.path() + "/a"), "1");
  EXPECT_EQ(*linux::read_file(dir.path() + "/sub/b"), "2");
  struct stat info {};
  ASSERT_EQ(::stat((dir.path() + "/sub/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  char before[256] = {};
  ASSERT_GT(::readlink((dir.path() + "/..data").c_str(), before, sizeof(before) - 1), 0);

  EXPECT_FALSE(*write_atomically(dir.path(), payload, {}));
  // An open directory of the old generation stays whole until its reader lets go of it.
  int old = ::open((dir.path() + "/a").c_str(), O_RDONLY);
  payload.erase("sub/b");
  payload["a"].data = "changed";
  EXPECT_TRUE(*write_atomically(dir.path(), payload, {}));
  char text[8] = {};
  EXPECT_EQ(::read(old, text, sizeof(text)), 1);
  ::close(old);
  EXPECT_EQ(*linux::read_file(dir.path() + "/a"), "changed");
  EXPECT_FALSE(linux::exists(dir.path() + "/sub"));
  EXPECT_FALSE(linux::exists(dir.path() + "/" + before));
  for (const char* bad : {"../x", "/x", "a/../../x", "..data", "", "a//b"}) {
    EXPECT_FALSE(write_atomically(dir.path(), {{bad, {}}}, {}).ok()) << bad;
  }
}

TEST(NodeStatus, DescribesTheMachineAndItsTroubles) {
  KubeletOptions options;
  MachineInfo machine;
  machine.cpus = 2;
  machine.memory_bytes = uint64_t{8} << 30;
  machine.architecture = "amd64";
  NodeFacts facts{options,
                  machine,
                  "n1",
                  {"10.0.0.5"},
                  10250,
                  {"containerd", "1.6.20"},
                  true,
                  {{"RuntimeReady", true, "", ""}, {"NetworkReady", true, "", ""}},
                  {},
                  {uint64_t{100} << 30, uint64_t{50} << 30, 1000, 900},
                  uint64_t{4} << 30,
                  WallTime(),
                  {}};
  auto find = [](const api::corev1::NodeStatus& status, std::string_view type) {
    for (const auto& condition : status.conditions) {
      if (condition.type == type) return condition.status + "/" + condition.reason;
    }
    return std::string("absent");
  };
  auto node = make_node(facts);
  EXPECT_EQ(find(node.status, "Ready"), "True/KubeletReady");
  EXPECT_EQ(find(node.status, "DiskPressure"), "False/KubeletHasNoDiskPressure");
  EXPECT_EQ(node.status.capacity["memory"].to_string(), "8Gi");
  EXPECT_EQ(node.status.allocatable["memory"].to_string(), "8092Mi");
  EXPECT_EQ(node.status.node_info.container_runtime_version, "containerd://1.6.20");
  EXPECT_EQ(node.metadata.labels["kubernetes.io/hostname"], "n1");
  auto given = facts;
  given.extended["example.com/dongle"] = Quantity::of(4);
  EXPECT_EQ(make_node_status(given, node.status).allocatable["example.com/dongle"].to_string(), "4");
  auto later = facts;
  later.now += minutes(3);
  auto status = make_node_status(later, node.status);
  EXPECT_FALSE(node_status_changed(status, node.status));
  later.runtime_conditions.push_back(
      {"ContainerdHasNoDeprecationWarnings", false, "ContainerdHasDeprecationWarnings", ""});
  EXPECT_EQ(find(make_node_status(later, node.status), "Ready"), "True/KubeletReady");
  later.runtime_conditions[1] = {"NetworkReady", false, "NetworkPluginNotReady", "no CNI"};
  EXPECT_TRUE(network_state(facts.runtime_conditions).ok());
  EXPECT_EQ(network_state(later.runtime_conditions).message(),
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:no CNI");
  later.node_filesystem.available_bytes = 1;
  status = make_node_status(later, node.status);
  EXPECT_TRUE(node_status_changed(status, node.status));
  EXPECT_EQ(find(status, "Ready"), "False/KubeletNotReady");
  EXPECT_EQ(find(status, "DiskPressure"), "True/KubeletHasDiskPressure");
}

}  // namespace
}  // namespace trireme::kubelet
