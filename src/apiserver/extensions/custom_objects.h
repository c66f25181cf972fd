#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/custom_resource.h"
#include "api/types/autoscalingv1.h"
#include "apiserver/extensions/definitions.h"
#include "base/clock.h"
#include "base/status.h"

/// What the registry does to custom objects where built-in kinds have their field tables and strategies. Stateless and
/// thread-safe.
namespace trireme::apiserver::extensions {

/// Removes what the schema does not specify and fills in defaults: after every decoding of a request. The paths of what
/// was removed are added to `unknown`, when it is not null.
void refine(const CustomVersion& version, api::CustomResource& object, std::vector<std::string>* unknown);
/// The defaults alone, for objects that were stored before the schema had them.
void fill_in_defaults(const CustomVersion& version, api::CustomResource& object);

/// The strategies of upstream: status only by its subresource where there is one, generation counts changes of
/// everything but metadata and status (of everything but metadata, where the status is a part like others).
void prepare_for_create(const CustomVersion& version, api::Object& object);
void prepare_for_update(const CustomVersion& version, api::Object& updated, const api::Object& old);
void prepare_for_status_update(api::Object& updated, const api::Object& old);

/// Metadata and schema. `old` is null for creates.
std::vector<StatusCause> validate(const CustomVersion& version, const api::Object& object, const api::Object* old);

/// The scale subresource, by the definition's paths.
Result<api::autoscalingv1::Scale> read_scale(const CustomVersion& version, const api::Object& object);
Status write_scale(const CustomVersion& version, const api::autoscalingv1::Scale& scale, api::Object& object);

/// What a field selector compares; "" where the path leads nowhere.
std::string selected_text(const api::structural::JsonPath& path, const api::CustomResource& object);

}  // namespace trireme::apiserver::extensions
