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
	hasMatcher             bool
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
				filters, _ := o.at(name).v.(map[string]any)
				for path, f := range filters {
					op.filters[path] = value{f}.text()
				}
			}
			all = append(all, op)
		}
	}
	return all
}

// DecodeRecommendation reads a recommendation from its JSON, as the API answers
// it. It fails on what is no JSON object only: what isn't understood is Review.
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
	case IAMPolicy:
		r.Why = r.decodePolicy(overview, ops)
	case RunIdentity:
		r.Why = r.decodeIdentity(overview, ops)
	default:
		r.Why = fmt.Sprintf("the recommender %q isn't one that this package knows", r.Recommender)
	}
	if r.Why != "" {
		r.Action = Review
	}
	return r, nil
}

// decodePolicy reads what IAM's recommender proposes, and returns what isn't
// understood. The overview and the operations say the same in two ways.
func (r *Recommendation) decodePolicy(overview value, ops []operation) (why string) {
	r.Member, r.Resource, r.Role = overview.at("member").text(), overview.at("resource").text(), overview.at("removedRole").text()
	for _, role := range overview.at("addedRoles").list() {
		name := role.text()
		if name == "" {
			name = role.at("role").text()
		}
		if name != "" {
			r.AddRoles = append(r.AddRoles, name)
		}
	}
	var removed []operation
	var added, members []string
	for _, op := range ops {
		role, condition := op.filters[pathRole], op.filters[pathCondition]
		for path := range op.filters {
			if path != pathRole && path != pathCondition && path != pathMember {
				return fmt.Sprintf("an operation filters by %q", path)
			}
		}
		switch {
		case op.hasMatcher:
			return "an operation has a value matcher"
		case op.action == "remove" && op.path == pathMember && role != "":
			removed = append(removed, op)
			r.Condition = condition
		case op.action == "add" && op.path == pathAdd && role != "":
			if condition != "" {
				return "a role is to be added with a condition"
			}
			members = append(members, op.value.text())
			added = append(added, role)
		default:
			return fmt.Sprintf("the operation %q on %q isn't understood", op.action, op.path)
		}
	}
	if len(removed) != 1 {
		return fmt.Sprintf("%d operations take a role away, not one", len(removed))
	}
	gone := removed[0]
	for _, told := range []struct {
		what   string
		field  *string
		inside string
	}{
		{"member", &r.Member, gone.filters[pathMember]}, {"resource", &r.Resource, gone.resource}, {"role", &r.Role, gone.filters[pathRole]},
	} {
		switch {
		case told.inside == "":
			return "the operation doesn't tell the " + told.what
		case *told.field == "":
			*told.field = told.inside
		case *told.field != told.inside:
			return fmt.Sprintf("the overview tells the %s %q, the operation %q", told.what, *told.field, told.inside)
		}
	}
	for _, op := range ops {
		if op.resource != gone.resource {
			return "the operations are on several resources"
		}
	}
	for _, member := range members {
		if member != r.Member {
			return fmt.Sprintf("it is about %q, and an operation adds %q", r.Member, member)
		}
	}
	if r.Condition != "" && len(added) > 0 {
		return "a role with a condition is to be replaced by roles without one"
	}
	slices.Sort(added)
	if len(r.AddRoles) > 0 && !slices.Equal(slices.Sorted(slices.Values(r.AddRoles)), added) {
		return fmt.Sprintf("the overview adds the roles %q, the operations %q", r.AddRoles, added)
	}
	r.AddRoles = added
	if r.Action = RemoveRole; len(added) > 0 {
		r.Action = ReplaceRole
	}
	switch {
	case r.Action == RemoveRole && strings.HasPrefix(r.Subtype, "REPLACE_ROLE"):
		return "it is to replace a role, but names none to add"
	case r.Action == ReplaceRole && !strings.HasPrefix(r.Subtype, "REPLACE_ROLE"),
		r.Action == RemoveRole && r.Subtype != "REMOVE_ROLE" && !strings.HasPrefix(r.Subtype, "REMOVE_ROLE_"):
		return fmt.Sprintf("the subtype %q isn't known", r.Subtype)
	}
	return ""
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
	r.Action = NewIdentity
	return ""
}

// DecodeInsight reads an insight from its JSON, as the API answers it. It fails
// on what is no JSON object only.
func DecodeInsight(raw []byte) (Insight, error) {
	v, err := parseValue(raw)
	if err != nil {
		return Insight{}, fmt.Errorf("decode an insight: %w", err)
	}
	content := v.at("content")
	i := Insight{
		Name: v.at("name").text(), Subtype: v.at("insightSubtype").text(), Description: v.at("description").text(),
		State: v.at("stateInfo", "state").text(), Severity: v.at("severity").text(), LastRefresh: v.at("lastRefreshTime").time(),
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
