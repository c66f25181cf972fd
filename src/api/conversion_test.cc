#include "api/conversion.h"

#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/types/autoscalingv1.h"
#include "api/types/autoscalingv2.h"
#include "api/types/corev1.h"
#include "api/types/eventsv1.h"

namespace trireme::api {
namespace {

/// `json` of an A as the JSON of a B.
template <typename A, typename B>
std::string converted(std::string_view json) {
  auto object = decode_json<A>(json);
  EXPECT_TRUE(object.ok()) << object.status().to_string();
  if (!object.ok()) return "";
  auto result = convert(Object::of(std::move(object).value()), type_info<B>());
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  return result.ok() ? encode_json(*result->template as<B>()) : "";
}

TEST(ConversionTest, EqualTypesAreCopied) {
  corev1::Event event;
  event.reason = "x";
  auto copy = convert(Object::of(event), type_info<corev1::Event>());
  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->as<corev1::Event>()->reason, "x");
}

TEST(ConversionTest, UnrelatedTypesAreRefused) {
  EXPECT_TRUE(convert(Object::of(corev1::Event()), type_info<corev1::EventList>()).status().is(Reason::kInternalError));
}

TEST(ConversionTest, Events) {
  const char* core =
      R"({"kind":"Event","apiVersion":"v1","metadata":{"name":"e","namespace":"n"},)"
      R"("involvedObject":{"kind":"Pod","name":"p"},"reason":"R","message":"M","source":{"component":"c","host":"h"},)"
      R"("firstTimestamp":"2020-01-02T03:04:05Z","lastTimestamp":"2020-01-02T03:04:06Z","count":2,"type":"Normal",)"
      R"("eventTime":"2020-01-02T03:04:05.000001Z","series":{"count":3,"lastObservedTime":"2020-01-02T03:04:05.000002Z"},)"
      R"("action":"A","related":{"name":"r"},"reportingComponent":"rc","reportingInstance":"ri"})";
  std::string event = converted<corev1::Event, eventsv1::Event>(core);
  auto decoded = decode_json<eventsv1::Event>(event);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->note, "M");
  EXPECT_EQ(decoded->regarding.name, "p");
  EXPECT_EQ(decoded->reporting_controller, "rc");
  EXPECT_EQ(decoded->deprecated_source.component, "c");
  EXPECT_EQ(decoded->deprecated_count, 2);
  auto original = decode_json<corev1::Event>(core);
  ASSERT_TRUE(original.ok());
  EXPECT_EQ((converted<eventsv1::Event, corev1::Event>(event)), encode_json(*original));
}

TEST(ConversionTest, AutoscalerWithOnlyCpuNeedsNoAnnotations) {
  auto v2 = decode_json<autoscalingv2::HorizontalPodAutoscaler>(converted<autoscalingv1::HorizontalPodAutoscaler,
                                                                          autoscalingv2::HorizontalPodAutoscaler>(
      R"({"metadata":{"name":"h"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d","apiVersion":"apps/v1"},"minReplicas":2,"maxReplicas":5,"targetCPUUtilizationPercentage":60}})"));
  ASSERT_TRUE(v2.ok());
  ASSERT_EQ(v2->spec.metrics.size(), 1u);
  EXPECT_EQ(v2->spec.metrics[0].resource->name, "cpu");
  EXPECT_EQ(v2->spec.metrics[0].resource->target.type, "Utilization");
  EXPECT_EQ(v2->spec.metrics[0].resource->target.average_utilization, 60);
  auto back = convert(Object::of(*v2), type_info<autoscalingv1::HorizontalPodAutoscaler>());
  ASSERT_TRUE(back.ok());
  const auto* v1 = back->as<autoscalingv1::HorizontalPodAutoscaler>();
  EXPECT_EQ(v1->spec.target_cpu_utilization_percentage, 60);
  EXPECT_TRUE(v1->metadata.annotations.empty());
}

TEST(ConversionTest, AutoscalerWithoutTargetGetsTheDefault) {
  auto v2 = convert(Object::of(autoscalingv1::HorizontalPodAutoscaler()),
                    type_info<autoscalingv2::HorizontalPodAutoscaler>());
  ASSERT_TRUE(v2.ok());
  EXPECT_EQ(v2->as<autoscalingv2::HorizontalPodAutoscaler>()->spec.metrics.at(0).resource->target.average_utilization,
            80);
}

