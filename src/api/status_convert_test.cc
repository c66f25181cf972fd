#include "api/status_convert.h"

#include <gtest/gtest.h>

#include "api/types/metav1.h"

namespace trireme::api {
namespace {

const GroupResource kPods("", "pods");
const GroupResource kDeployments("apps", "deployments");

TEST(StatusConvertTest, Messages) {
  const std::pair<Status, const char*> cases[] = {
      {not_found(kPods, "x"), "pods \"x\" not found"},
      {not_found(kDeployments, "x"), "deployments.apps \"x\" not found"},
      {already_exists(kPods, "x"), "pods \"x\" already exists"},
      {conflict(kPods, "x"),
       "Operation cannot be fulfilled on pods \"x\": the object has been modified; please apply your changes to the "
       "latest version and try again"},
      {forbidden(kPods, "x", "no"), "pods \"x\" is forbidden: no"},
      {forbidden(kPods, "", "no"), "pods is forbidden: no"},
      {forbidden({"", ""}, "", "no"), "forbidden: no"},
      {invalid("", "Pod", "x", {field_error::required("spec.containers[0].image")}),
       "Pod \"x\" is invalid: spec.containers[0].image: Required value"},
      {invalid("apps", "Deployment", "x",
               {field_error::required("a"), field_error::invalid("b", "v", "bad"), field_error::required("a")}),
       "Deployment.apps \"x\" is invalid: [a: Required value, b: Invalid value: \"v\": bad]"},
      {invalid("", "Pod", "x", {}), "Pod \"x\" is invalid"},
      {method_not_supported(kDeployments, "patch"), "patch is not supported on resources of kind \"deployments.apps\""},
      {too_old_resource_version(5, 17), "too old resource version: 5 (17)"},
      {internal_error("boom"), "Internal error occurred: boom"},
      {request_timeout("slow", 1), "Timeout: slow"},
      {server_response(404, "GET", kPods, "x", "", 0), "the server could not find the requested resource (get pods x)"},
      {server_response(500, "GET", {"", ""}, "", "oops", 0),
       "an error on the server (\"oops\") has prevented the request from succeeding"},
  };
  for (const auto& [status, message] : cases) EXPECT_EQ(status.message(), message);
}

TEST(StatusConvertTest, FieldErrors) {
  const std::pair<StatusCause, const char*> cases[] = {
      {field_error::required("f", "why"), "Required value: why"},
      {field_error::invalid("f", int64_t{-1}, "must be positive"), "Invalid value: -1: must be positive"},
      {field_error::invalid("f", "a\"b\n", ""), "Invalid value: \"a\\\"b\\n\""},
      {field_error::not_supported("f", "x", {"A", "B"}), "Unsupported value: \"x\": supported values: \"A\", \"B\""},
      {field_error::duplicate("f", "x"), "Duplicate value: \"x\""},
      {field_error::forbidden("f", "no"), "Forbidden: no"},
      {field_error::too_long("f", 63), "Too long: may not be more than 63 bytes"},
      {field_error::too_many("f", 3, 2), "Too many: 3: must have at most 2 items"},
      {field_error::not_found("f", "x"), "Not found: \"x\""},
  };
  for (const auto& [cause, message] : cases) EXPECT_EQ(cause.message, message);
}

TEST(StatusConvertTest, OnTheWire) {
  EXPECT_EQ(status_json(not_found(kDeployments, "x")),
            R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",)"
            R"("message":"deployments.apps \"x\" not found","reason":"NotFound",)"
            R"("details":{"name":"x","group":"apps","kind":"deployments"},"code":404})");
  EXPECT_EQ(status_json(Status::bad_request("no")),
            R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no",)"
            R"("reason":"BadRequest","code":400})");
}

TEST(StatusConvertTest, RoundTrips) {
  Status status = invalid("", "Pod", "x", {field_error::required("spec")});
  Status back = from_metav1(to_metav1(status));
  EXPECT_EQ(back.message(), status.message());
  EXPECT_TRUE(back.is(Reason::kInvalid));
  EXPECT_EQ(back.code(), 422);
  ASSERT_EQ(back.details().causes.size(), 1u);
  EXPECT_EQ(back.details().causes[0].field, "spec");
  EXPECT_TRUE(from_metav1(to_metav1(Status())).ok());

  Status parsed = parse_status(404, status_json(not_found(kPods, "x")), "GET", kPods, "x");
  EXPECT_EQ(parsed.message(), "pods \"x\" not found");
  Status opaque = parse_status(503, "<html>", "GET", kPods, "", 7);
  EXPECT_TRUE(opaque.is(Reason::kServiceUnavailable));
  EXPECT_EQ(opaque.details().retry_after_seconds, 7);
  EXPECT_EQ(opaque.code(), 503);
}

}  // namespace
}  // namespace trireme::api
