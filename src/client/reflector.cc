#include "client/reflector.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "api/status_convert.h"
#include "base/log.h"
#include "client/watch_frames.h"

namespace trireme::client {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(800);
// Until the first list has come somebody waits for it: a server that is only just starting is asked again soon.
constexpr Duration kStartBackoff = std::chrono::milliseconds(25);
constexpr int kReportedFailure = 3;
constexpr Duration kLastBackoff = std::chrono::seconds(30);
constexpr Duration kBackoffReset = std::chrono::minutes(2);
constexpr int64_t kShortestWatchSeconds = 300;

bool expired(const Status& status) { return status.is(Reason::kExpired) || status.is(Reason::kGone); }

bool is_envelope(std::string_view body) { return body.starts_with(std::string_view("k8s\0", 4)); }

struct ObjectDeleter {
  const api::TypeInfo* type;
  void operator()(const void* object) const { type->remove(const_cast<void*>(object)); }
};

}  // namespace

Reflector::Reflector(std::shared_ptr<RawClient> client, std::shared_ptr<Clock> clock, const api::ResourceInfo& resource,
                     Scope scope, AnyTransform transform, uint32_t seed)
    : client_(std::move(client)),
      clock_(std::move(clock)),
      resource_(resource),
      type_(scope.metadata_only ? api::type_info<api::metav1::PartialObjectMetadata>() : *resource.type),
      scope_(std::move(scope)),
      transform_(std::move(transform)),
      objects_(client_->local() && !scope_.metadata_only),
      cache_(type_),
      random_(seed),
      backoff_(kStartBackoff),
      last_failure_(clock_->monotonic()) {}

Reflector::~Reflector() = default;

void Reflector::start() {
  if (started_.exchange(true)) return;
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void Reflector::request_stop() { thread_.request_stop(); }

void Reflector::join() {
  if (thread_.joinable()) thread_.join();
  watch_.reset();
}

bool Reflector::synced() const {
  const std::lock_guard lock(synced_mutex_);
  return synced_;
}

bool Reflector::wait_synced(std::stop_token stop) const {
  std::unique_lock lock(synced_mutex_);
  return synced_changed_.wait(lock, stop, [this] { return synced_; });
}

void Reflector::add_handler(Handler handler) {
  const std::lock_guard lock(delivery_mutex_);
  for (const AnyPointer& object : cache_.list({})) handler(nullptr, object);
  handlers_.push_back(std::move(handler));
}

void Reflector::deliver(const AnyPointer& before, const AnyPointer& after) {
  for (const Handler& handler : handlers_) handler(before, after);
}

void Reflector::reach(const std::string& version) {
  version_ = version;
  uint64_t number = 0;
  std::from_chars(version.data(), version.data() + version.size(), number);
  reached_ = number;
}

Duration Reflector::jittered(Duration base) {
  return base + Duration(static_cast<int64_t>(static_cast<double>(base.count()) *
                                              std::uniform_real_distribution<double>(0, 1)(random_)));
}

void Reflector::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    switch (step(stop)) {
      case Next::kNow:
        break;
      case Next::kEvents:
        if (Status status = watch_->wait(stop); !status.ok() && !stop.stop_requested()) after(status);
        break;
      case Next::kTime:
        if (!clock_->sleep_for(due_ - clock_->monotonic(), stop)) return;
        break;
    }
  }
}

bool Reflector::advance() {
  bool worked = false;
  while (true) {
    switch (step({})) {
      case Next::kNow:
        break;
      case Next::kEvents: {
        const Result<bool> arrived = watch_->poll();
        if (arrived.ok() && !*arrived) return worked;
        if (!arrived.ok()) after(arrived.status());
        break;
      }
      case Next::kTime:
        return worked;
    }
    worked = true;
  }
}

Reflector::Next Reflector::step(std::stop_token stop) {
  if (waiting_) {
    if (clock_->monotonic() < due_) return Next::kTime;
    waiting_ = false;
  }
  if (!listed_) {
    const Status status = list(stop);
    listed_ = status.ok();
    return stop.stop_requested() ? Next::kNow : after(status);
  }
  if (!watch_) {
    const Status status = open_watch(stop);
    return status.ok() || stop.stop_requested() ? Next::kNow : after(status);
  }
  const Result<bool> ended = follow();
  if (!ended.ok()) return after(ended.status());
  if (!*ended) return Next::kEvents;
  // A server that ends every watch at once must not be asked without pause.
  if (events_ == 0 && clock_->monotonic() - opened_ < std::chrono::seconds(1)) {
    return after(Status::unavailable("the watch ended at once without an event"));
  }
  return after({});
}

