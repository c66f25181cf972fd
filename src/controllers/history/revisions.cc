#include "controllers/history/revisions.h"

#include <algorithm>
#include <tuple>

#include "api/object.h"
#include "api/value.h"
#include "controllers/support/ownership.h"
#include "controllers/support/template_hash.h"

namespace trireme::controllers::history {

using api::corev1::PodTemplateSpec;

namespace {

constexpr size_t kLongestPrefix = 223;
constexpr std::string_view kPatchMember = "$patch";

/// Go's hash/fnv New32, which multiplies before it mixes in.
uint32_t fnv32(std::string_view bytes, uint32_t hash = kFnvStart) {
  for (const char c : bytes) {
    hash *= 16777619U;
    hash ^= static_cast<uint8_t>(c);
  }
  return hash;
}

/// The characters of HTML as Go's encoder writes them: kubectl compares a revision's data byte for byte.
std::string escape_html(const std::string& json) {
  std::string out;
  for (const char c : json) {
    if (c == '<' || c == '>' || c == '&') {
      out += c == '<' ? "\\u003c" : c == '>' ? "\\u003e" : "\\u0026";
    } else {
      out += c;
    }
  }
  return out;
}

bool same_data(const std::string& a, const std::string& b) {
  if (a == b) return true;
  // Others may have written the members in another order.
  const auto x = api::parse_value(a);
  const auto y = api::parse_value(b);
  return x.ok() && y.ok() && *x == *y;
}

}  // namespace

std::string template_patch(const PodTemplateSpec& pod_template) {
  api::Value whole = api::Value::object();
  api::Value& stored = whole["spec"]["template"];
  stored = api::Value::object();
  stored[kPatchMember] = "replace";
  // A struct of ours always has a value.
  auto value = api::to_value(api::type_info<PodTemplateSpec>(), &pod_template);
  if (value.ok()) {
    for (auto& [name, member] : value->as_object()) stored[name] = std::move(member);
  }
  return escape_html(api::to_json(whole));
}

Result<PodTemplateSpec> template_of(const ControllerRevision& revision) {
  TRY_ASSIGN(api::Value data, api::parse_value(revision.data.text));
  const api::Value* stored = data.at_path({"spec", "template"});
  if (stored == nullptr || !stored->is_object()) {
    return Status::internal("revision " + revision.metadata.name + " holds no pod template");
  }
  api::Value copy = *stored;
  copy.erase(kPatchMember);
  TRY_ASSIGN(api::Object object, api::from_value(api::type_info<PodTemplateSpec>(), copy));
  return std::move(*object.as<PodTemplateSpec>());
}

ControllerRevision make_revision(const Owner& owner, const std::string& data, int64_t number,
                                 std::optional<int32_t> collision_count) {
  uint32_t hash = fnv32(data);
  if (collision_count) hash = fnv32(std::to_string(*collision_count), hash);
  const std::string name = safe_encode(std::to_string(hash));
  ControllerRevision revision;
  revision.metadata.namespace_ = owner.reference.namespace_;
  revision.metadata.name = owner.reference.name.substr(0, kLongestPrefix) + "-" + name;
  revision.metadata.labels = owner.labels;
  revision.metadata.labels.insert_or_assign(owner.hash_label, name);
  revision.metadata.annotations = owner.annotations;
  revision.metadata.owner_references.push_back(controller_reference(owner.reference));
  revision.data.text = data;
  revision.revision = number;
  return revision;
}

void sort_revisions(std::vector<RevisionPointer>& revisions) {
  const auto rank = [](const RevisionPointer& each) {
    return std::tie(each->revision, each->metadata.creation_timestamp, each->metadata.name);
  };
  std::ranges::sort(revisions, [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

int64_t highest_number(const std::vector<RevisionPointer>& revisions) {
  int64_t highest = 0;
  for (const RevisionPointer& each : revisions) highest = std::max(highest, each->revision);
  return highest;
}

RevisionPointer find_equal(const std::vector<RevisionPointer>& revisions, const std::string& data) {
  for (auto each = revisions.rbegin(); each != revisions.rend(); ++each) {
    if (same_data((*each)->data.text, data)) return *each;
  }
  return nullptr;
}

Result<RevisionPointer> create_revision(client::Client& client, const Owner& owner, const std::string& data,
                                        int64_t number, std::optional<int32_t>& collision_count) {
  for (;;) {
    const ControllerRevision wanted = make_revision(owner, data, number, collision_count);
    Result<ControllerRevision> made = client.create(wanted);
    if (made.ok()) return std::make_shared<const ControllerRevision>(std::move(*made));
    if (!made.status().is(Reason::kAlreadyExists)) return made.status();
    TRY_ASSIGN(ControllerRevision present,
               client.get<ControllerRevision>(owner.reference.namespace_, wanted.metadata.name));
    const auto* controller = controller_of(present.metadata);
    const bool mine = controller && controller->uid == owner.reference.uid;
    if (mine && same_data(present.data.text, data)) {
      // Written before, by a process that did not live to see it, or not yet in the cache.
      return std::make_shared<const ControllerRevision>(std::move(present));
    }
    collision_count = collision_count.value_or(0) + 1;
  }
}

Result<RevisionPointer> renumber(client::Client& client, const ControllerRevision& revision, int64_t number) {
  ControllerRevision changed = revision;
  changed.revision = number;
  TRY_ASSIGN(changed, client.update(changed));
  return std::make_shared<const ControllerRevision>(std::move(changed));
}

Result<RevisionPointer> find_or_make(client::Client& client, const Owner& owner, const std::string& data,
                                     std::vector<RevisionPointer>& revisions, std::optional<int32_t>& collision_count,
                                     const std::function<void(const ControllerRevision& revision)>& wrote) {
  const int64_t highest = highest_number(revisions);
  RevisionPointer found = find_equal(revisions, data);
  if (found && found->revision == highest) return found;
  if (!found) {
    TRY_ASSIGN(found, create_revision(client, owner, data, highest + 1, collision_count));
  } else {
    TRY_ASSIGN(found, renumber(client, *found, highest + 1));
    std::erase_if(revisions, [&](const auto& each) { return each->metadata.name == found->metadata.name; });
  }
  wrote(*found);
  revisions.push_back(found);
  return found;
}

Status truncate(client::Client& client, const std::vector<RevisionPointer>& revisions,
                const std::set<std::string>& live, int32_t limit) {
  std::vector<RevisionPointer> old;
  for (const RevisionPointer& each : revisions) {
    if (!live.contains(each->metadata.name)) old.push_back(each);
  }
  const size_t keep = static_cast<size_t>(std::max(limit, 0));
  for (size_t i = 0; i + keep < old.size(); ++i) {
    client::DeleteOptions options;
    options.uid = old[i]->metadata.uid;
    const Status gone = client.remove<ControllerRevision>(old[i]->metadata.namespace_, old[i]->metadata.name, options);
    if (!gone.ok() && !gone.is(Reason::kNotFound) && !gone.is(Reason::kConflict)) return gone;
  }
  return {};
}

}  // namespace trireme::controllers::history
