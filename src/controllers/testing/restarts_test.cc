#include "controllers/testing/restarts.h"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <limits>
#include <mutex>
#include <optional>

#include "api/scheme.h"
#include "api/value.h"
#include "apiserver/api_server.h"
#include "controllers/all.h"
#include "net/transport.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::controllers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Instant = std::chrono::steady_clock::time_point;

constexpr size_t kNever = std::numeric_limits<size_t>::max();

/// Tells of writes, so that nobody needs to look again and again.
class Bell {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      ++rung_;
    }
    changed_.notify_all();
  }
  uint64_t rung() {
    const std::lock_guard lock(mutex_);
    return rung_;
  }
  /// False when it did not ring after `since` within `limit`.
  bool wait(uint64_t since, Duration limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return rung_ != since; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t rung_ = 0;
};

bool is_read(const net::Request& request) { return request.method == "GET"; }
bool is_event(const net::Request& request) { return request.path().find("/events") != std::string_view::npos; }

/// Rings for every write, and lets only so many pass. The last one is made, but its answer is lost.
class CuttingTransport final : public net::Transport {
 public:
  CuttingTransport(std::unique_ptr<net::Transport> inner, Bell& bell, size_t allowed)
      : inner_(std::move(inner)), bell_(bell), allowed_(allowed) {}

  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop) override {
    if (is_read(request)) {
      if (cut()) return dead();
      Result<net::Response> answer = inner_->round_trip(request, stop);
      if (cut()) return dead();
      return answer;
    }
    const std::lock_guard lock(write_mutex_);
    if (cut()) return dead();
    Result<net::Response> answer = inner_->round_trip(request, stop);
    if (!answer.ok() || answer->status >= 300 || is_event(request)) return answer;
    ++writes_;
    bell_.ring();
    if (cut()) return dead();
    return answer;
  }
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop) override {
    if (cut()) return dead();
    return inner_->open(request, stop);
  }

  bool cut() const { return writes_ >= allowed_; }
  size_t writes() const { return writes_; }

 private:
  static Status dead() { return Status::unavailable("the process was killed"); }

  std::unique_ptr<net::Transport> inner_;
  Bell& bell_;
  const size_t allowed_;
  std::mutex write_mutex_;
  std::atomic<size_t> writes_{0};
};

