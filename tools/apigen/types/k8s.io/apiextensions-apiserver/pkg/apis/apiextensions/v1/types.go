// Package v1 declares apiextensions.k8s.io/v1 for tools/apigen. No Debian package carries these types; the wire
// format is that of the published API. The schema types are in types_jsonschema.go.
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// ConversionStrategyType names a way to convert custom resources between versions.
type ConversionStrategyType string

const (
	// Only apiVersion changes.
	NoneConverter ConversionStrategyType = "None"
	// A webhook converts.
	WebhookConverter ConversionStrategyType = "Webhook"
)

// ResourceScope says whether objects live in namespaces.
type ResourceScope string

const (
	ClusterScoped   ResourceScope = "Cluster"
	NamespaceScoped ResourceScope = "Namespaced"
)

// CustomResourceDefinitionConditionType names a condition of a definition.
type CustomResourceDefinitionConditionType string

const (
	// Established is true once the resource is served.
	Established CustomResourceDefinitionConditionType = "Established"
	// NamesAccepted is true when no other definition of the group uses the names.
	NamesAccepted CustomResourceDefinitionConditionType = "NamesAccepted"
	// NonStructuralSchema is true when a schema breaks the rules of structural schemas.
	NonStructuralSchema CustomResourceDefinitionConditionType = "NonStructuralSchema"
	// Terminating is true while the objects of a deleted definition are removed.
	Terminating CustomResourceDefinitionConditionType = "Terminating"
	// KubernetesAPIApprovalPolicyConformant is about the approval annotation of the protected *.k8s.io groups.
	KubernetesAPIApprovalPolicyConformant CustomResourceDefinitionConditionType = "KubernetesAPIApprovalPolicyConformant"
)

const (
	// KubeAPIApprovedAnnotation must be on definitions in the groups *.k8s.io and *.kubernetes.io.
	KubeAPIApprovedAnnotation = "api-approved.kubernetes.io"
	// CustomResourceCleanupFinalizer keeps a definition until its objects are gone.
	CustomResourceCleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io"
)

// ConditionStatus tells whether a condition holds.
type ConditionStatus string

const (
	ConditionTrue    ConditionStatus = "True"
	ConditionFalse   ConditionStatus = "False"
	ConditionUnknown ConditionStatus = "Unknown"
)

// CustomResourceDefinitionSpec says how custom resources look and where they appear.
type CustomResourceDefinitionSpec struct {
	// group is the API group of the resource, served below /apis/<group>/. The definition's name must be
	// <names.plural>.<group>.
	Group string `json:"group" protobuf:"bytes,1,opt,name=group"`
	// names of the resource and its kind.
	Names CustomResourceDefinitionNames `json:"names" protobuf:"bytes,3,opt,name=names"`
	// scope says whether the objects are Cluster-wide or Namespaced.
	Scope ResourceScope `json:"scope" protobuf:"bytes,4,opt,name=scope,casttype=ResourceScope"`
	// versions of the resource. Discovery sorts them by Kubernetes' version order: GA, beta, alpha, each by falling
	// number, then all other names alphabetically.
	// +listType=atomic
	Versions []CustomResourceDefinitionVersion `json:"versions" protobuf:"bytes,7,rep,name=versions"`
	// conversion between versions.
	// +optional
	Conversion *CustomResourceConversion `json:"conversion,omitempty" protobuf:"bytes,9,opt,name=conversion"`
	// preserveUnknownFields keeps fields that no schema names. Deprecated: must be false for new definitions; use
	// x-kubernetes-preserve-unknown-fields in the schema.
	// +optional
	PreserveUnknownFields bool `json:"preserveUnknownFields,omitempty" protobuf:"varint,10,opt,name=preserveUnknownFields"`
}

