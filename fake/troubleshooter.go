package fake

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/api/policytroubleshooter/v3"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/access"
)

// The API is not held to be enabled in a project: the real one asks that of
// the caller's quota project, which the fake does not know.
func troubleshooterHandlers() map[string]handler {
	return map[string]handler{"policytroubleshooter.iam.troubleshoot": reads((*call).troubleshoot)}
}

// The types of the API have long names.
type (
	troubleshootRequest  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyRequest
	troubleshootResponse = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyResponse
	accessTuple          = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AccessTuple
	conditionContext     = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ConditionContext
)

// inquiry is a question to Policy Troubleshooter with what its sender may see.
type inquiry struct {
	nodes   []*node // the resource and what it is in, upwards
	context access.Resource
	at      time.Time
	v1      string // the permission as roles list it
	member  string
	levels  []access.Level // nil policies are those that the sender may not see
}

// troubleshoot reports whether a principal has a permission, as the evaluator
// does that decides on calls, from what the caller may see: allow policies
// with the permission to get them, deny policies with iam.denypolicies.get and
// list, custom roles with iam.roles.get. Who is in a group is told to
// everyone: the rights of Cloud Identity and Google Workspace that it takes
// are not modelled.
func (c *call) troubleshoot(st *state) ([]byte, error) {
	var req troubleshootRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	tuple := req.AccessTuple
	if tuple == nil {
		return nil, wire.Invalid("The access tuple is required.")
	}
	q, err := c.inquire(st, tuple)
	if err != nil {
		return nil, err
	}
	e := access.Evaluator{Deniable: access.Deniable, Roles: func(name string) *access.Role {
		if !c.maySeeRole(st, name) {
			return nil
		}
		return st.roleFor(name, q.v1)
	}}
	x := e.Explain(access.Request{
		Subject: st.subject(q.member), Permission: q.v1, Resource: q.context, Time: q.at, Levels: q.levels,
	})
	tuple.PermissionFqdn = access.PermissionFQDN(q.v1)
	return wire.MustEncode(&troubleshootResponse{
		OverallAccessState:     overallState(x),
		AccessTuple:            tuple,
		AllowPolicyExplanation: q.explainAllow(x, c.now),
		DenyPolicyExplanation:  q.explainDeny(x, c.now),
	}), nil
}

func overallState(x *access.Explanation) string {
	conditional := !slices.ContainsFunc(x.Causes, func(c access.Cause) bool { return c.Kind != access.CauseCondition })
	switch {
	case x.Outcome == access.Granted:
		return "CAN_ACCESS"
	case x.Outcome == access.Denied:
		return "CANNOT_ACCESS"
	case conditional && len(x.Causes) > 0:
		return "UNKNOWN_CONDITIONAL"
	}
	return "UNKNOWN_INFO"
}

// inquire reads the question. A resource that is not there is answered for by
// the project that its name tells, as one that has no policy of its own; if
// there is none either, all policies are such that the sender may not see
// them. What the real API says of such resources is not known.
func (c *call) inquire(st *state, tuple *accessTuple) (*inquiry, error) {
	q := &inquiry{v1: permissionV1(tuple.Permission)}
	for _, required := range []struct{ name, value string }{
		{"principal", tuple.Principal}, {"full resource name", tuple.FullResourceName}, {"permission", tuple.Permission},
	} {
		if required.value == "" {
			return nil, wire.Invalid("The %s of the access tuple is required.", required.name)
		}
	}
	who, err := parseEmail(tuple.Principal)
	member := strings.HasPrefix(tuple.Principal, "user:") || strings.HasPrefix(tuple.Principal, "serviceAccount:")
	if err != nil || member || who.member == Admin || st.groups[strings.ToLower(tuple.Principal)] != nil {
		return nil, wire.Invalid("Invalid principal %q: it must be the email address of a Google Account or a service account.", tuple.Principal)
	}
	q.member = who.member
	if strings.Count(q.v1, ".") < 2 {
		return nil, wire.Invalid("Invalid permission %q.", tuple.Permission)
	}
	if apiOf(tuple.FullResourceName) == "" {
		return nil, wire.Invalid("Invalid full resource name %q: an example is %q.", tuple.FullResourceName, resourceManager+"projects/my-project")
	}
	n := st.findFull(tuple.FullResourceName)
	if n != nil {
		q.context = n.attrs
	} else {
		n = st.projectIn(tuple.FullResourceName)
	}
	if err := q.readContext(tuple.ConditionContext); err != nil {
		return nil, err
	}
	for at := n; at != nil; at = at.parent {
		q.nodes = append(q.nodes, at)
		q.levels = append(q.levels, c.visibleLevel(st, at))
	}
	if n == nil {
		q.nodes = []*node{{full: tuple.FullResourceName}}
		q.levels = []access.Level{{Resource: tuple.FullResourceName}}
	}
	return q, nil
}

// projectIn returns the project that a full resource name tells, or nil.
func (st *state) projectIn(full string) *node {
	parts := strings.Split(strings.TrimPrefix(full, "//"), "/")
	if i := slices.Index(parts, "projects"); i > 0 && i+1 < len(parts) {
		return st.find("projects/" + parts[i+1])
	}
	return nil
}

// readContext takes what the sender tells of the request. Without a time,
// conditions on it stay open. The attributes of the resource are its own,
// unless the sender gives others.
func (q *inquiry) readContext(given *conditionContext) error {
	if given == nil {
		return nil
	}
	if r := given.Resource; r != nil {
		q.context = access.Resource{Name: r.Name, Type: r.Type, Service: r.Service}
	}
	if given.Request == nil || given.Request.ReceiveTime == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, given.Request.ReceiveTime)
	if err != nil {
		return wire.Invalid("Invalid value at 'access_tuple.condition_context.request.receive_time' (type.googleapis.com/google.protobuf.Timestamp), %q",
			given.Request.ReceiveTime)
	}
	q.at = at
	return nil
}

// visibleLevel returns a level with those of its policies that the caller may
// see.
func (c *call) visibleLevel(st *state, n *node) access.Level {
	level := access.Level{Resource: n.full, Deny: n.deny.at(c.now)}
	if c.may(st, getPolicyPermission(n), n) {
		level.Allow = n.policy.at(c.now)
	}
	if strings.HasPrefix(n.full, resourceManager) && (!c.may(st, "iam.denypolicies.get", n) || !c.may(st, "iam.denypolicies.list", n)) {
		level.Deny = nil
	}
	return level
}

// getPolicyPermission returns the permission to see the allow policy of a
// resource.
func getPolicyPermission(n *node) string {
	parts := strings.Split(strings.TrimPrefix(n.full, "//"), "/")
	kind := parts[len(parts)-2]
	switch parts[0] {
	case "run.googleapis.com":
		return "run." + strings.ToLower(kind) + ".getIamPolicy"
	case "iam.googleapis.com":
		return "iam.serviceAccounts.getIamPolicy"
	}
	return "resourcemanager." + kind + ".getIamPolicy"
}

// maySeeRole reports whether the caller may see what is in a role: predefined
// ones are public.
func (c *call) maySeeRole(st *state, name string) bool {
	parent, _, custom := strings.Cut(name, "/roles/")
	if !custom {
		return true
	}
	n, _ := st.roleParent(parent)
	return n != nil && c.may(st, "iam.roles.get", n)
}
