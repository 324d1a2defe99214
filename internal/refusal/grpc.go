package refusal

import (
	"net/http"
	"reflect"
)

// grpcCodes are the codes of gRPC that matter here, as the API's JSON has them.
// https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
var grpcCodes = map[uint64]struct {
	code   int
	status string
}{
	5:  {http.StatusNotFound, "NOT_FOUND"},
	6:  {http.StatusConflict, "ALREADY_EXISTS"},
	7:  {http.StatusForbidden, "PERMISSION_DENIED"},
	10: {http.StatusConflict, "ABORTED"},
}

// fromGRPC returns what the gRPC status in an error's chain tells, the zero answer
// if there is none. An error of a gRPC client has a method GRPCStatus, whose result
// has Code and Message. They are called by name, so that this package, and with it
// every program that speaks REST alone, doesn't import gRPC.
func fromGRPC(err error) answer {
	for _, one := range chain(err) {
		status, ok := call(reflect.ValueOf(one), "GRPCStatus")
		if !ok {
			continue
		}
		code, okCode := call(status, "Code")
		message, okMessage := call(status, "Message")
		if !okCode || !okMessage || !code.CanUint() || message.Kind() != reflect.String {
			continue
		}
		known := grpcCodes[code.Uint()]
		return answer{known.code, known.status, message.String()}
	}
	return answer{}
}

// chain returns an error and all that it wraps, in the order of errors.Is.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	switch wrapper := err.(type) { //nolint:errorlint // each error of the chain is looked at
	case interface{ Unwrap() error }:
		all = append(all, chain(wrapper.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, one := range wrapper.Unwrap() {
			all = append(all, chain(one)...)
		}
	}
	return all
}

// call calls a method that takes nothing and returns one value.
func call(v reflect.Value, name string) (reflect.Value, bool) {
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return reflect.Value{}, false
	}
	m := v.MethodByName(name)
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
		return reflect.Value{}, false
	}
	return m.Call(nil)[0], true
}
