package access

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // conditions name time zones; without them a grant would be missed

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// The attributes that conditions can be evaluated on.
const (
	attrTime    = "request.time"
	attrName    = "resource.name"
	attrType    = "resource.type"
	attrService = "resource.service"
)

// newEnv returns the CEL environment of IAM Conditions: the attributes above,
// the operators, conversions and string functions of CEL's definition, which
// Google's attribute reference refers to, and IAM's own date and extract. There
// are no macros: IAM has a subset of CEL.
func newEnv(z *zones) (*cel.Env, error) {
	var subset env.LibrarySubset
	subset.SetDisableMacros(true)
	for _, name := range []string{
		"_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_",
		"_+_", "_-_", "-_", "_*_", "_/_", "_%_", "@in",
		"startsWith", "endsWith", "contains", "matches", "size",
		"timestamp", "duration", "int", "uint", "double", "string", "bool",
	} {
		subset.AddIncludedFunctions(env.NewFunction(name))
	}
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&subset)),
		cel.Variable(attrTime, cel.TimestampType),
		cel.Variable(attrName, cel.StringType),
		cel.Variable(attrType, cel.StringType),
		cel.Variable(attrService, cel.StringType),
		cel.Function("date", cel.Overload("date_string", []*cel.Type{cel.StringType}, cel.TimestampType,
			cel.UnaryBinding(celDate))),
		cel.Function("extract", cel.MemberOverload("string_extract_string",
			[]*cel.Type{cel.StringType, cel.StringType}, cel.StringType, cel.BinaryBinding(celExtract))),
	}
	for name, part := range map[string]func(time.Time) int{
		"getFullYear":     time.Time.Year,
		"getMonth":        func(t time.Time) int { return int(t.Month()) - 1 },
		"getDate":         time.Time.Day,
		"getDayOfMonth":   func(t time.Time) int { return t.Day() - 1 },
		"getDayOfWeek":    func(t time.Time) int { return int(t.Weekday()) },
		"getDayOfYear":    func(t time.Time) int { return t.YearDay() - 1 },
		"getHours":        time.Time.Hour,
		"getMinutes":      time.Time.Minute,
		"getSeconds":      time.Time.Second,
		"getMilliseconds": func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) },
	} {
		opts = append(opts, cel.Function(name,
			cel.MemberOverload("timestamp_"+name, []*cel.Type{cel.TimestampType}, cel.IntType,
				cel.UnaryBinding(func(t ref.Val) ref.Val {
					return types.Int(part(t.(types.Timestamp).UTC()))
				})),
			cel.MemberOverload("timestamp_"+name+"_tz", []*cel.Type{cel.TimestampType, cel.StringType}, cel.IntType,
				cel.BinaryBinding(func(t, zone ref.Val) ref.Val {
					loc, err := z.location(string(zone.(types.String)))
					if err != nil {
						return types.WrapErr(err)
					}
					return types.Int(part(t.(types.Timestamp).In(loc)))
				}))))
	}
	return cel.NewCustomEnv(opts...)
}

// celDate implements IAM's date(): a day, at midnight UTC.
func celDate(v ref.Val) ref.Val {
	t, err := time.Parse(time.DateOnly, string(v.(types.String)))
	if err != nil {
		return types.WrapErr(fmt.Errorf("date(%q): not YYYY-MM-DD", v.Value()))
	}
	return types.Timestamp{Time: t}
}

// celExtract implements IAM's extract().
func celExtract(s, template ref.Val) ref.Val {
	out, err := extract(string(s.(types.String)), string(template.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(out)
}

// zones caches time zones: loading one reads a file.
type zones struct{ m sync.Map }

// maxZones bounds the cache; there are fewer than 600 names.
const maxZones = 2048

// location returns the zone of a name of the IANA database or of an offset such
// as +01:00.
func (z *zones) location(name string) (*time.Location, error) {
	if loc, ok := z.m.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := parseZone(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	n := 0
	z.m.Range(func(any, any) bool { n++; return n < maxZones })
	if n < maxZones {
		z.m.Store(name, loc)
	}
	return loc, nil
}

func parseZone(name string) (*time.Location, error) {
	h, m, ok := strings.Cut(name, ":")
	if !ok {
		if name == "Local" {
			// To Go that is this machine's zone, which isn't IAM's.
			return nil, errors.New("unknown")
		}
		return time.LoadLocation(name)
	}
	hours, err := strconv.Atoi(h)
	if err != nil || hours < -23 || hours > 23 {
		return nil, errors.New("not an offset")
	}
	minutes, err := strconv.ParseUint(m, 10, 8)
	if err != nil || minutes > 59 {
		return nil, errors.New("not an offset")
	}
	east := hours*60 + int(minutes)
	if strings.HasPrefix(h, "-") {
		east = hours*60 - int(minutes)
	}
	return time.FixedZone(name, east*60), nil
}

// attributes are the values of a request that a condition is evaluated on. It
// is CEL's activation.
type attributes struct {
	time     time.Time
	resource Resource
}

// ResolveName returns an attribute's value. An attribute that the resource
// doesn't have isn't found, which is an error to CEL: the part of the condition
// that uses it never grants access.
func (a *attributes) ResolveName(name string) (any, bool) {
	switch name {
	case attrTime:
		return types.Timestamp{Time: a.time}, true
	case attrName:
		return types.String(a.resource.Name), a.resource.Name != ""
	case attrType:
		return types.String(a.resource.Type), true
	case attrService:
		return types.String(a.resource.Service), true
	}
	return nil, false
}

// Parent implements CEL's activation.
func (a *attributes) Parent() cel.Activation { return nil }
