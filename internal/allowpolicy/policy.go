package allowpolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/rest"
)

// maxPrincipals is how many members the bindings of a policy may have.
//
// https://cloud.google.com/iam/quotas
const maxPrincipals = 1500

// A policy is an allow policy as JSON, of which the bindings' members are
// understood.
type policy struct {
	etag     string
	fields   map[string]json.RawMessage
	bindings []*binding
}

type binding struct {
	fields    map[string]json.RawMessage
	role      string
	members   []string
	condition Condition
}

func parse(raw []byte) (*policy, error) {
	p := &policy{}
	if err := json.Unmarshal(raw, &p.fields); err != nil {
		return nil, err
	}
	// Every policy has one, an empty one too. What comes without isn't a policy,
	// and written back without it would undo the changes of others.
	if json.Unmarshal(p.fields["etag"], &p.etag) != nil || p.etag == "" {
		return nil, errors.New("the server sent no etag, so that it is no allow policy")
	}
	var list []map[string]json.RawMessage
	if text := p.fields["bindings"]; text != nil {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, err
		}
	}
	for _, fields := range list {
		var known struct {
			Role      string     `json:"role"`
			Members   []string   `json:"members"`
			Condition *Condition `json:"condition"`
		}
		b := &binding{fields: fields}
		text, err := json.Marshal(fields)
		if err == nil {
			err = json.Unmarshal(text, &known)
		}
		if err != nil {
			return nil, err
		}
		if b.role, b.members = known.Role, known.Members; known.Condition != nil {
			b.condition = *known.Condition
		}
		p.bindings = append(p.bindings, b)
	}
	return p, nil
}

// apply makes the changes and returns those that made a difference.
func (p *policy) apply(changes []Change) ([]Change, error) {
	var made []Change
	for _, c := range changes {
		if c.Remove && p.remove(c) || !c.Remove && p.add(c) {
			made = append(made, c)
		}
	}
	total := 0
	for _, b := range p.bindings {
		total += len(b.members)
	}
	if total > maxPrincipals && slices.ContainsFunc(made, func(c Change) bool { return !c.Remove }) {
		return nil, fmt.Errorf("the policy would have %d principals, and may have %d: remove some first, or grant to a group", total, maxPrincipals)
	}
	return made, nil
}

// is reports whether a change is about this binding.
func (b *binding) is(c Change) bool {
	return b.role == c.Role && b.condition.Expression == c.Condition.Expression &&
		(c.Condition.Expression == "" || b.condition.Title == c.Condition.Title || c.Remove && c.Condition.Title == "")
}

// shows reports whether the policy is as the change would make it.
func (p *policy) shows(c Change) bool {
	has := slices.ContainsFunc(p.bindings, func(b *binding) bool { return b.is(c) && b.index(c.Member) >= 0 })
	return has != c.Remove
}

func (p *policy) add(c Change) bool {
	var into *binding
	for _, b := range p.bindings {
		if !b.is(c) {
			continue
		}
		if b.index(c.Member) >= 0 {
			return false
		}
		if into == nil {
			into = b
		}
	}
	if into == nil {
		into = &binding{fields: map[string]json.RawMessage{"role": mustJSON(c.Role)}, role: c.Role, condition: c.Condition}
		if c.Condition.Expression != "" {
			into.fields["condition"] = mustJSON(c.Condition)
		}
		p.bindings = append(p.bindings, into)
	}
	into.members = append(into.members, c.Member)
	into.fields["members"] = mustJSON(into.members)
	return true
}

func (p *policy) remove(c Change) bool {
	removed := false
	for _, b := range p.bindings {
		i := b.index(c.Member)
		if !b.is(c) || i < 0 {
			continue
		}
		b.members = slices.Delete(slices.Clone(b.members), i, i+1)
		b.fields["members"] = mustJSON(b.members)
		removed = true
	}
	p.bindings = slices.DeleteFunc(p.bindings, func(b *binding) bool { return len(b.members) == 0 && removed })
	return removed
}

// index is where the binding has a member. Email addresses are compared
// without regard to case, as IAM does.
func (b *binding) index(member string) int {
	kind, _, _ := strings.Cut(member, ":")
	return slices.IndexFunc(b.members, func(m string) bool {
		switch kind {
		case "user", "group", "serviceAccount", "domain":
			return strings.EqualFold(m, member)
		}
		return m == member
	})
}

// isOutdated reports whether a write was refused because of a member that was
// deleted since the policy was read: IAM renames such members, and takes the old
// name for a mistake.
func (p *policy) isOutdated(err error, made []Change) bool {
	if !rest.HasCode(err, http.StatusBadRequest) || namesMissing(err, made) {
		return false
	}
	g, _ := errors.AsType[*googleapi.Error](err)
	if !strings.Contains(g.Message, "does not exist") {
		return false
	}
	for _, b := range p.bindings {
		for _, m := range b.members {
			if _, id, _ := strings.Cut(m, ":"); names(g.Message, id) {
				return true
			}
		}
	}
	return false
}

// request is the body of setIamPolicy.
func (p *policy) request() ([]byte, error) {
	list := make([]map[string]json.RawMessage, len(p.bindings))
	for i, b := range p.bindings {
		list[i] = b.fields
	}
	fields := make(map[string]json.RawMessage, len(p.fields)+2)
	maps.Copy(fields, p.fields)
	fields["bindings"], fields["version"] = mustJSON(list), json.RawMessage("3")
	return json.Marshal(map[string]any{"policy": fields})
}

// mustJSON encodes what has no other values than strings.
func mustJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// MarshalJSON writes the condition as IAM has it.
func (c Condition) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Title       string `json:"title,omitempty"`
		Description string `json:"description,omitempty"`
		Expression  string `json:"expression"`
	}(c))
}
