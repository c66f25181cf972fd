package v1

// FieldValueErrorReason is the machine-readable reason that a failed rule gives.
// +enum
type FieldValueErrorReason string

const (
	// A required value is missing.
	FieldValueRequired FieldValueErrorReason = "FieldValueRequired"
	// A value that must be unique occurs twice.
	FieldValueDuplicate FieldValueErrorReason = "FieldValueDuplicate"
	// A value is malformed or out of bounds.
	FieldValueInvalid FieldValueErrorReason = "FieldValueInvalid"
	// A valid value is not allowed under the circumstances.
	FieldValueForbidden FieldValueErrorReason = "FieldValueForbidden"
)

// JSON holds any JSON value. Written by hand in C++ as RawJson.
type JSON struct {
	Raw []byte `json:"-" protobuf:"bytes,1,opt,name=raw"`
}

// JSONSchemaURL is the URL of a schema.
type JSONSchemaURL string

// ValidationRule is a rule in the Common Expression Language.
type ValidationRule struct {
	// rule is the expression. It is evaluated where x-kubernetes-validations stands in the schema, with the value as
	// "self" and, in transition rules, the previous value as "oldSelf".
	Rule string `json:"rule" protobuf:"bytes,1,opt,name=rule"`
	// message shown when the rule fails. Needed when the rule has line breaks; may have none itself.
	Message string `json:"message,omitempty" protobuf:"bytes,2,opt,name=message"`
	// messageExpression computes the message; used instead of message when both are set and it evaluates.
	// +optional
	MessageExpression string `json:"messageExpression,omitempty" protobuf:"bytes,3,opt,name=messageExpression"`
	// reason given to the caller when the rule fails. FieldValueInvalid unless set.
	// +optional
	Reason *FieldValueErrorReason `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// fieldPath is the JSON path of the field that the failure is about, relative to the rule's place.
	// +optional
	FieldPath string `json:"fieldPath,omitempty" protobuf:"bytes,5,opt,name=fieldPath"`
	// optionalOldSelf has transition rules evaluated on creation too, with oldSelf as an optional value.
	// +optional
	OptionalOldSelf *bool `json:"optionalOldSelf,omitempty" protobuf:"bytes,6,opt,name=optionalOldSelf"`
}

// JSONSchemaProps is a JSON schema following draft 4, with Kubernetes' extensions.
type JSONSchemaProps struct {
	ID          string         `json:"id,omitempty" protobuf:"bytes,1,opt,name=id"`
	Schema      JSONSchemaURL  `json:"$schema,omitempty" protobuf:"bytes,2,opt,name=schema"`
	Ref         *string        `json:"$ref,omitempty" protobuf:"bytes,3,opt,name=ref"`
	Description string         `json:"description,omitempty" protobuf:"bytes,4,opt,name=description"`
	Type        string         `json:"type,omitempty" protobuf:"bytes,5,opt,name=type"`
	// format is an OpenAPI v3 format. Formats that the server does not know are ignored.
	Format string `json:"format,omitempty" protobuf:"bytes,6,opt,name=format"`
	Title  string `json:"title,omitempty" protobuf:"bytes,7,opt,name=title"`
	// default is the value of absent fields, applied when objects are read and written.
	Default          *JSON    `json:"default,omitempty" protobuf:"bytes,8,opt,name=default"`
	Maximum          *float64 `json:"maximum,omitempty" protobuf:"bytes,9,opt,name=maximum"`
	ExclusiveMaximum bool     `json:"exclusiveMaximum,omitempty" protobuf:"bytes,10,opt,name=exclusiveMaximum"`
	Minimum          *float64 `json:"minimum,omitempty" protobuf:"bytes,11,opt,name=minimum"`
	ExclusiveMinimum bool     `json:"exclusiveMinimum,omitempty" protobuf:"bytes,12,opt,name=exclusiveMinimum"`
	MaxLength        *int64   `json:"maxLength,omitempty" protobuf:"bytes,13,opt,name=maxLength"`
	MinLength        *int64   `json:"minLength,omitempty" protobuf:"bytes,14,opt,name=minLength"`
	Pattern          string   `json:"pattern,omitempty" protobuf:"bytes,15,opt,name=pattern"`
	MaxItems         *int64   `json:"maxItems,omitempty" protobuf:"bytes,16,opt,name=maxItems"`
	MinItems         *int64   `json:"minItems,omitempty" protobuf:"bytes,17,opt,name=minItems"`
	UniqueItems      bool     `json:"uniqueItems,omitempty" protobuf:"bytes,18,opt,name=uniqueItems"`
	MultipleOf       *float64 `json:"multipleOf,omitempty" protobuf:"bytes,19,opt,name=multipleOf"`
	// +listType=atomic
	Enum          []JSON `json:"enum,omitempty" protobuf:"bytes,20,rep,name=enum"`
	MaxProperties *int64 `json:"maxProperties,omitempty" protobuf:"bytes,21,opt,name=maxProperties"`
	MinProperties *int64 `json:"minProperties,omitempty" protobuf:"bytes,22,opt,name=minProperties"`
	// +listType=atomic
	Required []string                `json:"required,omitempty" protobuf:"bytes,23,rep,name=required"`
	Items    *JSONSchemaPropsOrArray `json:"items,omitempty" protobuf:"bytes,24,opt,name=items"`
	// +listType=atomic
	AllOf []JSONSchemaProps `json:"allOf,omitempty" protobuf:"bytes,25,rep,name=allOf"`
	// +listType=atomic
	OneOf []JSONSchemaProps `json:"oneOf,omitempty" protobuf:"bytes,26,rep,name=oneOf"`
	// +listType=atomic
	AnyOf                []JSONSchemaProps          `json:"anyOf,omitempty" protobuf:"bytes,27,rep,name=anyOf"`
	Not                  *JSONSchemaProps           `json:"not,omitempty" protobuf:"bytes,28,opt,name=not"`
	Properties           map[string]JSONSchemaProps `json:"properties,omitempty" protobuf:"bytes,29,rep,name=properties"`
	AdditionalProperties *JSONSchemaPropsOrBool     `json:"additionalProperties,omitempty" protobuf:"bytes,30,opt,name=additionalProperties"`
	PatternProperties    map[string]JSONSchemaProps `json:"patternProperties,omitempty" protobuf:"bytes,31,rep,name=patternProperties"`
	Dependencies         JSONSchemaDependencies     `json:"dependencies,omitempty" protobuf:"bytes,32,opt,name=dependencies"`
	AdditionalItems      *JSONSchemaPropsOrBool     `json:"additionalItems,omitempty" protobuf:"bytes,33,opt,name=additionalItems"`
	Definitions          JSONSchemaDefinitions      `json:"definitions,omitempty" protobuf:"bytes,34,opt,name=definitions"`
	ExternalDocs         *ExternalDocumentation     `json:"externalDocs,omitempty" protobuf:"bytes,35,opt,name=externalDocs"`
	Example              *JSON                      `json:"example,omitempty" protobuf:"bytes,36,opt,name=example"`
	Nullable             bool                       `json:"nullable,omitempty" protobuf:"bytes,37,opt,name=nullable"`
	// x-kubernetes-preserve-unknown-fields keeps fields that the schema does not name, here and below, until a nested
	// property names fields again. Either true or absent.
	XPreserveUnknownFields *bool `json:"x-kubernetes-preserve-unknown-fields,omitempty" protobuf:"bytes,38,opt,name=xKubernetesPreserveUnknownFields"`
	// x-kubernetes-embedded-resource says that the value is a whole object with apiVersion, kind and metadata.
	XEmbeddedResource bool `json:"x-kubernetes-embedded-resource,omitempty" protobuf:"bytes,39,opt,name=xKubernetesEmbeddedResource"`
	// x-kubernetes-int-or-string says that the value is an integer or a string.
	XIntOrString bool `json:"x-kubernetes-int-or-string,omitempty" protobuf:"bytes,40,opt,name=xKubernetesIntOrString"`
	// x-kubernetes-list-map-keys names the fields that identify the items of a list of type map.
	// +listType=atomic
	XListMapKeys []string `json:"x-kubernetes-list-map-keys,omitempty" protobuf:"bytes,41,rep,name=xKubernetesListMapKeys"`
	// x-kubernetes-list-type is atomic (replaced as a whole), set (unique scalars) or map (items known by their keys).
	XListType *string `json:"x-kubernetes-list-type,omitempty" protobuf:"bytes,42,opt,name=xKubernetesListType"`
	// x-kubernetes-map-type is granular (each key has its own owner) or atomic (one owner for all).
	// +optional
	XMapType *string `json:"x-kubernetes-map-type,omitempty" protobuf:"bytes,43,opt,name=xKubernetesMapType"`
	// x-kubernetes-validations lists rules in the expression language CEL.
	// +patchMergeKey=rule
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=rule
	XValidations []ValidationRule `json:"x-kubernetes-validations,omitempty" patchStrategy:"merge" patchMergeKey:"rule" protobuf:"bytes,44,rep,name=xKubernetesValidations"`
}

// JSONSchemaPropsOrArray is one schema or a list of schemas.
type JSONSchemaPropsOrArray struct {
	Schema *JSONSchemaProps `json:"schema,omitempty" protobuf:"bytes,1,opt,name=schema"`
	// +listType=atomic
	JSONSchemas []JSONSchemaProps `json:"jsonSchemas,omitempty" protobuf:"bytes,2,rep,name=jSONSchemas"`
}

// JSONSchemaPropsOrBool is a schema or a boolean.
type JSONSchemaPropsOrBool struct {
	Allows bool             `json:"allows" protobuf:"varint,1,opt,name=allows"`
	Schema *JSONSchemaProps `json:"schema,omitempty" protobuf:"bytes,2,opt,name=schema"`
}

// JSONSchemaDependencies maps a property to what must hold when it is present.
type JSONSchemaDependencies map[string]JSONSchemaPropsOrStringArray

// JSONSchemaPropsOrStringArray is a schema or a list of property names.
type JSONSchemaPropsOrStringArray struct {
	Schema *JSONSchemaProps `json:"schema,omitempty" protobuf:"bytes,1,opt,name=schema"`
	// +listType=atomic
	Property []string `json:"property,omitempty" protobuf:"bytes,2,rep,name=property"`
}

// JSONSchemaDefinitions holds schemas by name.
type JSONSchemaDefinitions map[string]JSONSchemaProps

// ExternalDocumentation points to further documentation.
type ExternalDocumentation struct {
	Description string `json:"description,omitempty" protobuf:"bytes,1,opt,name=description"`
	URL         string `json:"url,omitempty" protobuf:"bytes,2,opt,name=url"`
}