// CustomResourceConversion says how objects are converted between versions.
type CustomResourceConversion struct {
	// strategy is None (only apiVersion changes) or Webhook (the webhook is asked).
	Strategy ConversionStrategyType `json:"strategy" protobuf:"bytes,1,name=strategy"`
	// webhook that converts. Required when strategy is Webhook.
	// +optional
	Webhook *WebhookConversion `json:"webhook,omitempty" protobuf:"bytes,2,opt,name=webhook"`
}

// WebhookConversion describes a conversion webhook.
type WebhookConversion struct {
	// clientConfig says how to call the webhook. Required when strategy is Webhook.
	// +optional
	ClientConfig *WebhookClientConfig `json:"clientConfig,omitempty" protobuf:"bytes,2,name=clientConfig"`
	// conversionReviewVersions lists the ConversionReview versions that the webhook understands, most preferred first.
	// +listType=atomic
	ConversionReviewVersions []string `json:"conversionReviewVersions" protobuf:"bytes,3,rep,name=conversionReviewVersions"`
}

// WebhookClientConfig holds what is needed to call a webhook.
type WebhookClientConfig struct {
	// url of the webhook: scheme://host:port/path with scheme https. Exactly one of url and service must be set.
	// +optional
	URL *string `json:"url,omitempty" protobuf:"bytes,3,opt,name=url"`
	// service that is the webhook. Exactly one of url and service must be set.
	// +optional
	Service *ServiceReference `json:"service,omitempty" protobuf:"bytes,1,opt,name=service"`
	// caBundle holds PEM certificates that the webhook's certificate is checked against. When empty, the system's
	// roots are used.
	// +optional
	CABundle []byte `json:"caBundle,omitempty" protobuf:"bytes,2,opt,name=caBundle"`
}

// ServiceReference points to a Service.
type ServiceReference struct {
	// namespace of the service.
	Namespace string `json:"namespace" protobuf:"bytes,1,opt,name=namespace"`
	// name of the service.
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// path of the URL at which the webhook is called.
	// +optional
	Path *string `json:"path,omitempty" protobuf:"bytes,3,opt,name=path"`
	// port at which the webhook is called, 443 unless set. Must be between 1 and 65535.
	// +optional
	Port *int32 `json:"port,omitempty" protobuf:"varint,4,opt,name=port"`
}

// CustomResourceDefinitionVersion describes one version of a resource.
type CustomResourceDefinitionVersion struct {
	// name of the version, such as "v1" or "v2beta1".
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// served says whether the version is available.
	Served bool `json:"served" protobuf:"varint,2,opt,name=served"`
	// storage says whether objects are stored in this version. Exactly one version must have it.
	Storage bool `json:"storage" protobuf:"varint,3,opt,name=storage"`
	// deprecated makes the server send a warning with every answer of this version.
	// +optional
	Deprecated bool `json:"deprecated,omitempty" protobuf:"varint,7,opt,name=deprecated"`
	// deprecationWarning replaces the usual text of that warning. Only with deprecated.
	// +optional
	DeprecationWarning *string `json:"deprecationWarning,omitempty" protobuf:"bytes,8,opt,name=deprecationWarning"`
	// schema of the objects, for validation, pruning and defaulting.
	// +optional
	Schema *CustomResourceValidation `json:"schema,omitempty" protobuf:"bytes,4,opt,name=schema"`
	// subresources that the resource has.
	// +optional
	Subresources *CustomResourceSubresources `json:"subresources,omitempty" protobuf:"bytes,5,opt,name=subresources"`
	// additionalPrinterColumns are the columns of tables beside the name. When empty, the age is shown.
	// +optional
	// +listType=atomic
	AdditionalPrinterColumns []CustomResourceColumnDefinition `json:"additionalPrinterColumns,omitempty" protobuf:"bytes,6,rep,name=additionalPrinterColumns"`
	// selectableFields are JSON paths that field selectors may use. At most 8.
	// +optional
	// +listType=atomic
	SelectableFields []SelectableField `json:"selectableFields,omitempty" protobuf:"bytes,9,rep,name=selectableFields"`
}

