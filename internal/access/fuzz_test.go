package access

import (
	"strings"
	"testing"
	"time"
)

func FuzzParseMember(f *testing.F) {
	for _, s := range []string{
		"user:a@b.c", "serviceAccount:p.svc.id.goog[n/s]", "group:g@b.c", "domain:b.c", "allUsers", "deleted:user:a@b.c?uid=1",
		"principal://iam.googleapis.com/locations/global/workforcePools/w/subject/s", "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/w/attribute.a/b",
		"principalSet://goog/public:all", "principal://goog/subject/a@b.c", "principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount",
		"principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/1/x", "deleted:principal://goog/subject/a@b.c?uid=2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, syn := range []syntax{v1, v2} {
			m, err := parseMember(s, syn)
			switch {
			case err != nil && (m.kind != KindOther || m.id != s):
				t.Fatalf("%q: what isn't understood is kept as it is: %q", s, m.id)
			case err == nil && (m.kind == KindOther || m.id == ""):
				t.Fatalf("%q: understood, but of no kind", s)
			case err == nil:
				checkCanonical(t, s, m)
				checkItself(t, s, m)
			}
		}
	})
}

// checkCanonical holds that the canonical form is a fixed point, in one syntax or
// the other.
func checkCanonical(t *testing.T, s string, m Member) {
	t.Helper()
	again, err1 := parseMember(m.id, v1)
	if err1 != nil {
		var err2 error
		if again, err2 = parseMember(m.id, v2); err2 != nil {
			t.Fatalf("%q: canonical form %q: %v, %v", s, m.id, err1, err2)
		}
	}
	if again != m {
		t.Fatalf("%q: %+v, then %+v", s, m, again)
	}
}

// checkItself holds that a living principal matches itself, and a deleted one
// nothing.
func checkItself(t *testing.T, s string, m Member) {
	t.Helper()
	sub := NewSubject(Identity{Member: m}, nil)
	if got := sub.explain(m).Matched; (got == Yes) != (m.kind != KindDeleted) {
		t.Fatalf("%q: matches itself: %v", s, got)
	}
	if got := sub.explain(allUsers()).Matched; (got == Yes) != (m.kind != KindDeleted) {
		t.Fatalf("%q: is in allUsers: %v", s, got)
	}
	sub.overlap(m)
}

func FuzzCondition(f *testing.F) {
	for _, g := range conditionPool()[:60] {
		f.Add(g.text, "projects/1/things/x", int64(1_700_000_000))
	}
	f.Add(`resource.name.extract("a/{b}/").matches("(a+)+$")`, "a/aaaaaaaaaaaaaaaaaaaaa!/", int64(0))
	f.Add(`request.time.getHours("Europe/Berlin") == 1 && duration("1h") > duration("2s")`, "", int64(-1))
	f.Add(`has(resource.name) || [1].all(x, x > 0)`, "x", int64(1))
	c := NewCompiler()
	f.Fuzz(func(t *testing.T, expression, name string, unix int64) {
		if len(expression) > 2000 {
			return
		}
		cond, err := c.condition(expression), c.CheckCondition(expression)
		res, now := Resource{Name: name, Type: "t", Service: "s"}, time.Unix(unix%4_000_000_000, 0).UTC()
		v, evalErr := evaluate(cond, res, now)
		if err == nil && v == Maybe {
			t.Fatalf("%q compiles and has no value: %v", expression, evalErr)
		}
		if v == Maybe && evalErr == nil {
			t.Fatalf("%q: unknown without a reason", expression)
		}
		if again, _ := evaluate(cond, res, now); again != v {
			t.Fatalf("%q: %v, then %v", expression, v, again)
		}
		if end := cond.end; v == Yes && end.Kind == EndAt {
			if end.At.Before(now) {
				t.Fatalf("%q: holds at %v after its end %v", expression, now, end.At)
			}
			if later, _ := evaluate(cond, res, end.At.Add(time.Second)); later == Yes {
				t.Fatalf("%q: holds after its end %v", expression, end.At)
			}
		}
	})
}

func FuzzExtract(f *testing.F) {
	f.Add("projects/_/buckets/b/objects/o", "buckets/{name}/")
	f.Add("a/b/c", "{all}")
	f.Add("a/b/c", "a/{x}")
	f.Add("a/b/c", "{x}/c")
	f.Add("aaa", "a{x}a")
	f.Fuzz(func(t *testing.T, s, template string) {
		got, err := extract(s, template)
		open, shut := strings.IndexByte(template, '{'), strings.IndexByte(template, '}')
		valid := strings.Count(template, "{") == 1 && strings.Count(template, "}") == 1 && open < shut && isIdentifier(template[open+1:shut])
		if valid != (err == nil) {
			t.Fatalf("template %q: %v", template, err)
		}
		if err != nil {
			return
		}
		// The definition, spelled out with indices.
		prefix, suffix := template[:open], template[shut+1:]
		want := ""
		if i := strings.Index(s, prefix); i >= 0 {
			start := i + len(prefix)
			end := len(s)
			if suffix != "" {
				end = strings.Index(s[start:], suffix)
				if end >= 0 {
					end += start
				}
			}
			if end >= 0 {
				want = s[start:end]
			}
		}
		if got != want {
			t.Fatalf("extract(%q, %q) = %q, want %q", s, template, got, want)
		}
	})
}