/// A cluster whose controllers die after so many writes.
class World {
 public:
  explicit World(const Scenario& scenario) : scenario_(scenario) {
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    auto server = apiserver::ApiServer::create(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    user_.emplace(raw(kNever));
    kubelet_ = std::make_unique<HollowKubelet>(raw(kNever), clock_, scenario.kubelet);
  }
  ~World() {
    manager_.reset();
    kubelet_.reset();
    server_->begin_shutdown();
  }

  /// Plays the scenario. `allowed(i)`: the writes that the i-th incarnation of the controllers may make.
  /// `end`: when given, the run must come to this end; otherwise the end is what is there when nothing happens any
  /// more. Returns the end.
  std::vector<std::string> play(const std::function<size_t(size_t)>& allowed,
                                const std::optional<std::vector<std::string>>& end) {
    allowed_ = allowed;
    deadline_ = std::chrono::steady_clock::now() + scenario_.limit;
    start();
    for (size_t i = 0; i < scenario_.acts.size(); ++i) {
      scenario_.acts[i].change(*user_);
      if (!until([&] { return scenario_.acts[i].done(*user_); })) {
        ADD_FAILURE() << "act " << i << " was not completed in time";
        return state();
      }
    }
    if (end) (void)until([&] { return state() == *end; });
    settle(end ? 1 : 3);
    return state();
  }

  /// Writes of the present incarnation.
  size_t writes() const { return transport_->writes(); }
  size_t incarnations() const { return incarnations_; }

 private:
  std::shared_ptr<client::RawClient> raw(size_t allowed) {
    transport_ = std::make_shared<CuttingTransport>(net::in_process_transport(*server_, {}), bell_, allowed);
    return std::make_shared<client::RawClient>(transport_, "test");
  }

  void start() {
    manager_.reset();
    const auto own = raw(allowed_(incarnations_++));
    ControllerContext context{client::Client(own), std::make_shared<client::InformerFactory>(own, clock_),
                              std::make_shared<client::EventBroadcaster>(client::Client(own), clock_), clock_,
                              scenario_.options};
    manager_ = std::make_unique<Manager>(context);
    const auto selected = select_controllers(all_controllers(), scenario_.controllers);
    ASSERT_TRUE(selected.ok()) << selected.status().to_string();
    for (const auto* descriptor : *selected) manager_->add(*descriptor);
    ASSERT_TRUE(manager_->start().ok());
  }

  bool until(const std::function<bool()>& holds) {
    while (std::chrono::steady_clock::now() < deadline_) {
      const uint64_t seen = bell_.rung();
      if (transport_->cut()) start();
      if (holds()) return true;
      // Nothing happens by itself: let time pass.
      if (!bell_.wait(seen, milliseconds(60))) clock_->advance(seconds(1));
    }
    return false;
  }
  /// Until nothing has been written for so many periods of 50 ms, in each of which the controllers' time moves on.
  void settle(int periods) {
    uint64_t seen = bell_.rung();
    for (int quiet = 0; quiet < periods && std::chrono::steady_clock::now() < deadline_; ++quiet) {
      if (transport_->cut()) start();
      if (!bell_.wait(seen, milliseconds(50))) {
        clock_->advance(seconds(1));
        continue;
      }
      seen = bell_.rung();
      quiet = -1;
    }
  }

  std::vector<std::string> state() {
    client::RawClient json(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})), "test",
                           /*protobuf=*/false);
    std::vector<std::string> out;
    for (const std::string& each : scenario_.compared) {
      const size_t first = each.find('/');
      const size_t second = each.find('/', first + 1);
      const auto* resource = api::find_resource(each.substr(0, first), each.substr(first + 1, second - first - 1),
                                                each.substr(second + 1));
      EXPECT_TRUE(resource) << each;
      if (!resource) continue;
      const auto listed = json.list(*resource, "default", {});
      EXPECT_TRUE(listed.ok()) << listed.status().to_string();
      auto list = listed.ok() ? api::parse_value(*listed) : Result<api::Value>(listed.status());
      api::Value* items = list.ok() ? list->find("items") : nullptr;
      if (!items || !items->is_array()) continue;
      for (api::Value& item : items->as_array()) {
        normalise(item);
        if (scenario_.normalise) scenario_.normalise(item);
        out.push_back(resource->resource + " " + api::to_json(item));
      }
    }
    std::ranges::sort(out);
    return out;
  }

  static void normalise(api::Value& item) {
    if (api::Value* metadata = item.find("metadata")) {
      const api::Value* base = metadata->find("generateName");
      if (base) (*metadata)["name"] = std::string(base->string_or_empty()) + "*";
    }
    drop_volatile(item);
  }
  static void drop_volatile(api::Value& value) {
    if (value.is_array()) {
      for (api::Value& each : value.as_array()) drop_volatile(each);
      return;
    }
    if (!value.is_object()) return;
    std::erase_if(value.as_object(), [](const auto& member) {
      const std::string& key = member.first;
      return key == "uid" || key == "resourceVersion" || key == "generation" || key == "observedGeneration" ||
             key == "managedFields" || key.ends_with("Time") || key.ends_with("Timestamp");
    });
    for (auto& [key, each] : value.as_object()) {
      drop_volatile(each);
      // Their order tells only which changed last.
      if (key != "conditions" || !each.is_array()) continue;
      std::ranges::sort(each.as_array(), {}, [](const api::Value& condition) {
        const api::Value* type = condition.find("type");
        return std::string(type ? type->string_or_empty() : "");
      });
    }
  }

  const Scenario& scenario_;
  Bell bell_;
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>(std::chrono::system_clock::now());
  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<CuttingTransport> transport_;  ///< The controllers', once they run.
  std::optional<client::Client> user_;
  std::unique_ptr<HollowKubelet> kubelet_;
  std::unique_ptr<Manager> manager_;
  std::function<size_t(size_t)> allowed_;
  size_t incarnations_ = 0;
  Instant deadline_;
};

/// What is only there, and what only here; empty when both are the same.
std::string difference(const std::vector<std::string>& expected, const std::vector<std::string>& actual) {
  std::vector<std::string> missing;
  std::vector<std::string> surplus;
  std::ranges::set_difference(expected, actual, std::back_inserter(missing));
  std::ranges::set_difference(actual, expected, std::back_inserter(surplus));
  std::string out;
  for (const std::string& each : missing) out += "missing: " + each + "\n";
  for (const std::string& each : surplus) out += "surplus: " + each + "\n";
  return out;
}

}  // namespace

void survives_restarts(const Scenario& scenario) {
  std::vector<std::string> expected;
  size_t writes = 0;
  {
    World world(scenario);
    expected = world.play([](size_t) { return kNever; }, std::nullopt);
    writes = world.writes();
  }
  if (::testing::Test::HasFailure()) FAIL() << "undisturbed:\n" << difference({}, expected);
  ASSERT_GT(writes, 0u);
  for (size_t n = 1; n <= writes; ++n) {
    World world(scenario);
    const auto end = world.play([&](size_t incarnation) { return incarnation == 0 ? n : kNever; }, expected);
    ASSERT_EQ(difference(expected, end), "") << "killed after write " << n << " of " << writes;
    if (::testing::Test::HasFailure()) FAIL() << "killed after write " << n << " of " << writes;
  }
  World world(scenario);
  const auto end = world.play([](size_t) { return size_t{1}; }, expected);
  ASSERT_EQ(difference(expected, end), "") << "killed after every write";
  // It did die that often.
  EXPECT_GE(world.incarnations(), writes / 2);
  ::testing::Test::RecordProperty("writes", static_cast<int>(writes));
}

}  // namespace trireme::controllers
