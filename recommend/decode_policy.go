package recommend

import (
	"fmt"
	"slices"
	"strings"
)

// A policyChange is what the operations of one of IAM's recommendations come to:
// a role that a member loses, and those that members get instead.
type policyChange struct {
	removed        []operation
	added, members []string // the roles and, for each, who gets it
}

// decodePolicy reads what IAM's recommender proposes, and returns what isn't
// understood. The overview and the operations say the same in two ways.
func (r *Recommendation) decodePolicy(overview value, ops []operation) (why string) {
	if why := r.decodeOverview(overview); why != "" {
		return why
	}
	change, why := changeOf(ops)
	if why == "" {
		why = r.agree(change.removed[0])
	}
	if why != "" {
		return why
	}
	for _, op := range ops {
		if op.resource != r.Resource {
			return "the operations are on several resources"
		}
	}
	for _, member := range change.members {
		if member != r.Member {
			return fmt.Sprintf("it is about %q, and an operation adds %q", r.Member, member)
		}
	}
	if r.Condition != "" && len(change.added) > 0 {
		return "a role with a condition is to be replaced by roles without one"
	}
	slices.Sort(change.added)
	if len(r.AddRoles) > 0 && !slices.Equal(slices.Sorted(slices.Values(r.AddRoles)), change.added) {
		return fmt.Sprintf("the overview adds the roles %q, the operations %q", r.AddRoles, change.added)
	}
	r.AddRoles = change.added
	return r.decodeSubtype()
}

// decodeOverview reads the overview, in which any field may be missing.
func (r *Recommendation) decodeOverview(overview value) (why string) {
	for name, field := range map[string]*string{"member": &r.Member, "resource": &r.Resource, "removedRole": &r.Role} {
		text, ok := overview.at(name).v.(string)
		if !ok && overview.at(name).v != nil {
			return fmt.Sprintf("the overview's %s is no string", name)
		}
		*field = text
	}
	if _, ok := overview.at("addedRoles").v.([]any); !ok && overview.at("addedRoles").v != nil {
		return "the overview's addedRoles is no list"
	}
	for _, role := range overview.at("addedRoles").list() {
		name := role.text()
		if name == "" {
			name = role.at("role").text()
		}
		if name == "" {
			return "the overview's addedRoles has something that is no role"
		}
		r.AddRoles = append(r.AddRoles, name)
	}
	return ""
}

// changeOf sorts operations by what they do. It returns one removal, or why not.
func changeOf(ops []operation) (change policyChange, why string) {
	for _, op := range ops {
		role, condition := op.filters[pathRole], op.filters[pathCondition]
		for path := range op.filters {
			if path != pathRole && path != pathCondition && path != pathMember {
				return change, fmt.Sprintf("an operation filters by %q", path)
			}
		}
		switch {
		case op.hasMatcher:
			return change, "an operation has a value matcher"
		case op.action == "remove" && op.path == pathMember && role != "":
			change.removed = append(change.removed, op)
		case op.action == "add" && op.path == pathAdd && role != "":
			if condition != "" {
				return change, "a role is to be added with a condition"
			}
			change.members = append(change.members, op.value.text())
			change.added = append(change.added, role)
		default:
			return change, fmt.Sprintf("the operation %q on %q isn't understood", op.action, op.path)
		}
	}
	if len(change.removed) != 1 {
		return change, fmt.Sprintf("%d operations take a role away, not one", len(change.removed))
	}
	return change, ""
}

// agree fills in what the removal tells and the overview doesn't. Where both do,
// they have to say the same.
func (r *Recommendation) agree(gone operation) (why string) {
	r.Condition = gone.filters[pathCondition]
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
	return ""
}

// decodeSubtype holds the action against the subtype.
func (r *Recommendation) decodeSubtype() (why string) {
	if r.Action = ActionRemoveRole; len(r.AddRoles) > 0 {
		r.Action = ActionReplaceRole
	}
	switch {
	case r.Action == ActionRemoveRole && strings.HasPrefix(r.Subtype, "REPLACE_ROLE"):
		return "it is to replace a role, but names none to add"
	case r.Action == ActionReplaceRole && !strings.HasPrefix(r.Subtype, "REPLACE_ROLE"),
		r.Action == ActionRemoveRole && r.Subtype != "REMOVE_ROLE" && !strings.HasPrefix(r.Subtype, "REMOVE_ROLE_"):
		return fmt.Sprintf("the subtype %q isn't known", r.Subtype)
	}
	return ""
}