/// What a finished list or watch means for what comes next.
Reflector::Next Reflector::after(const Status& status) {
  watch_.reset();
  if (status.ok()) {
    failures_ = 0;
    backoff_ = std::max(backoff_, kFirstBackoff);
    return Next::kNow;
  }
  if (expired(status)) {
    listed_ = false;
  }
  // One line for a run of failures, none for a short one: a server that is away for long must not fill the log.
  if (++failures_ == kReportedFailure) {
    log::warning("Cannot follow a resource; trying again", {{"resource", resource_.resource}, {"error", status}});
  }
  const Duration now = clock_->monotonic();
  if (now - last_failure_ > kBackoffReset) backoff_ = kFirstBackoff;
  last_failure_ = now;
  due_ = now + jittered(backoff_);
  waiting_ = true;
  backoff_ = std::min(backoff_ * 2, kLastBackoff);
  return Next::kTime;
}

AnyPointer Reflector::adopt(void* object) {
  if (transform_) transform_(object);
  return AnyPointer(object, ObjectDeleter{&type_});
}

Result<AnyPointer> Reflector::adopt_part(net::LocalPart part) {
  if (part.type != &type_) return Status::internal("the server handed over an object of another type");
  return transform_ ? adopt(type_.clone(part.value.get())) : AnyPointer(std::move(part.value));
}

Result<AnyPointer> Reflector::decode_object(std::string_view body) {
  std::unique_ptr<void, ObjectDeleter> object(type_.create(), ObjectDeleter{&type_});
  if (is_envelope(body)) {
    TRY_ASSIGN(api::UnwrappedProto unwrapped, api::unwrap_proto(body));
    TRY(api::parse_proto(type_, unwrapped.raw, object.get()));
  } else {
    TRY(api::parse_json(type_, body, object.get()));
  }
  return adopt(object.release());
}

Status Reflector::decode_list(const std::string& body, std::vector<AnyPointer>& items, std::string& version) {
  if (is_envelope(body)) {
    // Every list kind is {metadata = 1, items = 2}; decoding item by item avoids holding the list twice.
    TRY_ASSIGN(api::UnwrappedProto unwrapped, api::unwrap_proto(body));
    return each_proto_field(unwrapped.raw, [&](uint64_t field, std::string_view bytes) -> Status {
      if (field == 1) {
        api::metav1::ListMeta metadata;
        TRY(api::parse_proto(api::type_info<api::metav1::ListMeta>(), bytes, &metadata));
        version = metadata.resource_version;
      } else if (field == 2) {
        std::unique_ptr<void, ObjectDeleter> object(type_.create(), ObjectDeleter{&type_});
        TRY(api::parse_proto(type_, bytes, object.get()));
        items.push_back(adopt(object.release()));
      }
      return {};
    });
  }
  const api::TypeInfo& list_type =
      scope_.metadata_only ? api::type_info<api::metav1::PartialObjectMetadataList>() : *resource_.list_type;
  std::unique_ptr<void, ObjectDeleter> list(list_type.create(), ObjectDeleter{&list_type});
  TRY(api::parse_json(list_type, body, list.get()));
  const char* base = static_cast<const char*>(list.get());
  version = reinterpret_cast<const api::metav1::ListMeta*>(base + list_type.list_metadata_offset)->resource_version;
  for (const api::FieldInfo& field : list_type.fields) {
    if (field.json_name != "items") continue;
    const size_t count = field.ops->size(base + field.offset);
    for (size_t i = 0; i < count; ++i) items.push_back(adopt(type_.clone(field.ops->at(base + field.offset, i))));
  }
  return {};
}

