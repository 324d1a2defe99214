package recommend

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/runidentity/runidentity/identity"
)

// The recommenders whose recommendations this package reads.
const (
	// RecommenderRunIdentity proposes accounts for Cloud Run services. It lives in the
	// service's region.
	RecommenderRunIdentity = "google.run.service.IdentityRecommender"
	// RecommenderIAMPolicy proposes to remove or replace roles. It lives in "global".
	RecommenderIAMPolicy = "google.iam.policy.Recommender"
)

// The insight types that this package reads.
const (
	// InsightTypeRunIdentity is about the accounts of Cloud Run services. It
	// lives in the region.
	InsightTypeRunIdentity = "google.run.service.IdentityInsight"
	// InsightTypeIAMPolicy is about which permissions of a role are used. It
	// lives in "global".
	InsightTypeIAMPolicy = "google.iam.policy.Insight"
	// InsightTypeServiceAccount is about accounts that are not used. It lives in
	// "global".
	InsightTypeServiceAccount = "google.iam.serviceAccount.Insight"
)

// An Action is what a recommendation proposes. The zero value is ActionReview.
type Action uint8

const (
	// ActionReview means that a person has to look: what the recommendation
	// proposes is not understood for certain. [Recommendation.Why] says what
	// isn't.
	ActionReview Action = iota
	// ActionNewIdentity proposes to give a service an account of its own.
	ActionNewIdentity
	// ActionRemoveRole proposes to take a role from a member.
	ActionRemoveRole
	// ActionReplaceRole proposes to give a member other roles instead of one.
	ActionReplaceRole
	// ActionUnusedAccount says that an account was not used. It comes from an
	// insight, and has no state to change: [Client.Claim] and the like return an
	// error. Only [Client.For] returns it.
	ActionUnusedAccount
)

var actionNames = [...]string{"review", "new-identity", "remove-role", "replace-role", "unused-account"}

// String returns the action as a word, such as "remove-role".
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// MarshalText returns what String does.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Action) UnmarshalText(text []byte) error {
	for i, name := range actionNames {
		if string(text) == name {
			*a = Action(i)
			return nil
		}
	}
	return fmt.Errorf("action %q: not one of %q", text, actionNames)
}

// A State is the state of a recommendation or of an insight. Google may add others.
type State string

// The states of recommendations. An insight is "ACTIVE", "ACCEPTED" or "DISMISSED".
// It is accepted once a recommendation that follows from it is claimed, succeeded or
// failed.
//
// https://cloud.google.com/recommender/docs/key-concepts#states
const (
	StateActive    State = "ACTIVE"
	StateClaimed   State = "CLAIMED"
	StateSucceeded State = "SUCCEEDED"
	StateFailed    State = "FAILED"
	StateDismissed State = "DISMISSED"
)

// A Recommendation is what Google proposes, as far as this package understands
// it. Its JSON is stable.
type Recommendation struct {
	// Name is the full name, with the project's number. For [ActionUnusedAccount] it
	// is the name of the insight.
	Name        string `json:"name"`
	Recommender string `json:"recommender"`
	Subtype     string `json:"subtype,omitempty"`
	Description string `json:"description,omitempty"`

	State    State             `json:"state"`
	Metadata map[string]string `json:"metadata,omitempty"` // of the state
	Etag     string            `json:"etag,omitempty"`
	// Priority is "P1", the highest, to "P4".
	Priority    string    `json:"priority,omitempty"`
	LastRefresh time.Time `json:"lastRefresh,omitzero"`
	// XorGroup is the id of a group of recommendations, only one of which is to
	// be applied.
	XorGroup string `json:"xorGroup,omitempty"`

	Action Action `json:"action"`
	Why    string `json:"why,omitempty"` // for ActionReview: what isn't understood

	// Member has Role on Resource, under Condition if there is one, a CEL expression.
	// AddRoles are the roles that are proposed instead or, for [ActionNewIdentity],
	// for the new account. A plan for that grants [PlanOptions].Grants instead.
	Member    string   `json:"member,omitempty"`
	Resource  string   `json:"resource,omitempty"` // a full resource name
	Role      string   `json:"role,omitempty"`
	Condition string   `json:"condition,omitempty"`
	AddRoles  []string `json:"addRoles,omitempty"`

	// Service is the Cloud Run service that [ActionNewIdentity] is about. Its project
	// is the number in Name or, from [Client.For], as it was given there. Value is the
	// account that the recommendation names, in whatever form, or "". A plan attaches
	// [PlanOptions].Account instead.
	Service identity.Workload `json:"service,omitzero"`
	Value   string            `json:"value,omitempty"`

	// Observed is for how long at least the use was observed. It is zero if the
	// recommendation doesn't say.
	Observed time.Duration `json:"observed,omitzero"`
	// Revoked is how many permissions the recommendation would take away.
	Revoked int `json:"revoked,omitempty"`

	// InsightNames names the insights that the recommendation follows from. Insights
	// holds those of them that were listed. [Client.For] lists them, [Client.List]
	// does with [ListOptions].WithInsights, and [Client.Get] does not.
	InsightNames []string  `json:"insightNames,omitempty"`
	Insights     []Insight `json:"insights,omitempty"`

	// Raw is the JSON as it came.
	Raw json.RawMessage `json:"raw,omitempty"`

	tests   []operation // to be made before it is applied
	targets []string    // the resources it says it is about
}

// An Insight is what Google observed.
type Insight struct {
	Name        string        `json:"name"`
	Type        string        `json:"type"`
	Subtype     string        `json:"subtype,omitempty"`
	Description string        `json:"description,omitempty"`
	State       State         `json:"state,omitempty"`
	Severity    string        `json:"severity,omitempty"` // "LOW" to "CRITICAL"
	LastRefresh time.Time     `json:"lastRefresh,omitzero"`
	Observed    time.Duration `json:"observed,omitzero"` // zero if it isn't told

	// Member has Role, under Condition if there is one, in an insight of
	// [InsightTypeIAMPolicy].
	Member    string `json:"member,omitempty"`
	Role      string `json:"role,omitempty"`
	Condition string `json:"condition,omitempty"`
	// Exercised lists the permissions that were used, and Inferred those that are
	// likely to be needed. Total is how many the role has.
	Exercised []string `json:"exercised,omitempty"`
	Inferred  []string `json:"inferred,omitempty"`
	Total     int      `json:"total,omitempty"`

	// Account is the email of the account that an insight of
	// [InsightTypeServiceAccount] is about. LastUsed is when it was last used, or
	// zero if never.
	Account  string    `json:"account,omitempty"`
	LastUsed time.Time `json:"lastUsed,omitzero"`

	// Service is the id of the service that an insight of [InsightTypeRunIdentity]
	// is about, and Region is its region.
	Service string `json:"service,omitempty"`
	Region  string `json:"region,omitempty"`

	// Raw is the JSON as it came.
	Raw json.RawMessage `json:"raw,omitempty"`

	targets []string
}