TEST(ConversionTest, AutoscalerRoundTripsThroughVersion1) {
  const char* json =
      R"({"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v2","metadata":{"name":"h","annotations":{"mine":"1"}},)"
      R"("spec":{"scaleTargetRef":{"kind":"Deployment","name":"d","apiVersion":"apps/v1"},"minReplicas":1,"maxReplicas":9,"metrics":[)"
      R"({"type":"Object","object":{"describedObject":{"kind":"Ingress","name":"i","apiVersion":"x/v1"},"target":{"type":"Value","value":"2k"},"metric":{"name":"rps"}}},)"
      R"({"type":"Pods","pods":{"metric":{"name":"p","selector":{"matchLabels":{"a":"b"}}},"target":{"type":"AverageValue","averageValue":"1500m"}}},)"
      R"({"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"}}},)"
      R"({"type":"ContainerResource","containerResource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50},"container":"c"}},)"
      R"({"type":"External","external":{"metric":{"name":"q"},"target":{"type":"AverageValue","averageValue":"30"}}},)"
      R"({"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}}],)"
      R"("behavior":{"scaleDown":{"stabilizationWindowSeconds":10,"selectPolicy":"Max","policies":[{"type":"Pods","value":1,"periodSeconds":60}]}}},)"
      R"("status":{"observedGeneration":3,"currentReplicas":2,"desiredReplicas":3,"currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageValue":"100m","averageUtilization":12}}}],)"
      R"("conditions":[{"type":"AbleToScale","status":"True","lastTransitionTime":"2020-01-02T03:04:05Z","reason":"r","message":"m"}]}})";
  auto original = decode_json<autoscalingv2::HorizontalPodAutoscaler>(json);
  ASSERT_TRUE(original.ok()) << original.status().to_string();
  auto v1 = convert(Object::of(*original), type_info<autoscalingv1::HorizontalPodAutoscaler>());
  ASSERT_TRUE(v1.ok());
  const auto* old = v1->as<autoscalingv1::HorizontalPodAutoscaler>();
  EXPECT_EQ(old->spec.target_cpu_utilization_percentage, 70);
  EXPECT_EQ(old->status.current_cpu_utilization_percentage, 12);
  EXPECT_EQ(
      old->metadata.annotations.at("autoscaling.alpha.kubernetes.io/behavior"),
      R"({"ScaleDown":{"Policies":[{"PeriodSeconds":60,"Type":"Pods","Value":1}],"SelectPolicy":"Max","StabilizationWindowSeconds":10},"ScaleUp":null})");
  EXPECT_EQ(
      old->metadata.annotations.at("autoscaling.alpha.kubernetes.io/conditions"),
      R"([{"type":"AbleToScale","status":"True","lastTransitionTime":"2020-01-02T03:04:05Z","reason":"r","message":"m"}])");
  auto back = convert(*v1, type_info<autoscalingv2::HorizontalPodAutoscaler>());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(encode_json(*back->as<autoscalingv2::HorizontalPodAutoscaler>()), encode_json(*original));
}

TEST(ConversionTest, BrokenAnnotationsAreIgnored) {
  autoscalingv1::HorizontalPodAutoscaler old;
  old.metadata.annotations["autoscaling.alpha.kubernetes.io/metrics"] = "[{]";
  old.metadata.annotations["autoscaling.alpha.kubernetes.io/behavior"] = "3";
  old.metadata.annotations["autoscaling.alpha.kubernetes.io/conditions"] = "[1]";
  auto v2 = convert(Object::of(old), type_info<autoscalingv2::HorizontalPodAutoscaler>());
  ASSERT_TRUE(v2.ok());
  const auto* scaler = v2->as<autoscalingv2::HorizontalPodAutoscaler>();
  EXPECT_EQ(scaler->spec.metrics.size(), 1u);
  EXPECT_FALSE(scaler->spec.behavior);
  EXPECT_TRUE(scaler->status.conditions.empty());
  EXPECT_TRUE(scaler->metadata.annotations.empty());
}

}  // namespace
}  // namespace trireme::api
