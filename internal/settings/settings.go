// Package settings tells what client options come to.
//
// The type that they apply to is internal to the generated clients, and
// everything that would show it builds more of gRPC, so it is read by reflection:
// a field that isn't there any more reads as not set.
package settings

import (
	"fmt"
	"reflect"

	"google.golang.org/api/option"
)

// Settings are what client options come to.
type Settings struct{ value reflect.Value }

// Of applies options.
func Of(opts ...option.ClientOption) Settings {
	var s Settings
	for _, opt := range opts {
		apply := reflect.ValueOf(opt).MethodByName("Apply")
		if !s.value.IsValid() {
			s.value = reflect.New(apply.Type().In(0).Elem())
		}
		apply.Call([]reflect.Value{s.value})
	}
	return s
}

// Field returns a field, or nil if it has its zero value.
func (s Settings) Field(name string) any {
	if !s.value.IsValid() {
		return nil
	}
	f := s.value.Elem().FieldByName(name)
	if !f.IsValid() || f.IsZero() {
		return nil
	}
	return f.Interface()
}

// RefuseEndpoint returns an error if the options name an endpoint: for a client of
// several APIs, one API's would receive the calls of the others.
func RefuseEndpoint(opts ...option.ClientOption) error {
	endpoint, given := Of(opts...).Field("Endpoint").(string)
	if !given {
		return nil
	}
	return fmt.Errorf("option.WithEndpoint(%q): several APIs are asked, which have an endpoint each: leave it out", endpoint)
}
