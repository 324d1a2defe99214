package recommend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/identity"
)

// A value is JSON of any shape: what isn't there, or is something else, reads as
// nothing.
type value struct{ v any }

func parseValue(raw []byte) (value, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		return value{}, err
	}
	if v == nil || dec.More() {
		return value{}, errors.New("it is no JSON object")
	}
	return value{v}, nil
}

func (v value) at(path ...string) value {
	for _, name := range path {
		o, _ := v.v.(map[string]any)
		v = value{o[name]}
	}
	return v
}

// text is a string, or a number as one.
func (v value) text() string {
	switch s := v.v.(type) {
	case string:
		return s
	case json.Number:
		return s.String()
	}
	return ""
}

// number is a whole number, or one in a string: the API writes 64 bits so.
func (v value) number() int {
	f, err := strconv.ParseFloat(v.text(), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<52 {
		return 0
	}
	return int(f)
}

func (v value) list() []value {
	all, _ := v.v.([]any)
	out := make([]value, len(all))
	for i, e := range all {
		out[i] = value{e}
	}
	return out
}

func (v value) texts() []string {
	var out []string
	for _, e := range v.list() {
		if s := e.text(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (v value) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.text())
	if err != nil {
		return time.Time{}
	}
	return t
}

// duration is one as the API writes it, "7776000s".
func (v value) duration() time.Duration {
	d, err := time.ParseDuration(v.text())
	if err != nil || !strings.HasSuffix(v.text(), "s") || d < 0 {
		return 0
	}
	return d
}

// An operation is one of a recommendation's operations.
type operation struct {
	action, resource, path string
	value                  value
	hasMatcher             bool // or a filter that is no string, which is one in disguise
	filters                map[string]string
}

const (
	pathAdd       = "/iamPolicy/bindings/*/members/-"
	pathMember    = "/iamPolicy/bindings/*/members/*"
	pathRole      = "/iamPolicy/bindings/*/role"
	pathCondition = "/iamPolicy/bindings/*/condition/expression"
	pathEtag      = "/iamPolicy/etag"
	pathIdentity  = "/spec/template/spec/serviceAccountName"
)

func (v value) operations() []operation {
	var all []operation
	for _, group := range v.at("operationGroups").list() {
		for _, o := range group.at("operations").list() {
			op := operation{
				action: strings.ToLower(o.at("action").text()), resource: o.at("resource").text(), path: o.at("path").text(),
				value: o.at("value"), hasMatcher: o.at("valueMatcher").v != nil || o.at("pathValueMatchers").v != nil,
				filters: make(map[string]string),
			}
			for _, name := range []string{"pathFilters", "pathFilter"} { // the latter in a sample of Google's
				filters, ok := o.at(name).v.(map[string]any)
				op.hasMatcher = op.hasMatcher || !ok && o.at(name).v != nil
				for path, f := range filters {
					text, plain := f.(string)
					op.filters[path] = text
					op.hasMatcher = op.hasMatcher || !plain
				}
			}
			all = append(all, op)
		}
	}
	return all
}

// DecodeRecommendation reads a recommendation from its JSON, as the API returns
// it. It returns an error only if raw isn't a JSON object. A recommendation that
// isn't understood has the action [ActionReview].
func DecodeRecommendation(raw []byte) (Recommendation, error) {
	v, err := parseValue(raw)
	if err != nil {
		return Recommendation{}, fmt.Errorf("decode a recommendation: %w", err)
	}
	r := Recommendation{
		Name: v.at("name").text(), Subtype: v.at("recommenderSubtype").text(), Description: v.at("description").text(),
		State: State(v.at("stateInfo", "state").text()), Etag: v.at("etag").text(), Priority: v.at("priority").text(),
		LastRefresh: v.at("lastRefreshTime").time(), XorGroup: v.at("xorGroupId").text(), Raw: slices.Clone(raw),
	}
	r.Recommender = segmentAfter(r.Name, "recommenders")
	r.targets = v.at("targetResources").texts()
	if meta, ok := v.at("stateInfo", "stateMetadata").v.(map[string]any); ok && len(meta) > 0 {
		r.Metadata = make(map[string]string, len(meta))
		for name, m := range meta {
			r.Metadata[name] = value{m}.text()
		}
	}
	for _, i := range v.at("associatedInsights").list() {
		if name := i.at("insight").text(); name != "" {
			r.InsightNames = append(r.InsightNames, name)
		}
	}
	content := v.at("content")
	overview := content.at("overview")
	r.Revoked = v.at("primaryImpact", "securityProjection", "details", "revokedIamPermissionsCount").number()
	const century = 36500
	r.Observed = time.Duration(min(overview.at("minimumObservationPeriodInDays").number(), century)) * 24 * time.Hour
	ops := content.operations()
	for _, op := range ops {
		if op.action == "test" {
			r.tests = append(r.tests, op)
		}
	}
	ops = slices.DeleteFunc(ops, func(op operation) bool { return op.action == "test" })
	switch r.Recommender {
	case RecommenderIAMPolicy:
		r.Why = r.decodePolicy(overview, ops)
	case RecommenderRunIdentity:
		r.Why = r.decodeIdentity(overview, ops)
	default:
		r.Why = fmt.Sprintf("the recommender %q isn't one that this package knows", r.Recommender)
	}
	if r.Why != "" {
		r.Action = ActionReview
	}
	return r, nil
}

// decodeIdentity reads what Cloud Run's recommender proposes. No public source
// documents its content; programs of Google's read the fields that are read here.
func (r *Recommendation) decodeIdentity(overview value, ops []operation) (why string) {
	name, region := overview.at("serviceName").text(), overview.at("serviceRegion").text()
	location := segmentAfter(r.Name, "locations")
	if name == "" {
		return "it doesn't name a service"
	}
	if region == "" {
		region = location
	}
	r.Service = identity.Service(segmentAfter(r.Name, "projects"), region, name)
	if err := r.Service.Validate(); err != nil {
		r.Service = identity.Workload{}
		return "the service's name: " + err.Error()
	}
	if region != location {
		return fmt.Sprintf("it lives in %q, and is about a service in %q", location, region)
	}
	for _, op := range ops {
		if op.path != pathIdentity && op.path != "" || op.action != "replace" && op.action != "add" {
			return fmt.Sprintf("the operation %q on %q isn't understood", op.action, op.path)
		}
		if op.hasMatcher {
			return "an operation has a value matcher"
		}
		if r.Value = op.value.text(); r.Value == "" {
			return "an operation has no value"
		}
	}
	r.AddRoles = overview.at("roles").texts()
	r.Action = ActionNewIdentity
	return ""
}

// DecodeInsight reads an insight from its JSON, as the API returns it. It returns
// an error only if raw isn't a JSON object.
func DecodeInsight(raw []byte) (Insight, error) {
	v, err := parseValue(raw)
	if err != nil {
		return Insight{}, fmt.Errorf("decode an insight: %w", err)
	}
	content := v.at("content")
	i := Insight{
		Name: v.at("name").text(), Subtype: v.at("insightSubtype").text(), Description: v.at("description").text(),
		State: State(v.at("stateInfo", "state").text()), Severity: v.at("severity").text(), LastRefresh: v.at("lastRefreshTime").time(),
		Observed: v.at("observationPeriod").duration(), Member: content.at("member").text(), Role: content.at("role").text(),
		Condition: content.at("condition", "expression").text(), Total: content.at("currentTotalPermissionsCount").number(),
		Account: content.at("email").text(), LastUsed: content.at("lastAuthenticatedTime").time(),
		Service: content.at("serviceName").text(), Region: content.at("serviceRegion").text(), Raw: slices.Clone(raw),
	}
	i.targets = v.at("targetResources").texts()
	i.Type = segmentAfter(i.Name, "insightTypes")
	i.Exercised = permissions(content.at("exercisedPermissions"))
	i.Inferred = permissions(content.at("inferredPermissions"))
	return i, nil
}

// permissions are a list of permissions, each a name or an object with one.
func permissions(v value) []string {
	var out []string
	for _, p := range v.list() {
		name := p.text()
		if name == "" {
			name = p.at("permission").text()
		}
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}

// segmentAfter is the segment of a name after that of a collection.
func segmentAfter(name, collection string) string {
	parts := strings.Split(name, "/")
	if i := slices.Index(parts, collection); i >= 0 && i+1 < len(parts) {
		return parts[i+1]
	}
	return ""
}
