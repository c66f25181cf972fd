#include "simulator/world.h"

#include <fmt/format.h>

#include <chrono>

#include "api/types/appsv1.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/authz/authz.h"
#include "controllers/all.h"
#include "net/transport.h"
#include "simulator/follow.h"
#include "store/memory_store.h"

namespace trireme::simulator {
namespace {

// What a step keeps an actor busy, roughly as on a real machine.
constexpr Duration kInformerCost = std::chrono::microseconds(500);
constexpr Duration kInformerLook = std::chrono::seconds(5);
constexpr Duration kReconcileCost = std::chrono::milliseconds(1);
constexpr Duration kCycleCost = std::chrono::microseconds(300);
constexpr Duration kBindCost = std::chrono::microseconds(250);
constexpr Duration kEventCost = std::chrono::microseconds(250);
constexpr Duration kUserCost = std::chrono::milliseconds(1);

// Everybody reads in this process and keeps up: little history is ever needed, and a long run must not grow.
constexpr Duration kCompactionInterval = std::chrono::seconds(10);
constexpr Duration kEventTtl = std::chrono::minutes(1);
constexpr Duration kProgressInterval = std::chrono::seconds(1);
constexpr size_t kMostFailures = 50;

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      random_(options.seed),
      clock_(std::make_shared<VirtualClock>(VirtualClock::kDefaultStart, VirtualClock::Sleep::kAdvances)),
      loop_(clock_, random_.fork("loop")) {}

World::~World() {
  if (controllers_) controllers_->stop();
  if (scheduler_) scheduler_->stop();
  if (outside_) outside_->stop();
  scheduler_.reset();
  controllers_.reset();
  nodes_.reset();
  invariants_.reset();
  observer_.reset();
  outside_.reset();
  if (server_) server_->begin_shutdown();
  server_.reset();
  trace_.reset();
}

Result<std::unique_ptr<World>> World::create(const WorldOptions& options) {
  std::unique_ptr<World> world(new World(options));
  TRY(world->build());
  return world;
}

std::shared_ptr<net::Transport> World::connect() { return net::in_process_transport(*server_, {}); }

std::shared_ptr<client::InformerFactory> World::stepped_informers(std::shared_ptr<client::RawClient> raw,
                                                                  std::string_view purpose) const {
  return std::make_shared<client::InformerFactory>(std::move(raw), clock_,
                                                   client::InformerFactory::Stepped{random_.fork(purpose).next()});
}

void World::begin(Process& process, std::string agent) {
  ++process.lives;
  process.transport = std::make_shared<MortalTransport>(connect());
  process.raw = std::make_shared<client::RawClient>(process.transport, agent);
  process.informers = stepped_informers(process.raw, fmt::format("{} {}", agent, process.lives));
  process.events = std::make_shared<client::EventBroadcaster>(client::Client(process.raw), clock_,
                                                              client::EventBroadcaster::Mode::kStepped);
}

void World::add_informers(std::string name, std::function<client::InformerFactory*()> factory) {
  // They can only have news when somebody has written, or their watch ends, which the clock brings about.
  struct Seen {
    uint64_t writes = 0;
    Duration at{};
  };
  auto seen = std::make_shared<Seen>();
  loop_.add({std::move(name), kInformerCost,
             [this, seen] { return trace_->writes() != seen->writes ? Duration::zero() : seen->at + kInformerLook; },
             [this, seen, factory = std::move(factory)] {
               *seen = {trace_->writes(), clock_->monotonic()};
               factory()->pump();
             }});
}

void World::add_actors(Process& process, const std::string& name) {
  add_informers(name + "' informers", [&process] { return process.informers.get(); });
  loop_.add({name + "' events", kEventCost,
             [&process] { return process.events->waiting() > 0 ? Duration::zero() : kNever; },
             [&process] { process.events->step(); }});
}

Status World::start_controllers() {
  controllers_.reset();
  begin(controller_process_, "kube-controller-manager");
  controllers::ControllerContext context{client::Client(controller_process_.raw),
                                         controller_process_.informers,
                                         controller_process_.events,
                                         clock_,
                                         {},
                                         /*single_threaded=*/true};
  context.options.root_ca_pem = "simulated";
  controllers_ = std::make_unique<controllers::Manager>(context);
  TRY_ASSIGN(const auto selected,
             controllers::select_controllers(controllers::all_controllers(), options_.controllers));
  for (const auto* descriptor : selected) controllers_->add(*descriptor);
  return controllers_->start();
}

Status World::start_scheduler() {
  scheduler_.reset();
  begin(scheduler_process_, "kube-scheduler");
  scheduler::SchedulerContext context{client::Client(scheduler_process_.raw),
                                      scheduler_process_.informers,
                                      scheduler_process_.events,
                                      clock_,
                                      {},
                                      /*single_threaded=*/true};
  context.options.random_seed = random_.fork(fmt::format("ties {}", scheduler_process_.lives)).next() | 1;
  scheduler_ = scheduler::Scheduler::create(context);
  return scheduler_->start();
}

void World::kill(Component component, size_t writes, Duration downtime) {
  const bool controllers = component == Component::kControllers;
  (controllers ? controller_process_ : scheduler_process_).transport->die_after(writes);
  after(downtime, [this, controllers] {
    const Status started = controllers ? start_controllers() : start_scheduler();
    if (!started.ok()) fail("a component could not be started anew: " + started.message());
  });
}

Status World::build() {
  store_ = store::memory_store(clock_, store::Dispatch::kInline);
  TRY_ASSIGN(trace_, Trace::follow(*store_, clock_, options_.trace_file));
  apiserver::Options server;
  server.store = store_;
  server.clock = clock_;
  server.caches = std::make_shared<apiserver::Caches>(apiserver::CachesOptions{.store = store_, .clock = clock_});
  server.event_ttl = kEventTtl;
  server.service_cidr = "10.96.0.0/12";
  server.random = [source = std::make_shared<Random>(random_.fork("server"))] {
    return static_cast<uint32_t>(source->next() >> 32);
  };
  server.authorizer = apiserver::authz::always_allow();
  server.admission = apiserver::admission::default_chain(server.caches, server.authorizer, server.random);
  TRY_ASSIGN(server_, apiserver::ApiServer::create(std::move(server)));
  client_ = std::make_unique<client::Client>(std::make_shared<client::RawClient>(connect(), "simulator"));

  TRY(start_controllers());
  add_actors(controller_process_, "controllers");
  for (size_t i = 0; i < controllers_->controllers().size(); ++i) {
    const auto each = [this, i]() -> controllers::Controller& { return *controllers_->controllers()[i]; };
    loop_.add({each().name(), kReconcileCost / each().workers(),
               [each] { return each().queue().size() > 0 ? Duration::zero() : kNever; }, [each] { each().step(); }});
  }

  TRY(start_scheduler());
  add_actors(scheduler_process_, "scheduler");
  loop_.add({"scheduler", kCycleCost, [this] { return scheduler_->ready() ? Duration::zero() : kNever; },
             [this] { scheduler_->step(); }});
  loop_.add({"scheduler's writer", kBindCost,
             [this] { return scheduler_->unwritten() > 0 ? Duration::zero() : kNever; },
             [this] { scheduler_->write(); }});

  const auto kubelets = std::make_shared<client::RawClient>(connect(), "kubelet");
  outside_ = stepped_informers(kubelets, "nodes");
  observer_ = std::make_unique<Observer>(*outside_, clock_);
  // Always there, so that a run that is watched takes the same steps as one that is not.
  outside_->informer<api::corev1::Pod>();
  outside_->informer<api::appsv1::ReplicaSet>();
  outside_->informer<api::appsv1::Deployment>();
  invariants_ = std::make_unique<Invariants>(*outside_, client::Client(kubelets), clock_);
  if (!options_.follow.empty()) follow(*outside_, clock_, options_.follow, stderr);
  nodes_ =
      std::make_unique<HollowNodes>(client::Client(kubelets), *outside_, clock_, random_.fork("nodes"), options_.nodes);
  add_informers("nodes' informers", [this] { return outside_.get(); });
  // They are many: together they take a step in a fraction of the time of one.
  const Duration cost = std::chrono::milliseconds(2) / std::max(1, options_.nodes.count);
  loop_.add({"nodes", cost, [this] { return nodes_->due(); }, [this] { nodes_->step(); }});

  loop_.add({"user", kUserCost, [this] { return plans_.empty() ? kNever : plans_.top().due; },
             [this] {
               const Plan plan = plans_.top();
               plans_.pop();
               plan.act();
             }});
  loop_.add({"observer", Duration::zero(), [this] { return observer_->next_sample(); },
             [this] {
               observer_->take_sample();
               if (options_.progress) show_progress();
             }});
  loop_.add({"compaction", Duration::zero(), [this] { return next_compaction_; }, [this] { compact(); }});
  return {};
}

Loop::End World::run(Duration limit, const std::function<bool()>& done) {
  outside_->start();
  return loop_.run(limit, done);
}

void World::after(Duration delay, std::function<void()> act) {
  plans_.push({clock_->monotonic() + delay, ++numbers_, std::move(act)});
}

void World::compact() {
  next_compaction_ = clock_->monotonic() + kCompactionInterval;
  if (compactable_ > 0) (void)store_->compact(compactable_);
  compactable_ = store_->current_revision().value();
}

void World::show_progress() {
  const Duration real = std::chrono::steady_clock::now().time_since_epoch();
  if (real - shown_ < kProgressInterval) return;
  shown_ = real;
  const Sample& counts = observer_->now();
  fmt::print(stderr, "\r{:8.1f} s virtual  {} nodes ready  pods: {} pending, {} not ready, {} ready  {} writes   ",
             std::chrono::duration<double>(now()).count(), observer_->ready_nodes(), counts.pending, counts.unready,
             counts.ready, writes());
}

uint64_t World::hash() const { return trace_->hash() * 31 + loop_.choices(); }

void World::fail(std::string what) {
  if (failures_.size() < kMostFailures) failures_.push_back(std::move(what));
}

std::vector<std::string> World::violations() const {
  std::vector<std::string> all = failures_;
  for (const auto* more : {&observer_->violations(), &invariants_->violations(), &nodes_->violations()}) {
    all.insert(all.end(), more->begin(), more->end());
  }
  return all;
}

}  // namespace trireme::simulator
