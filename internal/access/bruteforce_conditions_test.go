package access

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// generated is a condition as text with its meaning in Go.
type generated struct {
	text  string
	model conditionModel
}

// conditionPool returns the conditions that situations draw from: generated
// once, so that they are compiled once.
var conditionPool = sync.OnceValue(func() []generated {
	r := rand.New(rand.NewPCG(7, 7))
	var pool []generated
	for range 400 {
		pool = append(pool, generateCondition(r, r.IntN(4)))
	}
	return pool
})

// truth is the value of a Go comparison.
func truth(b bool) byte {
	if b {
		return 'T'
	}
	return 'F'
}

// generateCondition makes a condition with up to depth logical operators on a
// path. At most one part of it is foreign.
func generateCondition(r *rand.Rand, depth int) generated {
	if depth == 0 {
		return generateAtom(r, true)
	}
	a := generateCondition(r, depth-1)
	switch r.IntN(5) {
	case 0:
		return generated{"!(" + a.text + ")", conditionModel{foreign: a.model.foreign, value: func(now time.Time, res Resource, f byte) byte {
			return map[byte]byte{'T': 'F', 'F': 'T', 'E': 'E'}[a.model.value(now, res, f)]
		}}}
	case 1, 2:
		b := generateAtom(r, !a.model.foreign)
		return generated{"(" + a.text + ") && (" + b.text + ")", conditionModel{foreign: a.model.foreign || b.model.foreign, value: func(now time.Time, res Resource, f byte) byte {
			return both(a.model.value(now, res, f), b.model.value(now, res, f), 'F', 'T')
		}}}
	}
	b := generateAtom(r, !a.model.foreign)
	return generated{"(" + b.text + ") || (" + a.text + ")", conditionModel{foreign: a.model.foreign || b.model.foreign, value: func(now time.Time, res Resource, f byte) byte {
		return both(a.model.value(now, res, f), b.model.value(now, res, f), 'T', 'F')
	}}}
}

// both is && and ||: the strong value if one is that, an error if one is that.
func both(x, y, strong, weak byte) byte {
	switch {
	case x == strong || y == strong:
		return strong
	case x == 'E' || y == 'E':
		return 'E'
	}
	return weak
}

// onName is a condition on resource.name, an error if the resource has none.
func onName(text string, f func(name string) bool) generated {
	return generated{text, conditionModel{value: func(_ time.Time, res Resource, _ byte) byte {
		if res.Name == "" {
			return 'E'
		}
		return truth(f(res.Name))
	}}}
}

func on(text string, f func(now time.Time, res Resource) bool) generated {
	return generated{text, conditionModel{value: func(now time.Time, res Resource, _ byte) byte { return truth(f(now, res)) }}}
}

func generateAtom(r *rand.Rand, foreign bool) generated {
	early, late := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	atoms := []generated{
		on(`true`, func(time.Time, Resource) bool { return true }),
		on(`false`, func(time.Time, Resource) bool { return false }),
		on(`request.time < timestamp("2027-01-01T00:00:00Z")`, func(now time.Time, _ Resource) bool { return now.Before(late) }),
		on(`request.time < timestamp("2026-01-01T00:00:00Z")`, func(now time.Time, _ Resource) bool { return now.Before(early) }),
		on(`request.time >= timestamp("2026-01-01T00:00:00Z")`, func(now time.Time, _ Resource) bool { return !now.Before(early) }),
		on(`request.time > date("2027-01-01")`, func(now time.Time, _ Resource) bool { return now.After(late) }),
		on(`request.time.getDayOfWeek() == 1`, func(now time.Time, _ Resource) bool { return now.Weekday() == time.Monday }),
		on(`request.time.getHours("+02:00") < 12`, func(now time.Time, _ Resource) bool { return now.Add(2*time.Hour).Hour() < 12 }),
		on(`resource.type == "svc.googleapis.com/Thing"`, func(_ time.Time, res Resource) bool { return res.Type == "svc.googleapis.com/Thing" }),
		on(`resource.type != "svc.googleapis.com/Thing"`, func(_ time.Time, res Resource) bool { return res.Type != "svc.googleapis.com/Thing" }),
		on(`resource.service == "other.googleapis.com"`, func(_ time.Time, res Resource) bool { return res.Service == "other.googleapis.com" }),
		onName(`resource.name.startsWith("projects/1/")`, func(n string) bool { return strings.HasPrefix(n, "projects/1/") }),
		onName(`resource.name.endsWith("/y")`, func(n string) bool { return strings.HasSuffix(n, "/y") }),
		onName(`resource.name != "projects/1/things/x"`, func(n string) bool { return n != "projects/1/things/x" }),
		onName(`resource.name.extract("projects/{p}/") == "1"`, func(n string) bool { return strings.Split(n, "/")[1] == "1" }),
		{`request.time < timestamp("never")`, conditionModel{value: func(time.Time, Resource, byte) byte { return 'E' }}},
	}
	if foreign && r.IntN(8) == 0 {
		text := []string{`resource.matchTag("1/env", "prod")`, `request.path == "/x"`, `"l" in request.auth.access_levels`}[r.IntN(3)]
		return generated{text, conditionModel{foreign: true, value: func(_ time.Time, _ Resource, f byte) byte { return f }}}
	}
	return atoms[r.IntN(len(atoms))]
}
