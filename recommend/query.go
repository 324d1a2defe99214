package recommend

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ListOptions restrict which recommendations [Client.List] lists. Nil means the zero
// value: the active ones of IAM.
type ListOptions struct {
	// Regions are where List looks for Cloud Run's recommendations. Empty means that
	// it lists none of those, and is an error if Recommenders names
	// [RecommenderRunIdentity]. IAM's recommendations live in "global", not in a
	// region.
	Regions []string
	// Recommenders may hold [RecommenderRunIdentity] and [RecommenderIAMPolicy].
	// Empty means both.
	Recommenders []string
	// States filters by state. Empty means [StateActive]. AllStates matches all,
	// whatever States has.
	States    []State
	AllStates bool
	// Subtypes, Priorities, Resources and Members restrict the result. Empty matches
	// all. Resources are full resource names, and Members are as in IAM policies,
	// "serviceAccount:EMAIL". A recommendation matches a resource if it is the one of
	// its grant, or one of its target resources. The API can't filter by resource and
	// member: List does.
	Subtypes, Priorities, Resources, Members []string
	// WithInsights joins each recommendation with its insights. It takes one more
	// listing for each project and location.
	WithInsights bool
}

// InsightsOptions restrict which insights [Client.Insights] lists. Nil means the zero
// value: the active ones that live in "global".
type InsightsOptions struct {
	// Regions are where Insights looks for insights about Cloud Run services. Empty
	// means that it lists none of those, and is an error if Types names
	// [InsightTypeRunIdentity].
	Regions []string
	// Types may hold [InsightTypeRunIdentity], [InsightTypeIAMPolicy] and
	// [InsightTypeServiceAccount]. Empty means all three.
	Types []string
	// States filters by state. Empty means [StateActive]. AllStates matches all,
	// whatever States has.
	States    []State
	AllStates bool
	// Subtypes, Severities, Resources and Members restrict the result. Empty matches
	// all. Resources and Members are as in [ListOptions]. An insight matches a
	// resource if it is one of its target resources, and a member if that is its
	// Member or its Account.
	Subtypes, Severities, Resources, Members []string
}

// A query is what is to be listed.
type query struct {
	projects, regions, kinds            []string
	wanted                              []State
	allStates                           bool
	subtypes, ranks, resources, members []string
	withInsights                        bool
}

func (o *ListOptions) query(projects []string) query {
	if o == nil {
		o = new(ListOptions)
	}
	return query{
		projects, o.Regions, o.Recommenders, o.States, o.AllStates, o.Subtypes, o.Priorities, o.Resources, o.Members, o.WithInsights,
	}
}

func (o *InsightsOptions) query(projects []string) query {
	if o == nil {
		o = new(InsightsOptions)
	}
	return query{
		projects, o.Regions, o.Types, o.States, o.AllStates, o.Subtypes, o.Severities, o.Resources, o.Members, false,
	}
}

// validate checks a query, and returns what is to be listed.
func (q query) validate(collection string, known []string) ([]listing, error) {
	if len(q.projects) == 0 {
		return nil, errors.New(`no project is named, such as "web-prod"`)
	}
	for _, p := range slices.Concat(q.projects, q.regions) {
		if p == "" || strings.ContainsAny(p, "/?#% ") {
			return nil, fmt.Errorf("%q: projects are ids or numbers such as %q, regions such as %q", p, "web-prod", "europe-west1")
		}
	}
	kinds := q.kinds
	if len(kinds) == 0 {
		kinds = known
	}
	items := map[string]string{"recommenders": "recommendations", "insightTypes": "insights"}[collection]
	var all []listing
	for _, kind := range kinds {
		if !slices.Contains(known, kind) {
			return nil, fmt.Errorf("%q: not one of %q", kind, known)
		}
		for _, project := range q.projects {
			locations := []string{"global"}
			if regional(kind) {
				locations = q.regions
			}
			if len(locations) == 0 && len(q.kinds) > 0 {
				return nil, fmt.Errorf("%s lives in regions, and none is named, such as %q", kind, "europe-west1")
			}
			for _, location := range locations {
				all = append(all, listing{project, location, collection, kind, items})
			}
		}
	}
	return all, nil
}

// maxFilter is how long a filter may be.
const maxFilter = 500

// filter is what of a query the API can filter by, as far as a filter may be long.
func (q query) filter(items string) string {
	subtype, rank := "recommenderSubtype", "priority"
	if items == "insights" {
		subtype, rank = "insightSubtype", "severity"
	}
	var clauses []string
	add := func(field, operator string, values []string) {
		var parts []string
		for _, v := range values {
			if strings.ContainsAny(v, "\"\\") {
				return
			}
			parts = append(parts, field+operator+`"`+v+`"`)
		}
		if len(parts) == 0 {
			return
		}
		clause := "(" + strings.Join(parts, " OR ") + ")"
		if len(strings.Join(append(clauses, clause), " AND ")) <= maxFilter {
			clauses = append(clauses, clause)
		}
	}
	if states := q.states(); states != nil {
		add("stateInfo.state", " = ", states)
	}
	add(rank, " = ", q.ranks)
	add(subtype, " = ", q.subtypes)
	return strings.Join(clauses, " AND ")
}

// states are those that count, nil for all.
func (q query) states() []string {
	if q.allStates {
		return nil
	}
	if len(q.wanted) == 0 {
		return []string{string(StateActive)}
	}
	out := make([]string, len(q.wanted))
	for i, s := range q.wanted {
		out[i] = string(s)
	}
	return out
}

// counts reports whether something is among values, of which none means all.
func counts(values []string, v string) bool { return len(values) == 0 || slices.Contains(values, v) }

func (q query) takes(r Recommendation) bool {
	return (q.allStates || counts(q.states(), string(r.State))) && counts(q.subtypes, r.Subtype) && counts(q.ranks, r.Priority) &&
		(counts(q.resources, r.Resource) || slices.ContainsFunc(r.targets, func(t string) bool { return slices.Contains(q.resources, t) })) &&
		counts(q.members, r.Member)
}

func (q query) takesInsight(i Insight) bool {
	member := i.Member
	if i.Account != "" {
		member = "serviceAccount:" + i.Account
	}
	return (q.allStates || counts(q.states(), string(i.State))) && counts(q.subtypes, i.Subtype) && counts(q.ranks, i.Severity) && counts(q.members, member) &&
		(len(q.resources) == 0 || slices.ContainsFunc(i.targets, func(t string) bool { return slices.Contains(q.resources, t) }))
}
