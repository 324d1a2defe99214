package access

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func containments(s sets) map[string][]Member {
	out := map[string][]Member{}
	for _, c := range s.in {
		out[c.set.String()] = c.via
	}
	return out
}

func TestRosterChains(t *testing.T) {
	t.Parallel()
	a, b, c, d := Group("a@x.y"), Group("b@x.y"), Group("c@x.y"), Group("d@x.y")
	u := User("u@x.y")
	r := NewRoster(
		Set{Member: a, Members: []Member{u}},
		Set{Member: b, Members: []Member{a, User("v@x.y")}},
		Set{Member: c, Members: []Member{b, c}},
		Set{Member: a, Members: []Member{c}}, // given twice, and a ring
		Set{Member: d, Members: []Member{domainOf(u)}},
	)
	s := r.setsOf(u)
	assert.Nil(t, s.unknown)
	assert.Equal(t, map[string][]Member{
		"group:a@x.y": nil, "group:b@x.y": {a}, "group:c@x.y": {b, a}, "domain:x.y": nil, "group:d@x.y": {domainOf(u)},
	}, containments(s))
	assert.Equal(t, map[string][]Member{"group:c@x.y": nil, "group:a@x.y": {c}}, containments(r.setsOf(b)))
	assert.Empty(t, r.setsOf(ServiceAccount("s@x.y")).in)
}

func TestRosterUnknown(t *testing.T) {
	t.Parallel()
	a, b, c, d := Group("a@x.y"), Group("b@x.y"), Group("c@x.y"), Group("d@x.y")
	u := User("u@x.y")
	sets := []Set{
		{Member: a, Unreadable: true},
		{Member: b, Members: []Member{a}},
		{Member: c, Members: []Member{u}, Unreadable: true},
		{Member: d, Members: []Member{Group("unlisted@x.y")}},
	}
	closed := NewRoster(sets...).setsOf(u)
	assert.Equal(t, []Member{a}, closed.unknown(a))
	assert.Equal(t, []Member{a}, closed.unknown(b), "because of the nested one")
	assert.Empty(t, closed.unknown(c), "the members that are known count")
	assert.Empty(t, closed.unknown(d))
	assert.Empty(t, closed.unknown(Group("other@x.y")))
	open := NewOpenRoster(sets...).setsOf(u)
	assert.Equal(t, []Member{a}, open.unknown(b))
	assert.Equal(t, []Member{Group("unlisted@x.y")}, open.unknown(d))
	assert.Equal(t, []Member{Group("other@x.y")}, open.unknown(Group("other@x.y")))
	assert.Empty(t, open.unknown(c))
}
