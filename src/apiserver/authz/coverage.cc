#include "apiserver/authz/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "api/status_convert.h"
#include "apiserver/authz/rule_words.h"

namespace trireme::apiserver::authz {
namespace {

/// "*" holds every resource with its subresources, "*/scale" the scale of every resource.
bool covers_resource(const std::vector<std::string>& held, std::string_view wanted) {
  if (has_or_all(held, wanted)) return true;
  const size_t slash = wanted.find('/');
  return slash != std::string_view::npos && has(held, "*" + std::string(wanted.substr(slash)));
}

std::string list_of(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + api::go_quote(word);
  return "[" + text + "]";
}

/// What is missing, with the verbs of the same thing together.
using Thing = std::tuple<std::string, std::string, std::string, std::string>;  // group, resource, name, path

std::string text_of(const Thing& thing, const std::set<std::string>& verbs) {
  const auto& [group, resource, name, path] = thing;
  if (!path.empty()) return fmt::format("{{NonResourceURLs:{}, Verbs:{}}}", list_of({path}), list_of(verbs));
  return fmt::format("{{APIGroups:{}, Resources:{}{}, Verbs:{}}}", list_of({group}), list_of({resource}),
                     name.empty() ? "" : ", ResourceNames:" + list_of({name}), list_of(verbs));
}

}  // namespace

std::vector<std::string> not_covered(const UserRules& held, const std::vector<api::rbacv1::PolicyRule>& rules) {
  std::map<Thing, std::set<std::string>> missing;
  const auto resource_held = [&](const std::string& verb, const std::string& group, const std::string& resource,
                                 const std::string& name) {
    return std::ranges::any_of(held.resources, [&](const ResourceRule& rule) {
      return has_or_all(rule.verbs, verb) && has_or_all(rule.groups, group) &&
             covers_resource(rule.resources, resource) &&
             (rule.names.empty() || (!name.empty() && has(rule.names, name)));
    });
  };
  for (const api::rbacv1::PolicyRule& rule : rules) {
    const std::vector<std::string> names =
        rule.resource_names.empty() ? std::vector<std::string>{""} : rule.resource_names;
    for (const std::string& verb : rule.verbs) {
      for (const std::string& group : rule.api_groups) {
        for (const std::string& resource : rule.resources) {
          for (const std::string& name : names) {
            if (!resource_held(verb, group, resource, name)) missing[{group, resource, name, ""}].insert(verb);
          }
        }
      }
      for (const std::string& path : rule.non_resource_urls) {
        const bool covered = std::ranges::any_of(held.paths, [&](const PathRule& each) {
          return has_or_all(each.verbs, verb) && has_path(each.paths, path);
        });
        if (!covered) missing[{"", "", "", path}].insert(verb);
      }
    }
  }
  std::vector<std::string> texts;
  for (const auto& [thing, verbs] : missing) texts.push_back(text_of(thing, verbs));
  return texts;
}

}  // namespace trireme::apiserver::authz