// SelectableField names a field that field selectors may use.
type SelectableField struct {
	// jsonPath of a scalar field, such as ".spec.color". No array indexes; metadata may not be named.
	JSONPath string `json:"jsonPath" protobuf:"bytes,1,opt,name=jsonPath"`
}

// CustomResourceColumnDefinition describes a column of a table.
type CustomResourceColumnDefinition struct {
	// name is the head of the column.
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// type is the OpenAPI type of the column's values.
	Type string `json:"type" protobuf:"bytes,2,opt,name=type"`
	// format is the OpenAPI format of the values; "name" marks the main identifier.
	// +optional
	Format string `json:"format,omitempty" protobuf:"bytes,3,opt,name=format"`
	// description of the column for people.
	// +optional
	Description string `json:"description,omitempty" protobuf:"bytes,4,opt,name=description"`
	// priority says how important the column is: lower is more. Columns above 0 are shown only in wide output.
	// +optional
	Priority int32 `json:"priority,omitempty" protobuf:"bytes,5,opt,name=priority"`
	// jsonPath of the value within each object.
	JSONPath string `json:"jsonPath" protobuf:"bytes,6,opt,name=jsonPath"`
}

// CustomResourceDefinitionNames are the names of a resource in discovery.
type CustomResourceDefinitionNames struct {
	// plural name of the resource, all lower case: /apis/<group>/<version>/.../<plural>.
	Plural string `json:"plural" protobuf:"bytes,1,opt,name=plural"`
	// singular name, all lower case. The kind in lower case unless set.
	// +optional
	Singular string `json:"singular,omitempty" protobuf:"bytes,2,opt,name=singular"`
	// shortNames that clients accept, all lower case.
	// +optional
	// +listType=atomic
	ShortNames []string `json:"shortNames,omitempty" protobuf:"bytes,3,opt,name=shortNames"`
	// kind of the objects, in CamelCase and singular.
	Kind string `json:"kind" protobuf:"bytes,4,opt,name=kind"`
	// listKind is the kind of lists. The kind with "List" appended unless set.
	// +optional
	ListKind string `json:"listKind,omitempty" protobuf:"bytes,5,opt,name=listKind"`
	// categories that the resource belongs to, such as "all".
	// +optional
	// +listType=atomic
	Categories []string `json:"categories,omitempty" protobuf:"bytes,6,rep,name=categories"`
}

// CustomResourceDefinitionCondition is one aspect of the state of a definition.
type CustomResourceDefinitionCondition struct {
	// type of the condition: Established, NamesAccepted, Terminating, ...
	Type CustomResourceDefinitionConditionType `json:"type" protobuf:"bytes,1,opt,name=type,casttype=CustomResourceDefinitionConditionType"`
	// status of the condition: True, False or Unknown.
	Status ConditionStatus `json:"status" protobuf:"bytes,2,opt,name=status,casttype=ConditionStatus"`
	// lastTransitionTime is when the status last changed.
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty" protobuf:"bytes,3,opt,name=lastTransitionTime"`
	// reason is a single word in CamelCase that says why.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// message says it for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,5,opt,name=message"`
}

// CustomResourceDefinitionStatus is the observed state of a definition.
type CustomResourceDefinitionStatus struct {
	// conditions of the definition.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []CustomResourceDefinitionCondition `json:"conditions" protobuf:"bytes,1,opt,name=conditions"`
	// acceptedNames are the names in use; they may differ from those of the spec.
	// +optional
	AcceptedNames CustomResourceDefinitionNames `json:"acceptedNames" protobuf:"bytes,2,opt,name=acceptedNames"`
	// storedVersions lists every version that objects were ever stored in. A version may leave spec.versions only
	// after it left this list.
	// +optional
	// +listType=atomic
	StoredVersions []string `json:"storedVersions" protobuf:"bytes,3,rep,name=storedVersions"`
}