Status Reflector::list(std::stop_token stop) {
  ListOptions options;
  options.label_selector = scope_.label_selector;
  options.field_selector = scope_.field_selector;
  options.metadata_only = scope_.metadata_only;
  std::vector<AnyPointer> items;
  std::string version;
  if (objects_) {
    TRY_ASSIGN(LocalList list, client_->list_local(resource_, scope_.ns, options, stop));
    TRY(decode_list(list.body, items, version));
    items.reserve(list.items.size());
    for (net::LocalPart& part : list.items) {
      TRY_ASSIGN(AnyPointer item, adopt_part(std::move(part)));
      items.push_back(std::move(item));
    }
  } else {
    TRY_ASSIGN(const std::string body, client_->list(resource_, scope_.ns, options, stop));
    TRY(decode_list(body, items, version));
  }
  replace(std::move(items), version);
  {
    const std::lock_guard lock(synced_mutex_);
    synced_ = true;
  }
  synced_changed_.notify_all();
  return {};
}

void Reflector::replace(std::vector<AnyPointer> items, const std::string& version) {
  const std::lock_guard lock(delivery_mutex_);
  std::vector<std::pair<AnyPointer, AnyPointer>> changes;
  std::set<std::pair<std::string_view, std::string_view>> present;
  for (const AnyPointer& object : items) present.emplace(metadata(object).namespace_, metadata(object).name);
  std::vector<AnyPointer> gone;
  for (AnyPointer& object : cache_.list({})) {
    if (!present.contains({metadata(object).namespace_, metadata(object).name})) gone.push_back(std::move(object));
  }
  for (const AnyPointer& object : items) {
    const auto& meta = metadata(object);
    AnyPointer before = cache_.put(object);
    if (before && metadata(before).uid != meta.uid) {
      // Deleted and made anew while nobody watched: two events, not a change.
      changes.emplace_back(std::move(before), nullptr);
      before = nullptr;
    }
    if (!before || metadata(before).resource_version != meta.resource_version) changes.emplace_back(before, object);
  }
  for (AnyPointer& object : gone) {
    cache_.remove(metadata(object).namespace_, metadata(object).name);
    changes.emplace_back(std::move(object), nullptr);
  }
  // A handler, and whoever it wakes, must find the cache at the version that the change belongs to.
  reach(version);
  for (const auto& [before, after] : changes) deliver(before, after);
}

Status Reflector::open_watch(std::stop_token stop) {
  ListOptions options;
  options.label_selector = scope_.label_selector;
  options.field_selector = scope_.field_selector;
  options.resource_version = version_;
  options.metadata_only = scope_.metadata_only;
  options.objects = objects_;
  options.allow_watch_bookmarks = true;
  options.timeout_seconds =
      kShortestWatchSeconds + std::uniform_int_distribution<int64_t>(0, kShortestWatchSeconds)(random_);
  opened_ = clock_->monotonic();
  events_ = 0;
  TRY_ASSIGN(watch_, client_->open_watch(resource_, scope_.ns, options, stop));
  if (wake_) watch_->on_arrival(wake_);
  return {};
}

Result<bool> Reflector::follow() {
  while (true) {
    TRY_ASSIGN(const std::optional<RawWatchEvent> event, watch_->next());
    if (!event) return watch_->over();
    ++events_;
    TRY(on_event(*event));
  }
}

Status Reflector::on_event(const RawWatchEvent& event) {
  if (event.type == "ERROR") {
    const bool local = event.part.type == &api::type_info<api::metav1::Status>();
    Status status = local ? api::from_metav1(*static_cast<const api::metav1::Status*>(event.part.value.get()))
                          : decode_status(event.object);
    return status.ok() ? Status::internal("the watch reported an error without a Status") : status;
  }
  TRY_ASSIGN(const AnyPointer object, event.part.value ? adopt_part(event.part) : decode_object(event.object));
  const auto& meta = metadata(object);
  if (event.type == "BOOKMARK") {
    reach(meta.resource_version);
    return {};
  }
  {
    const std::lock_guard lock(delivery_mutex_);
    if (event.type == "DELETED") {
      // Handlers get the last state as the deletion told it, whatever the cache held.
      cache_.remove(meta.namespace_, meta.name);
      reach(meta.resource_version);
      deliver(object, nullptr);
    } else if (event.type == "ADDED" || event.type == "MODIFIED") {
      const AnyPointer before = cache_.put(object);
      reach(meta.resource_version);
      deliver(before, object);
    } else {
      return Status::internal("unknown watch event type " + event.type);
    }
  }
  return {};
}

}  // namespace trireme::client
