package wire

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/internal/discovery"
)

// A Checker holds JSON against the schemas of one API.
type Checker struct {
	Schemas map[string]discovery.Schema
}

// Normalize brings a request's message into the form that the API stores:
// fields of another type than the schema's are refused, output-only fields
// dropped, enum numbers become names and int64 numbers strings, and what
// proto3 does not tell from absence (null, false, "", empty lists and maps)
// is dropped where the field has no presence. Fields that the schema does not
// know stay as they are.
func (c Checker) Normalize(schema string, o Object, path string) error {
	fields := c.Schemas[schema]
	for name, value := range o {
		f, known := fields[name]
		switch {
		case value == nil:
			delete(o, name)
			continue
		case !known:
			continue
		case f.Output:
			delete(o, name)
			continue
		}
		at := join(path, name)
		normalized, err := c.normalizeField(f, value, at)
		if err != nil {
			return err
		}
		if withoutPresence(f, normalized) && !hasPresence(schema, name) {
			delete(o, name)
			continue
		}
		o[name] = normalized
	}
	return nil
}

// hasPresence lists fields that are a oneof or optional in the API's protos,
// which the discovery documents do not tell: their zero value is kept.
func hasPresence(schema, field string) bool {
	switch schema + "." + field {
	case "GoogleCloudRunV2EnvVar.value", "EnvVar.value", "GoogleCloudRunV2TaskTemplate.maxRetries",
		"GoogleCloudOrgpolicyV2PolicySpecPolicyRule.enforce", "GoogleCloudOrgpolicyV2PolicySpecPolicyRule.allowAll",
		"GoogleCloudOrgpolicyV2PolicySpecPolicyRule.denyAll":
		return true
	}
	return field == "gpuZonalRedundancyDisabled"
}

func withoutPresence(f discovery.Field, value any) bool {
	switch v := value.(type) {
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case Object:
		return f.Map && len(v) == 0
	}
	return false
}

func (c Checker) normalizeField(f discovery.Field, value any, path string) (any, error) {
	switch {
	case f.List:
		list, ok := value.([]any)
		if !ok {
			return nil, c.mismatch(f, value, path)
		}
		f.List = false
		for i, item := range list {
			normalized, err := c.normalizeField(f, item, path+"["+strconv.Itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			list[i] = normalized
		}
		return list, nil
	case f.Map:
		entries, ok := value.(Object)
		if !ok {
			return nil, c.mismatch(f, value, path)
		}
		f.Map = false
		for key, item := range entries {
			normalized, err := c.normalizeField(f, item, path+"["+key+"]")
			if err != nil {
				return nil, err
			}
			entries[key] = normalized
		}
		return entries, nil
	case f.Ref != "":
		o, ok := value.(Object)
		if !ok {
			return nil, c.mismatch(f, value, path)
		}
		return o, c.Normalize(f.Ref, o, path)
	case len(f.Enum) > 0:
		return c.enumName(f, value, path)
	}
	return c.scalar(f, value, path)
}

func (c Checker) scalar(f discovery.Field, value any, path string) (any, error) {
	switch f.Type {
	case "string":
		if _, ok := value.(string); !ok {
			return nil, c.mismatch(f, value, path)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return nil, c.mismatch(f, value, path)
		}
	case "int32", "int64", "uint64", "number":
		literal := ""
		switch v := value.(type) {
		case json.Number:
			literal = v.String()
		case string:
			literal = v
		}
		n, err := strconv.ParseFloat(literal, 64)
		if err != nil || (f.Type != "number" && n != float64(int64(n))) {
			return nil, c.mismatch(f, value, path)
		}
		if f.Type == "int64" || f.Type == "uint64" {
			return literal, nil
		}
	}
	return value, nil
}

func (c Checker) enumName(f discovery.Field, value any, path string) (any, error) {
	switch v := value.(type) {
	case string:
		if slices.Contains(f.Enum, v) {
			return v, nil
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			if name, ok := enumNamed(f.Enum, n); ok {
				return name, nil
			}
		}
	}
	return nil, c.mismatch(f, value, path)
}

// mismatch returns the error for a value of the wrong type, in the words that
// Google's APIs use.
func (c Checker) mismatch(f discovery.Field, value any, path string) *Error {
	kind := map[string]string{
		"string": "TYPE_STRING", "boolean": "TYPE_BOOL", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
		"uint64": "TYPE_UINT64", "number": "TYPE_DOUBLE",
	}[f.Type]
	if kind == "" || f.List || f.Map || len(f.Enum) > 0 {
		kind = "type of the field in the API's schema"
	}
	return Invalid("Invalid value at '%s' (%s), %s", path, kind, MustEncode(value))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// EnumNumbers turns the enum names of a message into numbers, which is how
// the API answers a request with $alt=json;enum-encoding=int.
func (c Checker) EnumNumbers(schema string, o Object) {
	if kind, ok := o["@type"].(string); ok {
		schema = c.schemaOf(kind)
	}
	fields := c.Schemas[schema]
	for name, value := range o {
		f, known := fields[name]
		if !known {
			continue
		}
		o[name] = c.enumNumbersIn(f, value)
	}
}

func (c Checker) enumNumbersIn(f discovery.Field, value any) any {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			v[i] = c.enumNumbersIn(f, item)
		}
	case Object:
		_, typed := v["@type"]
		switch {
		case typed || f.Ref != "" && !f.Map:
			c.EnumNumbers(f.Ref, v)
		case f.Map:
			f.Map = false
			for key, item := range v {
				v[key] = c.enumNumbersIn(f, item)
			}
		}
	case string:
		if i := slices.Index(f.Enum, v); i >= 0 {
			return enumNumber(f.Enum, i)
		}
	}
	return value
}

// enumNumbering lists the numbers of enums that the protos number otherwise
// than in the order in which the discovery documents list the names, by the
// first name, or by the third where several enums begin alike.
var enumNumbering = map[string][]int{
	"CLAIMED":                  {0, 1, 6, 3, 4, 5}, // recommender.v1.RecommendationStateInfo.State
	"LAUNCH_STAGE_UNSPECIFIED": {0, 6, 7, 1, 2, 3, 4, 5},
	"COMMON_REASON_UNDEFINED":  {0, 1, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17},
}

// enumNumber returns the number of an enum's i-th name.
func enumNumber(names []string, i int) int {
	numbers := enumNumbering[names[0]]
	if numbers == nil && len(names) > 2 {
		numbers = enumNumbering[names[2]]
	}
	if i < len(numbers) {
		return numbers[i]
	}
	return i
}

// enumNamed returns the name that an enum has for a number.
func enumNamed(names []string, number int) (string, bool) {
	for i, name := range names {
		if enumNumber(names, i) == number {
			return name, true
		}
	}
	return "", false
}

// schemaOf names the schema of a type URL such as
// "type.googleapis.com/google.cloud.run.v2.Job".
func (c Checker) schemaOf(typeURL string) string {
	name := typeURL[strings.LastIndexByte(typeURL, '/')+1:]
	var schema strings.Builder
	for part := range strings.SplitSeq(name, ".") {
		if part != "" {
			schema.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	if _, ok := c.Schemas[schema.String()]; ok {
		return schema.String()
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}