// CustomResourceDefinition makes the server serve a resource. Its name must be <names.plural>.<group>.
//
// +genclient
// +genclient:nonNamespaced
type CustomResourceDefinition struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`

	// spec says how the resources look and where they appear.
	Spec CustomResourceDefinitionSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// status is the observed state of the definition.
	// +optional
	Status CustomResourceDefinitionStatus `json:"status,omitempty" protobuf:"bytes,3,opt,name=status"`
}

// CustomResourceDefinitionList is a list of CustomResourceDefinition objects.
type CustomResourceDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`

	// items of the list.
	Items []CustomResourceDefinition `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// CustomResourceValidation holds the schema of a version.
type CustomResourceValidation struct {
	// openAPIV3Schema is the OpenAPI v3 schema for validation and pruning.
	// +optional
	OpenAPIV3Schema *JSONSchemaProps `json:"openAPIV3Schema,omitempty" protobuf:"bytes,1,opt,name=openAPIV3Schema"`
}

// CustomResourceSubresources says which subresources a resource has.
type CustomResourceSubresources struct {
	// status turns on the /status subresource.
	// +optional
	Status *CustomResourceSubresourceStatus `json:"status,omitempty" protobuf:"bytes,1,opt,name=status"`
	// scale turns on the /scale subresource.
	// +optional
	Scale *CustomResourceSubresourceScale `json:"scale,omitempty" protobuf:"bytes,2,opt,name=scale"`
}

// CustomResourceSubresourceStatus turns on the /status subresource: writes to the object leave its status alone, and
// writes to /status leave everything else alone.
type CustomResourceSubresourceStatus struct{}

// CustomResourceSubresourceScale says where the /scale subresource finds its values.
type CustomResourceSubresourceScale struct {
	// specReplicasPath is the JSON path of the wanted count, below .spec.
	SpecReplicasPath string `json:"specReplicasPath" protobuf:"bytes,1,name=specReplicasPath"`
	// statusReplicasPath is the JSON path of the observed count, below .status.
	StatusReplicasPath string `json:"statusReplicasPath" protobuf:"bytes,2,opt,name=statusReplicasPath"`
	// labelSelectorPath is the JSON path of the selector as a string, below .status or .spec. Needed for autoscaling.
	// +optional
	LabelSelectorPath *string `json:"labelSelectorPath,omitempty" protobuf:"bytes,3,opt,name=labelSelectorPath"`
}

// ConversionReview is what a conversion webhook is sent and sends back.
type ConversionReview struct {
	metav1.TypeMeta `json:",inline"`
	// request says what to convert.
	// +optional
	Request *ConversionRequest `json:"request,omitempty" protobuf:"bytes,1,opt,name=request"`
	// response holds the converted objects.
	// +optional
	Response *ConversionResponse `json:"response,omitempty" protobuf:"bytes,2,opt,name=response"`
}

// ConversionRequest says what to convert.
type ConversionRequest struct {
	// uid of this call; the response must repeat it.
	UID types.UID `json:"uid" protobuf:"bytes,1,opt,name=uid"`
	// desiredAPIVersion to convert to, such as "example.com/v1".
	DesiredAPIVersion string `json:"desiredAPIVersion" protobuf:"bytes,2,name=desiredAPIVersion"`
	// objects to convert.
	// +listType=atomic
	Objects []runtime.RawExtension `json:"objects" protobuf:"bytes,3,rep,name=objects"`
}

// ConversionResponse is a webhook's answer.
type ConversionResponse struct {
	// uid of the call that is answered.
	UID types.UID `json:"uid" protobuf:"bytes,1,opt,name=uid"`
	// convertedObjects in the order of the request. Empty when result is a failure.
	// +listType=atomic
	ConvertedObjects []runtime.RawExtension `json:"convertedObjects" protobuf:"bytes,2,rep,name=convertedObjects"`
	// result of the conversion; a failure's message is shown to the caller.
	Result metav1.Status `json:"result" protobuf:"bytes,3,name=result"`
}
