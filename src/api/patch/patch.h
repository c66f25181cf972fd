#pragma once

#include <cstddef>

#include "api/type_info.h"
#include "api/value.h"
#include "base/result.h"

/// The three patch formats of the PATCH verb (server-side apply is the fourth and lives elsewhere).
/// https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
namespace trireme::api {

/// Operations in one JSON patch, and bytes of JSON that its copies may add, as upstream limits them.
inline constexpr size_t kMaxJsonPatchOperations = 10000;
inline constexpr size_t kMaxJsonPatchCopyBytes = 3 * 1024 * 1024;

/// RFC 6902, with negative array indices from the end. BadRequest when `patch` is no JSON patch,
/// RequestEntityTooLarge above the limit, Invalid (its cause says why) when an operation does not apply.
Result<Value> apply_json_patch(Value document, const Value& patch);

/// RFC 7386.
Value apply_merge_patch(Value document, const Value& patch);

/// Merges by the patch strategies and merge keys of `type`'s fields, with the directives $patch, $retainKeys,
/// $setElementOrder/… and $deleteFromPrimitiveList/…; the order of merged lists is upstream's. BadRequest.
/// https://git.k8s.io/design-proposals-archive/cli/preserve-order-in-strategic-merge-patch.md
Result<Value> apply_strategic_merge_patch(Value document, const Value& patch, const TypeInfo& type);

}  // namespace trireme::api
